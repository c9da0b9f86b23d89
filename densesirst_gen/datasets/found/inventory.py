"""What lies under a root: every file once, and what it is, by content first and by name second.

A walk over the folders, the suffixes, the first bytes of label files, and a sample of the images of
each folder: a hundred thousand files take seconds. Layouts claim files from it; what is left over
is named.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath

from densesirst_gen.datasets.found.masklike import looks_like_mask
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.files.images.codec import FORMATS, OFTEN_BESIDE, is_image_file

LIST_SUFFIXES = (
    *(".txt", ".lst", ".csv", ""),
    *(".list", ".lis", ".flist", ".names", ".ids", ".idx", ".set", ".split"),
)
CLUTTER = {"@eadir", "$recycle.bin", "__macosx", "system volume information", "lost+found"}
OTHER_IMAGES = (
    *(".gif", ".jp2", ".j2k", ".jxl", ".avif", ".heic", ".jfif", ".jpe", ".tga", ".exr", ".hdr"),
    *(".raw", ".bin", ".dat", ".img", ".pbm", ".pam", ".pfm", ".dcm", ".nii", ".dng", ".psd"),
    *(".svg", ".fff", ".rjpg", ".ras", ".sgi", ".ico", ".dds"),
)
ARRAYS = (
    *(".npy", ".npz", ".mat", ".h5", ".hdf5", ".pt", ".pth", ".pkl", ".pickle", ".parquet"),
    *(".xlsx", ".xls", ".ods", ".tfrecord", ".record", ".rec", ".lmdb", ".mdb"),
)
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".7z")
VIDEOS = (
    *(".mp4", ".avi", ".mov", ".mkv", ".seq", ".csq", ".ptw", ".wmv", ".mpg", ".mpeg", ".m4v"),
    *(".webm", ".flv", ".h264", ".h265", ".ravi", ".sfmov"),
)
TEXTS = (".json", ".jsonl", ".ndjson", ".geojson", ".xml", ".yaml", ".yml", ".toml", ".tsv")
"""Suffixes of files that may say where targets are or what part a scene is in."""
MASK_WORD = re.compile(
    r"mask|label|lable|annot|truth|segmentation|(^|[_/-])(gt|gts|seg)([_/-]|$)|_pixels0", re.I
)
MASK_NAME = re.compile(r"(masks?|labels?|gt|seg|ground_?truth)([_-]|$)", re.I)
SKY_WORD = re.compile(r"sky", re.I)
TOKEN = re.compile(r"[_. -][A-Za-z]*\d{0,3}$")
N_SAMPLED = 8
N_SAMPLED_IN_ALL = 400
N_ALIKE = 64
HEAD_BYTES = 4096
LABELS = ("COCO", "VOC", "YOLO", "labelme", "CVAT", "HF")
"""Kinds of files that say where targets are, beside masks."""
Looks = dict[Path, bool | None]
"""Whether images look like masks; None for blank ones."""


@dataclass(frozen=True, eq=False)
class Group:
    """Image files of one folder that are of one kind.

    Parameters
    ----------
    folder : str
        POSIX, relative to the root; empty for the root itself.
    files : dict of str to Path
        Stem -> file.
    token : str
        What all their stems end with, where files of another kind lie in the same folder.
    is_mask : bool
        Two-valued by its sample; by its name where the sample is blank.
    like_masks : tuple of Path
        Of the sample of images those of two values.
    """

    folder: str
    files: dict[str, Path]
    token: str = ""
    is_mask: bool = False
    like_masks: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        """For messages: the folder, and the end of the names if it matters."""
        where = f"{self.folder}/" if self.folder else "./"
        return f"{where}*{self.token}" if self.token else where

    def by_key(self) -> dict[str, Path]:
        """Stem without the token -> file."""
        end = -len(self.token) if self.token else None
        return {stem[:end]: path for stem, path in self.files.items()}


@dataclass(frozen=True, eq=False)
class Inventory:
    """The files under a root.

    Parameters
    ----------
    root : Path
    groups : tuple of Group
        All images that can be decoded by their suffix, in order of their folders.
    labels : dict of str to list of Path
        Kind (`LABELS`) -> files.
    lists : tuple of Path
        Text files that may be lists of names.
    others : dict of str to list of Path
        What nothing here reads: images of other formats, arrays, archives, videos; by suffix.
    skipped : tuple of str
        Folders of operating systems that were not entered.
    texts : tuple of Path
        Of suffixes of `TEXTS`, and of none of the kinds of labels.
    """

    root: Path
    groups: tuple[Group, ...] = ()
    labels: dict[str, list[Path]] = field(default_factory=dict)
    lists: tuple[Path, ...] = ()
    others: dict[str, list[Path]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    texts: tuple[Path, ...] = ()

    def relative(self, path: Path) -> str:
        """POSIX path below the root."""
        return relative_path(path, self.root)

    @property
    def images(self) -> list[Group]:
        """Groups that are no masks."""
        return [group for group in self.groups if not group.is_mask]

    @property
    def masks(self) -> list[Group]:
        """Groups of target masks."""
        return [g for g in self.groups if g.is_mask and not SKY_WORD.search(g.folder)]

    @property
    def skies(self) -> list[Group]:
        """Groups of masks in a folder named after the sky."""
        return [g for g in self.groups if g.is_mask and SKY_WORD.search(g.folder)]


def take_inventory(root: Path, ignore: Collection[str] = ()) -> Inventory:
    """Look at every file under a folder.

    Parameters
    ----------
    root : Path
        Hidden files and folders are passed over; links are followed.
    ignore : collection of str
        Globs of what is passed over as well, see `is_ignored`.

    Raises
    ------
    DatasetError
        If a folder can't be read, links go round in a circle, or two image files differ by suffix
        only.
    """
    folders: dict[str, dict[str, Path]] = defaultdict(dict)
    labels: dict[str, list[Path]] = defaultdict(list)
    others: dict[str, list[Path]] = defaultdict(list)
    kinds = _LabelKinds()
    lists: list[Path] = []
    texts: list[Path] = []
    skipped: list[str] = []
    for folder, entry in _walk(root, "", skipped, ()):
        if ignore and is_ignored(f"{folder}/{entry.name}".lstrip("/"), ignore):
            continue
        path, suffix = Path(entry.path), os.path.splitext(entry.name)[1].lower()
        if suffix in FORMATS and is_image_file(path):
            _add(folders[folder], path, entry, others)
        elif kind := kinds.of(path):
            labels[kind].append(path)
        elif suffix in LIST_SUFFIXES:
            lists.append(path)
        elif suffix in TEXTS:
            texts.append(path)
        elif suffix in OTHER_IMAGES + ARRAYS + ARCHIVES + VIDEOS:
            others[suffix].append(path)
    groups = tuple(_groups(folders))
    blank = {path for path in lists if _is_blank_label(path, root)}
    if blank and not labels and not any(group.is_mask for group in groups):
        labels["YOLO"] = sorted(blank)
        lists = [path for path in lists if path not in blank]
    found = (dict(labels), tuple(lists), dict(others), tuple(skipped), tuple(texts))
    return Inventory(root, groups, *found)


def is_ignored(path: str, globs: Collection[str]) -> bool:
    """Whether a path below the root, or a folder that it lies in, is to be passed over."""
    steps = [path, *(step.as_posix() for step in PurePosixPath(path).parents)][:-1]
    return any(
        fnmatchcase(step, glob.rstrip("/")) or fnmatchcase(PurePosixPath(step).name, glob)
        for glob in globs
        for step in steps
    )


def relative_path(path: Path, root: Path) -> str:
    """POSIX; with ``..`` for what lies elsewhere, as folders may that a user names."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return PurePath(os.path.relpath(path, root)).as_posix()


def _walk(
    root: Path, folder: str, skipped: list[str], above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Folder and entry of each file, sorted; links to folders are followed, but in no circle."""
    here = root / folder
    try:
        status = here.stat()
        with os.scandir(here) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(f"{here}: can't be read ({error.strerror})") from error
    if (inode := (status.st_dev, status.st_ino)) in above:
        raise DatasetError(f"{here}: a link to a folder that it lies in, a circle")
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not _is_folder(entry):
            yield folder, entry
        elif entry.name.casefold() in CLUTTER:
            skipped.append(entry.name)
        else:
            inner = f"{folder}/{entry.name}" if folder else entry.name
            yield from _walk(root, inner, skipped, (*above, inode))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # a loop of links
        raise DatasetError(f"{entry.path}: not a regular file ({error.strerror})") from error


def _add(
    files: dict[str, Path], path: Path, entry: os.DirEntry[str], others: dict[str, list[Path]]
) -> None:
    if not entry.is_file():
        raise DatasetError(f"{path}: not a regular file")
    stem = os.path.splitext(entry.name)[0]
    rivals = [p for p in (files.get(stem), path) if p is not None]
    images = [p for p in rivals if p.suffix.lower() not in OFTEN_BESIDE] or rivals
    if len(images) > 1:
        raise DatasetError(f"1 scene names come twice: {images[0]} and {path}")
    files[stem] = images[0]
    for beside in (p for p in rivals if p is not images[0]):
        others[beside.suffix.lower()].append(beside)


# ---- images and masks


def _groups(folders: dict[str, dict[str, Path]]) -> Iterator[Group]:
    n_each = max(2, min(N_SAMPLED, N_SAMPLED_IN_ALL // max(len(folders), 1)))
    for folder in sorted(folders):
        if masks := _named_masks(folders[folder], n_each):
            yield Group(folder, masks, is_mask=True)
        yield from _by_kind(folder, folders[folder], masks, n_each)


def _by_kind(
    folder: str, all_files: dict[str, Path], masks: Collection[str], n: int
) -> Iterator[Group]:
    """The files of a folder that are no masks by their names, as one group or two."""
    files = {stem: path for stem, path in all_files.items() if stem not in masks}
    tokens = _by_token(files)
    looks = {token: _looks(found, n) for token, found in tokens.items()}
    votes = {token: _vote(look) for token, look in looks.items()}
    beside = False in votes.values()
    parts = [
        _group(folder, found, token, looks[token], beside=beside) for token, found in tokens.items()
    ]
    if len({part.is_mask for part in parts}) == 1:
        alike = tuple(path for part in parts for path in part.like_masks)
        parts = [Group(folder, files, "", parts[0].is_mask, alike)]
    yield from parts


def _group(folder: str, files: dict[str, Path], token: str, looks: Looks, *, beside: bool) -> Group:
    if _is_mask(folder, token if beside else "", _vote(looks)):
        return Group(folder, files, token, is_mask=True)
    return Group(folder, files, token, like_masks=tuple(p for p, look in looks.items() if look))


def _named_masks(files: dict[str, Path], n: int) -> dict[str, Path]:
    """Masks beside images that their names begin with or are: ``mask_a`` beside ``a``."""
    named = {stem: path for stem, path in files.items() if MASK_NAME.match(stem)}
    others = {stem: path for stem, path in files.items() if stem not in named}
    if not named or not others or _vote(_looks(others, n)) is not False:
        return {}
    looks = _looks(named, n)
    if len(looks) == len(named):
        return {stem: path for stem, path in named.items() if looks[path]}
    return named if _vote(looks) else {}


def _by_token(files: dict[str, Path]) -> dict[str, dict[str, Path]]:
    """Files by the end of their stems, where names come in pairs: ``1_a`` and ``1_b``, or ``1``."""
    ends = {stem: match[0] for stem in files if (match := TOKEN.search(stem))}
    heads = Counter(stem[: -len(end)] for stem, end in ends.items())
    paired = Counter(
        end for stem, end in ends.items() if heads[head := stem[: -len(end)]] > 1 or head in files
    )
    tokens = [token for token, n in paired.items() if n * 4 >= len(files)]
    tokens = [token for token in tokens if re.search("[A-Za-z]", token)] or tokens
    if not tokens:
        return {"": files}
    parts: dict[str, dict[str, Path]] = defaultdict(dict)
    for stem, path in files.items():
        end = ends.get(stem, "")
        parts[end if end in tokens else ""][stem] = path
    return dict(parts)


def _looks(files: dict[str, Path], n: int) -> Looks:
    """Of a sample whether each looks like a mask; None for a blank one."""
    paths = list(files.values())
    return {
        path: looks_like_mask(path) for path in random.Random(0).sample(paths, min(n, len(paths)))
    }


def _vote(looks: Looks) -> bool | None:
    """Whether most of a sample look like masks; None if all of it is blank."""
    votes = Counter(looks.values())
    return votes[True] > votes[False] if votes[True] or votes[False] else None


def _is_mask(folder: str, token: str, vote: bool | None) -> bool:
    """What the files hold, else what they are called."""
    if vote is not None:
        return vote
    words = (MASK_WORD, SKY_WORD)
    return any(word.search(folder) or word.search(token) for word in words)


# ---- labels


class _LabelKinds:
    """`label_kind` of many files: a folder of which 64 are alike is taken to be of one kind."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Path, str], Counter[str]] = defaultdict(Counter)

    def of(self, path: Path) -> str:
        seen = self._seen[path.parent, path.suffix]
        if len(seen) == 1 and seen.most_common(1)[0][1] >= N_ALIKE:
            return next(iter(seen))
        kind = label_kind(path)
        seen[kind] += 1
        return kind


def label_kind(path: Path) -> str:
    """Which of `LABELS` a file is, by its grammar; empty if none."""
    suffix = path.suffix.lower()
    if suffix not in (".json", ".jsonl", ".xml", ".txt") or not path.is_file():
        return ""
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if suffix == ".txt":
        return "YOLO" if _is_yolo(head) else ""
    if suffix == ".xml":
        return _xml_kind(head)
    if suffix == ".jsonl":
        return "HF" if b'"file_name"' in head and b'"objects"' in head else ""
    return _json_kind(path, head)


def _is_blank_label(path: Path, root: Path) -> bool:
    """An empty text in a folder of labels: YOLO's way to say that there is no target."""
    folders = PurePosixPath(relative_path(path.parent, root)).parts
    return path.suffix == ".txt" and "labels" in folders and not path.stat().st_size


def _is_yolo(head: bytes) -> bool:
    """Lines of a class number and four or more numbers from 0 to 1."""
    lines = head.split(b"\n")[:20]
    lines = lines[:-1] if len(head) == HEAD_BYTES else lines
    rows = [line.split() for line in lines if line.strip()]
    return bool(rows) and all(_is_yolo_row(row) for row in rows)


def _is_yolo_row(row: list[bytes]) -> bool:
    try:
        values = [float(word) for word in row[1:]]
        return len(values) >= 4 and row[0].isdigit() and all(-0.01 <= v <= 1.01 for v in values)
    except ValueError:
        return False


def _xml_kind(head: bytes) -> str:
    if b"<annotations" in head:
        return "CVAT"
    is_empty = b"</annotation>" in head and b"<filename" in head and b"<object" not in head
    return "VOC" if b"<annotation" in head and (b"<bndbox" in head or is_empty) else ""


def _json_kind(path: Path, head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start.startswith(b"{"):
        return ""
    if b'"shapes"' in head and b'"imagePath"' in head:
        return "labelme"
    names = _top_names(path, head)
    if {"file_name", "objects"} <= names:
        return "HF"
    if "shapes" in names and "imagePath" in names:
        return "labelme"
    return "COCO" if {"images", "annotations"} <= names else ""


def _top_names(path: Path, head: bytes) -> set[str]:
    """Names at the top of a JSON object; of large files as far as a search for them tells."""
    if path.stat().st_size <= 50_000_000:
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return set()
        return set(document) if isinstance(document, dict) else set()
    return {name for name in ("images", "annotations", "shapes") if f'"{name}"'.encode() in head}


# ---- words for people


def counted(paths: Iterable[Path], root: Path) -> str:
    """How many files, and one of them: ``4 files such as labels/a.txt``."""
    names = sorted(relative_path(path, root) for path in paths)
    return f"{len(names)} file{'s' * (len(names) != 1)} such as {PurePosixPath(names[0])}"

"""The image records of a COCO file: which file each is, and how large."""

from __future__ import annotations

import os
import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import unquote

from densesirst_gen.datasets.coco.ids import Ids, Record, each_once
from densesirst_gen.datasets.coco.image_list import CocoImages
from densesirst_gen.datasets.dataset import check_names
from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.packed import repeated
from densesirst_gen.datasets.parts.names import Parts, folded_parts
from densesirst_gen.datasets.paths import DatasetError, examples, safe_join, unique
from densesirst_gen.files.images.codec import FORMATS, MAX_PIXELS, CodecError, read_size

MASK_FOLDER = re.compile(r"mask|label|lable|annot|truth|(^|[_/-])(gt|gts|seg)([_/-]|$)")
PART = re.compile(r"train|val|test|dev")
ANY_FOLDER = re.compile(r"image|img|data|frame|picture|mixed|default|" + PART.pattern)
BY_TAIL = "images are found by the end of their path only"
NO_SIZE = "images have no usable width and height, taken from the files"
TWICE = "images come twice, the record without annotations is left out"


def read_images(
    records: Collection[Record],
    ids: Ids,
    bases: Sequence[Path],
    annotated: Sequence[int],
    hint: str,
    findings: Findings,
) -> CocoImages:
    """The images of a COCO file, each file once.

    Parameters
    ----------
    records : collection of dict
    ids : Ids
        Of these records.
    bases : sequence of Path
        Folders that ``file_name`` may be relative to.
    annotated : sequence of int
        For the row of each image whether it has annotations.
    hint : str
        Name of the folder that is meant where several have a file of the name.
    findings : Findings
        Gets what was decided.

    Raises
    ------
    DatasetError
        If two records have one file and both annotations; if a file is missing, outside the
        folders, or may be any of several.
    """
    images = _files(each_once(records, ids), ImageFinder(bases, hint), findings)
    images.set_keys(ids.rows)
    kept = _each_once(images, annotated, findings)
    names = [images.name(row) for row in kept]
    if repeated(array("q", map(hash, names))):
        unique((images.name(row), images.path(row)) for row in kept)
    check_names(names)
    order = sorted(range(len(names)), key=names.__getitem__)
    images.by_name = array("q", (kept[k] for k in order))
    is_scene = set(kept) if len(kept) < len(images) else range(len(images))
    for row, record in enumerate(each_once(records, ids)):
        if row in is_scene:
            images.set_size(row, _size(record, images, row, findings))
    return images


def _files(records: Iterable[Record], finder: ImageFinder, findings: Findings) -> CocoImages:
    """Scene name and file of each image; DatasetError if one is missing."""
    images, missing = CocoImages(finder.bases), []
    for record in records:
        file_name = record["file_name"]
        if not isinstance(file_name, str):
            raise DatasetError(f"image {record['id']!r}: file_name {file_name!r} is no text")
        base, path, is_exact = finder.find(file_name)
        if path is None:
            missing.append(file_name)
            continue
        relative = path.relative_to(base).as_posix()
        if not is_exact:
            findings.add(BY_TAIL, f"{file_name}, read from {relative}")
        images.append(base, relative, len(path.suffix))
    if missing:
        more = f" (nor are {len(missing) - 1} others)" if len(missing) > 1 else ""
        folders = " or ".join(map(str, finder.bases))
        raise DatasetError(f"image {missing[0]} is not in {folders}{more}")
    return images


def _each_once(images: CocoImages, annotated: Sequence[int], findings: Findings) -> Sequence[int]:
    """Rows, without those of a file that another record has as well and that say nothing."""
    real = partial(_real, lru_cache(1000)(os.path.realpath))
    hashes = array("q", (hash(real(images.file(row))) for row in range(len(images))))
    alike = repeated(hashes)
    if not alike:
        return range(len(images))
    files: dict[str, list[int]] = defaultdict(list)
    for row, value in enumerate(hashes):
        if value in alike:
            files[real(images.file(row))].append(row)
    taken = {rows[0]: _told(rows, images, annotated, findings) for rows in files.values()}
    passed = {row for rows in files.values() for row in rows[1:]}
    return [taken.get(row, row) for row in range(len(images)) if row not in passed]


def _told(
    rows: Sequence[int], images: CocoImages, annotated: Sequence[int], findings: Findings
) -> int:
    """Of the records of one file the one that is taken."""
    told = [row for row in rows if annotated[row]] or rows[:1]
    keys = images.keys
    if len(told) > 1:
        raise DatasetError(
            f"image files come twice: {images.path(told[0])} is image {keys[told[0]]!r} and image "
            f"{keys[told[1]]!r}, each with annotations"
        )
    for row in rows:
        if row != told[0]:
            findings.add(TWICE, f"image {keys[row]!r}, {images.path(row).name}")
    return told[0]


def _real(real_folder: Callable[[str], str], path: str) -> str:
    """`os.path.realpath`, by that of the folder where the file itself is no link."""
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(real_folder(folder), name)


def _size(record: Record, images: CocoImages, row: int, findings: Findings) -> tuple[int, int]:
    """(H, W) of an image by its record, else by its file."""
    height, width = _whole(record.get("height")), _whole(record.get("width"))
    if height * width > MAX_PIXELS:
        path = images.path(row)
        raise DatasetError(f"image {path.name}: {height} x {width}, at most {MAX_PIXELS} pixels")
    if height and width:
        return height, width
    path = images.path(row)
    findings.add(NO_SIZE, f"{path.name}, {record.get('height')} x {record.get('width')}")
    try:
        shape = read_size(path)
    except (CodecError, OSError):  # which is told when the scene is loaded
        return 0, 0
    return shape[0], shape[1]


def _whole(value: Any) -> int:
    """A whole number above 0, also where it is written as 96.0 or as text; else 0."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(number) if number.is_integer() and number > 0 else 0


class ImageFinder:
    """The image files below some folders, to be found by what a COCO file calls them.

    Parameters
    ----------
    bases : sequence of Path
    hint : str
        Folder that is preferred where several have a file of the name.
    """

    def __init__(self, bases: Sequence[Path], hint: str = "") -> None:
        self.bases = [base for base in bases if base.is_dir()] or list(bases)
        self.hint = next(iter(folded_parts(hint)), "")

    def find(self, file_name: str) -> tuple[Path, Path | None, bool]:
        """The folder, the file in it, and whether it is there under just this name.

        A name that is not there stands for the one file whose path ends like it, with any slashes,
        case and Unicode form, written as in an address or not: names of other machines, or of
        another folder. Not meant are files in a folder of masks, and where both have folders that
        the other lacks, in any folder but one like ``images`` or of the same part (train, val,
        test).

        Raises
        ------
        DatasetError
            If the name leads out of the folder, or may be any of several files.
        """
        if exact := self._exact(file_name):
            return *exact, True
        readings = _parts(file_name), _parts(unquote(file_name))
        if any(not parts or ".." in parts for parts in readings):
            raise DatasetError(f"{self.bases[-1]}: {file_name!r} is not a path inside the dataset")
        for parts in readings:
            if found := self._by_tail("/".join(parts)):
                return *found, False
        if _is_absolute(file_name):
            raise DatasetError(
                f"{self.bases[-1]}: {file_name!r} is not a path inside the dataset, and no image "
                "there ends like it"
            )
        return self.bases[-1], None, False

    def _exact(self, file_name: str) -> tuple[Path, Path] | None:
        if _is_absolute(file_name) or "\\" in file_name:
            return None
        paths = ((base, safe_join(base, file_name)) for base in self.bases)
        return next(((base, path) for base, path in paths if path.is_file()), None)

    def _by_tail(self, name: str) -> tuple[Path, Path] | None:
        wanted = folded_parts(name)
        rated = [
            (_alike(wanted, parts), self.hint in parts[:-1], base, path)
            for parts, base, path in self._files.get(wanted[-1], ())
            if _may_be(wanted, parts)
        ]
        best = max((rate[:2] for rate in rated), default=None)
        found = [(base, path) for *rate, base, path in rated if tuple(rate) == best]
        if len(found) > 1:
            some = examples(str(path) for _, path in found)
            raise DatasetError(f"image {name} may be any of {len(found)} files: {some}")
        return found[0] if found else None

    @cached_property
    def _files(self) -> dict[str, list[tuple[Parts, Path, Path]]]:
        """Folded file name -> folded path, folder, file; each file once."""
        files: dict[str, list[tuple[Parts, Path, Path]]] = defaultdict(list)
        seen = set()
        for base in self.bases:
            for path in _image_files(base):
                parts = folded_parts(path.relative_to(self.bases[-1]).as_posix())
                if path not in seen and not MASK_FOLDER.search("/".join(parts[:-1])):
                    files[parts[-1]].append((parts, base, path))
                seen.add(path)
        return dict(files)


def _image_files(base: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise DatasetError(f"{error.filename}: can't be read ({error.strerror})") from error

    for here, folders, names in os.walk(base, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(here, name)
            if path.suffix.lower() in FORMATS and not name.startswith(".") and path.is_file():
                yield path


def _parts(file_name: str) -> list[str]:
    """The parts of a path of any system, without drive and root."""
    path = PureWindowsPath(re.sub(r"^[A-Za-z][\w+.-]+://", "", file_name))
    return [part for part in path.relative_to(path.anchor).parts if part != "."]


def _is_absolute(file_name: str) -> bool:
    path = PureWindowsPath(file_name)  # takes both kinds of slash
    return bool(path.drive or path.root) or PurePosixPath(file_name).is_absolute()


def _alike(one: Parts, other: Parts) -> int:
    """How many parts two paths share at their ends."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((k for k, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _may_be(wanted: Parts, parts: Parts) -> bool:
    """Whether a file can be meant by a path that ends like its own."""
    n = _alike(wanted, parts)
    before, own = wanted[: len(wanted) - n], parts[: len(parts) - n]
    if not before or not own:
        return True
    words = [set(PART.findall("/".join(folders))) for folders in (before, own)]
    same_part = not (words[0] and words[1]) or bool(words[0] & words[1])
    return same_part and all(ANY_FOLDER.search(folder) for folder in own)

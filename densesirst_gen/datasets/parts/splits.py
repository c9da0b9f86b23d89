"""The parts of a dataset: lists of scene names, and folders that are called like parts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from os import PathLike
from pathlib import Path, PurePosixPath, PureWindowsPath

from densesirst_gen.datasets.dataset import Dataset, SceneFile, Splits, stacks_of
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.parts.sequences import torn
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.images.codec import FORMATS
from densesirst_gen.files.regular import read_bytes

MAX_BYTES = 50_000_000
N_NEAR = 3
"""Folders above a list that names in it may be relative to."""
NO_LIST = re.compile(r"requirement|readme|license|log|loss|result|metric|score|time|config", re.I)
NAME_LINE = re.compile(r"^[^\s=<>{}:;,]+([\s,;]+[^\s=<>{}:;,]+){0,2}\s*$")
"""One to three words without the signs of programs and tables."""


def read_split(
    path: str | PathLike[str], names: Collection[str], *, strict: bool = True
) -> tuple[str, ...]:
    """Scene names of a split file, in its order.

    Byte order mark, CRLF, blank lines, spaces and quotes around a name, further columns, folders
    before it, suffixes, case and repetitions do not matter; see `SceneNames.find`.

    Parameters
    ----------
    path : path
        UTF-8 text.
    names : collection of str
        The scenes of the dataset.
    strict : bool
        Whether a name that is not one of `names` is an error; otherwise it is kept.

    Returns
    -------
    tuple of str
        Without repetition; empty for an empty file.

    Raises
    ------
    DatasetError
        If the file is missing or not UTF-8, or a line is a path out of the dataset or not one of
        `names`.
    """
    found, unknown = _matched(path, SceneNames(names))
    if unknown and strict:
        raise DatasetError(f"{path}: {len(unknown)} unknown scenes: {examples(unknown)}")
    return tuple(dict.fromkeys([*found, *unknown]))


def read_splits(root: Path, files: Iterable[Path], names: Collection[str]) -> Splits:
    """The splits of some files in `root`, keyed by file stem; hidden files are passed over.

    A part of a dataset may keep the split files of the whole: names without a scene stay in.

    Raises
    ------
    DatasetError
        If no line of any of them is a scene.
    """
    visible = [path for path in sorted(files) if not path.name.startswith(".")]
    return {path.stem: members for path, members in _read_all(visible, names).items()}


def find_splits(
    root: Path, files: Iterable[Path], names: Collection[str]
) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """The lists of scenes among some text files: split -> (file, names).

    A file is a list if its name says train, val or test, or if at least half of its lines are
    scenes, but not all scenes: that is an index. Splits are called by their part where that tells
    them apart, else by their file, else by folder and file.

    Raises
    ------
    DatasetError
        If no line of any of them is a scene, or there are none but files that are called like
        lists and look like them.
    """
    known, texts = SceneNames(names), list(files)
    chosen = [path for path in texts if _is_list(path, known)]
    lists = _read_all(chosen or [path for path in texts if _says_part(path, known)], names)
    keys = _keys(root, lists)
    return {keys[path]: (path, members) for path, members in lists.items()}


def _read_all(files: Iterable[Path], names: Collection[str]) -> dict[Path, tuple[str, ...]]:
    known = SceneNames(names)
    read = {path: _matched(path, known) for path in files}
    if read and not any(found for found, _ in read.values()):
        worst, (_, unknown) = max(read.items(), key=lambda item: len(item[1][1]))
        if unknown:
            raise DatasetError(
                f"{worst}: no line of {examples(p.name for p in read)} is a scene, such as "
                f"{examples(unknown[:2])}; scenes are called {examples(sorted(names)[:2])}"
            )
    return {path: tuple(dict.fromkeys([*f, *unknown])) for path, (f, unknown) in read.items()}


def strange_lists(files: Iterable[Path], known: SceneNames) -> list[Path]:
    """Files that are called and look like lists of a part, and name no scene.

    Parameters
    ----------
    files : iterable of Path
    known : SceneNames
        The scenes of the dataset.
    """
    called = (path for path in files if part_of(path.stem))
    return [p for p in called if _says_part(p, known) and not any(map(known.means, _lines(p)))]


def _keys(root: Path, files: Collection[Path]) -> dict[Path, str]:
    """What the splits are called."""
    stems = {path: path.stem for path in files}
    parts = {path: part_of(path.stem) or path.stem for path in files}
    full = {path: path.relative_to(root).with_suffix("").as_posix() for path in files}
    for names in (parts, stems):
        if len(set(names.values())) == len(names):
            return names
    return full


def _matched(path: str | PathLike[str], known: SceneNames) -> tuple[list[str], list[str]]:
    """Scenes, and lines that name none; DatasetError for paths out of the dataset.

    A name that several scenes have means the one in the folder that the list lies in, or that is
    called like the part of the list; DatasetError if neither tells.
    """
    found: list[str] = []
    unknown: list[str] = []
    folders = _places(Path(path), known)
    for line in _lines(path):
        is_inside = ".." not in PureWindowsPath(line.strip()).parts
        scenes = known.listed(line) if is_inside else ()
        if is_inside and not scenes and (alike := known.alike(line)):
            scenes = known.listed_in(line, folders)
            if not scenes and part_of(Path(path).stem):
                raise DatasetError(f"{path}: {_bare(line)} may be any of {examples(alike)}")
        found.extend(scenes)
        if not scenes:
            unknown.append(_bare(line))
    outside = [name for name in unknown if _leads_out(name)]
    if outside:
        raise DatasetError(f"{path}: paths out of the dataset: {examples(outside)}")
    return found, list(dict.fromkeys(unknown))


def _places(path: Path, known: SceneNames) -> list[str]:
    """Folders that the names of a list may be relative to."""
    near = [folder.name for folder in path.absolute().parents[:N_NEAR] if folder.name]
    return [*near, *known.folders_of(part_of(path.stem))]


def _lines(path: str | PathLike[str]) -> list[str]:
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not a readable UTF-8 text ({error})") from error
    return [line.strip("\r") for line in text.split("\n") if line.strip()]


def _bare(line: str) -> str:
    name = line.strip()
    suffix = PurePosixPath(name).suffix.lower()
    return name[: -len(suffix)] if suffix in FORMATS else name


def _is_list(path: Path, known: SceneNames) -> bool:
    if path.stat().st_size > MAX_BYTES:
        return False
    try:
        lines = _lines(path)
    except DatasetError:
        if part_of(path.stem) and path.suffix:
            raise
        return False
    if part_of(path.stem):
        means = known.listed if NO_LIST.search(path.stem) else known.means
        return any(map(means, lines[:1000]))
    if path.suffix.lower() == ".csv" or known.listed(path.stem):
        return False  # a table, or what belongs to one scene
    scenes = {name for line in lines for name in known.listed(line)}
    is_index = len(scenes) == len(known.names)
    return bool(scenes) and 2 * len(scenes) >= len(lines) and not is_index


def _says_part(path: Path, known: SceneNames) -> bool:
    """Whether a file that names no scene is called like a list, and its lines look like names."""
    if not part_of(path.stem) or path.suffix.lower() == ".csv" or known.find(path.stem):
        return False
    if path.stat().st_size > MAX_BYTES or NO_LIST.search(path.stem):
        return False
    lines = _lines(path)
    return len(lines) > 1 and all(NAME_LINE.match(line) for line in lines)


def _leads_out(name: str) -> bool:
    path = PureWindowsPath(name)  # takes both kinds of slash
    return bool(path.drive or path.root) or ".." in path.parts


def folder_splits(names: Mapping[str, str]) -> Splits:
    """Splits by the folders that images lie in.

    Parameters
    ----------
    names : mapping of str to str
        Scene name -> folder of its image, POSIX, relative to the root.

    Returns
    -------
    dict of str to tuple of str
        Empty if no folder is called like a part.
    """
    splits: dict[str, list[str]] = {}
    for name, folder in names.items():
        part = next(filter(None, map(part_of, PurePosixPath(folder).parts)), "")
        if part:
            splits.setdefault(part, []).append(name)
    return {part: tuple(members) for part, members in splits.items()}


def with_held_folders(splits: Splits, names: Mapping[str, str]) -> Splits:
    """Lists of which none trains, and what is held back by its folder and is in no list.

    Parameters
    ----------
    splits : dict of str to tuple of str
    names : mapping of str to str
        As for `folder_splits`.
    """
    parts = {part_of(split) for split in splits}
    if not parts - {""} or parts & {"train", "trainval"}:
        return splits
    listed = {name for members in splits.values() for name in members}
    rest = {name: folder for name, folder in names.items() if name not in listed}
    held = {p: members for p, members in folder_splits(rest).items() if p in ("val", "test")}
    return splits | {f"{p}_folder" if p in splits else p: members for p, members in held.items()}


def name_splits(names: Iterable[str]) -> Splits:
    """Splits by the names of scenes themselves: ``train_0001``, ``test_0001``.

    Empty unless every name says a part, some train and some val or test.
    """
    parts = {name: part_of(name) for name in names}
    said = set(parts.values())
    if "" in said or not said & {"train", "trainval"} or not said & {"val", "test"}:
        return {}
    return {part: tuple(n for n, p in parts.items() if p == part) for part in sorted(said)}


# ---- who may give targets


def donor_scenes(dataset: Dataset) -> tuple[SceneFile, ...]:
    """The scenes that may give targets.

    With splits: those of the training splits that are in no validation or test split; without a
    training split those of trainval, else all that are in none of these. Without splits: all.
    Frames of a sequence of which others are held back give none, see `sequences`. What a split is,
    its name says, see `split_words.part_of`.

    Parameters
    ----------
    dataset : Dataset

    Raises
    ------
    DatasetError
        If there are splits, and of none it can be told what it is.
    """
    parts = {split: part_of(split) for split in dataset.splits}
    if parts and not any(parts.values()):
        raise DatasetError(
            f"{dataset.root}: of the lists {examples(parts)} none says train, val or test, so "
            "targets could leak: rename them, or take them away"
        )
    train = _in_parts(dataset, parts, "train") or _in_parts(dataset, parts, "trainval")
    held = held_back(dataset)
    return tuple(
        scene
        for scene in dataset.scenes
        if scene.name not in held and (scene.name in train or not train)
    )


def held_back(dataset: Dataset) -> set[str]:
    """Names of the scenes of validation and test splits, and of sequences that are torn by them."""
    parts = {split: part_of(split) for split in dataset.splits}
    held = _in_parts(dataset, parts, "val") | _in_parts(dataset, parts, "test")
    names = (scene.name for scene in dataset.scenes)
    for frames in torn(names, held, stacks_of(dataset)).values():
        held |= set(frames)
    return held


def _in_parts(dataset: Dataset, parts: Mapping[str, str], part: str) -> set[str]:
    return {name for split, p in parts.items() if p == part for name in dataset.splits[split]}


def held_back_twice(dataset: Dataset) -> list[str]:
    """Notes on scenes that one list trains on and another holds back: they are held back."""
    parts = {split: part_of(split) for split in dataset.splits}
    train = _in_parts(dataset, parts, "train")
    held_back = _in_parts(dataset, parts, "val") | _in_parts(dataset, parts, "test")
    notes = []
    names = (scene.name for scene in dataset.scenes)
    if split := torn(names, held_back, stacks_of(dataset)):
        notes.append(
            f"{len(split)} sequences have frames that are held back and others, and give no "
            f"targets: {examples(split)}"
        )
    if not (both := sorted(train & held_back)):
        return notes
    lists = Counter(s for name in both for s in parts if name in dataset.splits[s])
    return [
        *notes,
        f"{len(both)} scenes are in lists of training and of what is held back "
        f"({examples(lists)}), and give no targets: {examples(both)}",
    ]

"""Split files: one scene name a line."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from os import PathLike
from pathlib import Path, PurePath, PureWindowsPath

from densesirst_gen.datasets.dataset import Dataset, SceneFile, Splits
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.codec import FORMATS
from densesirst_gen.files.regular import read_bytes


def read_split(
    path: str | PathLike[str], names: Collection[str], *, strict: bool = True
) -> tuple[str, ...]:
    """Scene names of a split file, in its order.

    Byte order mark, CRLF, blank lines, spaces around a name, image suffixes and repetitions do not
    matter.

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
    try:
        lines = read_bytes(path).decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not a readable UTF-8 text ({error})") from error
    known = set(names)
    found = [_scene_name(line, known) for line in lines if line.strip()]
    unknown = [name for name in found if name not in known]
    outside = [name for name in unknown if _leads_out(name)]
    if outside:
        raise DatasetError(f"{path}: paths out of the dataset: {examples(outside)}")
    if unknown and strict:
        raise DatasetError(f"{path}: {len(unknown)} unknown scenes: {examples(unknown)}")
    return tuple(dict.fromkeys(found))


def read_splits(root: Path, files: Iterable[Path], names: Collection[str]) -> Splits:
    """The splits of some files in `root`, keyed by file stem; hidden files are passed over.

    A part of a dataset may keep the split files of the whole: names without a scene stay in.
    """
    visible = [path for path in sorted(files) if not path.name.startswith(".")]
    return {path.stem: read_split(path, names, strict=False) for path in visible}


def _scene_name(line: str, known: set[str]) -> str:
    name = line.strip()
    path = PurePath(name)
    if name not in known and path.suffix.lower() in FORMATS:
        return str(path).removesuffix(path.suffix)
    return name


def _leads_out(name: str) -> bool:
    path = PureWindowsPath(name)  # takes both kinds of slash
    return bool(path.drive or path.root) or ".." in path.parts


def donor_scenes(dataset: Dataset) -> tuple[SceneFile, ...]:
    """The scenes that may give targets.

    With splits: those of the training splits (``train``, ``train_*``) that are in no validation or
    test split; without a training split, all that are in none of these. Without splits: all.

    Parameters
    ----------
    dataset : Dataset
    """
    train = _in_splits(dataset, ("train",))
    held_back = _in_splits(dataset, ("val", "test"))
    return tuple(
        scene
        for scene in dataset.scenes
        if scene.name not in held_back and (scene.name in train or not train)
    )


def _in_splits(dataset: Dataset, kinds: Sequence[str]) -> set[str]:
    chosen = (names for split, names in dataset.splits.items() if split.split("_")[0] in kinds)
    return {name for names in chosen for name in names}

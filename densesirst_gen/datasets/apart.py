"""What is written and what is read lie apart, links followed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from densesirst_gen.datasets.dataset import Dataset, SceneFile
from densesirst_gen.files.atomic import RefusedError


def lie_in_each_other(out: Path, path: Path) -> bool:
    """Whether a folder to write lies in what is read or the other way round, or both are one.

    Parameters
    ----------
    out : Path
        Need not exist.
    path : Path
        Folder or file that is read.
    """
    inner, outer = out.resolve(), path.resolve()
    return inner == outer or outer in inner.parents or inner in outer.parents


def check_apart(out: Path, root: Path, scenes: Iterable[SceneFile]) -> None:
    """RefusedError if the folder to write holds an input, or lies in a folder of inputs.

    Parameters
    ----------
    out, root : Path
        Folder to write; of the dataset.
    scenes : iterable of SceneFile
        Its scenes; their files may lie elsewhere, by links or as sky masks of another folder.
    """
    files = [path for scene in scenes for path in scene.files()]
    folders = {path.parent for path in files}
    where = {root, *folders, *(path.resolve() for path in files if path.is_symlink())}
    for path in sorted(where):
        if lie_in_each_other(out, path):
            raise RefusedError(f"{out}, which is to be written, and {path}, lie in each other")


def check_not_read(out: Path, read: Iterable[Path | None], *datasets: Dataset) -> None:
    """RefusedError if a file to write would come in the place of one that is read.

    Parameters
    ----------
    out : Path
        Need not exist.
    read : iterable of Path, optional
        Files that are read, as far as they are given.
    *datasets : Dataset
        Of which the images, masks and skies are read, and the file of annotations.
    """
    if not out.exists():
        return
    of_scenes = (path for dataset in datasets for s in dataset.scenes for path in s.files())
    of_sets = (dataset.annotations for dataset in datasets)
    for path in chain(read, of_sets, of_scenes):
        if path is not None and path.name == out.name and path.exists() and path.samefile(out):
            raise RefusedError(f"{out} is read, and would be written over: name another file")

"""Images that are held back under one name and may give targets under another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from densesirst_gen.datasets.dataset import SceneFile
from densesirst_gen.files.atomic import file_digest


def copies(scenes: Iterable[SceneFile], others: Iterable[SceneFile]) -> set[str]:
    """Names of the scenes whose image is, byte for byte, that of one of the others.

    Only files of the same size are read. Frames of stacks, which are no files, are not looked at.

    Parameters
    ----------
    scenes, others : iterable of SceneFile
    """
    sizes: dict[int, list[Path]] = {}
    for path in _files(others):
        sizes.setdefault(path.stat().st_size, []).append(path)
    alike = [s for s in scenes if list(_files([s])) and s.image.stat().st_size in sizes]
    wanted = {s.image.stat().st_size for s in alike}
    known = {file_digest(path) for size in wanted for path in sizes[size]}
    return {scene.name for scene in alike if file_digest(scene.image) in known}


def _files(scenes: Iterable[SceneFile]) -> Iterable[Path]:
    return (s.image for s in scenes if s.files() and s.image.is_file())

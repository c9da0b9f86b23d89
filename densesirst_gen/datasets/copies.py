"""Images that are held back under one name and may give targets under another."""

from __future__ import annotations

from collections.abc import Iterable

from densesirst_gen.datasets.dataset import SceneFile
from densesirst_gen.files.atomic import file_digest


def copies(scenes: Iterable[SceneFile], others: Iterable[SceneFile]) -> set[str]:
    """Names of the scenes whose image is, byte for byte, that of one of the others.

    Only files of the same size are read. Frames of stacks, which are no files, are not looked at.

    Parameters
    ----------
    scenes, others : iterable of SceneFile
    """
    of_scenes, of_others = _by_size(scenes), _by_size(others)
    sizes = of_scenes.keys() & of_others.keys()
    known = {file_digest(scene.image) for size in sizes for scene in of_others[size]}
    alike = (scene for size in sizes for scene in of_scenes[size])
    return {scene.name for scene in alike if file_digest(scene.image) in known}


def _by_size(scenes: Iterable[SceneFile]) -> dict[int, list[SceneFile]]:
    found: dict[int, list[SceneFile]] = {}
    for scene in scenes:
        if scene.files() and scene.image.is_file():
            found.setdefault(scene.image.stat().st_size, []).append(scene)
    return found

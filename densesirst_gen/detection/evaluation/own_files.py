"""Are maps the dataset's own files? Its masks score perfectly, its images anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from filecmp import cmp
from pathlib import Path

from densesirst_gen.datasets import SceneFile
from densesirst_gen.files.images.frames import shown

N_SAMPLED = 8


def own_file_notes(maps: Mapping[str, Path], scenes: Iterable[SceneFile]) -> list[str]:
    """Notes on maps that are the masks of the truth, or the images, or copies of the images.

    Parameters
    ----------
    maps : dict of str to Path
        By scene.
    scenes : iterable of SceneFile
        Of the dataset.
    """
    scored = [scene for scene in scenes if scene.name in maps]
    masks = [s for s in scored if s.mask is not None and _is_same(maps[s.name], s.mask)]
    images = [s for s in scored if _is_same(maps[s.name], s.image)]
    images = images or _copies(maps, scored[:: max(1, len(scored) // N_SAMPLED)][:N_SAMPLED])
    return [
        f"{len(found)} of {len(maps)} maps are the dataset's own {kind}, not predictions, such as "
        f"{shown(maps[found[0].name])}"
        for kind, found in (("masks", masks), ("images", images))
        if found
    ]


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _copies(maps: Mapping[str, Path], scenes: Sequence[SceneFile]) -> list[SceneFile]:
    return [scene for scene in scenes if _is_copy(maps[scene.name], scene.image)]


def _is_copy(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_size == other.stat().st_size and cmp(one, other, shallow=False)
    except OSError:
        return False

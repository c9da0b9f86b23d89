"""Whose masks they are, where folders of images share them: results, overlays, another camera."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from densesirst_gen.datasets.found.inventory import Group
from densesirst_gen.datasets.paths import DatasetError, examples

Pairs = list[tuple[Group, dict[Path, Path]]]
"""Groups of masks, and of each image -> mask."""
IMAGE_WORD = re.compile(
    r"^(images?|imgs?|jpegimages|pngimages|frames?|mixed|data|pictures?)$", re.I
)
BEST_WORD = re.compile(r"^(masks?|labels?|gt|gts|annotations|ground_?truth)$", re.I)


@dataclass(frozen=True, eq=False)
class Owners:
    """Groups of images with their masks, and labels of the groups that were not taken."""

    kept: list[tuple[Group, Pairs]]
    doubles: tuple[str, ...] = ()


def owners_of(found: Sequence[tuple[Group, Pairs]]) -> Owners:
    """Of the groups of images that share masks the nearest, or the one called after images.

    Raises
    ------
    DatasetError
        If there are several of these.
    """
    groups: dict[Path, dict[int, None]] = defaultdict(dict)
    for k, (_, pairs) in enumerate(found):
        for _, masks in pairs:
            for mask in masks.values():
                groups[mask][k] = None
    shared = {tuple(groups[m]): m for m in sorted(groups, reverse=True) if len(groups[m]) > 1}
    lost = {k for ks, mask in shared.items() for k in _others(found, ks, mask)}
    kept = [pair for k, pair in enumerate(found) if k not in lost]
    return Owners(kept, tuple(sorted(found[k][0].label for k in lost)))


def _others(found: Sequence[tuple[Group, Pairs]], ks: tuple[int, ...], mask: Path) -> set[int]:
    """All but the group that a mask is of."""
    where = {k: distance(found[k][0].folder, _folder_of(found[k][1], mask))[0] for k in ks}
    best = [k for k in ks if where[k] == min(where.values())]
    if len(best) > 1:
        best = [k for k in best if _is_called_images(found[k][0])] or best
    if len(best) > 1:
        raise DatasetError(
            f"{mask}: images of {examples(found[k][0].label for k in ks)} have this mask; which "
            "are meant? --images DIR (images=) says it"
        )
    return set(ks) - set(best)


def _folder_of(pairs: Pairs, mask: Path) -> str:
    return next(group.folder for group, masks in pairs if mask in masks.values())


def _is_called_images(group: Group) -> bool:
    return IMAGE_WORD.match(PurePosixPath(group.folder).name) is not None


@lru_cache(maxsize=1 << 18)
def distance(images: str, masks: str) -> tuple[int, int]:
    """How far two folders are from each other; folders called masks come first."""
    a, b = PurePosixPath(images).parts, PurePosixPath(masks).parts
    common = 0
    while common < min(len(a), len(b)) and a[common] == b[common]:
        common += 1
    tail = 0
    while tail < min(len(a), len(b)) - common and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    apart = max(len(a), len(b)) - common - tail
    named = any(BEST_WORD.match(part) for part in b[common : len(b) - tail])
    return apart, 0 if named else 1

"""Scenes whose targets stand in a file of labels: as masks, or as boxes or points only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densesirst_gen.datasets.dataset import SceneFile
from densesirst_gen.datasets.grammar.segmentation import one_piece_each, segment_labels
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.scene.scene import SceneError

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class CocoSceneFile(SceneFile):
    """A scene whose targets come from a file of labels, in the order of that file.

    Parameters
    ----------
    size : (int, int)
        (H, W) by that file.
    segmentations : tuple
        Of the targets, as they stand in the file.
    image_id : int, float or str, optional
        What the file calls the image.
    """

    size: tuple[int, int] = (0, 0)
    segmentations: tuple[Any, ...] = field(default=(), hash=False)
    image_id: int | float | str | None = None

    @property
    def has_labels(self) -> bool:
        """Every image of the file is annotated."""
        return True

    def has_targets(self) -> bool:
        """Whether there is a segmentation."""
        return bool(self.segmentations)

    def _read_labels(self, shape: tuple[int, ...], notes: list[str]) -> np.ndarray:
        if shape != self.size:
            turned = ", width and height exchanged?" if shape[::-1] == self.size else ""
            raise SceneError(
                f"scene {self.name}: the file of its labels says {self.size}, {self.image.name} is "
                f"{shape}{turned}"
            )
        try:
            labels, n_hidden = segment_labels(self.segmentations, self.size)
        except (ValueError, TypeError) as error:
            raise SceneError(f"scene {self.name}: {error}") from error
        labels, n_joined, n_divided = one_piece_each(labels)
        told = {
            "targets have no pixel of their own, left out": n_hidden,
            "targets touch others, one with them": n_joined,
            "targets are in pieces, a target each": n_divided,
            "regions are ignored": len(self.ignored),
        }
        notes.extend(f"coco: {n} {what}" for what, n in told.items() if n)
        return labels


@dataclass(frozen=True)
class BoxSceneFile(CocoSceneFile):
    """A scene whose targets are known by their boxes or by a point each: nobody drew masks.

    `load` gives it without labels; what needs masks asks `check_masks` first.

    Parameters
    ----------
    boxes : tuple of (x0, y0, x1, y1)
        Of the targets, px, half-open.
    points : tuple of (x, y)
        Of the targets, in pixel indices; none where there are boxes.
    """

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()

    def has_targets(self) -> bool:
        """Whether there is a target of any kind."""
        return bool(self.segmentations or self.boxes or self.points)

    def _read_labels(self, shape: tuple[int, ...], notes: list[str]) -> np.ndarray:
        for kind in ("boxes", "points"):
            if n := len(getattr(self, kind)):
                notes.append(f"labels: {n} {kind}, no masks")
        return super()._read_labels(shape, notes)


def check_masks(files: Sequence[SceneFile], what: str) -> None:
    """DatasetError if targets are known by boxes or points only, so that masks are missing.

    Parameters
    ----------
    files : sequence of SceneFile
    what : str
        That needs them, such as "stats".
    """
    for kind in ("boxes", "points"):
        found = [file for file in files if getattr(file, kind)]
        if found:
            raise DatasetError(
                f"{len(found)} of {len(files)} scenes have {kind} of targets, not masks, such as "
                f"{found[0].image}; {what} needs masks, which nobody drew: --masks-from {kind} "
                f"(masks_from={kind!r}) makes them"
            )

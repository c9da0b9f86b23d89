"""Truth without masks: targets that are known by their boxes, or by a point each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densesirst_gen.datasets import SceneFile
from densesirst_gen.scene.annotate import Annotations


def unmasked_kind(files: Sequence[SceneFile]) -> str:
    """By what alone targets of some scenes are known, "boxes" or "points"; empty if by masks."""
    return next((k for k in ("boxes", "points") if any(getattr(f, k) for f in files)), "")


def unmasked_truth(file: SceneFile, shape: tuple[int, int]) -> Annotations:
    """Boxes, points and areas of targets without masks; a point is a box of one pixel.

    Parameters
    ----------
    file : SceneFile
    shape : (int, int)
        (H, W); boxes are cut to the image.

    Returns
    -------
    Annotations
        Boxes are float64, as they were given.
    """
    height, width = shape
    points = [(x, y, x + 1, y + 1) for x, y in file.points]
    boxes = np.array([*file.boxes, *points], np.float64).reshape(-1, 4)
    boxes = boxes.clip(0, [width, height, width, height])
    sides = boxes[:, 2:] - boxes[:, :2]
    boxes, sides = boxes[(sides > 0).all(axis=1)], sides[(sides > 0).all(axis=1)]
    centres = (boxes[:, :2] + boxes[:, 2:] - 1) / 2
    return Annotations(boxes, centres, np.rint(sides.prod(axis=1)).astype(np.int32))


def in_pixels(truth: Annotations, shape: tuple[int, int]) -> Annotations:
    """The same with boxes of whole pixels, at least one each, within the image."""
    if truth.boxes.dtype != np.float64:
        return truth
    limit = np.array([shape[1], shape[0]])
    low = np.rint(truth.boxes[:, :2]).clip(0, limit - 1)
    high = np.maximum(np.rint(truth.boxes[:, 2:]).clip(0, limit), low + 1)
    boxes = np.hstack([low, high]).astype(np.int32)
    return Annotations(boxes, truth.points, truth.areas)


def truth_notes(unmasked: str, kind: str) -> tuple[str, ...]:
    """What it means for the scores.

    Parameters
    ----------
    unmasked : str
        See `unmasked_kind`.
    kind : "boxes" or "maps"
        What was predicted.
    """
    if not unmasked:
        return ()
    maps = "; maps are scored by the boxes of their components" if kind == "maps" else ""
    only = (
        ": only distances of centroids say something, no IoU is above that of one pixel"
        if unmasked == "points"
        else ""
    )
    return (f"the truth is {unmasked}, not masks: no pixels are scored{maps}{only}",)

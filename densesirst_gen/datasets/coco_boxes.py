"""Boxes that are all that a COCO file has: are they x y width height in pixels?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from densesirst_gen.datasets.paths import DatasetError

OUT_PX = 2
"""Pixels by which a box may stick out of its image."""
Row = tuple[tuple[float, float, float, float], tuple[int, int], float | None]
"""A bbox as written, (H, W) of its image, and the area that is stated."""


def check_form(rows: Iterable[Row]) -> None:
    """DatasetError if boxes without masks are plainly fractions, or corners.

    Fractions: no number is above 1, and some are not whole. Corners: read so, every box has a size
    and lies in its image, and as width and height some stick out, or no stated area fits.
    """
    found = list(rows)
    if not found:
        return
    boxes = np.array([box for box, _, _ in found])
    sizes = np.array([(width, height) for _, (height, width), _ in found])
    areas = np.array([np.nan if area is None else area for _, _, area in found])
    example = f"such as {list(found[0][0])}; mend the file, or whatever wrote it"
    if boxes.max() <= 1 and (boxes % 1 != 0).any():
        raise DatasetError(f"all {len(boxes)} bboxes are fractions of 0 to 1, not px, {example}")
    if _are_corners(boxes, sizes, areas):
        raise DatasetError(
            f"all {len(boxes)} bboxes are corners, x0 y0 x1 y1, and not x y width height, {example}"
        )


def _are_corners(boxes: np.ndarray, sizes: np.ndarray, areas: np.ndarray) -> bool:
    low, high = boxes[:, :2], boxes[:, 2:]
    if not ((high > low).all() and (high <= sizes).all()):
        return False
    stick_out = (low + high > sizes + OUT_PX).any()
    as_corners = np.isclose(np.prod(high - low, axis=1), areas)
    return bool(stick_out or (as_corners & ~np.isclose(np.prod(high, axis=1), areas)).all())

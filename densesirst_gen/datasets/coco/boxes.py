"""Boxes that are all that a COCO file has: are they x y width height in pixels?"""

from __future__ import annotations

from array import array

import numpy as np

from densesirst_gen.datasets.paths import DatasetError

OUT_PX = 2
"""Pixels by which a box may stick out of its image."""
Row = tuple[tuple[float, float, float, float], tuple[int, int], float | None]
"""A bbox as written, (H, W) of its image, and the area that is stated."""


class BoxesAlone:
    """Boxes without masks, as they are written."""

    def __init__(self) -> None:
        self._values = array("d")

    def add(self, row: Row | None) -> None:
        """Keep a box; None is none."""
        if row is not None:
            box, (height, width), area = row
            self._values.extend((*box, width, height, np.nan if area is None else area))

    def check(self) -> None:
        """DatasetError if they are plainly fractions, or corners.

        Fractions: no number is above 1, and some are not whole. Corners: read so, every box has a
        size and lies in its image, and as width and height some stick out, or no stated area fits.
        """
        if not self._values:
            return
        rows = np.asarray(self._values).reshape(-1, 7)
        boxes, example = rows[:, :4], f"such as {rows[0, :4].tolist()}"
        mend = f"{example}; mend the file, or whatever wrote it"
        if boxes.max() <= 1 and (boxes % 1 != 0).any():
            raise DatasetError(f"all {len(rows)} bboxes are fractions of 0 to 1, not px, {mend}")
        if _are_corners(boxes, rows[:, 4:6], rows[:, 6]):
            raise DatasetError(
                f"all {len(rows)} bboxes are corners, x0 y0 x1 y1, and not x y width height, {mend}"
            )


def _are_corners(boxes: np.ndarray, sizes: np.ndarray, areas: np.ndarray) -> bool:
    low, high = boxes[:, :2], boxes[:, 2:]
    if not ((high > low).all() and (high <= sizes).all()):
        return False
    stick_out = (low + high > sizes + OUT_PX).any()
    as_corners = np.isclose(np.prod(high - low, axis=1), areas)
    return bool(stick_out or (as_corners & ~np.isclose(np.prod(high, axis=1), areas)).all())

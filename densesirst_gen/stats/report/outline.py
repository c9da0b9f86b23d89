"""Masks, boxes and points of a scene as SVG path data, exact to the pixel.

In these paths the top-left corner of the image is (0, 0) and a pixel is one unit: boxes and mask
outlines run along whole numbers, and a point, given in pixel indices, lies half a unit further.
"""

from __future__ import annotations

import numpy as np

from densesirst_gen.scene.annotate import Annotations


def mask_path(mask: np.ndarray, x0: int = 0, y0: int = 0) -> str:
    """Closed loops along the pixel edges of a mask, holes included.

    The corners of a rectilinear outline determine it: taken in pairs along each row they are its
    horizontal edges, along each column its vertical ones. Where two pixels touch by a corner, that
    corner counts twice.

    Parameters
    ----------
    mask : ndarray, (H, W), bool
    x0, y0 : int
        Position of its top-left corner in the image, px.

    Returns
    -------
    str
        Path data, to be filled by the even-odd rule; empty for an empty mask.
    """
    y, x = _corners(mask)
    below = np.empty(len(x), np.intp)
    column_order = np.lexsort((y, x))
    below[column_order[0::2]], below[column_order[1::2]] = column_order[1::2], column_order[0::2]
    return "".join(_loops((x + x0).tolist(), (y + y0).tolist(), below.tolist()))


def _corners(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(y, x) of the corners of an outline, in raster order, doubled where pixels meet there."""
    padded = np.pad(mask, 1)
    a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    count = (a ^ b ^ c ^ d) + 2 * ((a == d) & (b == c) & (a != b))
    y, x = np.nonzero(count)
    times = count[y, x]
    return np.repeat(y, times), np.repeat(x, times)


def _loops(x: list[int], y: list[int], below: list[int]) -> list[str]:
    """Walk along a row to the corner's partner, along a column to that one's, until closed."""
    seen = [False] * len(x)
    loops = []
    for start in range(len(x)):
        steps = [f"M{x[start]} {y[start]}"]
        k = start
        while not seen[k]:
            beside = k ^ 1
            seen[k] = seen[beside] = True
            k = below[beside]
            steps += [f"H{x[k]}", f"V{y[k]}"]
        if len(steps) > 1:
            loops.append("".join(steps[:-1]) + "Z")
    return loops


def masks_path(labels: np.ndarray, found: Annotations) -> str:
    """The outline of every target, each for itself: touching targets keep the line between.

    Parameters
    ----------
    labels : ndarray, (H, W), int32
    found : Annotations
        Of the same label image.
    """
    return "".join(
        mask_path(labels[y0:y1, x0:x1] == k, x0, y0)
        for k, (x0, y0, x1, y1) in enumerate(found.boxes.tolist(), 1)
    )


def boxes_path(boxes: np.ndarray) -> str:
    """Rectangles along pixel edges, of (N, 4) half-open xyxy boxes."""
    return "".join(f"M{x0} {y0}H{x1}V{y1}H{x0}Z" for x0, y0, x1, y1 in boxes.tolist())


def points_path(points: np.ndarray) -> str:
    """Lines of no length, dots if stroked with round caps, at (N, 2) points in pixel indices."""
    return "".join(f"M{x:.6g} {y:.6g}h0" for x, y in (points + 0.5).tolist())

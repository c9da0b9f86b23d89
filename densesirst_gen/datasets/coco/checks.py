"""A COCO annotation is checked against itself: its mask against its own ``bbox`` and ``area``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

from densesirst_gen.datasets.grammar.segmentation import target_runs

Box = tuple[float, float, float, float]
LARGE_PX = 3
"""Polygons that fill their box are no wonder where one side is not longer."""
NEAR_PX = 1.01
"""Boxes of other conventions (both ends included, say) are that far off."""

TURNED = "masks fit their bbox along the rows only, COCO counts along the columns; left out"
UNIT = "masks have coordinates from 0 to 1, not pixels; left out"
ELSEWHERE = "masks lie elsewhere than their own bbox, as after resizing; left out"
SMALLER = (
    "masks are smaller than their own bbox or area, as contours through the centres of pixels are "
    "(OpenCV, supervision)"
)
FILLED = "polygons are nothing but their box: boxes, not masks"
LOOSE = "bboxes are larger than their masks; the masks are taken"
AREA = "areas are not those of their masks; the masks are taken"
CORNERS = "bboxes are corners, x0 y0 x1 y1, and not x y width height; the masks are taken"
CENTRES = "bboxes begin with the centre and not with the corner; the masks are taken"
FRACTIONS = "bboxes have numbers from 0 to 1, not pixels; the masks are taken"
MISPLACED = (TURNED, UNIT, ELSEWHERE)
REFUSED_IF_MOST = (*MISPLACED, SMALLER)


@dataclass(frozen=True, slots=True)
class Measured:
    """A mask in numbers.

    Parameters
    ----------
    area : int
        px.
    enclosed : float
        px, by the polygons; `area` for run lengths.
    extent : tuple of float, optional
        xyxy of its pixels, for polygons of their corners; None if there is none.
    turned : tuple of float, optional
        `extent` if its run lengths were along the rows; None for polygons.
    in_units : bool
        Whether all coordinates are from 0 to 1.
    in_one_piece : bool
        True if it certainly is, False if it may be not.
    """

    area: int
    enclosed: float
    extent: Box | None
    turned: Box | None
    in_units: bool
    in_one_piece: bool


def measure(segmentation: Any, shape: tuple[int, int]) -> Measured:
    """Measure a mask without drawing it.

    Parameters
    ----------
    segmentation : list or dict
        See `segment_labels`.
    shape : (int, int)
        (H, W) of the image.

    Raises
    ------
    ValueError, TypeError
        If it is malformed, or of another size than the image.
    """
    runs = [(start, stop) for start, stop in target_runs(segmentation, shape) if stop > start]
    area = sum(stop - start for start, stop in runs)
    whole = _is_linked(runs, shape[0])
    if isinstance(segmentation, list):
        corners, enclosed = _outline(segmentation, shape)
        return Measured(area, enclosed, corners, None, _in_units(segmentation), whole)
    if not runs:
        return Measured(0, 0, None, None, in_units=False, in_one_piece=True)
    across = _extent(runs, shape[1])
    turned = (across[1], across[0], across[3], across[2])
    return Measured(area, area, _extent(runs, shape[0]), turned, in_units=False, in_one_piece=whole)


def _extent(runs: list[tuple[int, int]], height: int) -> Box:
    """xyxy of runs along columns of this height."""
    first, last = runs[0][0] // height, (runs[-1][1] - 1) // height
    rows = [(start % height, (stop - 1) % height) for start, stop in runs]
    wraps = _goes_on(runs, height)
    low = 0 if wraps else min(row[0] for row in rows)
    high = height - 1 if wraps else max(row[1] for row in rows)
    return float(first), float(low), float(last + 1), float(high + 1)


def _goes_on(runs: list[tuple[int, int]], height: int) -> bool:
    """Whether a run goes on in the next column."""
    return any(start // height != (stop - 1) // height for start, stop in runs)


def _is_linked(runs: list[tuple[int, int]], height: int) -> bool:
    """Whether each run touches the one before, in the column before, corners included."""
    linked = all(
        start // height == first // height + 1 and start - height <= last and first <= stop - height
        for (first, last), (start, stop) in pairwise(runs)
    )
    return linked and not _goes_on(runs, height)


def _outline(polygons: list[list[float]], shape: tuple[int, int]) -> tuple[Box, float]:
    """xyxy of the corners within the image, and the area inside; most have a few corners."""
    height, width = shape
    xs = [[min(max(x, 0), width) for x in polygon[::2]] for polygon in polygons]
    ys = [[min(max(y, 0), height) for y in polygon[1::2]] for polygon in polygons]
    low, high = (min(map(min, xs)), min(map(min, ys))), (max(map(max, xs)), max(map(max, ys)))
    return (*low, *high), sum(map(_enclosed, xs, ys))


def _enclosed(xs: list[float], ys: list[float]) -> float:
    before = zip(xs[-1:] + xs, ys[-1:] + ys, strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), x1, y1 in zip(before, xs, ys, strict=False))) / 2


def _in_units(polygons: list[list[float]]) -> bool:
    values = list(chain(*polygons))
    return min(values) >= 0 and max(values) <= 1 and any(value % 1 for value in values)


def findings_of(
    mask: Measured, bbox: Box | None, area: float | None, shape: tuple[int, int]
) -> Iterator[str]:
    """What is odd about an annotation.

    Parameters
    ----------
    mask : Measured
    bbox : tuple of float, optional
        xywh, as written; None: nothing is said.
    area : float, optional
        As written.
    shape : (int, int)
        (H, W) of the image.

    Yields
    ------
    str
        At most one about where the mask is, one about its area, and `FILLED`.
    """
    if mask.in_units:
        yield UNIT
        return
    if mask.extent and _is_outside(mask.extent, shape):
        return
    place = _place(mask, bbox, shape) if bbox and mask.extent else ""
    if place:
        yield place
    elif area and (wrong := _wrong_area(mask, bbox, area)):
        yield wrong
    if mask.turned is None and mask.area and _fills(mask):
        yield FILLED


def _is_outside(extent: Box, shape: tuple[int, int]) -> bool:
    """Whether an outline, cut to the image, has nothing left of it."""
    x0, y0, x1, y1 = extent
    return x0 >= shape[1] or y0 >= shape[0] or x1 <= 0 or y1 <= 0


def _place(mask: Measured, bbox: Box, shape: tuple[int, int]) -> str:
    """What is odd about where a mask lies, if anything."""
    x, y, w, h = bbox
    extent = mask.extent
    assert extent
    left, top, right, bottom = _inside(extent, (x, y, x + w, y + h))
    if mask.turned is None and _through_centres(left, top, right, bottom):
        return SMALLER
    if min(left, top, right, bottom) >= -NEAR_PX and max(left, top, right, bottom) < 1:
        return ""
    height, width = shape
    readings = {
        CORNERS: bbox,
        CENTRES: (x - w / 2, y - h / 2, x + w / 2, y + h / 2),
        FRACTIONS: (x * width, y * height, (x + w) * width, (y + h) * height),
    }
    if mask.turned and _fits(mask.turned, (x, y, x + w, y + h)):
        return TURNED
    other = next((kind for kind, box in readings.items() if _fits(extent, box)), "")
    return other or (LOOSE if min(left, top, right, bottom) >= -NEAR_PX else ELSEWHERE)


def _through_centres(left: float, top: float, right: float, bottom: float) -> bool:
    """Whether a polygon ends one pixel early, to the right and below only."""
    starts = min(left, top) >= -NEAR_PX and max(left, top) < 0.5
    return starts and min(right, bottom) >= 0.9 and max(right, bottom) <= 1.5


def _inside(inner: Box, outer: Box) -> tuple[float, float, float, float]:
    """How far each side lies inside, px."""
    return inner[0] - outer[0], inner[1] - outer[1], outer[2] - inner[2], outer[3] - inner[3]


def _fits(extent: Box, box: Box) -> bool:
    return all(abs(gap) <= NEAR_PX for gap in _inside(extent, box))


def _wrong_area(mask: Measured, bbox: Box | None, area: float) -> str:
    """What is odd about an area; it may be that of the mask, of its outline or of a box."""
    boxes = [bbox[2] * bbox[3]] if bbox else []
    if mask.extent:
        x0, y0, x1, y1 = mask.extent
        boxes.append((x1 - x0) * (y1 - y0))
    if any(abs(area - size) <= 1 + 0.2 * size for size in (mask.area, mask.enclosed, *boxes)):
        return ""
    return SMALLER if area > mask.area else AREA


def _fills(mask: Measured) -> bool:
    """Whether a polygon is a box that is not tiny."""
    assert mask.extent
    x0, y0, x1, y1 = mask.extent
    is_large = min(x1 - x0, y1 - y0) > LARGE_PX
    return is_large and abs(mask.enclosed - (x1 - x0) * (y1 - y0)) < 0.01 * mask.enclosed

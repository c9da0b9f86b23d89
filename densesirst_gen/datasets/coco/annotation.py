"""One annotation record of a COCO file: its mask, or why it has none, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, isfinite
from typing import Any

from densesirst_gen.datasets.coco.boxes import Row
from densesirst_gen.datasets.coco.checks import MISPLACED, Box, Measured, findings_of, measure
from densesirst_gen.datasets.coco.ids import Record
from densesirst_gen.datasets.grammar.segmentation import (
    POLYGON_RULE,
    box_segmentation,
    usable_parts,
)
from densesirst_gen.datasets.paths import DatasetError

CROWD = "annotations are iscrowd 1: regions to ignore, no targets"
CROWD_READ = "annotations are iscrowd 1 and read as targets, as was asked for"
IGNORED = "annotations are of a category to ignore, no targets"
NO_MASK = "annotations have no segmentation, only a box: no targets"
NOTHING = "annotations have no segmentation and no usable bbox, and are left out"
KEYPOINTS = "its keypoints are not read"
NO_AREA = "annotations have a bbox without width or height"
BROKEN = "annotations have a broken segmentation and are left out"
NO_PIXEL = "annotations cover no pixel and are left out"
PART = "annotations lose a part of their segmentation that is no polygon"
BAD_BOX = "annotations have a bbox that is not x y width height, finite numbers"
DERIVED = "masks are made of boxes (masks_from='boxes'): nobody drew them"
DERIVED_POINTS = "masks are made of points (masks_from='points'): nobody drew them"
POINT = "densesirst-gen point"
"""Key of a record of ours for a target of which only a point is known."""

NO_TARGET = (NO_MASK, BROKEN, NO_PIXEL, *MISPLACED)

Oddity = tuple[str, str]
"""What it is, and a reason or nothing."""


@dataclass(frozen=True, eq=False)
class Rules:
    """What was asked for.

    Parameters
    ----------
    category : str or iterable of str, optional
        Names of the categories that are targets; None: see `target_names`.
    masks_from : "boxes" or "points", optional
        Whether what has no mask gets the filled box, or the pixel of its point, for one.
    crowd : "ignore" or "targets"
        What ``iscrowd`` means.
    """

    category: str | Iterable[str] | None = None
    masks_from: str | None = None
    crowd: str = "ignore"

    def __post_init__(self) -> None:
        if self.masks_from not in (None, "boxes", "points"):
            raise DatasetError(
                f"masks_from must be 'boxes', 'points' or None, got {self.masks_from!r}"
            )
        if self.crowd not in ("ignore", "targets"):
            raise DatasetError(f"crowd must be 'ignore' or 'targets', got {self.crowd!r}")


@dataclass(frozen=True, eq=False)
class Reading:
    """What an annotation says.

    Parameters
    ----------
    oddities : tuple of (str, str)
    segmentation : list or dict, optional
        Of a target: sound, and it covers a pixel.
    mask : Measured, optional
        The same in numbers.
    ignored : (x0, y0, x1, y1), optional
        The region of what is no target and no background, px, half-open.
    point : (x, y), optional
        Where the target is, if nothing else is known of it.
    """

    oddities: tuple[Oddity, ...]
    segmentation: Any = None
    mask: Measured | None = None
    ignored: Box | None = None
    point: tuple[float, float] | None = None

    @property
    def is_box(self) -> bool:
        """Whether it is a target without mask, known by its box or point."""
        return self.ignored is not None and (NO_MASK, "") in self.oddities


def read_annotation(
    record: Record, size: tuple[int, int], rules: Rules, *, is_ignored: bool = False
) -> Reading:
    """Read a record of a category of targets, or of one to ignore.

    Parameters
    ----------
    record : dict
    size : (int, int)
        (H, W) of its image; (0, 0) if it is not known.
    rules : Rules
    is_ignored : bool
        Whether its category says so.
    """
    bbox = _bbox(record)
    bad = ((BAD_BOX, ""),) if bbox is None and record.get("bbox") not in (None, []) else ()
    is_crowd = _is_yes(record.get("iscrowd"))
    if is_ignored or (is_crowd and rules.crowd == "ignore"):
        kind = IGNORED if is_ignored else CROWD
        return Reading(((kind, ""), *bad), ignored=_region(record, bbox, size))
    segmentation, mask, oddities = _mask_of(record, bbox, size)
    oddities = (*((CROWD_READ, "") for _ in range(is_crowd)), *bad, *oddities)
    if mask is not None:
        return Reading(oddities, segmentation, mask)
    point = record.get(POINT)
    wanted = "points" if point is not None else "boxes"
    if rules.masks_from == wanted and (box := _filled(bbox, size)):
        kept = (oddity for oddity in oddities if oddity[0] not in NO_TARGET)
        told = DERIVED if wanted == "boxes" else DERIVED_POINTS
        return Reading((*kept, (told, "")), box, measure(box, size))
    return Reading(
        _of_box(record, bbox, oddities), ignored=_region(record, bbox, size), point=point
    )


def _of_box(record: Record, bbox: Box | None, oddities: tuple[Oddity, ...]) -> tuple[Oddity, ...]:
    """The oddities of a record without mask, and what is odd about its box."""
    if (NO_MASK, "") not in oddities:
        return oddities
    if bbox is not None:
        return oddities if min(bbox[2:]) > 0 else (*oddities, (NO_AREA, ""))
    nothing = (NOTHING, KEYPOINTS if record.get("keypoints") else "")
    return tuple(nothing if oddity[0] == NO_MASK else oddity for oddity in oddities)


def box_alone(record: Record, size: tuple[int, int]) -> Row | None:
    """What is written of a box where there is no mask; None of others, and without a size."""
    bbox = _bbox(record)
    if bbox is None or size == (0, 0) or record.get("segmentation") not in (None, [], [[]]):
        return None
    return bbox, size, _number(record.get("area"))


def _mask_of(
    record: Record, bbox: Box | None, size: tuple[int, int]
) -> tuple[Any, Measured | None, tuple[Oddity, ...]]:
    """The usable segmentation of a record, in numbers too, and what is odd about it."""
    segmentation, n_broken = usable_parts(record.get("segmentation"))
    if segmentation is None:
        return None, None, ((BROKEN, POLYGON_RULE) if n_broken else (NO_MASK, ""),)
    mask, reason = _measured(segmentation, size)
    if mask is None:
        return None, None, ((BROKEN, reason),)
    found = findings_of(mask, bbox, _number(record.get("area")), size)
    oddities = [(kind, "") for kind in found]
    is_misplaced = any(kind in MISPLACED for kind, _ in oddities)
    if is_misplaced or not mask.area:
        return None, None, (*oddities, *(((NO_PIXEL, ""),) if not is_misplaced else ()))
    return segmentation, mask, (*oddities, *(((PART, ""),) if n_broken else ()))


def _measured(segmentation: Any, size: tuple[int, int]) -> tuple[Measured | None, str]:
    """The mask in numbers, or why that can't be."""
    if size == (0, 0):
        return None, "the size of its image is not known"
    try:
        return measure(segmentation, size), ""
    except (ValueError, TypeError, OverflowError) as error:
        return None, str(error)


def _is_yes(value: Any) -> bool:
    """Whether a flag is set, as whatever it was written."""
    if isinstance(value, str):
        return value.strip().casefold() in ("1", "1.0", "true", "yes")
    return bool(value) and value == value


def _number(value: Any) -> float | None:
    """A finite number, else None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _bbox(record: Record) -> Box | None:
    """xywh as written, None where there is none or it is no box."""
    written = record.get("bbox")
    numbers = [_number(value) for value in written] if isinstance(written, list) else []
    finite = [number for number in numbers if number is not None]
    if len(finite) != 4 or len(numbers) != 4 or min(finite[2:]) < 0:
        return None
    return finite[0], finite[1], finite[2], finite[3]


def _region(record: Record, bbox: Box | None, size: tuple[int, int]) -> Box | None:
    """The box of a region, by its bbox, else by its mask; None if it has neither."""
    if bbox:
        x, y, width, height = bbox
        return x, y, x + width, y + height
    segmentation, _ = usable_parts(record.get("segmentation"))
    mask = None if segmentation is None else _measured(segmentation, size)[0]
    return mask.extent if mask else None


def _filled(bbox: Box | None, size: tuple[int, int]) -> dict[str, Any] | None:
    """The mask of a box, at least one pixel; None if it lies outside the image."""
    if bbox is None:
        return None
    (x, y, w, h), (height, width) = bbox, size
    if not (-w <= x < width and -h <= y < height):
        return None
    x0, x1 = _cut(x, x + w, width)
    y0, y1 = _cut(y, y + h, height)
    return box_segmentation((x0, y0, x1, y1), size)


def _cut(low: float, high: float, length: int) -> tuple[int, int]:
    """The pixels of an interval within the image, at least one."""
    first = min(max(floor(low + 0.5), 0), length - 1)
    return first, min(max(floor(high + 0.5), first + 1), length)

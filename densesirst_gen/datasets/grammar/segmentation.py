"""COCO segmentations, from files that nobody vouches for, to a label image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import isfinite
from typing import Any

import numpy as np

from densesirst_gen.scene.annotate import label_mask

MIN_NUMBERS = 6
FAR_AWAY = 1e15
POLYGON_RULE = "a polygon must be at least three finite x, y pairs"


def segment_labels(segmentations: Iterable[Any], shape: tuple[int, int]) -> tuple[np.ndarray, int]:
    """Number the targets of some segmentations in their order.

    A pixel belongs to the first that has it; what has no pixel of its own gets no number.

    Parameters
    ----------
    segmentations : iterable
        Each a polygon, a list of polygons, or an RLE dict with ``counts`` as str, bytes or list.
    shape : (int, int)
        (H, W) of the image.

    Returns
    -------
    labels : ndarray, (H, W), int32
    n_hidden : int
        How many got no number.

    Raises
    ------
    ValueError
        If a segmentation is malformed, or of another size than the image.
    """
    height, width = shape
    flat = np.zeros(height * width, np.int32)
    n_labels = n_hidden = 0
    for segmentation in segmentations:
        views = [flat[start:stop] for start, stop in target_runs(segmentation, shape)]
        if not any((view == 0).any() for view in views):
            n_hidden += 1
            continue
        n_labels += 1
        for view in views:
            view[view == 0] = n_labels
    return np.ascontiguousarray(flat.reshape(width, height).T), n_hidden


def one_piece_each(labels: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Number the targets of a label image as they can be told apart in a mask.

    Targets that touch, corners included, become one; pieces that lie apart become a target each.
    The order is that of the labels, pieces of one in raster order; where nothing touches and all
    are whole nothing changes.

    Parameters
    ----------
    labels : ndarray, (H, W), int32
        0 background, 1..N the targets.

    Returns
    -------
    labels : ndarray, (H, W), int32
        Each label one 8-connected component of the whole.
    n_joined : int
        How many of the N share a component with others.
    n_divided : int
        How many lie in more than one.
    """
    pieces = label_mask(labels > 0)
    n_labels, n_pieces = int(labels.max(initial=0)), int(pieces.max(initial=0))
    code = np.unique(labels[pieces > 0].astype(np.int64) * (n_pieces + 1) + pieces[pieces > 0])
    owner, piece = np.divmod(code, n_pieces + 1)
    if len(code) == n_labels == n_pieces:
        return labels, 0, 0
    first = np.full(n_pieces + 1, n_labels + 1)
    np.minimum.at(first, piece, owner)
    first[0] = 0
    numbers = np.argsort(np.argsort(first, kind="stable"), kind="stable").astype(np.int32)
    shared = np.bincount(piece)[piece] > 1
    n_divided = int((np.bincount(owner) > 1).sum())
    return numbers[pieces], len(np.unique(owner[shared])), n_divided


def usable_parts(segmentation: Any) -> tuple[Any, int]:
    """A segmentation without the polygons that enclose nothing or are broken.

    Returns
    -------
    segmentation : list of list, dict or None
        The polygons that are left, or whatever it was if it is no list; None if nothing is left.
    n_broken : int
        Polygons that were taken out; 0 for an empty list, which says: no mask.
    """
    if not isinstance(segmentation, list):
        says_nothing = segmentation is None or segmentation in ("", {})
        is_nan = isinstance(segmentation, float) and segmentation != segmentation
        return (None, 0) if says_nothing or is_nan else (segmentation, 0)
    flat = bool(segmentation) and not any(isinstance(part, list) for part in segmentation)
    parts = [part for part in ([segmentation] if flat else segmentation) if part != []]
    whole = [part for part in parts if _is_polygon(part)]
    return whole or None, len(parts) - len(whole)


def _is_polygon(part: Any) -> bool:
    return (
        isinstance(part, list)
        and len(part) >= MIN_NUMBERS
        and len(part) % 2 == 0
        and all(type(value) in (int, float) and abs(value) < FAR_AWAY for value in part)
    )


def box_segmentation(box: tuple[int, int, int, int], shape: tuple[int, int]) -> dict[str, Any]:
    """The run-length code of a filled box, half-open xyxy, not empty and within the image."""
    (x0, y0, x1, y1), (height, width) = box, shape
    tall, between = y1 - y0, height - (y1 - y0)
    inner = [tall, between] * (x1 - x0 - 1)
    counts = [x0 * height + y0, *inner, tall]
    return {"size": list(shape), "counts": [*counts, height * width - sum(counts)]}


def target_runs(segmentation: Any, shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Where the pixels of a target are, in column-major order of the image.

    Parameters
    ----------
    segmentation : list or dict
        See `segment_labels`.
    shape : (int, int)
        (H, W) of the image.

    Yields
    ------
    (int, int)
        Start and stop of each run, ascending; runs may go on in the next column, or be empty.

    Raises
    ------
    ValueError
        If it is malformed, or of another size than the image.
    """
    if isinstance(segmentation, list):
        segmentation = _polygon_rle(segmentation, shape)
    if not isinstance(segmentation, dict) or {"size", "counts"} - segmentation.keys():
        raise ValueError("segmentation is neither polygon nor RLE")
    if tuple(segmentation["size"]) != tuple(shape):
        raise ValueError(f"segmentation is for {segmentation['size']}, image is {list(shape)}")
    counts = segmentation["counts"]
    are_whole = True
    if isinstance(counts, list):
        counts = [_whole(n) for n in counts]
        are_whole = all(type(n) is int for n in counts)
    else:
        counts = _unpack(counts)
    if not are_whole or min(counts, default=0) < 0 or sum(counts) != shape[0] * shape[1]:
        raise ValueError(f"run lengths do not add up to {shape[0]} x {shape[1]} pixels")
    edges = list(accumulate(counts))
    return zip(edges[::2], edges[1::2], strict=False)


def _whole(value: Any) -> Any:
    """A whole number that was written as 3.0 as an int."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unpack(counts: str | bytes) -> list[int]:
    """Run lengths from COCO's text: 5 bits a letter from "0" on, 32 says more follow.

    By hand, because the C code of pycocotools trusts its input: a damaged text makes it read or
    write outside its memory.
    """
    letters = counts.encode("ascii") if isinstance(counts, str) else counts
    runs: list[int] = []
    value = shift = 0
    for letter in letters:
        bits = letter - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("run lengths are not COCO's text")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        value -= (1 << shift) if bits & 16 else 0
        value += runs[-2] if len(runs) > 2 else 0  # from the fourth on: differences
        runs.append(value)
        value = shift = 0
    if shift:
        raise ValueError("run lengths end in the middle of a number")
    return runs


def _polygon_rle(polygons: list[Any], shape: tuple[int, int]) -> dict[str, Any]:
    """By the rule of pycocotools; a flat list of coordinates is one polygon."""
    from pycocotools import mask as coco_mask

    height, width = shape
    if polygons and not isinstance(polygons[0], list):
        polygons = [polygons]
    clipped = [_within(polygon, height, width) for polygon in polygons]
    if not clipped:
        raise ValueError(POLYGON_RULE)
    codes = coco_mask.frPyObjects(clipped, height, width)
    code = codes[0] if len(codes) == 1 else coco_mask.merge(codes)
    return {"size": list(shape), "counts": code["counts"]}


def _within(polygon: Any, height: int, width: int) -> list[float]:
    """The coordinates of a polygon, cut to the image."""
    values = [float(value) for value in polygon]
    if len(values) < MIN_NUMBERS or len(values) % 2 or not all(map(isfinite, values)):
        raise ValueError(POLYGON_RULE)
    values[::2] = [min(max(x, 0.0), width) for x in values[::2]]
    values[1::2] = [min(max(y, 0.0), height) for y in values[1::2]]
    return values

"""COCO segmentations, from files that nobody vouches for, to a label image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

import numpy as np


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
        views = [flat[start:stop] for start, stop in _runs(segmentation, shape)]
        if not any((view == 0).any() for view in views):
            n_hidden += 1
            continue
        n_labels += 1
        for view in views:
            view[view == 0] = n_labels
    return np.ascontiguousarray(flat.reshape(width, height).T), n_hidden


def _runs(segmentation: Any, shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """(start, stop) of the target's runs, in column-major pixel order."""
    if isinstance(segmentation, list):
        segmentation = _polygon_rle(segmentation, shape)
    if not isinstance(segmentation, dict) or {"size", "counts"} - segmentation.keys():
        raise ValueError("segmentation is neither polygon nor RLE")
    if tuple(segmentation["size"]) != tuple(shape):
        raise ValueError(f"segmentation is for {segmentation['size']}, image is {list(shape)}")
    counts = segmentation["counts"]
    counts = counts if isinstance(counts, list) else _unpack(counts)
    if any(type(n) is not int or n < 0 for n in counts) or sum(counts) != shape[0] * shape[1]:
        raise ValueError(f"run lengths do not add up to {shape[0]} x {shape[1]} pixels")
    edges = list(accumulate(counts))
    return zip(edges[::2], edges[1::2], strict=False)


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
    clipped = [np.array(p, np.float64) for p in polygons]
    if not clipped or any(
        p.ndim != 1 or len(p) < 6 or len(p) % 2 or not np.isfinite(p).all() for p in clipped
    ):
        raise ValueError("a polygon must be at least three finite x, y pairs")
    for polygon in clipped:
        polygon[::2].clip(0, width, out=polygon[::2])
        polygon[1::2].clip(0, height, out=polygon[1::2])
    codes = coco_mask.frPyObjects([p.tolist() for p in clipped], height, width)
    code = coco_mask.merge(codes)
    return {"size": list(shape), "counts": code["counts"]}

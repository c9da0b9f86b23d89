"""From a label image to everything that is derived from it: boxes, points, areas, RLE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class Annotations:
    """What is known of the N targets of a scene; row k is label k + 1.

    Parameters
    ----------
    boxes : ndarray, (N, 4), int32
        Tight half-open boxes, xyxy, in pixel edges.
    points : ndarray, (N, 2), float64
        Centroids of the masks, (x, y), in pixel indices.
    areas : ndarray, (N,), int32
        Number of mask pixels.
    """

    boxes: np.ndarray
    points: np.ndarray
    areas: np.ndarray

    def __len__(self) -> int:
        return len(self.areas)


def label_mask(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected components of a mask.

    Parameters
    ----------
    mask : ndarray, (H, W), bool

    Returns
    -------
    ndarray, (H, W), int32
        Labels 1..N in raster order of the first pixel; all zero for an empty mask.
    """
    labels: np.ndarray = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, structure=EIGHT, output=labels)
    return labels


def annotate(labels: np.ndarray) -> Annotations:
    """Boxes, points and areas of every target in a label image.

    Parameters
    ----------
    labels : ndarray, (H, W), int32
        0 background, 1..N the targets.

    Returns
    -------
    Annotations
        One row for each label; arrays of length 0 for an image without targets.

    Raises
    ------
    ValueError
        If a label between 1 and the largest one has no pixel.
    """
    rows, cols = np.nonzero(labels)
    if len(rows) == 0:
        return Annotations(
            np.zeros((0, 4), np.int32), np.zeros((0, 2), np.float64), np.zeros(0, np.int32)
        )
    index = labels[rows, cols] - 1
    areas = np.bincount(index)
    if (areas == 0).any():
        missing = int(np.flatnonzero(areas == 0)[0]) + 1
        raise ValueError(f"label {missing} of {len(areas)} has no pixel")
    boxes = _tight_boxes(rows, cols, index, len(areas))
    points = np.stack([np.bincount(index, cols), np.bincount(index, rows)], axis=1)
    return Annotations(boxes, points / areas[:, None], areas.astype(np.int32))


def _tight_boxes(rows: np.ndarray, cols: np.ndarray, index: np.ndarray, n: int) -> np.ndarray:
    low = np.full((2, n), np.iinfo(np.int32).max, np.int32)
    high = np.zeros((2, n), np.int32)
    for axis, values in enumerate((cols, rows)):
        np.minimum.at(low[axis], index, values)
        np.maximum.at(high[axis], index, values + 1)
    return np.concatenate([low, high]).T


def points_on_masks(labels: np.ndarray, annotations: Annotations) -> np.ndarray:
    """Integer points that lie on their targets.

    The centroid cut to integers, as in the released point labels; where that pixel is not part of
    the target (a crescent, say), the target's pixel nearest to the centroid.

    Parameters
    ----------
    labels : ndarray, (H, W), int32
    annotations : Annotations
        Of the same label image.

    Returns
    -------
    ndarray, (N, 2), int32
        (x, y) in pixel indices.
    """
    points = annotations.points.astype(np.int32)
    off = labels[points[:, 1], points[:, 0]] != np.arange(1, len(points) + 1)
    for k in np.flatnonzero(off):
        x0, y0, x1, y1 = annotations.boxes[k]
        rows, cols = np.nonzero(labels[y0:y1, x0:x1] == k + 1)
        pixels = np.stack([cols + x0, rows + y0], axis=1)
        points[k] = pixels[np.argmin(((pixels - annotations.points[k]) ** 2).sum(axis=1))]
    return points


def masks_to_rle(labels: np.ndarray, annotations: Annotations) -> list[dict[str, object]]:
    """COCO run-length codes of every target, with `counts` as text, ready for JSON.

    Encoded by hand from the runs of each column inside the target's own box: a full-frame mask for
    each of a hundred six-pixel targets would cost more than all other annotation together.

    Parameters
    ----------
    labels : ndarray, (H, W), int32
    annotations : Annotations
        Of the same label image.

    Returns
    -------
    list of dict
        ``{"size": [H, W], "counts": str}`` for each target; empty for no targets.
    """
    from pycocotools import mask as coco_mask

    height, width = labels.shape
    codes = []
    for k, (x0, y0, x1, y1) in enumerate(annotations.boxes):
        inside = labels[y0:y1, x0:x1] == k + 1
        rows, cols = np.nonzero(inside.T)[::-1]
        counts = _column_runs((cols + x0) * height + rows + y0, height * width)
        code = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        codes.append({"size": [height, width], "counts": code["counts"].decode("ascii")})
    return codes


def _column_runs(pixels: np.ndarray, n_pixels: int) -> list[int]:
    """Uncompressed run lengths of sorted column-major pixel indices, starting with background."""
    first = np.flatnonzero(np.diff(pixels, prepend=-2) != 1)
    starts = pixels[first]
    lengths = np.diff(np.append(first, len(pixels)))
    stops = starts + lengths
    gaps = np.diff(np.concatenate([[0], starts, [n_pixels]]))
    gaps[1:] -= lengths
    runs = np.stack([gaps[:-1], lengths], axis=1).ravel()
    tail = n_pixels - int(stops[-1])
    return [int(r) for r in runs] + ([tail] if tail else [])

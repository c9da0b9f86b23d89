"""Regions that are neither target nor background, COCO's crowds: detections there do not count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densesirst_gen.detection.metrics.boxes import FoundBoxes, match_boxes
from densesirst_gen.detection.metrics.components import components
from densesirst_gen.detection.metrics.results import shares

Regions = Sequence[tuple[float, float, float, float]]
"""Half-open xyxy, px."""


def judged_boxes(
    found: FoundBoxes, truth: np.ndarray, ignored: Regions, *, iou_thr: float = 0.5
) -> FoundBoxes:
    """The detections that are true or false, by the rule of pycocotools.

    Left out are those that take no target and of whose own area a region holds `iou_thr` or more.

    Parameters
    ----------
    found : FoundBoxes
    truth : ndarray, (M, 4)
        Boxes of the targets.
    ignored : sequence of (x0, y0, x1, y1)
        Without any, all are judged.
    iou_thr : float
        Also the IoU that suffices for a target.
    """
    if not len(ignored) or not len(found):
        return found
    taken = match_boxes(found, truth, iou_thr=iou_thr) >= 0
    share = _share_inside(found.boxes, ignored)
    return found.where(taken | (share < iou_thr) | (share == 0))


def judged_map(
    prob: np.ndarray, labels: np.ndarray, ignored: Regions, *, threshold: float = 0.5
) -> np.ndarray:
    """A probability map, or a mask, that is 0 in the regions.

    Pixels of targets stay as they are, and so do those of components that touch a target.

    Parameters
    ----------
    prob : ndarray, (H, W), float or bool
    labels : ndarray, (H, W), int32
        0 background, 1..M the targets.
    ignored : sequence of (x0, y0, x1, y1)
        Without any, the map itself is returned.
    threshold : float
        Pixels above it form components.
    """
    if not len(ignored):
        return prob
    found = components(prob > threshold)
    touching = np.zeros(int(found.max(initial=0)) + 1, bool)
    touching[found[labels > 0]] = True
    touching[0] = False
    inside = np.zeros(prob.shape, bool)
    for x0, y0, x1, y1 in _whole(ignored, prob.shape).tolist():
        inside[y0:y1, x0:x1] = True
    judged: np.ndarray = np.where(inside & (labels == 0) & ~touching[found], 0, prob)
    return judged.astype(prob.dtype)


def _share_inside(boxes: np.ndarray, ignored: Regions) -> np.ndarray:
    """(N,) the largest part of each box's area that lies in one region."""
    regions = np.array(ignored, np.float64)
    low = np.maximum(boxes[:, None, :2], regions[:, :2])
    high = np.minimum(boxes[:, None, 2:], regions[:, 2:])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shares((high - low).clip(0).prod(axis=2), areas[:, None]).max(axis=1)


def _whole(ignored: Regions, shape: tuple[int, ...]) -> np.ndarray:
    """(K, 4) int: the pixels that regions touch, in the image."""
    regions = np.array(ignored, np.float64)
    outer = np.hstack([np.floor(regions[:, :2]), np.ceil(regions[:, 2:])])
    return np.clip(outer, 0, (shape[1], shape[0]) * 2).astype(np.int64)

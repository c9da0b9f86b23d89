"""Boxes that were found beside boxes that are there: IoU, who takes whom, the ranked list.

Boxes are float xyxy, half-open, in pixel edges, as everywhere in this package.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from densesirst_gen.detection.metrics.results import shares


@dataclass(frozen=True, eq=False)
class FoundBoxes:
    """What a detector found in an image.

    Parameters
    ----------
    boxes : ndarray, (N, 4), float
        Half-open xyxy, px.
    scores : ndarray, (N,), float
    peaks : ndarray, (N, 2), optional
        (x, y) in pixel indices of the most likely place; None: box centres serve.
    """

    boxes: np.ndarray
    scores: np.ndarray
    peaks: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.boxes.shape != (len(self.scores), 4) or self.scores.ndim != 1:
            raise ValueError(
                f"boxes must be (N, 4) with scores (N,), got {self.boxes.shape} "
                f"and {self.scores.shape}"
            )

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def points(self) -> np.ndarray:
        """(N, 2) float64: the peaks, or the centres of the boxes."""
        return box_centres(self.boxes) if self.peaks is None else self.peaks

    def where(self, keep: np.ndarray) -> FoundBoxes:
        """Those for which `keep`, (N,) bool or indices, says so."""
        peaks = None if self.peaks is None else self.peaks[keep]
        return FoundBoxes(self.boxes[keep], self.scores[keep], peaks)


NOTHING_FOUND = FoundBoxes(np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Matches:
    """One image's part of a ranked list.

    Parameters
    ----------
    scores : ndarray, (N,), float
        Of the detections.
    hits : ndarray, (N,), bool
        Which of them are true.
    n_truth : int
        Targets of the image.
    """

    scores: np.ndarray
    hits: np.ndarray
    n_truth: int


@dataclass(frozen=True, eq=False)
class Ranked:
    """The list of all detections, cut after each of K scores.

    Parameters
    ----------
    scores : ndarray, (K,), float64
        Descending: the lowest score above each cut.
    true, total : ndarray, (K,), int
        True detections, and all detections, above each cut.
    n_truth, n_images : int
    """

    scores: np.ndarray
    true: np.ndarray
    total: np.ndarray
    n_truth: int
    n_images: int

    @property
    def precision(self) -> np.ndarray:
        """(K,) float64."""
        return shares(self.true, self.total)

    @property
    def recall(self) -> np.ndarray:
        """(K,) float64, all 0 without targets."""
        return shares(self.true, float(self.n_truth))

    @property
    def n_true(self) -> int:
        """True detections of the whole list."""
        return int(self.true[-1]) if len(self.true) else 0

    @property
    def n_found(self) -> int:
        """All detections of the whole list."""
        return int(self.total[-1]) if len(self.total) else 0


def box_centres(boxes: np.ndarray) -> np.ndarray:
    """(N, 2) float64, (x, y) in pixel indices, of (N, 4) half-open boxes."""
    return (boxes[:, :2] + boxes[:, 2:] - 1) / 2


def pairwise_iou(a: np.ndarray, b: np.ndarray, *, plus_one: bool = False) -> np.ndarray:
    """Intersection over union of every box of `a` with every box of `b`.

    Parameters
    ----------
    a, b : ndarray, (N, 4) and (M, 4)
        xyxy.
    plus_one : bool
        Take widths for x1 - x0 + 1, as the code of VOC does. A 3 x 3 box shifted by one pixel
        then has 0.6 instead of 0.5.

    Returns
    -------
    ndarray, (N, M), float64
        0 where the union is empty.
    """
    extra = float(plus_one)
    a, b = a.astype(np.float64), b.astype(np.float64)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inside = np.clip(high - low + extra, 0, None).prod(axis=2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2] + extra).prod(axis=1) for boxes in (a, b))
    return shares(inside, area_a[:, None] + area_b[None] - inside)


def match_boxes(
    found: FoundBoxes,
    truth: np.ndarray,
    *,
    iou_thr: float = 0.5,
    plus_one: bool = False,
    strict: bool = False,
) -> np.ndarray:
    """The target that each detection takes, by the rule of VOC (and of YOLO).

    By descending score each detection goes to the target with which it has the greatest IoU; it
    takes it if that IoU suffices and no earlier one has taken it. There is no second choice. Of
    equal scores the earlier row goes first, of equal IoUs the earlier target is meant.

    Parameters
    ----------
    found : FoundBoxes
    truth : ndarray, (M, 4)
        Boxes of the targets.
    iou_thr : float
        The IoU that suffices.
    plus_one : bool
        See `pairwise_iou`.
    strict : bool
        True: the IoU must be larger than `iou_thr` (YOLO). False: or equal (mmdet, COCO).

    Returns
    -------
    ndarray, (N,), int
        Row of `truth`, or -1.
    """
    taken = np.full(len(found), -1)
    if len(found) == 0 or len(truth) == 0:
        return taken
    order = np.argsort(-found.scores, kind="stable")
    iou = pairwise_iou(found.boxes[order], truth, plus_one=plus_one)
    wanted, best = iou.argmax(axis=1), iou.max(axis=1)
    near = np.flatnonzero(best > iou_thr if strict else best >= iou_thr)
    targets, first = np.unique(wanted[near], return_index=True)
    taken[order[near[first]]] = targets
    return taken


def ranked(parts: Iterable[Matches], *, ties: str = "together") -> Ranked:
    """Pool the detections of all images and rank them.

    Parameters
    ----------
    parts : iterable of Matches
        One for each image.
    ties : "together" or "in order"
        Detections of equal score count together, so that the order of images does not matter; or
        one after another as they come, as the frameworks do.
    """
    images = list(parts)
    scores = np.concatenate([np.zeros(0), *(part.scores for part in images)])
    hits = np.concatenate([np.zeros(0, bool), *(part.hits for part in images)])
    order = np.argsort(-scores, kind="stable")
    scores, true = scores[order], np.cumsum(hits[order])
    last = np.ones(len(scores), bool)
    if ties == "together":
        last[:-1] = np.diff(scores) != 0
    cuts = np.flatnonzero(last)
    n_truth = sum(part.n_truth for part in images)
    return Ranked(scores[cuts], true[cuts], cuts + 1, n_truth, len(images))


def envelope(precision: np.ndarray) -> np.ndarray:
    """The greatest precision at this or any later cut, (K,) float64."""
    highest: np.ndarray = np.maximum.accumulate(precision[::-1])[::-1]
    return highest

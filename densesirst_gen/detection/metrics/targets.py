"""Scores of whole targets by their centroids: Pd, Fa, and the IoU of each target."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from densesirst_gen.detection.metrics.boxes import FoundBoxes, box_centres
from densesirst_gen.detection.metrics.components import components
from densesirst_gen.detection.metrics.results import (
    Result,
    check_choice,
    check_shapes,
    f_score,
    share,
)
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.windows import box_pixels

MATCHINGS = ("hungarian", "first", "dnanet_legacy")


@dataclass(frozen=True, eq=False)
class TargetCounts:
    """The targets of an image and what was found.

    Parameters
    ----------
    matched : ndarray, (M,), bool
        Which targets were found.
    ious : ndarray, (M,), float64, optional
        IoU of each target with all predicted components that touch it, see `target_ious`; None
        for boxes.
    n_found : int
        Predicted components, or boxes.
    false_pixels, n_pixels : int
        Pixels of what was found and is no target; all pixels of the image.
    """

    matched: np.ndarray
    ious: np.ndarray | None
    n_found: int
    false_pixels: int
    n_pixels: int


@dataclass(frozen=True, eq=False)
class TargetResult(Result):
    """Scores of the targets of a dataset.

    Parameters
    ----------
    pd : float
        Share of the targets that were found.
    fa : float
        False pixels over all pixels, a fraction; papers give it in 1e-6.
    precision, f1 : float
        Of what was found, the share that are targets; with `pd` as the recall.
    target_niou : float, optional
        Mean over targets of `TargetCounts.ious`; None for boxes.
    from_boxes : bool
        `fa` counts the pixels of filled boxes, which are more than those of masks.
    n_truth, n_found, n_matched, n_images, n_pixels : int
    """

    pd: float
    fa: float
    precision: float
    f1: float
    target_niou: float | None
    from_boxes: bool
    n_truth: int
    n_found: int
    n_matched: int
    n_images: int
    n_pixels: int


@dataclass(frozen=True)
class TargetScores:
    """Probability of detection and false alarms: who lies near whose centroid.

    Parameters
    ----------
    threshold : float
        Pixels above it are predicted; boxes with a score of at least this count.
    matching : "hungarian", "first" or "dnanet_legacy"
        *hungarian*: most matches, and of these the least distance. *first* (BasicIRSTD): each
        target, in raster order, takes the first component that is free and near, not the nearest.
        *dnanet_legacy* (DNANet, SeRankDet): the same, but a component is a false alarm only if
        no matched one has its area, so that some never count.
    max_dist : float
        px; centroids must be nearer than this.
    """

    threshold: float = 0.5
    matching: str = "hungarian"
    max_dist: float = 3.0

    def __post_init__(self) -> None:
        check_choice("TargetScores", "matching", self.matching, MATCHINGS)

    def measure(self, prob: np.ndarray, labels: np.ndarray) -> TargetCounts:
        """One image.

        Parameters
        ----------
        prob : ndarray, (H, W), float or bool
            Probabilities, or a mask.
        labels : ndarray, (H, W), int32
            0 background, 1..M the targets.
        """
        check_shapes(prob, labels)
        found = components(prob > self.threshold)
        blobs, truth = annotate(found), annotate(labels)
        taken = self.match(blobs.points, truth.points)
        false = self._false(taken, blobs.areas)
        return TargetCounts(
            taken >= 0,
            target_ious(found, labels),
            len(blobs),
            int(blobs.areas[false].sum()),
            labels.size,
        )

    def measure_boxes(
        self, found: FoundBoxes, points: np.ndarray, shape: tuple[int, int]
    ) -> TargetCounts:
        """One image of a box detector: box centres in place of centroids, filled boxes for masks.

        Parameters
        ----------
        found : FoundBoxes
            Where false ones overlap, after rounding to pixels, a pixel is counted once.
        points : ndarray, (M, 2), float
            Centroids of the targets, (x, y) in pixel indices.
        shape : (int, int)
            (H, W) of the image.
        """
        boxes = found.boxes[found.scores >= self.threshold]
        taken = self.match(box_centres(boxes), points)
        height, width = shape
        whole = np.clip(np.rint(boxes), 0, (width, height) * 2).astype(np.int64)
        false = self._false(taken, (whole[:, 2:] - whole[:, :2]).prod(axis=1))
        pixels = box_pixels(whole[false], shape)
        places = np.unique(pixels.rows * width + pixels.cols)
        return TargetCounts(taken >= 0, None, len(boxes), len(places), height * width)

    def result(self, parts: Iterable[TargetCounts]) -> TargetResult:
        """The dataset, from the measures of its images."""
        images = list(parts)
        n_truth = sum(len(image.matched) for image in images)
        n_matched = int(sum(image.matched.sum() for image in images))
        n_found = sum(image.n_found for image in images)
        n_pixels = sum(image.n_pixels for image in images)
        pd, precision = share(n_matched, n_truth), share(n_matched, n_found)
        from_boxes = any(image.ious is None for image in images)
        ious = [float(iou) for image in images if image.ious is not None for iou in image.ious]
        return TargetResult(
            asdict(self),
            pd,
            share(sum(image.false_pixels for image in images), n_pixels),
            precision,
            f_score(precision, pd),
            None if from_boxes else share(math.fsum(ious), len(ious)),
            from_boxes,
            n_truth=n_truth,
            n_found=n_found,
            n_matched=n_matched,
            n_images=len(images),
            n_pixels=n_pixels,
        )

    def match(self, found: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """(M,) row of `found` that each target takes, or -1."""
        taken = np.full(len(truth), -1)
        if len(found) == 0 or len(truth) == 0:
            return taken
        distance = cdist(truth, found)
        candidates = np.flatnonzero((distance < self.max_dist).any(axis=0))
        match = _most if self.matching == "hungarian" else _first
        rows, cols = match(distance[:, candidates], self.max_dist)
        taken[rows] = candidates[cols]
        return taken

    def _false(self, taken: np.ndarray, areas: np.ndarray) -> np.ndarray:
        """(N,) bool: which of the found ones count as false alarms."""
        free = np.ones(len(areas), bool)
        free[taken[taken >= 0]] = False
        if self.matching == "dnanet_legacy":
            return ~np.isin(areas, areas[~free])
        return free


def _most(distance: np.ndarray, max_dist: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs nearer than `max_dist`: as many as possible, then the least sum of distances."""
    near = distance < max_dist
    one_more = max_dist * (min(distance.shape) + 1)  # outweighs all distances together
    rows, cols = linear_sum_assignment(np.where(near, distance - one_more, 0.0))
    kept = near[rows, cols]
    return rows[kept], cols[kept]


def _first(distance: np.ndarray, max_dist: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs nearer than `max_dist`: row after row the first column that is free."""
    near = distance < max_dist
    pairs = []
    for row in range(len(near)):
        if near[row].any():
            col = int(near[row].argmax())
            pairs.append((row, col))
            near[:, col] = False
    rows, cols = np.array(pairs, int).reshape(-1, 2).T
    return rows, cols


def target_ious(found: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """IoU of each target with the union of the predicted components that overlap it.

    Parameters
    ----------
    found, labels : ndarray, (H, W), int32
        Labels 1..N of predicted components, 1..M of targets.

    Returns
    -------
    ndarray, (M,), float64
        0 for a target that nothing overlaps.
    """
    there = labels.ravel().nonzero()[0]
    target, component = labels.ravel()[there], found.ravel()[there]
    n = int(target.max(initial=0)) + 1
    inside = np.bincount(target[component > 0], minlength=n)
    pairs = np.unique(np.stack([target, component], axis=1)[component > 0], axis=0)
    sizes = np.bincount(found.ravel())
    touching = np.bincount(pairs[:, 0], sizes[pairs[:, 1]], n)
    union = np.bincount(target, minlength=n) + touching - inside
    return inside[1:] / union[1:]

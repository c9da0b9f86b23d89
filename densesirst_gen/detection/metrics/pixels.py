"""Scores of pixels at one threshold: IoU, nIoU, precision, recall, F-measure, Fa."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from densesirst_gen.detection.metrics.results import (
    Result,
    check_choice,
    check_shapes,
    f_score,
    share,
)

EMPTY_VALUE = {"zero": 0.0, "one": 1.0}


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of an image by what they are and what they are taken for."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def n_involved(self) -> int:
        """All but the true negatives; 0 for an image without targets where none is predicted."""
        return self.true_positive + self.false_positive + self.false_negative

    @property
    def iou(self) -> float:
        """Intersection over union; 0/0 is 0."""
        return share(self.true_positive, self.n_involved)

    @property
    def precision(self) -> float:
        """Share of the predicted pixels that are targets."""
        return share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the target pixels that are predicted."""
        return share(self.true_positive, self.true_positive + self.false_negative)

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )


@dataclass(frozen=True, eq=False)
class PixelResult(Result):
    """Scores of the pixels of a dataset.

    Parameters
    ----------
    iou : float
        Of all pixels of the dataset; the frameworks call it mIoU, of the foreground only.
    niou : float
        Mean over images (ADSNet Eq. 8, SeRankDet Eq. 14).
    precision, recall : float
        Of all pixels. The recall is SeRankDet's pixel-level Pd (Eq. 15).
    f, mean_f : float
        F_beta of all pixels, and its mean over images.
    fa : float
        False pixels, as a fraction, see `PixelScores.fa_over`.
    n_images, n_empty : int
        Images, and those without target where none is predicted.
    n_pixels : int
    """

    iou: float
    niou: float
    precision: float
    recall: float
    f: float
    mean_f: float
    fa: float
    n_images: int
    n_empty: int
    n_pixels: int


@dataclass(frozen=True)
class PixelScores:
    """What a probability map is worth at one threshold, pixel by pixel.

    Parameters
    ----------
    threshold : float
        Pixels above it, not at it, are taken for target.
    empty : "skip", "zero" or "one"
        What an image without target where none is predicted adds to the means over images:
        nothing, 0 (the reference code of nIoU), or 1.
    beta : float
        Of the F-measure. CgraNet's Eq. 6, from Pd and Fa, does not give its own numbers; this is
        the usual F of precision and recall.
    fa_over : "negatives" or "all"
        False pixels over FP + TN (SeRankDet Eq. 16), or over all pixels (ADSNet Eq. 10).
    """

    threshold: float = 0.5
    empty: str = "skip"
    beta: float = 1.0
    fa_over: str = "negatives"

    def __post_init__(self) -> None:
        check_choice("PixelScores", "empty", self.empty, ("skip", "zero", "one"))
        check_choice("PixelScores", "fa_over", self.fa_over, ("negatives", "all"))

    def measure(self, prob: np.ndarray, truth: np.ndarray) -> PixelCounts:
        """One image.

        Parameters
        ----------
        prob : ndarray, (H, W), float or bool
            Probabilities, or a mask.
        truth : ndarray, (H, W), int or bool
            Labels or mask of the targets: whatever is not 0.
        """
        check_shapes(prob, truth)
        found, there = prob > self.threshold, truth != 0
        both, n_found, n_there = (int(m.sum()) for m in (found & there, found, there))
        negatives = there.size - n_found - n_there + both
        return PixelCounts(both, n_found - both, n_there - both, negatives)

    def result(self, parts: Iterable[PixelCounts]) -> PixelResult:
        """The dataset, from the measures of its images."""
        images = list(parts)
        whole = sum(images, PixelCounts(0, 0, 0, 0))
        negatives = whole.false_positive + whole.true_negative
        n_pixels = whole.n_involved + whole.true_negative
        return PixelResult(
            asdict(self),
            iou=whole.iou,
            niou=self._mean(images, [image.iou for image in images]),
            precision=whole.precision,
            recall=whole.recall,
            f=self._f(whole),
            mean_f=self._mean(images, [self._f(image) for image in images]),
            fa=share(whole.false_positive, n_pixels if self.fa_over == "all" else negatives),
            n_images=len(images),
            n_empty=sum(image.n_involved == 0 for image in images),
            n_pixels=n_pixels,
        )

    def _f(self, counts: PixelCounts) -> float:
        return f_score(counts.precision, counts.recall, self.beta)

    def _mean(self, images: list[PixelCounts], values: list[float]) -> float:
        """Exact, so that the order of images does not matter."""
        scored = [v for v, image in zip(values, images, strict=True) if image.n_involved]
        if self.empty != "skip":
            scored += [EMPTY_VALUE[self.empty]] * (len(images) - len(scored))
        return share(math.fsum(scored), len(scored))

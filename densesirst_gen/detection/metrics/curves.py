"""Curves over all thresholds of a probability map: ROC and precision over recall, of pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import numpy as np

from densesirst_gen.detection.metrics.results import Result, check_shapes, shares

LEVELS = 65536


@dataclass(frozen=True, eq=False)
class CurveResult(Result):
    """The curves of the pixels of a dataset.

    Parameters
    ----------
    auc : float
        Area under the ROC curve, trapezoids with (0, 0) and (1, 1). Nearly all pixels are
        background: it saturates near 1.
    low_fpr_auc : float
        Its part up to `max_fpr`, divided by `max_fpr`: 1 is perfect.
    average_precision : float
        Sum of precision times step of recall, not interpolated.
    max_f1, max_f1_threshold : float
        The greatest F1, and the level from which on pixels count for it.
    n_positive, n_negative : int
        Pixels. Where one is 0, the areas are 0.
    thresholds, fpr, tpr, precision : ndarray, (K,), float64
        Of the pixels at or above each threshold, descending. `tpr` is the recall.
    """

    auc: float
    low_fpr_auc: float
    average_precision: float
    max_f1: float
    max_f1_threshold: float
    n_positive: int
    n_negative: int
    thresholds: np.ndarray = field(repr=False)
    fpr: np.ndarray = field(repr=False)
    tpr: np.ndarray = field(repr=False)
    precision: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class PixelCurves:
    """Curves from histograms of the probabilities of target pixels and of all others.

    Parameters
    ----------
    levels : int
        Probabilities are rounded to multiples of 1 / (levels - 1). 65536 is exact for maps of 8
        and of 16 bits; the histograms take 1 MB, however many images there are.
    max_fpr : float
        End of the part of the ROC curve that `low_fpr_auc` measures.
    """

    levels: int = LEVELS
    max_fpr: float = 1e-4

    def measure(self, prob: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """One image; the sum of the measures of some images is a measure of them together.

        Parameters
        ----------
        prob : ndarray, (H, W), float in 0..1, or bool
        truth : ndarray, (H, W), int or bool
            Labels or mask of the targets: whatever is not 0.

        Returns
        -------
        ndarray, (2, levels), int64
            Pixels at each level: of the background, of targets.
        """
        check_shapes(prob, truth)
        level = np.rint(prob.ravel() * (self.levels - 1.0)).astype(np.intp)
        everything = np.bincount(level, minlength=self.levels)
        targets = np.bincount(level[truth.ravel() != 0], minlength=self.levels)
        return np.stack([everything - targets, targets])

    def result(self, parts: Iterable[np.ndarray]) -> CurveResult:
        """The dataset, from the measures of its images."""
        counts = np.zeros((2, self.levels), np.int64)
        for part in parts:
            counts += part
        used = np.flatnonzero(counts.any(axis=0))[::-1]
        false, true = counts[:, used].cumsum(axis=1)
        n_negative, n_positive = counts.sum(axis=1).tolist()
        fpr, tpr = shares(false, float(n_negative)), shares(true, float(n_positive))
        precision, thresholds = shares(true, false + true), used / (self.levels - 1)
        f1 = shares(2 * precision * tpr, precision + tpr)
        best = int(f1.argmax()) if len(f1) else None
        both = bool(n_negative and n_positive)
        return CurveResult(
            asdict(self),
            _area(fpr, tpr, 1.0) if both else 0.0,
            _area(fpr, tpr, self.max_fpr) if both else 0.0,
            float((np.diff(tpr, prepend=0.0) * precision).sum()),
            0.0 if best is None else float(f1[best]),
            0.0 if best is None else float(thresholds[best]),
            n_positive,
            n_negative,
            thresholds,
            fpr,
            tpr,
            precision,
        )


def _area(fpr: np.ndarray, tpr: np.ndarray, end: float) -> float:
    """Area under the ROC curve from 0 to `end`, over `end`."""
    fpr, tpr = np.append(0.0, fpr), np.append(0.0, tpr)
    k = int(np.searchsorted(fpr, end))
    height = np.interp(end, fpr[k - 1 : k + 1], tpr[k - 1 : k + 1])
    return float(np.trapezoid(np.append(tpr[:k], height), np.append(fpr[:k], end)) / end)

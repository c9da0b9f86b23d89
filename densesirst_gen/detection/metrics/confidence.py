"""Precision, recall and F1 of targets at one confidence, by the protocol of YOLO (EFLNet)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from densesirst_gen.detection.metrics.boxes import (
    FoundBoxes,
    Matches,
    Ranked,
    envelope,
    match_boxes,
    ranked,
)
from densesirst_gen.detection.metrics.results import Result, f_score, share, shares

CONFIDENCES = np.linspace(0, 1, 1000)
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class TargetF1Result(Result):
    """Target-level scores of a dataset.

    Parameters
    ----------
    precision, recall, f1 : float
        At `conf`.
    conf : float
        The confidence that was given, or the one of greatest F1.
    ap50 : float
        Average precision; the name is YOLO's, the IoU is that of the options.
    n_truth, n_found, n_images : int
        Detections above `min_score` count as found.
    """

    precision: float
    recall: float
    f1: float
    conf: float
    ap50: float
    n_truth: int
    n_found: int
    n_images: int


@dataclass(frozen=True)
class TargetF1:
    """Precision, recall and F1 as YOLOv7's ``test.py`` has them, one class.

    Parameters
    ----------
    conf : float, optional
        None: the confidence that gives the greatest F1 *on the evaluated set*, as published, from
        curves interpolated at 1000 confidences. A number, chosen on other data: detections of at
        least this score are counted.
    iou_thr, strict : float, bool
        See `match_boxes`; YOLO asks for more than 0.5.
    min_score : float
        Detections of this score or less are left out.
    v5_metric : bool
        Where the envelope of the average precision falls to 0: at recall 1 (YOLOv5), or 0.01
        beyond the last recall (YOLOv7).
    """

    conf: float | None = None
    iou_thr: float = 0.5
    strict: bool = True
    min_score: float = 0.001
    v5_metric: bool = False

    def measure(self, found: FoundBoxes, truth: np.ndarray) -> Matches:
        """One image: what was found, and the (M, 4) boxes of its targets."""
        found = found.where(found.scores > self.min_score)
        taken = match_boxes(found, truth, iou_thr=self.iou_thr, strict=self.strict)
        return Matches(found.scores, taken >= 0, len(truth))

    def result(self, parts: Iterable[Matches]) -> TargetF1Result:
        """The dataset, from the measures of its images."""
        found = ranked(parts)
        at = _best(found) if self.conf is None else _counted(found, self.conf)
        conf, precision, recall = at
        return TargetF1Result(
            asdict(self),
            precision,
            recall,
            f_score(precision, recall),
            conf,
            _sampled_ap(found, v5_metric=self.v5_metric),
            n_truth=found.n_truth,
            n_found=found.n_found,
            n_images=found.n_images,
        )


def _best(found: Ranked) -> tuple[float, float, float]:
    """Confidence of greatest F1, with precision and recall there; 0 if nothing is true."""
    if found.n_true == 0:
        return 0.0, 0.0, 0.0
    recall = np.interp(-CONFIDENCES, -found.scores, found.recall, left=0)
    precision = np.interp(-CONFIDENCES, -found.scores, found.precision, left=1)
    best = shares(precision * recall, precision + recall).argmax()
    return float(CONFIDENCES[best]), float(precision[best]), float(recall[best])


def _counted(found: Ranked, conf: float) -> tuple[float, float, float]:
    n = int((found.scores >= conf).sum())
    true, total = (int(np.append(0, counts)[n]) for counts in (found.true, found.total))
    return conf, share(true, total), share(true, found.n_truth)


def _sampled_ap(found: Ranked, *, v5_metric: bool) -> float:
    """Area under the envelope by the trapezoid rule at 101 recalls."""
    if found.n_true == 0:
        return 0.0
    end = 1.0 if v5_metric else found.recall[-1] + 0.01
    recall = np.concatenate([[0.0], found.recall, [end]])
    precision = envelope(np.concatenate([[1.0], found.precision, [0.0]]))
    return float(np.trapezoid(np.interp(RECALLS, recall, precision), RECALLS))

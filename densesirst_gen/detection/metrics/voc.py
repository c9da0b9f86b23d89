"""Average precision of PASCAL VOC: mAP07 by 11 points, mAP12 by the area."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import numpy as np

from densesirst_gen.detection.metrics.boxes import (
    FoundBoxes,
    Matches,
    Ranked,
    envelope,
    match_boxes,
    ranked,
)
from densesirst_gen.detection.metrics.results import Result, check_choice, share

POINTS = 11


@dataclass(frozen=True, eq=False)
class VocResult(Result):
    """Average precision of a dataset.

    Parameters
    ----------
    ap : float
        0 without targets.
    recall, precision : float
        Of the whole list.
    n_truth, n_found, n_true, n_images : int
        Targets, detections, true detections, images.
    curve_recall, curve_precision : ndarray, (K,), float64
        Along the list.
    curve_false : ndarray, (K,), int
        False detections up to there.
    """

    ap: float
    recall: float
    precision: float
    n_truth: int
    n_found: int
    n_true: int
    n_images: int
    curve_recall: np.ndarray = field(repr=False)
    curve_precision: np.ndarray = field(repr=False)
    curve_false: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class VocAP:
    """Average precision as mmdet's ``VOCMetric`` has it, one class.

    The mAP07 and mAP12 of the papers are both at IoU 0.5 and differ by `interpolation` only.

    Parameters
    ----------
    interpolation : "area" or "11-point"
        Area under the monotone envelope (mAP12), or the mean of the greatest precision at a recall
        of at least 0, 0.1, ... 1 (mAP07). The latter is coarse: who misses one of 3454 targets
        gets 0.909. Whether a recall is reached is decided in whole numbers.
    iou_thr : float
        See `match_boxes`.
    legacy_plus_one : bool
        See `pairwise_iou`; True to mimic mmdet's VOC.
    gt_offset : float
        Added to all four numbers of the target boxes; -1 to mimic the loader of BAFE-Net, which
        shifts boxes that were right.
    strict : bool
        See `match_boxes`.
    ties : "together" or "in order"
        See `ranked`; the latter to mimic mmdet.
    max_dets : int, optional
        Of an image only so many detections of highest score count. None: all.
    """

    interpolation: str = "area"
    iou_thr: float = 0.5
    legacy_plus_one: bool = False
    gt_offset: float = 0.0
    strict: bool = False
    ties: str = "together"
    max_dets: int | None = None

    def __post_init__(self) -> None:
        check_choice("VocAP", "interpolation", self.interpolation, ("area", "11-point"))
        check_choice("VocAP", "ties", self.ties, ("together", "in order"))

    def measure(self, found: FoundBoxes, truth: np.ndarray) -> Matches:
        """One image: what was found, and the (M, 4) boxes of its targets."""
        found = found.where(np.argsort(-found.scores, kind="stable")[: self.max_dets])
        taken = match_boxes(
            found,
            truth + self.gt_offset,
            iou_thr=self.iou_thr,
            plus_one=self.legacy_plus_one,
            strict=self.strict,
        )
        return Matches(found.scores, taken >= 0, len(truth))

    def result(self, parts: Iterable[Matches]) -> VocResult:
        """The dataset, from the measures of its images."""
        found = ranked(parts, ties=self.ties)
        area = self.interpolation == "area"
        return VocResult(
            asdict(self),
            area_ap(found) if area else eleven_point_ap(found),
            recall=share(found.n_true, found.n_truth),
            precision=share(found.n_true, found.n_found),
            n_truth=found.n_truth,
            n_found=found.n_found,
            n_true=found.n_true,
            n_images=found.n_images,
            curve_recall=found.recall,
            curve_precision=found.precision,
            curve_false=found.total - found.true,
        )


def area_ap(found: Ranked) -> float:
    """Area under the monotone envelope of precision over recall."""
    steps = np.diff(found.recall, prepend=0.0)
    return float((steps * envelope(found.precision)).sum())


def eleven_point_ap(found: Ranked) -> float:
    """Mean over t = 0, 0.1, ... 1 of the greatest precision at a recall of t or more."""
    if found.n_truth == 0 or found.n_found == 0:
        return 0.0
    tenths = np.arange(POINTS) * found.n_truth
    first = np.searchsorted((POINTS - 1) * found.true, tenths)
    highest = np.append(envelope(found.precision), 0.0)
    return float(highest[first].mean())

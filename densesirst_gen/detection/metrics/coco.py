"""Average precision of COCO, computed by pycocotools."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from densesirst_gen.detection.metrics.boxes import FoundBoxes
from densesirst_gen.detection.metrics.results import Result

if TYPE_CHECKING:
    from pycocotools.coco import COCO

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
TINY_AREAS = (0.0, 9.0, 25.0)
EVERYTHING = 1e10


@dataclass(frozen=True)
class AreaScores:
    """Targets of one range of size.

    Parameters
    ----------
    low, high : float
        Area of the box, px, low <= area < high; None: no limit.
    ap : float
        Mean over all IoU thresholds.
    ap50 : float
        At IoU 0.5; 0 if that is not among the thresholds.
    recall : float
        Mean over all IoU thresholds.
    n_truth : int
        Without targets all is 0.
    """

    low: float
    high: float | None
    ap: float
    ap50: float
    recall: float
    n_truth: int


@dataclass(frozen=True, eq=False)
class CocoResult(Result):
    """Average precision of a dataset.

    Parameters
    ----------
    ap, ap50, ap75 : float
        Mean over all IoU thresholds, and at 0.5 and 0.75 (0 where that is not among them).
    recall : float
        Mean over all IoU thresholds.
    areas : tuple of AreaScores
    n_truth, n_found, n_images : int
    n_capped : int
        Detections beyond `max_dets` in their image, which do not count.
    """

    ap: float
    ap50: float
    ap75: float
    recall: float
    areas: tuple[AreaScores, ...]
    n_truth: int
    n_found: int
    n_images: int
    n_capped: int


@dataclass(frozen=True)
class CocoAP:
    """Average precision as pycocotools has it: each detection to the best *free* target.

    Its own summary gives -1 for other `max_dets` than 100 and fails without detections; the
    numbers are therefore read from its tables. Equal scores rank in the order of the images.

    Parameters
    ----------
    iou_thrs : tuple of float
    max_dets : int, optional
        Of an image only so many detections of highest score count; 100 is the custom. None: all,
        which images with more than 100 targets need.
    area_edges : tuple of float
        Ascending lower edges of the ranges of box area, px; the last range is open. All targets
        of this field are COCO's "small", so these are finer.
    """

    iou_thrs: tuple[float, ...] = IOU_THRESHOLDS
    max_dets: int | None = 100
    area_edges: tuple[float, ...] = TINY_AREAS

    def measure(self, found: FoundBoxes, truth: np.ndarray) -> tuple[FoundBoxes, np.ndarray]:
        """One image: what was found, and the (M, 4) boxes of its targets."""
        return found, truth

    def result(self, parts: Iterable[tuple[FoundBoxes, np.ndarray]]) -> CocoResult:
        """The dataset, from the measures of its images."""
        images = list(parts)
        counts = np.array([len(found) for found, _ in images], int)
        cap = max(int(counts.max(initial=1)), 1) if self.max_dets is None else self.max_dets
        precision, recall = self._tables(images, cap)
        rows = [_Row(precision[..., k], recall[:, k], self.iou_thrs) for k in self._ranges()]
        everything, *bins = rows
        areas = np.concatenate([np.zeros(0), *(_areas(truth) for _, truth in images)])
        return CocoResult(
            asdict(self),
            everything.ap(),
            everything.ap(0.5),
            everything.ap(0.75),
            everything.mean_recall(),
            tuple(self._area_scores(k, row, areas) for k, row in enumerate(bins)),
            n_truth=len(areas),
            n_found=int(counts.sum()),
            n_images=len(images),
            n_capped=int(np.maximum(counts - cap, 0).sum()),
        )

    def _ranges(self) -> range:
        return range(len(self.area_edges) + 1)

    def _tables(
        self, images: list[tuple[FoundBoxes, np.ndarray]], cap: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Precision (T, 101, A) and recall (T, A) of pycocotools, -1 where there is no target."""
        from pycocotools.cocoeval import COCOeval

        highs = [np.nextafter(high, 0) for high in self.area_edges[1:]]  # its ranges are closed
        with redirect_stdout(io.StringIO()):
            truth = _coco([(boxes, None) for _, boxes in images])
            found = _coco([(part.boxes, part.scores) for part, _ in images])
            job = COCOeval(truth, found, "bbox")
            job.params.iouThrs = np.array(self.iou_thrs)
            job.params.maxDets = [cap]
            lows = self.area_edges
            job.params.areaRng = [
                [0, EVERYTHING],
                *map(list, zip(lows, [*highs, EVERYTHING], strict=True)),
            ]
            job.params.areaRngLbl = [str(k) for k in self._ranges()]
            job.evaluate()
            job.accumulate()
        return job.eval["precision"][:, :, 0, :, 0], job.eval["recall"][:, 0, :, 0]

    def _area_scores(self, k: int, row: _Row, areas: np.ndarray) -> AreaScores:
        low, high = (*self.area_edges, None)[k : k + 2]
        assert low is not None
        n_truth = ((areas >= low) & (areas < (np.inf if high is None else high))).sum()
        return AreaScores(low, high, row.ap(), row.ap(0.5), row.mean_recall(), int(n_truth))


@dataclass(frozen=True, eq=False)
class _Row:
    """One range of area: precision (T, 101), recall (T,), -1 where there is no target."""

    precision: np.ndarray
    recall: np.ndarray
    iou_thrs: tuple[float, ...]

    def ap(self, iou_thr: float | None = None) -> float:
        chosen = [iou_thr in (None, thr) for thr in self.iou_thrs]
        return _mean_known(self.precision[chosen])

    def mean_recall(self) -> float:
        return _mean_known(self.recall)


def _mean_known(values: np.ndarray) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else 0.0


def _areas(boxes: np.ndarray) -> np.ndarray:
    areas: np.ndarray = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return areas


def _coco(images: list[tuple[np.ndarray, np.ndarray | None]]) -> COCO:
    """Boxes of all images, with scores or without, numbered from 1: it takes 0 for unmatched."""
    from pycocotools.coco import COCO

    coco = COCO()
    records = [
        record
        for image_id, (boxes, scores) in enumerate(images, 1)
        for record in _records(image_id, boxes, scores)
    ]
    for number, record in enumerate(records, 1):
        record["id"] = number
    coco.dataset = {
        "images": [{"id": image_id} for image_id in range(1, len(images) + 1)],
        "categories": [{"id": 1}],
        "annotations": records,
    }
    coco.createIndex()
    return coco


def _records(image_id: int, boxes: np.ndarray, scores: np.ndarray | None) -> list[dict[str, Any]]:
    sizes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).astype(float)
    given = np.ones(len(boxes)) if scores is None else scores
    columns = zip(sizes.tolist(), _areas(boxes).tolist(), given.tolist(), strict=True)
    return [
        {
            "image_id": image_id,
            "category_id": 1,
            "bbox": box,
            "area": area,
            "score": score,
            "iscrowd": 0,
        }
        for box, area, score in columns
    ]

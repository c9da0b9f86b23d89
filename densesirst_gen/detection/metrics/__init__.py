"""Metrics of detectors: boxes, pixels, targets, points.

Every metric is a frozen dataclass of its options with two methods: ``measure`` looks at one image
and gives something small, ``result`` makes the numbers of a dataset of these. Images can therefore
be measured in any order, in any batches and by several processes. A result carries the options.

======================  ==========================================================================
`VocAP`                 AP of VOC: mAP07, mAP12, recall
`CocoAP`                AP of COCO, through pycocotools, with finer ranges of area
`TargetF1`              precision, recall, F1 of targets at a confidence (YOLO, EFLNet)
`TargetScores`          Pd and Fa by centroids, nIoU of targets
`PixelScores`           IoU, nIoU of images, precision, recall, F-measure, Fa of pixels
`PixelCurves`           ROC, AUC, AUC at low FPR, precision over recall of pixels
`MNoCoAP`               AP of points on the normalised contrast map (OSCAR)
`MaskToBoxes`           boxes of a probability map, for the metrics of boxes
`judged_boxes`          boxes without those in regions to ignore; `judged_map` for maps
======================  ==========================================================================

Boxes are float xyxy, half-open, in native pixels. Scores are taken at native resolution: maps or
boxes are brought there, the ground truth is never resized.
"""

from densesirst_gen.detection.metrics.boxes import (
    NOTHING_FOUND,
    FoundBoxes,
    Matches,
    box_centres,
    match_boxes,
    pairwise_iou,
)
from densesirst_gen.detection.metrics.coco import CocoAP, CocoResult
from densesirst_gen.detection.metrics.components import MaskToBoxes, components, split_at_peaks
from densesirst_gen.detection.metrics.confidence import TargetF1, TargetF1Result
from densesirst_gen.detection.metrics.curves import CurveResult, PixelCurves
from densesirst_gen.detection.metrics.ignored import judged_boxes, judged_map
from densesirst_gen.detection.metrics.noco import MNoCoAP, NoCoResult, noco_map
from densesirst_gen.detection.metrics.pixels import PixelCounts, PixelResult, PixelScores
from densesirst_gen.detection.metrics.results import Result
from densesirst_gen.detection.metrics.targets import (
    TargetCounts,
    TargetResult,
    TargetScores,
    target_ious,
)
from densesirst_gen.detection.metrics.voc import VocAP, VocResult

__all__ = [
    "NOTHING_FOUND",
    "CocoAP",
    "CocoResult",
    "CurveResult",
    "FoundBoxes",
    "MNoCoAP",
    "MaskToBoxes",
    "Matches",
    "NoCoResult",
    "PixelCounts",
    "PixelCurves",
    "PixelResult",
    "PixelScores",
    "Result",
    "TargetCounts",
    "TargetF1",
    "TargetF1Result",
    "TargetResult",
    "TargetScores",
    "VocAP",
    "VocResult",
    "box_centres",
    "components",
    "judged_boxes",
    "judged_map",
    "match_boxes",
    "noco_map",
    "pairwise_iou",
    "split_at_peaks",
    "target_ious",
]

"""Scoring a detector on a dataset: every metric, every target, every scene.

``score_scene`` looks at one scene and gives something small, ``collect`` makes an `Evaluation` of
these: scenes can be scored in any order, by several processes, or one after another in training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.datasets import SceneFile
from densesirst_gen.datasets.paths import examples
from densesirst_gen.detection.evaluation.doubts import doubts
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.notes import summed_notes
from densesirst_gen.detection.evaluation.predictions import Predictions, load_prediction
from densesirst_gen.detection.evaluation.unmasked import (
    in_pixels,
    truth_notes,
    unmasked_kind,
    unmasked_truth,
)
from densesirst_gen.detection.metrics import (
    CocoAP,
    CocoResult,
    CurveResult,
    FoundBoxes,
    MaskToBoxes,
    MNoCoAP,
    NoCoResult,
    PixelCounts,
    PixelCurves,
    PixelResult,
    PixelScores,
    TargetCounts,
    TargetF1,
    TargetF1Result,
    TargetResult,
    TargetScores,
    VocAP,
    VocResult,
    match_boxes,
)
from densesirst_gen.detection.metrics.ignored import Regions, judged_boxes, judged_map
from densesirst_gen.detection.metrics.noco import NoCoMatches
from densesirst_gen.files.workers import Progress, workers
from densesirst_gen.scene.annotate import Annotations, annotate
from densesirst_gen.scene.density import cluster_columns
from densesirst_gen.scene.scene import Scene

SCHEMA = "densesirst-gen/evaluate@1"
MASK_THRESHOLD = 0.5
TARGET = np.dtype(
    [
        ("scene", np.int32),  # row in the table of scenes
        ("side", np.int32),  # px, the longer side of the box
        ("area", np.int32),  # px, of the mask
        ("group_targets", np.int32),  # targets of its group; 1: a single
        ("density", np.float64),  # of its group, Eq. 4
        ("gap", np.int32),  # px between its box and the nearest linked one; -1: a single
        ("by_iou", np.bool_),  # found, by the IoU of boxes
        ("by_centroid", np.bool_),  # found, by the distance of centroids
    ]
)


@dataclass(frozen=True)
class Scoring:
    """By which rules; each goes to the metrics that it concerns.

    Parameters
    ----------
    threshold : float, optional
        Probabilities above it are target; of boxes, those of at least this score are taken for
        targets where a decision is needed. None: 0.5 for maps; for boxes the confidence of the
        greatest F1 on the scored scenes.
    iou_thr : float
        From this IoU on a box is found.
    legacy_plus_one, gt_offset : bool, float
        See `VocAP`, which alone has them.
    max_dets : int, optional
        See `CocoAP`.
    matching, max_dist : str, float
        See `TargetScores`.
    empty, fa_over : str
        See `PixelScores`.
    mask_score, min_area, split : str, int, str
        See `MaskToBoxes`.
    """

    threshold: float | None = None
    iou_thr: float = 0.5
    legacy_plus_one: bool = False
    gt_offset: float = 0.0
    max_dets: int | None = 100
    matching: str = "hungarian"
    max_dist: float = 3.0
    empty: str = "skip"
    fa_over: str = "negatives"
    mask_score: str = "max"
    min_area: int = 1
    split: str = "none"

    @property
    def mask_threshold(self) -> float:
        """Of maps."""
        return MASK_THRESHOLD if self.threshold is None else self.threshold

    @cached_property
    def to_boxes(self) -> MaskToBoxes:
        """How maps become boxes."""
        return MaskToBoxes(self.mask_threshold, self.mask_score, self.min_area, self.split)

    @cached_property
    def pixels(self) -> PixelScores:
        """Scores of pixels."""
        return PixelScores(self.mask_threshold, self.empty, fa_over=self.fa_over)

    @cached_property
    def targets(self) -> TargetScores:
        """Scores of targets in maps."""
        return TargetScores(self.mask_threshold, self.matching, self.max_dist)

    def voc(self, interpolation: str) -> VocAP:
        """Average precision of VOC."""
        return VocAP(interpolation, self.iou_thr, self.legacy_plus_one, self.gt_offset)


@dataclass(frozen=True, eq=False)
class SceneScore:
    """What is kept of a scene; `counts`, `matches` and `histogram` are None for boxes."""

    name: str
    shape: tuple[int, int]
    truth: Annotations
    found: FoundBoxes
    points: NoCoMatches
    counts: PixelCounts | None = None
    matches: TargetCounts | None = None
    histogram: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SceneRow:
    """A scene in numbers: its targets by IoU of boxes, at the threshold.

    Parameters
    ----------
    name : str
    n_truth, n_found, n_hit : int
        Targets, boxes taken for targets, and those that are.
    iou : float, optional
        Of the pixels; None for boxes.
    """

    name: str
    n_truth: int
    n_found: int
    n_hit: int
    iou: float | None

    @property
    def n_missed(self) -> int:
        """Targets that were not found."""
        return self.n_truth - self.n_hit

    @property
    def n_false(self) -> int:
        """Boxes that are no target."""
        return self.n_found - self.n_hit


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a detector on a dataset.

    Parameters
    ----------
    kind : "boxes" or "maps"
        What it predicts.
    scoring : Scoring
    threshold : float
        Where a decision was needed.
    voc07, voc12, coco, f1 : results of the metrics of boxes
    targets : TargetResult
    noco : NoCoResult
    pixels, curves : PixelResult and CurveResult, optional
        None for boxes.
    scenes : tuple of SceneRow
        By name.
    target_rows : ndarray of `TARGET`
    notes : tuple of str
        What was decided in decoding scenes and maps, each kind once.
    """

    kind: str
    scoring: Scoring
    threshold: float
    voc07: VocResult
    voc12: VocResult
    coco: CocoResult
    f1: TargetF1Result
    targets: TargetResult
    noco: NoCoResult
    pixels: PixelResult | None
    curves: CurveResult | None
    scenes: tuple[SceneRow, ...]
    target_rows: np.ndarray
    notes: tuple[str, ...] = ()

    def worst(self, n: int) -> list[SceneRow]:
        """Up to n scenes with errors: most missed and false together first, then by name."""
        bad = [row for row in self.scenes if row.n_missed + row.n_false]
        return sorted(bad, key=lambda row: (-row.n_missed - row.n_false, row.name))[:n]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, every metric with its options."""
        from densesirst_gen.detection.evaluation.recall import breakdowns

        names = ("voc07", "voc12", "coco", "f1", "targets", "noco", "pixels", "curves")
        metrics = {name: getattr(self, name) for name in names}
        return {
            "kind": self.kind,
            "scoring": asdict(self.scoring),
            "threshold": self.threshold,
            **{name: result and result.to_dict() for name, result in metrics.items()},
            "recall": {b.name: b.to_dict() for b in breakdowns(self.target_rows)},
            "scenes": [
                {**asdict(row), "n_missed": row.n_missed, "n_false": row.n_false}
                for row in self.scenes
            ],
        }


def score_scene(
    scene: Scene,
    predicted: FoundBoxes | np.ndarray,
    scoring: Scoring,
    ignored: Regions = (),
    truth: Annotations | None = None,
) -> SceneScore:
    """Score one scene.

    Parameters
    ----------
    scene : Scene
        Its labels are the truth.
    predicted : FoundBoxes, or ndarray (H, W) of probabilities or bool
        At the resolution of the scene.
    scoring : Scoring
    ignored : sequence of (x0, y0, x1, y1)
        Regions in which nothing is judged, see `judged_boxes` and `judged_map`.
    truth : Annotations, optional
        Of targets that are known by boxes or points only, see `unmasked_truth`; then maps are
        scored as the boxes of their components. None: the labels of the scene.
    """
    if truth is not None and not isinstance(predicted, FoundBoxes):
        predicted = scoring.to_boxes.boxes(predicted)
    if isinstance(predicted, FoundBoxes):
        return _score_boxes(scene, predicted, scoring, ignored, truth)
    judged = judged_map(predicted, scene.labels, ignored, threshold=scoring.mask_threshold)
    return replace(
        _score_boxes(scene, scoring.to_boxes.boxes(judged), scoring, ()),
        counts=scoring.pixels.measure(judged, scene.labels),
        matches=scoring.targets.measure(judged, scene.labels),
        histogram=PixelCurves().measure(judged, scene.labels),
    )


def _score_boxes(
    scene: Scene,
    found: FoundBoxes,
    scoring: Scoring,
    ignored: Regions,
    truth: Annotations | None = None,
) -> SceneScore:
    truth = annotate(scene.labels) if truth is None else truth
    found = judged_boxes(found, truth.boxes, ignored, iou_thr=scoring.iou_thr)
    points = MNoCoAP().measure(scene.gray(np.float32), found, in_pixels(truth, scene.shape).boxes)
    return SceneScore(scene.name, scene.shape, truth, found, points)


def collect(kind: str, parts: Iterable[SceneScore], scoring: Scoring) -> Evaluation:
    """Join the scores of scenes.

    Parameters
    ----------
    kind : "boxes" or "maps"
    parts : iterable of SceneScore
        In any order; names must be unique.
    scoring : Scoring
        That they were scored with.
    """
    scores: list[SceneScore] = []
    curves = PixelCurves().result(_histograms(parts, scores))
    scores.sort(key=lambda score: score.name)
    pairs = [(score.found, score.truth.boxes) for score in scores]
    conf = scoring.threshold if kind == "boxes" else None
    f1 = _of(TargetF1(conf, scoring.iou_thr), pairs)
    threshold = f1.conf if kind == "boxes" else scoring.mask_threshold
    matches = [_matches(score, scoring, threshold) for score in scores]
    taken = [taken_targets(score, scoring, threshold)[1] for score in scores]
    coco = _of(CocoAP(max_dets=scoring.max_dets), pairs)
    is_hit = coco.ap50 > 0 or any(match.matched.any() for match in matches)
    maps = kind == "maps"
    return Evaluation(
        kind,
        scoring,
        threshold,
        _of(scoring.voc("11-point"), pairs),
        _of(scoring.voc("area"), pairs),
        coco,
        f1,
        replace(scoring.targets, threshold=threshold).result(matches),
        MNoCoAP().result(score.points for score in scores),
        scoring.pixels.result(s.counts for s in scores if s.counts) if maps else None,
        curves if maps else None,
        tuple(_scene_row(*row) for row in zip(scores, taken, strict=True)),
        _target_rows(scores, taken, matches),
        (
            *_truth_notes(scores),
            *doubts(scores, scoring.max_dets, is_hit=is_hit),
            *summed_notes((s.name, note) for s in scores for note in s.notes),
        ),
    )


def _truth_notes(scores: Sequence[SceneScore]) -> list[str]:
    if not scores or any(len(score.truth) for score in scores):
        return []
    return [
        f"none of {len(scores)} scenes has a target: every detection counts as false, and only the "
        "rates of false alarms say anything"
    ]


def evaluate(
    files: Iterable[SceneFile],
    predictions: Predictions,
    scoring: Scoring | None = None,
    *,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> Evaluation:
    """Score predictions that lie in files; of the scenes only a few are in memory at a time.

    Parameters
    ----------
    files : iterable of SceneFile
        The scenes to score.
    predictions : Predictions
        Read for these scenes.
    scoring : Scoring, optional
        None: the defaults.
    jobs : int
        Processes. The result does not depend on it.
    progress : callable
        Wraps (results, total) for a progress bar.

    Raises
    ------
    CodecError, SceneError, PredictionError
        If a scene or a map cannot be read; an evaluation of the rest would be of something else.
        If no scene has labels: then nothing is known of the truth. Scenes whose labels say that
        there is no target are scored, and it is noted if there are no others.
    """
    scoring = scoring or Scoring()
    kind = predictions.kind
    files = list(files)
    check_labels(files)
    unmasked = unmasked_kind(files)
    tasks = [
        (file, kind, predictions.found.get(file.name), predictions.zero_one, scoring, unmasked)
        for file in files
    ]
    with workers(jobs, [__name__]) as mapped:
        scored = progress(mapped(_score_file, tasks), len(tasks))
        made = collect("boxes" if unmasked else kind, scored, scoring)
    nothing = _nothing_found(made) if predictions.found else []
    return replace(made, notes=(*truth_notes(unmasked, kind), *nothing, *made.notes))


def _nothing_found(made: Evaluation) -> list[str]:
    """Predictions are there, and all are empty."""
    n_targets = len(made.target_rows)
    if not n_targets or made.coco.n_found:
        return []
    return [f"nothing is found in any of {len(made.scenes)} scenes, which have {n_targets} targets"]


def check_labels(files: Sequence[SceneFile]) -> None:
    """PredictionError if there are scenes, and for none of them anything to score against."""
    if files and not any(file.has_labels for file in files):
        raise PredictionError(
            f"none of {len(files)} scenes ({examples(file.name for file in files)}) has labels "
            f"that are read, such as {files[0].image}: target masks, or boxes in files of COCO, "
            "YOLO or VOC; without the truth, every detection would count as false"
        )


def _score_file(
    task: tuple[SceneFile, str, FoundBoxes | Path | None, bool, Scoring, str],
) -> SceneScore:
    file, kind, found, zero_one, scoring, unmasked = task
    scene, notes = file.load_with_notes()
    predicted = load_prediction(scene.name, kind, found, scene.shape, zero_one=zero_one)
    truth = unmasked_truth(file, scene.shape) if unmasked else None
    score = score_scene(scene, predicted, scoring, file.ignored, truth)
    return replace(score, notes=tuple(notes))


def taken_targets(
    score: SceneScore, scoring: Scoring, threshold: float
) -> tuple[FoundBoxes, np.ndarray]:
    """What is taken for targets in a scene, and which targets that are.

    Parameters
    ----------
    score : SceneScore
    scoring : Scoring
    threshold : float
        Of boxes, those of at least this score; of a map all, it has been applied already.

    Returns
    -------
    FoundBoxes
        N of them.
    ndarray, (N,), int
        Row of the targets, by the IoU of boxes; -1 for a false one.
    """
    found = score.found
    if score.counts is None:
        found = found.where(found.scores >= threshold)
    return found, match_boxes(found, score.truth.boxes, iou_thr=scoring.iou_thr)


def _of(metric: Any, pairs: list[tuple[FoundBoxes, np.ndarray]]) -> Any:
    return metric.result(metric.measure(*pair) for pair in pairs)


def _histograms(parts: Iterable[SceneScore], scores: list[SceneScore]) -> Iterator[np.ndarray]:
    """The histograms one after another; what remains of each part goes to `scores`."""
    for part in parts:
        scores.append(replace(part, histogram=None))
        if part.histogram is not None:
            yield part.histogram


def _matches(score: SceneScore, scoring: Scoring, threshold: float) -> TargetCounts:
    """By centroid: as measured on the map, or of the boxes from the threshold on."""
    if score.matches is not None:
        return score.matches
    metric = replace(scoring.targets, threshold=threshold)
    return metric.measure_boxes(score.found, score.truth.points, score.shape)


def _scene_row(score: SceneScore, taken: np.ndarray) -> SceneRow:
    iou = score.counts.iou if score.counts else None
    return SceneRow(score.name, len(score.truth), len(taken), int((taken >= 0).sum()), iou)


def _target_rows(
    scores: list[SceneScore], taken: list[np.ndarray], matches: list[TargetCounts]
) -> np.ndarray:
    tables = [np.zeros(0, TARGET)]
    for k, (score, rows, match) in enumerate(zip(scores, taken, matches, strict=True)):
        truth, table = in_pixels(score.truth, score.shape), np.zeros(len(score.truth), TARGET)
        columns = cluster_columns(truth)
        table["scene"] = k
        table["side"] = (truth.boxes[:, 2:] - truth.boxes[:, :2]).max(axis=1, initial=0)
        table["area"] = truth.areas
        for name in ("group_targets", "density", "gap"):
            table[name] = columns[name]
        table["by_iou"][rows[rows >= 0]] = True
        table["by_centroid"] = match.matched
        tables.append(table)
    return np.concatenate(tables)

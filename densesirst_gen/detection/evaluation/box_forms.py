"""Are the boxes what they are said to be? Other forms are tried against the images and targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densesirst_gen.datasets import SceneFile
from densesirst_gen.detection.evaluation.box_offsets import offset_of
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.unmasked import unmasked_kind, unmasked_truth
from densesirst_gen.detection.metrics import FoundBoxes, TargetF1, match_boxes
from densesirst_gen.files.images.codec import CodecError
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import SceneError

N_SAMPLED = 48
ROUNDED = 1e-5
"""By what sums of fractions may be above 1."""
MOST = 100
"""Boxes of a scene that are looked at, the most confident."""

Size = tuple[int, int]
Form = Callable[[np.ndarray, Size], np.ndarray]


def _columns(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What would be corner and size in ``[x, y, width, height]``, each (N, 2)."""
    return boxes[:, :2], boxes[:, 2:] - boxes[:, :2]


def _as_corners(boxes: np.ndarray, size: Size) -> np.ndarray:
    return np.hstack(_columns(boxes))


def _as_centres(boxes: np.ndarray, size: Size) -> np.ndarray:
    centre, side = _columns(boxes)
    return np.hstack([centre - side / 2, centre + side / 2])


def _as_sizes(boxes: np.ndarray, size: Size) -> np.ndarray:
    """Of what was read as corners."""
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def _as_rows_first(boxes: np.ndarray, size: Size) -> np.ndarray:
    return boxes[:, [1, 0, 3, 2]]


def _not_centres(form: Form) -> Form:
    """Of what was read as centres and sizes."""

    def undone(boxes: np.ndarray, size: Size) -> np.ndarray:
        centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return form(np.hstack([centre, side]), size)

    return undone


def _scaled(form: Form) -> Form:
    def scaled(boxes: np.ndarray, size: Size) -> np.ndarray:
        height, width = size
        return form(boxes, size) * (width, height, width, height)

    return scaled


def _moved(by: int) -> Form:
    return lambda boxes, size: boxes + by


def _same(boxes: np.ndarray, size: Size) -> np.ndarray:
    return boxes


FORMS: dict[str, Form] = {
    "[x0, y0, x1, y1]": _as_corners,
    "[x, y, width, height]": _as_sizes,
    "[centre x, centre y, width, height]": _as_centres,
    "fractions of the image": _scaled(_same),
    "fractions of the image, [x0, y0, x1, y1]": _scaled(_as_corners),
    "fractions of the image, [centre x, centre y, width, height]": _scaled(_as_centres),
    "[x0, y0, x1, y1], not centres": _not_centres(_same),
    "[x, y, width, height], not centres": _not_centres(_as_sizes),
    "counted from 1": _moved(-1),
    "moved by one pixel": _moved(1),
    "x and y swapped": _as_rows_first,
}
SHIFTS = ("counted from 1", "moved by one pixel")


@dataclass(frozen=True, eq=False)
class _Sample:
    """A scene's boxes beside its targets."""

    found: FoundBoxes
    truth: np.ndarray
    size: Size
    has_sides: bool = True
    """Whether targets are more than points."""


def check_forms(
    source: Path, found: Mapping[str, FoundBoxes], scenes: Iterable[SceneFile], told: str = "bbox"
) -> list[str]:
    """Notes on boxes that are hardly what they are read as; a sample of scenes is decoded.

    Parameters
    ----------
    source : Path
        For messages.
    found : dict of str to FoundBoxes
        By scene.
    scenes : iterable of SceneFile
    told : str
        What the source calls a box.

    Raises
    ------
    PredictionError
        If no target is hit, but most are in another form; if all numbers are at most 1; or if most
        boxes lie outside of their images.
    """
    _check_fractions(source, found, told)
    chosen = [scene for scene in scenes if len(found.get(scene.name, ()))]
    chosen = chosen[:: max(1, -(-len(chosen) // N_SAMPLED))]
    samples = [s for scene in chosen if (s := _sample(scene, found[scene.name])) is not None]
    notes = _form_notes(source, samples, told) or _offset_notes(source, samples, told)
    notes += [*_outside_notes(source, samples, told), *_flat_notes(source, found, told)]
    return [*notes, *_repeated_notes(source, found, told), *_score_notes(source, found)]


def _offset_notes(source: Path, samples: Sequence[_Sample], told: str) -> list[str]:
    """Boxes that are off by one pixel or a half, which for small targets decides on hits."""
    found = offset_of((one.found.boxes, one.truth) for one in samples if one.has_sides)
    if found is None:
        return []
    name, n = found
    return [
        f"{source}: most of {n} {told} that lie on targets are off in the same way, {name}: for "
        f"targets of few pixels that decides what is hit. Is {told} in that form?"
    ]


def _repeated_notes(source: Path, found: Mapping[str, FoundBoxes], told: str) -> list[str]:
    """The same box with the same score again, as joined results of several processes have."""
    repeats = {name: n for name, part in found.items() if (n := _n_repeats(part))}
    if not repeats:
        return []
    return [
        f"{source}: {sum(repeats.values())} of {sum(map(len, found.values()))} {told} are there "
        f"before, with the same score, such as in {next(iter(repeats))}: repeats count as false"
    ]


def _n_repeats(found: FoundBoxes) -> int:
    rows = np.column_stack([found.boxes, found.scores])
    return len(rows) - len(np.unique(rows, axis=0))


def _score_notes(source: Path, found: Mapping[str, FoundBoxes]) -> list[str]:
    """Scores that are no probabilities, of which thresholds say nothing."""
    scores = np.concatenate([np.zeros(0), *(part.scores for part in found.values())])
    if len(scores) and scores.min() >= 0 and scores.max() <= TargetF1().min_score:
        return [
            f"{source}: no score is above {TargetF1().min_score:g}, so that F1, precision and "
            "recall count no box"
        ]
    if not len(scores) or (scores.min() >= -ROUNDED and scores.max() <= 1 + ROUNDED):
        return []
    return [
        f"{source}: scores go from {scores.min():g} to {scores.max():g}, not from 0 to 1: average "
        "precision goes by their order alone, but what is decided at a threshold (F1, Pd, Fa, "
        "recall) takes them for probabilities"
    ]


def _flat_notes(source: Path, found: Mapping[str, FoundBoxes], told: str) -> list[str]:
    """Boxes without an area, which overlap nothing."""
    sides = [part.boxes[:, 2:] - part.boxes[:, :2] for part in found.values() if len(part)]
    flat = sum(int((side <= 0).any(axis=1).sum()) for side in sides)
    n = sum(len(side) for side in sides)
    what = f"{source}: {flat} of {n} {told} have no width or no height, and overlap nothing"
    return [what] if flat else []


def _check_fractions(source: Path, found: Mapping[str, FoundBoxes], told: str) -> None:
    tables = [part.boxes for part in found.values() if len(part)]
    boxes = np.concatenate([np.zeros((0, 4)), *tables])
    sides = boxes[:, 2:] - boxes[:, :2]
    if len(boxes) > 1 and max(boxes[:, :2].max(), sides.max()) <= 1:
        raise PredictionError(
            f"{source}: all numbers of {told} are at most 1: fractions of the image? a {told} must "
            "be in px"
        )


def _sample(scene: SceneFile, found: FoundBoxes) -> _Sample | None:
    """None if the scene can't be read, which is told when it is scored."""
    try:
        labels = scene.load().labels
    except (CodecError, SceneError):
        return None
    best = np.argsort(-found.scores, kind="stable")[:MOST]
    size = labels.shape[0], labels.shape[1]
    unmasked = unmasked_kind([scene])
    truth = unmasked_truth(scene, size) if unmasked else annotate(labels)
    return _Sample(found.where(best), truth.boxes, size, unmasked != "points")


def _form_notes(source: Path, samples: Sequence[_Sample], told: str) -> list[str]:
    n_truth = sum(len(sample.truth) for sample in samples)
    hits = _hits(samples, _same)
    others = {name: _hits(samples, form) for name, form in FORMS.items()}
    best = max(others, key=lambda name: others[name])
    if others[best] <= 2 * hits:
        return []
    message = (
        f"{source}: as {told} is read {hits} of {n_truth} targets are hit (IoU 0.5); {best}: "
        f"{others[best]}. Is {told} in that form?"
    )
    if not hits and 2 * others[best] >= n_truth and best not in SHIFTS:
        raise PredictionError(message)
    return [message]


def _hits(samples: Sequence[_Sample], form: Form) -> int:
    """Targets of the sample that are found, if boxes are of this form."""
    hits = 0
    for sample in samples:
        boxes = form(sample.found.boxes, sample.size)
        proper = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        found = FoundBoxes(boxes[proper], sample.found.scores[proper])
        hits += int((match_boxes(found, sample.truth) >= 0).sum())
    return hits


def _outside_notes(source: Path, samples: Sequence[_Sample], told: str) -> list[str]:
    """Boxes of which the middle is not in the image."""
    outside = [box for sample in samples for box in sample.found.boxes[_is_outside(sample)]]
    n = sum(len(sample.found) for sample in samples)
    if not outside:
        return []
    example = ", ".join(f"{value:g}" for value in outside[0])
    message = (
        f"{source}: {len(outside)} of {n} {told} lie outside of their image, such as that with "
        f"corners {example}"
    )
    if 2 * len(outside) > n:
        raise PredictionError(message)
    return [message]


def _is_outside(sample: _Sample) -> np.ndarray:
    middle = (sample.found.boxes[:, :2] + sample.found.boxes[:, 2:]) / 2
    height, width = sample.size
    outside: np.ndarray = ((middle < 0) | (middle > (width, height))).any(axis=1)
    return outside

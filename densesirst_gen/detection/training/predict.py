"""A trained detector on scenes: predictions in native pixels, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from densesirst_gen.datasets import SceneFile
from densesirst_gen.datasets.paths import examples
from densesirst_gen.detection.detectors.base import Detector, Prediction
from densesirst_gen.detection.evaluation.evaluate import Evaluation, Scoring, collect, score_scene
from densesirst_gen.detection.evaluation.predictions import Predictions
from densesirst_gen.detection.metrics import FoundBoxes
from densesirst_gen.detection.training.checkpoint import Checkpoint
from densesirst_gen.detection.training.data import Batch, Collate, EvalScenes
from densesirst_gen.files.atomic import write_atomically
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.counts import Counts
from densesirst_gen.scene.scene import Scene

Found = FoundBoxes | np.ndarray
Watch = Callable[[Iterable[Any], int], Iterable[Any]]
KINDS = {"boxes": "boxes", "mask": "maps"}


class DetectionError(RuntimeError):
    """A detector whose outputs mean nothing; the message names it and the scene."""


@dataclass(frozen=True)
class Reading:
    """How scenes go through a detector.

    Parameters
    ----------
    size, fit : int, str
        Of its inputs, see `TrainConfig`.
    batch, workers : int
        Neither changes the result beyond rounding.
    device : str
    watch : callable
        Wraps (batches, total), for a progress bar.
    source : str
        What the detector is, for messages.
    """

    size: int
    fit: str
    batch: int = 4
    workers: int = 0
    device: Any = "cpu"
    watch: Watch = field(default=lambda batches, total: batches)
    source: str = "this epoch"


def predict_scenes(
    detector: Detector, files: Sequence[SceneFile], reading: Reading
) -> Iterator[tuple[Scene, Prediction]]:
    """Each scene with what is found in it, in order; few are in memory at a time.

    Raises
    ------
    DetectionError
        If an output is NaN or infinite, which no threshold would ever take for a target.
    """
    loader = DataLoader(
        EvalScenes(files, reading.size, reading.fit),
        1 if reading.size == 0 else reading.batch,
        num_workers=reading.workers,
        collate_fn=Collate(detector.preprocess),
    )
    yield from predict_batches(detector, reading.watch(loader, len(loader)), reading)


def predict_batches(
    detector: Detector, batches: Iterable[Batch], reading: Reading
) -> Iterator[tuple[Scene, Prediction]]:
    """The scenes of inputs that were made before, each with what is found in it.

    Parameters
    ----------
    detector : Detector
    batches : iterable of Batch
        With their metas and scenes.
    reading : Reading
        Its device and source.

    Raises
    ------
    DetectionError
        See `predict_scenes`.
    """
    detector.to(reading.device).eval()
    for batch in batches:
        with torch.inference_mode():
            raw = detector(batch.images.to(reading.device))
            if not is_finite(raw):
                names = examples(scene.name for scene in batch.scenes if scene)
                raise DetectionError(
                    f"{reading.source}: the detector's output is not finite for one of {names}"
                )
            predictions = detector.predict(raw, batch.metas)
        yield from zip(batch.scenes, predictions, strict=True)


def as_trained(files: Sequence[SceneFile], checkpoint: Checkpoint) -> list[SceneFile]:
    """The scenes with what values meant in training, of dtypes that it met; a given span stays."""
    return [replace(file, counts=_like(file.counts, checkpoint.counts)) for file in files]


def _like(own: Mapping[str, Counts], trained: Mapping[str, Counts]) -> dict[str, Counts]:
    """Black and white as in training; what means no data is the images' own."""
    there = {k: replace(c, nodata=own[k].nodata) for k, c in trained.items() if k in own}
    return {**own, **there}


def is_finite(raw: Any) -> bool:
    """Whether all numbers in the raw output of a detector are finite, however it is nested."""
    if isinstance(raw, torch.Tensor):
        return not raw.is_floating_point() or bool(raw.isfinite().all())
    if is_dataclass(raw) and not isinstance(raw, type):
        return all(is_finite(getattr(raw, f.name)) for f in fields(raw))
    if isinstance(raw, Mapping):
        return all(map(is_finite, raw.values()))
    return not isinstance(raw, list | tuple) or all(map(is_finite, raw))


def found_in(detector: Detector, prediction: Prediction) -> Found:
    """Boxes, or of a mask detector the probability map, as the metrics take them."""
    if detector.task == "boxes":
        boxes, scores = prediction.boxes.cpu().numpy(), prediction.scores.cpu().numpy()
        return FoundBoxes(boxes.astype(np.float64), scores.astype(np.float64))
    assert prediction.prob_map is not None
    return prediction.prob_map.cpu().numpy()


def score_detector(
    detector: Detector,
    files: Sequence[SceneFile],
    reading: Reading,
    scoring: Scoring | None = None,
) -> Evaluation:
    """All metrics of a detector on scenes, without writing anything."""
    scoring = scoring or Scoring()
    pairs = predict_scenes(detector, files, reading)
    parts = (
        score_scene(scene, found_in(detector, prediction), scoring, file.ignored)
        for file, (scene, prediction) in zip(files, pairs, strict=True)
    )
    return collect(KINDS[detector.task], parts, scoring)


def reading_of(checkpoint: Checkpoint, **options: Any) -> Reading:
    """As the detector was trained; `options` are the other fields of `Reading`."""
    return Reading(checkpoint.size, checkpoint.fit, source=str(checkpoint.path), **options)


def predict_dataset(
    checkpoint: Checkpoint, files: Sequence[SceneFile], folder: Path, **options: Any
) -> Predictions:
    """Predictions as `densesirst_gen.detection.evaluation.evaluate.evaluate` takes them.

    Parameters
    ----------
    checkpoint : Checkpoint
    files : sequence of SceneFile
    folder : Path
        For the maps of a mask detector; nothing is written for boxes.
    **options
        Fields of `Reading`.
    """
    found: dict[str, FoundBoxes | Path] = {}
    detector = checkpoint.detector
    for scene, prediction in predict_scenes(detector, files, reading_of(checkpoint, **options)):
        seen = found_in(detector, prediction)
        if isinstance(seen, FoundBoxes):
            found[scene.name] = seen
        else:
            found[scene.name] = folder / f"{scene.name}.png"
            write_atomically(folder / f"{scene.name}.png", map_png(seen))
    return Predictions(checkpoint.path, KINDS[detector.task], found, (), ())


def map_png(prob: np.ndarray) -> bytes:
    """A probability map as a 16-bit PNG, 65535 for 1."""
    return encode_png((prob * 65535).round().astype(np.uint16))

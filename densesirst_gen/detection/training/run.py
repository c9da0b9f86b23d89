"""One training as a folder: what it was made of, its weights, its log, its results file.

While a run goes on, ``.build/`` holds what it resumes from (see `densesirst_gen.files.folder`). The
results file, ``manifest.json``, is written last; it says with which data, settings and versions the
run was made, and by which rule its weights were chosen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from densesirst_gen.datasets import SceneFile
from densesirst_gen.datasets.layouts.sirst import SIRST_V1
from densesirst_gen.datasets.parts.names import is_called
from densesirst_gen.detection.detectors import build_detector
from densesirst_gen.detection.detectors.base import Detector
from densesirst_gen.detection.evaluation.evaluate import Evaluation
from densesirst_gen.detection.training.checkpoint import BEST, LAST, LOG, Progress, Store
from densesirst_gen.detection.training.data import TrainScenes, box_sizes
from densesirst_gen.detection.training.kept import KeptScenes, samples_of
from densesirst_gen.detection.training.loop import Row, Watch, fit, make_fabric
from densesirst_gen.detection.training.parts import Part, check_apart, check_targets
from densesirst_gen.detection.training.predict import Reading, score_detector
from densesirst_gen.detection.training.settings import TrainConfig, settle
from densesirst_gen.files.atomic import digest_of, file_digest, write_files
from densesirst_gen.files.folder import CHECKSUMS, BuildFolder, locked
from densesirst_gen.paste.config import profile_named
from densesirst_gen.paste.extract import build_library, extract_frame, filled, stack_entries
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.counts import Counts
from densesirst_gen.settings import ConfigError
from densesirst_gen.version import __version__

BOXES = "xyxy, half-open, 0-based, tight around the 8-connected components of the target masks"
DISTRIBUTIONS = ("torch", "lightning-fabric", "numpy")
SELECT_ON = ("val", "test", "last")


@dataclass(frozen=True)
class Task:
    """What is to be trained on what.

    Parameters
    ----------
    detector, preset : str
        See `build_detector`.
    options : mapping
        See `densesirst_gen.detection.training.settings.settle`.
    train : Part
    val : Part, optional
        By which the best weights are chosen.
    select_on : "val", "test" or "last"
        What `val` is; "test" goes into the results file as such. "last": none are chosen, and
        `val` is scored all the same.
    """

    detector: str
    preset: str
    options: Mapping[str, Any]
    train: Part
    val: Part | None = None
    select_on: str = "val"

    def __post_init__(self) -> None:
        if self.select_on not in SELECT_ON:
            raise ConfigError(f"select_on must be one of {SELECT_ON}, got {self.select_on!r}")
        if self.val is None and self.select_on != "last":
            raise ConfigError(
                f"there is no {self.select_on} split to choose weights by: name one, or select_on "
                "'last'"
            )

    def rule(self, by: str) -> str:
        """How the weights are chosen, in words."""
        if self.select_on == "last" or self.val is None:
            return "last epoch"
        return f"greatest {by} on {self.val.name}, split {self.val.split}"


@dataclass(frozen=True)
class Running:
    """What a run shows and uses, and what does not change its result.

    Parameters
    ----------
    device, devices : str, int
        See `densesirst_gen.detection.training.loop.make_fabric`.
    workers : int
    watch, report : callable
        See `densesirst_gen.detection.training.loop.fit`.
    tensorboard : bool
        Write the rows of the epochs for TensorBoard too.
    """

    device: str = "auto"
    devices: int = 1
    workers: int = 0
    watch: Watch = lambda batches, total: batches
    report: Callable[[Row], None] = lambda row: None
    tensorboard: bool = False


def run_training(
    task: Task,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    running: Running | None = None,
) -> dict[str, Any]:
    """Train a detector in a folder, or go on with it.

    Parameters
    ----------
    task : Task
    out : Path
    resume, overwrite : bool
        As of `build`: go on with the same task; replace an earlier run.
    running : Running, optional

    Returns
    -------
    dict
        The content of the results file; empty in other processes than the first.

    Raises
    ------
    RefusedError
        If the folder is in use, or was begun with another task.
    DatasetError, ConfigError, TrainingError
        If the data do not serve, a setting breaks its rule, or the loss is no longer finite.
    """
    running = running or Running()
    options, config = settle(task.detector, task.options)
    fabric = make_fabric(running.device, running.devices, config.precision)
    fabric.launch()
    torch.manual_seed(config.seed)
    detector = build_detector(task.detector, task.preset, **options)
    recipe = _recipe(task, asdict(config), options, fabric.world_size)
    folder, first = BuildFolder(out, recipe), fabric.is_global_zero
    with locked(out) if first else nullcontext():
        if first:
            folder.open(resume=resume, overwrite=overwrite)
        fabric.barrier()
        if folder.is_complete:
            return folder.manifest()
        if first:  # so that --overwrite knows them, should this run be interrupted
            folder.append([{"name": "run", "files": [LAST, BEST, LOG]}])
        _prepare(detector, task, config)
        about = _about(task, config)
        progress = fit(
            fabric,
            detector,
            _scenes(task, config),
            config,
            Store(folder, about),
            validate=_validation(task, config, fabric, running),
            select_by=None if task.select_on == "last" else config.select_by,
            workers=running.workers,
            watch=running.watch,
            report=_reports(running, out / "tensorboard"),
        )
        return _finish(folder, task, progress, fabric) if first else {}


def _recipe(
    task: Task, config: dict[str, Any], options: Mapping[str, Any], world_size: int
) -> dict[str, Any]:
    """What decides the result, for `BuildFolder`; looks at the data."""
    check_targets(task.train, "training")
    digests = task.train.digests()
    recipe = {
        "detector": task.detector,
        "preset": task.preset,
        "options": dict(options),
        "training": config,
        "devices": world_size,
        "select_on": task.select_on,
        "train": _described(task.train, digests),
        "val": None,
        "version": __version__,
    }
    if task.val is not None:
        check_targets(task.val, "validation")
        held_back = task.val.digests()
        check_apart(digests, held_back, "val")
        recipe["val"] = _described(task.val, held_back)
    return recipe


def _described(part: Part, digests: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "name": part.name,
        "split": part.split,
        "scenes": len(part.files),
        "sha256": digest_of(digests),
        **({"read_as": dict(part.dataset.read_as)} if part.dataset.read_as else {}),
    }


def _prepare(detector: Detector, task: Task, config: TrainConfig) -> None:
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    if type(detector).before_training is not Detector.before_training:
        detector.before_training(box_sizes(task.train.files, config.size, config.fit))


def _about(task: Task, config: TrainConfig) -> dict[str, Any]:
    """What the files of weights say, beside the detector's options."""
    return {
        "detector": task.detector,
        "preset": task.preset,
        "size": config.size,
        "fit": config.fit,
        "rule": task.rule(config.select_by),
        "select_on": task.select_on,
        "counts": {kind: counts.to_dict() for kind, counts in _counts(task).items()},
    }


def _counts(task: Task) -> Mapping[str, Counts]:
    """What the values of the training images mean."""
    return task.train.files[0].counts if task.train.files else {}


def _scenes(task: Task, config: TrainConfig) -> TrainScenes | KeptScenes:
    files, library = task.train.files, _library(task, config)
    if config.keep:
        if library is not None:  # an input no longer says what its values mean
            library = replace(library, counts=dict(_counts(task)))
        return KeptScenes(samples_of(files, config), config, library)
    return TrainScenes(files, config, library)


def _library(task: Task, config: TrainConfig) -> TargetLibrary | None:
    """What is pasted: of the training scenes only, in order of their names."""
    if config.augment == "none":
        return None
    settings = profile_named(config.augment)
    files = sorted(task.train.files, key=lambda file: file.name)
    is_of_frames = settings.library_kind == "frames"
    library = _skies(files, settings.patch_px) if is_of_frames else _targets(files)
    return filled(library, task.train.name)


def _targets(files: Sequence[SceneFile]) -> TargetLibrary:
    return build_library(replace(file, sky=None).load() for file in files if file.has_targets())


def _skies(files: Sequence[SceneFile], patch_px: int) -> TargetLibrary:
    """Of the images of SIRST v1 where there are any, as in the released data."""
    first = [file for file in files if is_called(file.name, SIRST_V1)] or files
    scenes = (replace(file, mask=None).load() for file in first)
    return stack_entries([e for s in scenes for e in extract_frame(s, patch_px)], "frames", {})


def _validation(
    task: Task, config: TrainConfig, fabric: Any, running: Running
) -> Callable[[Detector], dict[str, float]] | None:
    if task.val is None:
        return None
    files = task.val.files
    reading = Reading(config.size, config.fit, workers=running.workers, device=fabric.device)
    return lambda detector: main_scores(score_detector(detector, files, reading))


def main_scores(evaluation: Evaluation) -> dict[str, float]:
    """The few scores that trainings are compared by; those of pixels for maps only.

    ``ap`` is VOC's, of the area, at IoU 0.5; ``ap07`` its 11 points; ``fa`` is 1e-6; ``auc`` is of
    the ROC curve of pixels.
    """
    e = evaluation
    scores = {
        "ap": e.voc12.ap,
        "ap07": e.voc07.ap,
        "recall": e.voc12.recall,
        "f1": e.f1.f1,
        "pd": e.targets.pd,
        "fa": 1e6 * e.targets.fa,
    }
    if e.pixels is not None and e.curves is not None:
        scores |= {"iou": e.pixels.iou, "niou": e.pixels.niou, "auc": e.curves.auc}
    return {name: round(float(score), 6) for name, score in scores.items()}


def _reports(running: Running, folder: Path) -> Callable[[Row], None]:
    """What is done with each epoch's row."""
    if not running.tensorboard:
        return running.report
    from torch.utils.tensorboard import SummaryWriter

    def report(row: Row) -> None:
        with SummaryWriter(str(folder)) as board:
            for name, value in _flat(row):
                board.add_scalar(name, value, row["epoch"])
        running.report(row)

    return report


def _flat(row: Row) -> Iterator[tuple[str, float]]:
    """What is drawn over the epochs."""
    for name, value in row.items():
        if name == "epoch":
            continue
        if isinstance(value, dict):
            yield from ((f"{name}/{part}", number) for part, number in value.items())
        else:
            yield name, value


def _finish(folder: BuildFolder, task: Task, progress: Progress, fabric: Any) -> dict[str, Any]:
    """Write the results file."""
    file = BEST if task.select_on != "last" else LAST
    chosen = progress.best if file == BEST else None
    epoch = chosen["epoch"] if chosen else progress.epoch
    manifest = {
        "content": "training run",
        "recipe": folder.recipe,
        "checkpoint": {
            "file": file,
            "epoch": epoch,
            "rule": task.rule(folder.recipe["training"]["select_by"]),
            "selected_on_test": task.select_on == "test",
            "val": progress.history[epoch - 1].get("val"),
        },
        "boxes": BOXES,
        "device": _device_name(fabric.device),
        "epochs": len(progress.history),
        "steps": progress.step,
        "images_per_s": progress.history[-1]["images_per_s"],
        "time": progress.history[-1]["time"],
    }
    present = [name for name in (LAST, BEST, LOG) if (folder.root / name).is_file()]
    return close(folder, {n: file_digest(folder.root / n) for n in present}, manifest)


def close(
    folder: BuildFolder, files: Mapping[str, str], content: Mapping[str, Any]
) -> dict[str, Any]:
    """End a folder of ours: checksums, then the manifest with the versions used; gives the latter.

    Parameters
    ----------
    folder : BuildFolder
        Open.
    files : mapping
        Path -> SHA-256.
    content : mapping
        Of the manifest.
    """
    sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    write_files(folder.root, [(CHECKSUMS, sums.encode())])
    return folder.close(content, DISTRIBUTIONS)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

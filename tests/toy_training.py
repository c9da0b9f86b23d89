"""What the tests of the harness share: a dataset on disk, and trainings of a second or two."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from scenes import make_scene
from torch import nn

from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.detection import detectors
from densesirst_gen.detection.detectors.base import (
    Detector,
    DetectorConfig,
    Preprocess,
    mask_predictions,
)
from densesirst_gen.detection.detectors.parts.losses import bce_loss, soft_iou_loss
from densesirst_gen.detection.training.parts import held_out_part, train_part
from densesirst_gen.detection.training.run import Running, Task, run_training
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.settings import option

SPLITS = {"train_v2": range(5), "val_v2": range(5, 7), "test_v2": range(7, 9)}
TINY = {"epochs": 3, "batch": 2, "size": 64, "lr": 1e-3, "warmup": 0}
TINY_BAFENET = {**TINY, "depth": 18, "width": 8, "head_width": 32}


def write_dataset(root: Path, *, targets: int = 2, first_seed: int = 0) -> Path:
    """Nine scenes of 96 x 128 with the splits train, val and test."""
    for k in range(9):
        scene = make_scene(name=f"s{k}", seed=first_seed + k, targets=targets)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    texts = {name: "".join(f"s{k}\n" for k in of) for name, of in SPLITS.items()}
    write_files(root, [(f"Splits/{name}.txt", text.encode()) for name, text in texts.items()])
    return root


def task(root: Path, detector: str = "toy", *, select_on: str = "val", **options: Any) -> Task:
    dataset = read_dataset(root)
    val = None if select_on == "last" else held_out_part(dataset, select_on)
    own = TINY_BAFENET if detector == "bafenet" else TINY
    return Task(detector, "paper", {**own, **options}, train_part(dataset), val, select_on)


def killed_at(batch: int) -> Any:
    """A `watch` that kills its process, as kill -9 does, before the n-th batch of the run."""
    return calling_at(batch, lambda: os.kill(os.getpid(), signal.SIGKILL))


def calling_at(batch: int, call: Callable[[], object]) -> Any:
    """A `watch` that calls something before the n-th batch of the run."""
    seen = 0

    def watch(batches: Iterable[Any], total: int) -> Iterator[Any]:
        nonlocal seen
        for item in batches:
            seen += 1
            if seen == batch:
                call()
            yield item

    return watch


@dataclass(frozen=True)
class ToyConfig(DetectorConfig):
    width: int = option(8, "channels", low=1)
    spoilt: int = option(0, "step from which on the loss is not a number; 0: never", low=0)


class Toy(Detector):
    """Brighter than its surroundings: a mask detector of three small convolutions."""

    task = "mask"
    config_type = ToyConfig
    presets: ClassVar = {"paper": {}}

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config, self.preprocess = config, Preprocess((0.2,), (0.1,), divisor=8)
        self.layers = nn.Sequential(
            nn.Conv2d(1, config.width, 5, padding=2),
            nn.BatchNorm2d(config.width),
            nn.ReLU(),
            nn.Dropout(0.1),  # draws from the global generator
            nn.Conv2d(config.width, 1, 3, padding=1),
        )
        self.register_buffer("sizes", torch.zeros(2))
        self.n_losses = 0

    def forward(self, images):  # type: ignore[no-untyped-def]
        return self.layers(self.preprocess(images))

    def loss(self, raw, targets):  # type: ignore[no-untyped-def]
        self.n_losses += 1
        known = torch.where(targets.valid > 0, targets.masks, 255)
        overlap = soft_iou_loss(raw.sigmoid(), targets.masks, targets.valid)
        factor = float("nan") if self.n_losses == self.config.spoilt else 1
        return {"bce": bce_loss(raw.flatten(), known.flatten(), 255) * factor, "iou": overlap}

    def predict(self, raw, metas):  # type: ignore[no-untyped-def]
        return mask_predictions(raw, metas)

    def before_training(self, sizes):  # type: ignore[no-untyped-def]
        self.sizes.copy_(sizes.mean(dim=0))


def register_toy() -> None:
    """Make ``toy`` a detector of the registry, for this process."""
    detectors.CLASSES["toy"] = "Toy"
    sys.modules[f"{detectors.__name__}.toy"] = SimpleNamespace(Toy=Toy)  # type: ignore[assignment]


@pytest.fixture
def toy_registered() -> Iterator[None]:
    register_toy()
    yield
    del detectors.CLASSES["toy"], sys.modules[f"{detectors.__name__}.toy"]


if __name__ == "__main__":  # python toy_training.py DATA OUT BATCH: a run that kills itself
    register_toy()
    data, out, at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    run_training(task(data, augment="bag-cp"), out, running=Running("cpu", watch=killed_at(at)))

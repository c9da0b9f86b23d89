"""Regions to be ignored are kept free of new targets in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.datasets import SceneFile
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.scene import Scene

pytest.importorskip("torch")

from densesirst_gen.detection.training.data import TrainScenes
from densesirst_gen.detection.training.settings import TrainConfig

SIDE = 96


@dataclass(frozen=True)
class Held(SceneFile):
    """A scene in memory, with sky everywhere."""

    def load(self) -> Scene:
        return make_scene((SIDE, SIDE), targets=0)


@pytest.mark.parametrize("ignored", [(), ((0.0, 0.0, float(SIDE), SIDE / 2),)])
def test_nothing_is_pasted_into_them(
    ignored: tuple[tuple[float, float, float, float], ...], targets: TargetLibrary
) -> None:
    file = Held("a", None, None, ignored=ignored)  # type: ignore[arg-type]
    config = TrainConfig(augment="bag-cp", paste=1.0, size=SIDE, flip=0.0, images_per_epoch=12)
    scenes = TrainScenes([file], config, targets)
    boxes = np.concatenate([scenes[k].boxes.numpy() for k in range(12)])
    assert len(boxes) > 30
    assert (boxes[:, 1] < SIDE / 2).any() == (not ignored)

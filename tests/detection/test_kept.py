"""Inputs kept on the device: the batches, and so the trainings, that files would give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scenes import make_scene
from torch.utils.data import DataLoader
from toy_training import task, toy_registered, write_dataset

from densesirst_gen.datasets import SceneFile
from densesirst_gen.detection.detectors.base import Preprocess
from densesirst_gen.detection.training.data import Batch, Collate, TrainScenes, box_sizes
from densesirst_gen.detection.training.kept import KeptScenes, samples_of
from densesirst_gen.detection.training.run import Running, run_training
from densesirst_gen.detection.training.settings import TrainConfig
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.scene import Scene
from densesirst_gen.settings import ConfigError

__all__ = ["toy_registered"]
PREPROCESS = Preprocess(divisor=64)
CONFIG = TrainConfig(size=0, batch=3, images_per_epoch=8, seed=5)


@dataclass(frozen=True)
class Held(SceneFile):
    """A scene in place of its file."""

    scene: Scene | None = None

    def load_with_notes(self) -> tuple[Scene, list[str]]:
        assert self.scene is not None
        return self.scene, []


def held(n: int = 5, **options: Any) -> list[SceneFile]:
    made = (make_scene((96, 120), name=f"s{k}", seed=k, targets=k, **options) for k in range(n))
    return [Held(scene.name, Path(scene.name), scene=scene) for scene in made]


def both(
    files: list[SceneFile],
    config: TrainConfig,
    library: TargetLibrary | None = None,
    epoch: int = 1,
) -> tuple[list[Batch], list[Batch]]:
    """The batches of an epoch out of files, and out of what is kept."""
    scenes = TrainScenes(files, config, library)
    known = KeptScenes(samples_of(files, config), config, library)
    scenes.set_epoch(epoch)
    known.set_epoch(epoch)
    loader = DataLoader(scenes, config.batch, drop_last=True, collate_fn=Collate(PREPROCESS))
    batches = known.batches(range(len(known)), PREPROCESS, "cpu")
    assert len(batches) == len(loader)
    return list(loader), list(batches)


def assert_equal(one: Batch, other: Batch) -> None:
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.targets.labels, other.targets.labels)
    assert torch.equal(one.targets.sky, other.targets.sky)
    for mine, theirs in zip(one.targets.boxes, other.targets.boxes, strict=True):
        assert torch.equal(mine, theirs)


def test_batches_are_those_of_files_mirrored_and_padded_alike() -> None:
    for one, other in zip(*both(held(), CONFIG), strict=True):
        assert_equal(one, other)


@pytest.mark.parametrize("augment", PROFILES)
def test_what_is_pasted_is_the_same_to_the_bit(
    libraries: dict[str, TargetLibrary], augment: str
) -> None:
    config = replace(CONFIG, augment=augment, paste=0.8)
    files, pasted = held(), 0
    library = libraries[PROFILES[augment].library_kind]
    for one, other in zip(*both(files, config, library), strict=True):
        assert_equal(one, other)
        pasted += sum(map(len, other.targets.boxes))
    assert pasted > 2 * sum(len(s.boxes) for s in samples_of(files, CONFIG))


def test_resized_inputs_differ_by_rounding_only() -> None:
    config = replace(CONFIG, size=64, fit="stretch", flip=1.0)
    for one, other in zip(*both(held(), config), strict=True):
        assert torch.allclose(one.images, other.images, atol=1e-5)
        for mine, theirs in zip(one.targets.boxes, other.targets.boxes, strict=True):
            assert torch.allclose(mine, theirs, atol=1e-4)


def test_8_bit_images_are_kept_in_bytes_others_as_they_are() -> None:
    files = held(2)
    assert KeptScenes(samples_of(files, CONFIG), CONFIG).kept.images.dtype == torch.uint8
    config = replace(CONFIG, size=64)
    assert KeptScenes(samples_of(files, config), config).kept.images.dtype == torch.float32


def test_sizes_of_targets_are_those_of_files() -> None:
    files = held()
    known = KeptScenes(samples_of(files, CONFIG), CONFIG)
    assert torch.equal(known.sizes(), box_sizes(files, CONFIG.size, CONFIG.fit))


def test_fewer_images_than_a_batch_are_one_batch() -> None:
    config = replace(CONFIG, images_per_epoch=2)
    known = KeptScenes(samples_of(held(2), config), config)
    (batch,) = known.batches(range(2), PREPROCESS, "cpu")
    assert batch.images.shape == (2, 1, 128, 128)


@pytest.mark.parametrize("setting", [{"zoom": (0.5, 2.0)}, {"crop": 32}, {"blur": 1.0}])
def test_what_changes_inputs_each_epoch_is_refused(setting: dict[str, Any]) -> None:
    config = replace(CONFIG, **setting)
    with pytest.raises(
        ConfigError, match=f"{next(iter(setting))} must be .* where inputs are kept"
    ):
        KeptScenes(samples_of(held(1), config), config)


def test_inputs_of_several_sizes_are_refused() -> None:
    files = [*held(1), Held("wide", Path("wide"), scene=make_scene((96, 240), name="wide"))]
    with pytest.raises(
        ConfigError, match=r"2, such as \(96, 120\) and \(96, 240\): say fit=stretch"
    ):
        KeptScenes(samples_of(files, CONFIG), CONFIG)


def spoilt(kind: str) -> tuple[list[SceneFile], TrainConfig]:
    config, (file,) = replace(CONFIG, augment="bag-cp"), held(1)
    assert isinstance(file, Held)
    assert file.scene is not None
    if kind == "resized":
        return [file], replace(config, size=64)
    if kind == "8 bits":
        deep = replace(file.scene, image=file.scene.image.astype(np.uint16))
        return [replace(file, scene=deep)], config
    return [replace(file, ignored=((1, 1, 5, 5),))], config


@pytest.mark.parametrize("kind", ["resized", "8 bits", "ignored"])
def test_pasting_into_what_is_not_as_it_was_is_refused(kind: str) -> None:
    files, config = spoilt(kind)
    with pytest.raises(ConfigError, match=rf"scene s0 .*{kind}.*: say keep=false"):
        samples_of(files, config)


def test_pasting_into_an_unknown_sky_is_refused(targets: TargetLibrary) -> None:
    (file,) = held(1)
    assert isinstance(file, Held)
    assert file.scene is not None
    config = replace(CONFIG, augment="bag-cp")
    samples = samples_of([replace(file, scene=replace(file.scene, sky=None))], config)
    with pytest.raises(ConfigError, match="needs a sky mask for every scene"):
        KeptScenes(samples, config, targets)


@pytest.mark.usefixtures("toy_registered")
def test_a_training_is_the_same_with_its_inputs_kept(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    of_files, of_kept = (
        run_training(
            task(data, size=0, epochs=2, augment="bag-cp", keep=keep),
            tmp_path / str(keep),
            running=Running("cpu"),
        )
        for keep in (False, True)
    )
    assert of_kept["recipe"]["training"]["keep"]
    assert of_kept["checkpoint"] == of_files["checkpoint"]
    one, other = (load_file(tmp_path / str(k) / "last.safetensors") for k in (False, True))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def on_device() -> str:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return "cuda"


@pytest.mark.usefixtures("toy_registered")
class TestOnADevice:
    @pytest.mark.parametrize("augment", ["none", "bag-cp"])
    def test_batches_are_those_of_the_cpu(
        self, on_device: str, targets: TargetLibrary, augment: str
    ) -> None:
        config = replace(CONFIG, augment=augment)
        library = targets if augment != "none" else None
        samples = samples_of(held(), config)
        found, expected = (
            list(KeptScenes(samples, config, library).batches(range(8), PREPROCESS, device))
            for device in (on_device, "cpu")
        )
        for one, other in zip(found, expected, strict=True):
            assert one.images.is_cuda
            assert torch.allclose(one.images.cpu(), other.images, rtol=0, atol=1e-6)
            assert torch.equal(one.targets.labels.cpu(), other.targets.labels)
            for mine, theirs in zip(one.targets.boxes, other.targets.boxes, strict=True):
                assert torch.equal(mine.cpu(), theirs)

    def test_a_training(self, on_device: str, tmp_path: Path) -> None:
        data = write_dataset(tmp_path / "data")
        settings = {"size": 0, "epochs": 1, "augment": "bag-cp", "precision": "bf16"}
        of = task(data, keep=True, **settings)
        manifest = run_training(of, tmp_path / "run", running=Running(on_device))
        assert manifest["epochs"] == 1

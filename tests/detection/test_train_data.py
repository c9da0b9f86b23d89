"""Scenes to batches: geometry to the pixel, and chance that depends on nothing but its number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scenes import make_scene
from torch.utils.data import DataLoader

from densesirst_gen.datasets import SceneFile
from densesirst_gen.detection.detectors import detector_class, detector_names
from densesirst_gen.detection.detectors.base import Preprocess, to_native_boxes
from densesirst_gen.detection.training.data import (
    Collate,
    EvalScenes,
    Sample,
    TrainScenes,
    box_sizes,
    changed,
    fitted,
    flipped,
    gray,
    to_sample,
)
from densesirst_gen.detection.training.settings import RECIPES, TrainConfig, parse_options, settle
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene
from densesirst_gen.settings import ConfigError

NATIVE = TrainConfig(size=0, flip=0.0)


@dataclass(frozen=True)
class Held(SceneFile):
    """A scene in place of its file."""

    scene: Scene | None = None

    def load_with_notes(self) -> tuple[Scene, list[str]]:
        assert self.scene is not None
        return self.scene, []


def held(*scenes: Scene) -> list[SceneFile]:
    return [Held(scene.name, Path(scene.name), scene=scene) for scene in scenes]


def scenes(n: int = 4, **options: Any) -> list[SceneFile]:
    return held(*(make_scene(name=f"s{k}", seed=k, **options) for k in range(n)))


def equal(one: Sample, other: Sample) -> bool:
    names = ("image", "boxes", "labels", "sky")
    return all(torch.equal(getattr(one, n), getattr(other, n)) for n in names)


# ---- one scene


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_gray_is_0_at_black_and_1_at_white_whatever_the_depth(dtype: type) -> None:
    values = gray(make_scene(dtype=dtype))
    assert values.dtype == np.float32
    assert np.allclose(values, gray(make_scene()), atol=0.01)


def test_a_native_sample_is_the_scene() -> None:
    scene = make_scene()
    sample = to_sample(scene, fitted(scene.shape, 0, "keep"))
    assert torch.equal(sample.labels, torch.from_numpy(scene.labels))
    assert torch.equal(sample.boxes, torch.from_numpy(annotate(scene.labels).boxes).float())
    assert np.array_equal(sample.image[0], gray(scene))


def test_sky_that_nobody_annotated_is_unknown() -> None:
    scene = make_scene(sky=None)
    assert to_sample(scene, fitted(scene.shape, 0, "keep")).sky.unique().tolist() == [255]


@given(
    st.tuples(st.integers(20, 90), st.integers(20, 90)),
    st.integers(16, 200),
    st.sampled_from(["keep", "stretch"]),
)
def test_boxes_return_to_where_they_were_from_any_input_size(
    size: tuple[int, int], side: int, fit: str
) -> None:
    mask = np.zeros(size, bool)
    mask[3:6, 4:9] = mask[-2:, -3:] = True
    scene = Scene("s", np.full(size, 7, np.uint8), label_mask(mask))
    sample = to_sample(scene, fitted(size, side, fit))
    assert max(sample.image.shape) == side
    back = to_native_boxes(sample.boxes, sample.meta)
    assert torch.allclose(back, torch.from_numpy(annotate(scene.labels).boxes).float(), atol=1e-3)


def test_shrinking_averages_so_that_a_bright_pixel_does_not_vanish() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[21, 21] = 255
    scene = Scene("s", image, label_mask(image > 0))
    sample = to_sample(scene, fitted((64, 64), 16, "keep"))
    assert sample.image.sum() * 16 == pytest.approx(1, rel=0.05)
    assert len(sample.boxes) == 1  # it keeps its box, also where sampling has missed its pixel


@given(st.integers(0, 100_000))
def test_cut_samples_keep_pixels_boxes_and_labels_together(seed: int) -> None:
    zoomed = replace(NATIVE, zoom=(0.7, 2.5), flip=0.5, seed=seed, crop=(0, 48)[seed % 2])
    sample = TrainScenes(scenes(1, targets=3), zoomed)[0]
    assert sample.image.shape[1:] == sample.labels.shape == sample.sky.shape
    limits = (48, 48) if zoomed.crop else (96, 128)
    assert all(n <= limit for n, limit in zip(sample.labels.shape, limits, strict=True))
    assert set(sample.labels.unique().tolist()) <= set(range(len(sample.boxes) + 1))
    for k, (x0, y0, x1, y1) in enumerate(sample.boxes.tolist()):
        rows, cols = torch.nonzero(sample.labels == k + 1, as_tuple=True)
        assert len(rows) == 0 or y0 - 1e-3 <= rows.min() + 0.5 <= rows.max() + 0.5 <= y1 + 1e-3
        assert len(cols) == 0 or x0 - 1e-3 <= cols.min() + 0.5 <= cols.max() + 0.5 <= x1 + 1e-3


@given(st.integers(0, 100_000), st.integers(1, 200))
def test_a_crop_on_a_target_holds_the_middle_of_one(seed: int, side: int) -> None:
    config = replace(NATIVE, crop=side, on_target=1.0, zoom=(0.5, 2), seed=seed)
    sample = TrainScenes(scenes(1, targets=3), config)[0]
    assert max(sample.image.shape) <= side
    assert len(sample.boxes) >= 1


def test_crops_are_as_often_on_a_target_as_asked() -> None:
    config = replace(NATIVE, crop=16, images_per_epoch=200)
    full = [
        sum(len(sample.boxes) > 0 for sample in TrainScenes(scenes(1, targets=1), c))
        for c in (replace(config, on_target=share) for share in (0.0, 0.5, 1.0))
    ]
    assert full[0] < 60 < full[1] < 160
    assert full[2] == 200


def test_half_of_the_images_are_blurred_and_nothing_else_of_them_changes() -> None:
    config = replace(NATIVE, images_per_epoch=40)
    sharp, blurred = (
        list(TrainScenes(scenes(1, targets=2), c)) for c in (config, replace(config, blur=2.0))
    )
    changed = [not torch.equal(a.image, b.image) for a, b in zip(sharp, blurred, strict=True)]
    assert 8 < sum(changed) < 32
    for a, b in zip(sharp, blurred, strict=True):
        assert torch.equal(a.boxes, b.boxes)
        assert torch.equal(a.labels, b.labels)
        assert b.image.max() <= a.image.max() + 1e-6
        assert abs(float(b.image.mean() - a.image.mean())) < 0.01


def test_flipping_twice_is_nothing() -> None:
    scene = make_scene(sky=np.tril(np.ones((96, 128), bool)))
    twice = flipped(flipped(scene))
    assert np.array_equal(twice.image, scene.image)
    assert np.array_equal(twice.sky, scene.sky)
    assert not np.array_equal(flipped(scene).labels, scene.labels)


# ---- chance


def loaded(data: TrainScenes, epochs: range, **options: Any) -> list[Sample]:
    loader = DataLoader(data, batch_size=None, **options)
    found = []
    for epoch in epochs:
        data.set_epoch(epoch)
        found += list(loader)
    return found


def test_images_depend_on_seed_epoch_and_index_only_not_on_workers(
    targets: TargetLibrary,
) -> None:
    config = replace(NATIVE, flip=0.5, zoom=(0.8, 1.3), augment="bag-cp")
    data = TrainScenes(scenes(), config, targets)
    alone = loaded(data, range(2))
    spread = loaded(data, range(2), num_workers=2, persistent_workers=True)
    again = loaded(data, range(1, 2))
    assert all(map(equal, alone, spread))
    assert all(map(equal, alone[4:], again))
    assert not any(map(equal, alone[:4], alone[4:]))


def test_another_seed_is_another_training() -> None:
    config = replace(NATIVE, zoom=(0.8, 1.3))
    one, other = (TrainScenes(scenes(), replace(config, seed=s)) for s in (0, 1))
    assert not all(map(equal, one, other))


@pytest.mark.parametrize("size", [3, 5, 12])
def test_epochs_of_any_length_go_through_all_scenes_evenly(size: int) -> None:
    data = TrainScenes(scenes(5), replace(NATIVE, images_per_epoch=size))
    seen = []
    for epoch in range(5):
        data.set_epoch(epoch)
        seen += [data.file_at(i) for i in range(len(data))]
    laps = [sorted(seen[k : k + 5]) for k in range(0, 5 * size - 4, 5)]
    assert laps == [list(range(5))] * size
    assert seen[:5] != seen[5:10]


def test_pastes_come_with_boxes_and_copy_paste_ignores_the_sky(targets: TargetLibrary) -> None:
    sky = np.zeros((96, 128), bool)
    sky[:48] = True
    pasted = {
        name: TrainScenes(scenes(8, sky=sky, targets=0), replace(NATIVE, augment=name), targets)
        for name in ("bag-cp", "copy-paste")
    }
    lowest = {n: max(float(s.boxes[:, 3].max()) for s in data) for n, data in pasted.items()}
    assert lowest["bag-cp"] <= 48 < lowest["copy-paste"]
    assert len(pasted["bag-cp"][0].boxes) == pasted["bag-cp"][0].labels.max() >= 3


def test_paste_says_how_often(targets: TargetLibrary) -> None:
    config = replace(NATIVE, augment="bag-cp", paste=0.0)
    assert all(len(s.boxes) == 2 for s in TrainScenes(scenes(), config, targets))


# ---- batches


def test_a_batch_is_padded_with_what_nobody_knows() -> None:
    samples = [*EvalScenes(scenes(1), 0, "keep"), *EvalScenes(scenes(1), 64, "keep")]
    batch = Collate(Preprocess(divisor=32, fill=0.25))(samples)
    assert batch.images.shape == (2, 1, 96, 128)
    assert torch.equal(batch.images[1, :, :48, :64], samples[1].image)
    assert (batch.images[1, 0, 48:] == 0.25).all()
    assert (batch.targets.labels[1, 48:] == -1).all()
    assert (batch.targets.sky[1, :, 64:] == 255).all()
    assert batch.targets.valid[1].sum() == 48 * 64
    assert [len(b) for b in batch.targets.boxes] == [2, 2]


def test_sizes_of_boxes_are_those_of_the_input() -> None:
    native, half = box_sizes(scenes(2), 0, "keep"), box_sizes(scenes(2), 64, "keep")
    assert native.shape == (4, 2)
    assert torch.allclose(native / 2, half)
    assert box_sizes(scenes(1, targets=0), 0, "keep").shape == (0, 2)


# ---- what detectors are tested on


@pytest.mark.parametrize("sigma", [10, 20, 30])
def test_noise_has_the_sigma_asked_for_and_is_the_same_each_time(sigma: float) -> None:
    plain = scenes(1, base=120.0)
    first, second = (changed(plain, noise=sigma)[0].load() for _ in range(2))
    added = first.image.astype(float) - plain[0].load().image
    assert added.std() == pytest.approx(sigma, rel=0.05)
    assert first.image.dtype == np.uint8
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.labels, plain[0].load().labels)


def test_a_resized_truth_has_tight_components() -> None:
    scene = changed(scenes(1), side=64)[0].load()
    assert scene.shape == (48, 64)
    assert np.array_equal(scene.labels, label_mask(scene.labels > 0))
    assert scene.n_targets == 2


def test_nothing_to_change_changes_nothing() -> None:
    files = scenes(2)
    assert changed(files) == files


# ---- settings


@pytest.mark.parametrize("name", detector_names())
def test_every_recipe_is_valid_and_shares_no_name_with_its_detector(name: str) -> None:
    _, config = settle(name)
    own = set(detector_class(name).config_type.__dataclass_fields__)
    assert not own & set(TrainConfig.__dataclass_fields__)
    assert all(getattr(config, key) == value for key, value in RECIPES.get(name, {}).items())


def test_options_go_to_detector_and_training() -> None:
    options, config = settle("bafenet", parse_options(("depth=18", "lr=2e-3", "zoom=(0.5, 2)")))
    assert options == {"depth": 18}
    assert (config.lr, config.zoom, config.batch) == (2e-3, (0.5, 2), 2)


def test_an_unknown_option_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'dept'.*of bafenet: depth.*of the training: epochs"):
        settle("bafenet", {"dept": 18})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zoom": (2.0, 1.0)}, "TrainConfig.zoom must be"),
        ({"milestones": (0.5, 1.5)}, "TrainConfig.milestones must be"),
        ({"epochs": 0}, "TrainConfig.epochs must be a whole number in .1, 100000., got 0"),
        ({"augment": "mosaic"}, "TrainConfig.augment must be one of 'none', 'bag-cp'"),
        ({"select_by": "iou"}, "ap or f1 for a detector of boxes"),
    ],
)
def test_a_bad_value_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settle("bafenet", options)


def test_options_are_written_key_equals_value() -> None:
    assert parse_options(("a-b=true", "c=none", "d=C2")) == {"a_b": True, "c": None, "d": "C2"}
    with pytest.raises(ConfigError, match="key=value, got 'lr'"):
        parse_options(("lr",))

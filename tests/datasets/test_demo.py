"""The demo set is drawn alike every time, knows its sky and targets, and covers what it should."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from densesirst_gen.datasets.demo import KINDS, N_DEMO_SCENES, demo_names, demo_scene, demo_splits
from densesirst_gen.datasets.demo.canvas import Canvas, strokes
from densesirst_gen.datasets.demo.fields import fractal
from densesirst_gen.datasets.demo.targets import add_targets
from densesirst_gen.datasets.demo.terrain import Layer, bare_trees, city, masts, pylons, roof, wires
from densesirst_gen.scene.annotate import EIGHT, annotate, label_mask
from densesirst_gen.scene.scene import Scene

EVERY = range(N_DEMO_SCENES)


@cache
def scene_of(index: int, seed: int = 0) -> Scene:
    return demo_scene(index, seed)


def gray(scene: Scene) -> np.ndarray:
    black, white = scene.levels
    return (scene.image.astype(float) - black) * 255 / (white - black)


def indices(titled: str) -> list[int]:
    return [i for i in EVERY if titled in KINDS[i].title]


@pytest.mark.parametrize("index", [0, 10, 14, 24])
def test_same_seed_same_scene(index: int) -> None:
    first, again = scene_of(index), demo_scene(index)
    assert first.name == again.name
    for field in ("image", "labels", "sky"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))


@pytest.mark.parametrize("index", [0, 3, 4, 19])
def test_other_seed_other_image(index: int) -> None:
    a, b = scene_of(index), scene_of(index, seed=1)
    assert a.name == b.name
    assert (a.image != b.image).mean() > 0.5


def test_set_goes_on_beyond_the_table() -> None:
    later = demo_scene(N_DEMO_SCENES)
    assert later.name == demo_names(N_DEMO_SCENES + 1)[-1] != scene_of(0).name
    assert (later.image != scene_of(0).image).any()


@pytest.mark.parametrize(("index", "seed"), [(-1, 0), (0, -1)])
def test_negative_index_or_seed(index: int, seed: int) -> None:
    with pytest.raises(ValueError, match=f"got {index} and {seed}"):
        demo_scene(index, seed)


def test_names() -> None:
    names = demo_names()
    assert len(set(names)) == len(names) == N_DEMO_SCENES
    assert demo_names(0) == []


def test_splits_partition_the_names() -> None:
    splits = demo_splits()
    assert sorted(n for part in splits.values() for n in part) == sorted(demo_names())


@pytest.mark.parametrize("index", EVERY)
def test_sky_and_shape(index: int) -> None:
    scene, kind = scene_of(index), KINDS[index]
    assert scene.name == demo_names()[index]
    assert scene.shape == kind.shape
    assert scene.image.dtype == kind.depth.dtype
    assert scene.sky is not None
    assert scene.sky.dtype == np.bool_
    assert scene.sky.all() == (not kind.layers)
    assert gray(scene).min() >= 0
    assert gray(scene).max() <= 255.001
    assert 2 < gray(scene).std() < 90


def test_variety() -> None:
    skies = [scene_of(i).sky for i in EVERY]
    assert 0.3 < np.mean([s.all() for s in skies]) < 0.45
    assert sum(not s.any() for s in skies) == len(indices("no_sky")) == 2
    assert len({s.shape for s in skies}) >= 5
    assert {scene_of(i).image.dtype.name for i in EVERY} == {"uint8", "uint16", "float32"}
    with_targets = [scene_of(i).n_targets for i in EVERY if scene_of(i).n_targets]
    assert 0.6 < len(with_targets) / N_DEMO_SCENES < 0.8
    assert max(with_targets) <= 3
    assert sum(with_targets) >= 40
    scenes = {scene_of(i).name: scene_of(i) for i in EVERY}
    for part in demo_splits().values():
        assert any(scenes[n].sky.any() for n in part)
        assert sum(scenes[n].n_targets for n in part) >= 5


WITH_TARGETS = [i for i in EVERY if KINDS[i].targets[0]]


@pytest.mark.parametrize(
    ("index", "seed"), [*((i, 0) for i in WITH_TARGETS), *((i, 1) for i in WITH_TARGETS[::4])]
)
def test_targets(index: int, seed: int) -> None:
    scene = scene_of(index, seed)
    assert 1 <= scene.n_targets <= 3
    np.testing.assert_array_equal(label_mask(scene.labels > 0), scene.labels)
    assert (scene.sky[scene.labels > 0] != KINDS[index].boats).all()
    boxes = annotate(scene.labels).boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.min() >= 1
    assert sides.max() <= 10
    for k, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        window = slice(max(0, y0 - 7), y1 + 7), slice(max(0, x0 - 7), x1 + 7)
        values, labels = gray(scene)[window], scene.labels[window]
        near = ndimage.binary_dilation(labels == k, EIGHT, iterations=3)
        assert set(labels[near].tolist()) <= {0, k}, "another target within 3 pixels"
        ring = ndimage.binary_dilation(near, EIGHT, iterations=2) & ~near
        assert values[labels == k].mean() > values[ring].mean() + 3


def test_horizon_glows_and_ground_is_warm() -> None:
    scene = scene_of(indices("hills")[0])
    rows = gray(scene)[: scene.shape[0] // 2].mean(axis=1)
    assert rows[-10:].mean() > rows[:10].mean() + 2
    assert gray(scene)[~scene.sky].mean() > gray(scene)[scene.sky].mean() + 10


def test_thin_things_are_not_sky() -> None:
    sky = scene_of(indices("wires")[0]).sky
    thickness = ndimage.distance_transform_cdt(~sky, metric="chessboard")
    upper = thickness[: sky.shape[0] // 2]
    assert upper.any(), "the wires are missing"
    assert upper.max() <= 2
    assert (upper > 0).any(axis=0).all(), "a wire crosses every column"


def test_fractal_is_standardised_and_stretched() -> None:
    field = fractal(np.random.default_rng(0), (97, 130), (8, 32))
    assert field.shape == (97, 130)
    assert field.mean() == pytest.approx(0, abs=1e-9)
    assert field.std() == pytest.approx(1)
    assert np.abs(np.diff(field, axis=0)).mean() > 2 * np.abs(np.diff(field, axis=1)).mean()


def test_stroke_covers_its_area() -> None:
    cover = strokes((20, 40), [(5, 10, 30, 10, 1.0), (-50, -50, -40, -40, 3.0)])
    assert cover[10, 5:31].min() == pytest.approx(1)
    assert cover[8].max() == cover[12].max() == 0
    assert not strokes((4, 4), []).any()


@pytest.mark.parametrize("layer", [bare_trees, city, masts, pylons, roof, wires])
def test_sky_is_what_a_layer_leaves_open(layer: Layer) -> None:
    before = Canvas(np.zeros((96, 135)), np.ones((96, 135)), 70.0, 100.0)
    after = layer(np.random.default_rng(3), before)
    assert not before.radiance.any()
    assert before.sky.all(), "the input is left alone"
    assert 0 < after.sky.mean() < 1
    assert (after.radiance[after.open == 1] == 0).all()
    assert after.radiance[after.sky].max() <= 100 * 1.3 / 3
    assert after.radiance[~after.sky].min() >= 100 * 0.2 / 3


def test_layers_add_up() -> None:
    canvas = Canvas(np.zeros((4, 4)), np.ones((4, 4)), 4.0, 100.0)
    once = canvas.paint(np.full((4, 4), 0.3), 100.0)
    assert once.sky.all()
    assert not once.paint(np.full((4, 4), 0.3), 100.0).sky.any()


def test_no_room_no_target() -> None:
    flat, nowhere = np.zeros((40, 40)), np.zeros((40, 40), bool)
    picture, mask = add_targets(np.random.default_rng(0), flat, nowhere, 3, (10, 20))
    assert not picture.any()
    assert not mask.any()

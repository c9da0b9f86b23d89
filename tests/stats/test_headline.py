import numpy as np
import pytest
from scenes import random_scenes

from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.headline import (
    BRIGHTNESS_EDGES,
    distributions,
    headline,
    most_frequent_size,
    pooled_gray,
    shares,
)
from densesirst_gen.stats.rows import GROUP, SCENE, SKY_GRID, TARGET
from densesirst_gen.stats.tables import collect_stats, dataset_stats, scene_stats


def targets_of(*sizes: tuple[int, int]) -> np.ndarray:
    rows = np.zeros(len(sizes), TARGET)
    rows["width"], rows["height"] = np.array(sizes).reshape(-1, 2).T
    return rows


def test_most_frequent_size():
    assert most_frequent_size(targets_of((3, 2), (2, 3), (3, 2))) == (3, 2, 2 / 3)
    assert most_frequent_size(targets_of((3, 2), (2, 3))) == (2, 3, 0.5)
    assert most_frequent_size(targets_of()) == (0, 0, 0.0)


def test_pooled_gray_is_that_of_all_pixels():
    rng = np.random.default_rng(0)
    images = [rng.integers(low, 256, (20 + low, 30)).astype(np.uint8) for low in (0, 50, 200)]
    labels = [np.zeros(image.shape, np.int32) for image in images]
    stats = dataset_stats(Scene("x", *pair) for pair in zip(images, labels, strict=True))
    pixels = np.concatenate([image.ravel() for image in images]).astype(float)
    assert pooled_gray(stats.scenes) == pytest.approx((pixels.mean(), pixels.std()))
    assert pooled_gray(np.zeros(0, SCENE)) == (0.0, 0.0)


def test_gray_levels_do_not_depend_on_the_bit_depth():
    image = np.random.default_rng(0).integers(0, 256, (20, 30))
    labels = np.zeros(image.shape, np.int32)
    deep = Scene("deep", (image * 257).astype(np.uint16), labels)
    flat = Scene("flat", image.astype(np.uint8), labels)
    levels = [
        dataset_stats([s]).scenes[["gray_mean", "gray_std"]][0].tolist() for s in (deep, flat)
    ]
    assert levels[0] == pytest.approx(levels[1])


def test_shares_put_everything_into_a_bin():
    found = shares(np.array([-1.0, 0.0, 0.04, 0.05, 1.0, 7.0]), BRIGHTNESS_EDGES)
    assert found[[0, 1, 19]] == pytest.approx([3 / 6, 1 / 6, 2 / 6])
    assert found.sum() == pytest.approx(1)
    assert shares(np.zeros(0), BRIGHTNESS_EDGES).tolist() == [0.0] * 20


def test_distributions_have_their_edges():
    found = distributions(dataset_stats(random_scenes(0, 4)).targets)
    assert set(found) == {"brightness_rank", "local_contrast"}
    for bins in found.values():
        assert len(bins["edges"]) == len(bins["shares"]) + 1 == 21
        assert sum(bins["shares"]) == pytest.approx(1)


def test_nothing_gives_zeros():
    empty = headline(np.zeros(0, TARGET), np.zeros(0, GROUP), np.zeros(0, SCENE))
    assert set(empty.values()) == {0}
    assert empty.keys() == dataset_stats(random_scenes(0, 1)).summary().keys()


def test_sky_map_is_the_mean_over_scenes_with_a_mask():
    image, labels = np.zeros((48, 64), np.uint8), np.zeros((48, 64), np.int32)
    upper, left = np.zeros((2, *image.shape), bool)
    upper[:24], left[:, :32] = True, True
    scenes = [Scene("a", image, labels, upper), Scene("b", image, labels, left)]
    found = dataset_stats([*scenes, Scene("c", image, labels)]).sky_map
    assert found.shape == SKY_GRID
    assert found[::12, ::16].tolist() == [[1.0, 0.5], [0.5, 0.0]]
    assert dataset_stats([]).sky_map.max() == 0


def test_sky_map_does_not_depend_on_the_order():
    parts = [scene_stats(scene) for scene in random_scenes(3, 9)]
    assert (collect_stats(parts).sky_map == collect_stats(parts[::-1]).sky_map).all()

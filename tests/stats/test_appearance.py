import numpy as np
import pytest
from scipy import ndimage

from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.appearance import appearance, group_log_std


def square_scene() -> Scene:
    """A 3x3 target of 100 with a peak of 150, a halo of 60, on 50; one pixel of 200 far away."""
    image = np.full((40, 40), 50, np.uint8)
    labels = np.zeros((40, 40), np.int32)
    image[9:14, 9:14] = 60
    image[10:13, 10:13] = 100
    image[11, 11] = 150
    image[35, 35] = 200
    labels[10:13, 10:13] = 1
    return Scene("square", image, labels)


def measured(scene: Scene) -> dict[str, np.ndarray]:
    return appearance(scene, annotate(scene.labels))


def test_golden_values_of_a_square():
    mean, clutter = 950 / 9, np.array([60] * 16 + [50] * 504)
    signal = mean - clutter.mean()
    expected = {
        "peak": 150,
        "mean": mean,
        "saturated": 0,
        "brightness_rank": 1 / 1600,
        "local_contrast": 1.5,
        "scr": signal / clutter.std(),
        "log_scr": np.log(1 + signal / (clutter.std() + 1)),
        "peak_increment": 100,
        "profile_mean_over_max": (mean - 50) / 100,
        "halo_ratio": 0.1,
        "asymmetry": 0,
    }
    result = measured(square_scene())
    assert list(result) == list(expected)
    for name, value in expected.items():
        assert result[name] == pytest.approx([value]), name


def test_scr_takes_the_clutter_as_one_gray_level_at_least():
    scene = square_scene()
    scene.image[scene.labels == 0] = 50
    assert measured(scene)["scr"] == pytest.approx([950 / 9 - 50])


def test_local_contrast_counts_the_nearest_pixel_beyond_the_border():
    image = np.full((5, 5), 20, np.uint8)
    image[0, 0] = 90
    labels = (image == 90).astype(np.int32)
    assert measured(Scene("corner", image, labels))["local_contrast"] == pytest.approx(
        [90 / ((3 * 90 + 5 * 20) / 8)]
    )


@pytest.mark.parametrize(("row", "col", "expected"), [(12, 12, 1), (10, 10, -1), (10, 12, 0)])
def test_asymmetry_points_to_the_lower_right(row, col, expected):
    scene = square_scene()
    scene.image[scene.labels == 1] = 50
    scene.image[row, col] = 90
    assert measured(scene)["asymmetry"] == pytest.approx([expected])


def test_saturated_is_the_white_of_the_sensor():
    scene = square_scene()
    scene.image[11, 11] = 255
    assert measured(scene)["saturated"].tolist() == [True]
    wide = Scene("wide", scene.image, scene.labels, span=(0.0, 511.0))
    assert measured(wide)["saturated"].tolist() == [False]
    raw = scene.image.astype(np.float32)
    assert measured(Scene("raw", raw, scene.labels))["saturated"].tolist() == [False]
    clipped = Scene("clipped", raw, scene.labels, span=(0.0, 255.0))
    assert measured(clipped)["saturated"].tolist() == [True]


def noise_scene(dtype: type = np.uint8) -> Scene:
    rng = np.random.default_rng(5)
    labels = label_mask(ndimage.binary_dilation(rng.random((70, 90)) < 0.008, iterations=1))
    return Scene("noise", rng.integers(1, 256, labels.shape).astype(dtype), labels)


def test_many_targets_at_once_are_measured_as_one_by_one():
    scene = noise_scene()
    found, image = annotate(scene.labels), scene.image.astype(float)
    ground = ndimage.grey_dilation(scene.labels, (3, 3)) == 0
    around = ndimage.convolve(image, np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]) / 8)
    result = measured(scene)
    for k, (x0, y0, x1, y1) in enumerate(found.boxes):
        own = scene.labels == k + 1
        near = np.s_[max(y0 - 5, 0) : y1 + 5, max(x0 - 5, 0) : x1 + 5]
        wide = np.s_[max(y0 - 10, 0) : y1 + 10, max(x0 - 10, 0) : x1 + 10]
        background = np.median(image[near][ground[near]])
        clutter = image[wide][scene.labels[wide] == 0]
        ring = ndimage.binary_dilation(own, np.ones((3, 3))) & (scene.labels == 0)
        peak, mean = image[own].max(), image[own].mean()
        height = max(peak - background, 1)
        expected = {
            "peak_increment": peak - background,
            "brightness_rank": (image > peak).mean(),
            "local_contrast": peak / around[y0:y1, x0:x1].max(),
            "scr": abs(mean - clutter.mean()) / clutter.std(),
            "profile_mean_over_max": (mean - background) / height,
            "halo_ratio": (image[ring].mean() - background) / height,
        }
        for name, value in expected.items():
            assert result[name][k] == pytest.approx(value), name


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [(np.uint16, 257.0, 0.0), (np.uint16, 16.0, 1000.0), (np.float32, 0.1, -20.0)],
)
def test_other_depths_give_the_same_numbers(dtype, scale, offset):
    scene = noise_scene()
    image = (scene.image * scale + offset).astype(dtype)
    deep = Scene("deep", image, scene.labels, span=(offset, 255 * scale + offset))
    for name, value in measured(scene).items():
        assert measured(deep)[name] == pytest.approx(value, abs=1e-4), name


def test_translation_and_the_order_of_labels_do_not_matter():
    scene = square_scene()
    moved = Scene(
        "moved", np.roll(scene.image, (6, 3), (0, 1)), np.roll(scene.labels, (6, 3), (0, 1))
    )
    noise = noise_scene()
    n = noise.n_targets
    turned = Scene("turned", noise.image, np.where(noise.labels, n + 1 - noise.labels, 0))
    for name, value in measured(scene).items():
        assert measured(moved)[name] == pytest.approx(value), name
        assert measured(turned)[name][::-1] == pytest.approx(measured(noise)[name]), name


@pytest.mark.parametrize("value", [0, 50, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_target_that_fills_a_flat_image(value, shape, dtype):
    result = measured(Scene("flat", np.full(shape, value, dtype), np.ones(shape, np.int32)))
    for name in ("brightness_rank", "scr", "log_scr", "peak_increment", "halo_ratio", "asymmetry"):
        assert result[name].tolist() == [0.0], name
    assert all(np.isfinite(values).all() for values in result.values())


def test_group_log_std_is_of_the_ground_around_the_group():
    scene = square_scene()
    box = np.array([[10, 10, 13, 13]])
    scene.image[8, 8:15] = 70
    ground = np.array([70] * 7 + [50] * 17)
    assert group_log_std(scene, box) == pytest.approx(np.log(ground.std() + 0.5))
    full = Scene("full", np.full((4, 4), 9, np.uint8), np.ones((4, 4), np.int32))
    assert group_log_std(full, np.array([[0, 0, 4, 4]])) == pytest.approx(np.log(0.5))

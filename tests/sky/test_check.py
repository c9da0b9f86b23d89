"""Sky masks that are of another size, no masks, flipped or shifted are found; others are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from densesirst_gen.files.images.codec import read_image, read_mask
from densesirst_gen.sky.check import REACH_PX, SkyDoubt, check_sky

SHAPE = (240, 320)


def ragged_sky(shape: tuple[int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """Sky above a ragged horizon that differs on its two sides, with a mast."""
    rng = np.random.default_rng(seed)
    horizon = shape[0] / 3 + np.linspace(-30, 30, shape[1])
    horizon += ndimage.gaussian_filter1d(rng.normal(0, 60, shape[1]), 8)
    sky = np.arange(shape[0])[:, None] < horizon
    sky[40:, shape[1] // 5 : shape[1] // 5 + 5] = False
    return sky


def image_of(sky: np.ndarray, *, sky_level: float = 60, ground_level: float = 110) -> np.ndarray:
    rng = np.random.default_rng(1)
    texture = ndimage.gaussian_filter(rng.normal(0, 30, sky.shape), 3)
    image = np.where(sky, sky_level, ground_level + texture) + rng.normal(0, 2, sky.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


SKY = ragged_sky()
IMAGE = image_of(SKY)


def kinds(image: np.ndarray, sky: np.ndarray) -> list[str]:
    return [doubt.kind for doubt in check_sky(image, sky)]


def moved(sky: np.ndarray, x: int, y: int) -> np.ndarray:
    """The mask moved, its border pixels repeated."""
    rows, cols = (np.arange(side) for side in sky.shape)
    height, width = sky.shape
    return sky[np.clip(rows - y, 0, height - 1)][:, np.clip(cols - x, 0, width - 1)]


# ---------------------------------------------------------------- size and values


def test_another_size_is_a_fault_and_told_alone() -> None:
    (doubt,) = check_sky(IMAGE, SKY[:, :-1])
    assert doubt == SkyDoubt("size", "the mask is (240, 319), the image (240, 320)")
    assert doubt.is_fault


def test_colour_mask_is_of_another_size() -> None:
    assert kinds(IMAGE, np.zeros((*SHAPE, 3), np.uint8)) == ["size"]


@pytest.mark.parametrize("white", [1, 255])
def test_masks_of_two_values_are_fine(white: int) -> None:
    assert check_sky(IMAGE, SKY.astype(np.uint8) * np.uint8(white)) == []


def test_other_values_are_listed_with_their_number() -> None:
    mask = SKY.astype(np.uint8) * 255
    mask[0, :3] = 7, 7, 200
    (doubt,) = check_sky(IMAGE, mask)
    assert doubt.kind == "values"
    assert "3 pixels are not, such as 7, 200" in doubt.text
    assert doubt.is_fault


def test_a_mask_of_one_other_value_is_no_mask() -> None:
    assert "values" in kinds(IMAGE, SKY.astype(np.uint8) * 128)


@pytest.mark.parametrize(("value", "kind"), [(0, "empty"), (1, "full"), (255, "full")])
def test_empty_and_full_are_notes_and_no_faults(value: int, kind: str) -> None:
    (doubt,) = check_sky(IMAGE, np.full(SHAPE, value, np.uint8))
    assert (doubt.kind, doubt.is_fault) == (kind, False)


@pytest.mark.parametrize("shape", [(0, 4), (4,), (4, 4, 3)])
def test_what_is_no_gray_image_raises(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"image must be \(H, W\) and not empty"):
        check_sky(np.zeros(shape, np.uint8), np.zeros(shape, bool))


# ---------------------------------------------------------------- flipped and shifted


@pytest.mark.parametrize("seed", range(5))
def test_a_mask_in_its_place_is_fine(seed: int) -> None:
    sky = ragged_sky(seed=seed)
    assert check_sky(image_of(sky), sky) == []


@pytest.mark.parametrize(
    ("flip", "words"),
    [
        (np.s_[:, ::-1], "flipped left to right"),
        (np.s_[::-1], "flipped upside down"),
        (np.s_[::-1, ::-1], "turned by 180 degrees"),
    ],
)
# row 35
def test_flipped_masks_are_found(flip: tuple[slice, ...], words: str) -> None:
    (doubt,) = check_sky(IMAGE, SKY[flip])
    assert doubt.kind == "flipped"
    assert words in doubt.text


@pytest.mark.parametrize("x_y", [(0, 12), (0, -16), (32, 0), (-24, 8), (16, -32)])
def test_shifted_masks_are_found_with_the_way_back(x_y: tuple[int, int]) -> None:
    (doubt,) = check_sky(IMAGE, moved(SKY, *x_y))
    assert doubt.kind == "shifted"
    assert f"moved by {-x_y[0]:+d} px in x, {-x_y[1]:+d} px in y" in doubt.text


def test_shift_of_a_large_image_is_told_in_its_own_pixels() -> None:
    sky = ragged_sky((960, 1280))
    (doubt,) = check_sky(image_of(sky), moved(sky, 0, 24))
    assert doubt.kind == "shifted"
    assert "+0 px in x, -24 px in y" in doubt.text


def test_a_shift_along_a_straight_horizon_cannot_be_seen() -> None:
    sky = np.arange(SHAPE[0])[:, None] < np.full(SHAPE[1], 80)
    assert check_sky(image_of(sky), moved(sky, REACH_PX, 0)) == []


@pytest.mark.parametrize("levels", [(60, 110), (150, 90)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_neither_polarity_nor_depth_matters(levels: tuple[int, int], dtype: type) -> None:
    sky_level, ground_level = levels
    unit = {np.uint8: 1, np.uint16: 50, np.float32: 1e-3}[dtype]
    image = image_of(SKY, sky_level=sky_level, ground_level=ground_level).astype(dtype)
    image = image * np.dtype(dtype).type(unit)
    assert check_sky(image, SKY) == []
    assert kinds(image, SKY[::-1]) == ["flipped"]


def test_pixels_that_are_not_finite_do_no_harm() -> None:
    image = IMAGE.astype(np.float32)
    image[100, 100:110] = np.nan
    image[5, 5] = np.inf
    assert check_sky(image, SKY) == []


def test_an_image_without_edges_says_nothing() -> None:
    assert check_sky(np.full(SHAPE, 9, np.uint8), SKY) == []


@settings(max_examples=40)
@given(
    st.data(), hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), st.sampled_from([1, 128, 255])
)
def test_tiny_images_never_fail(data: st.DataObject, shape: tuple, white: int) -> None:
    image = data.draw(hnp.arrays(np.uint8, shape))
    sky = data.draw(hnp.arrays(np.bool_, shape))
    before = image.copy(), sky.copy()
    found = kinds(image, sky.astype(np.uint8) * np.uint8(white))
    assert set(found) <= {"values", "empty", "full", "flipped", "shifted"}
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(sky, before[1])


# ---------------------------------------------------------------- real masks


def test_real_masks_pass_and_flipped_ones_do_not(real_data: Path) -> None:
    alarms = found = mixed = 0
    for path in sorted((real_data / "sirstv2" / "mixed").glob("*.png"))[::16]:
        image = read_image(path).array
        mask_path = real_data / "densesirst/SkySeg/BinaryMask" / f"{path.stem}_pixels0.png"
        sky = read_mask(mask_path, sparse=False).array
        alarms += any(doubt.is_fault for doubt in check_sky(image, sky))
        if 0.02 < sky.mean() < 0.98:
            mixed += 1
            found += bool(check_sky(image, sky[::-1]))
    assert alarms <= 1
    assert found > 0.75 * mixed

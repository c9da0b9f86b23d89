"""What counts mean: laws of span, reach and no-data (rows 112 to 117, 123)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densesirst_gen.scene.counts import Counts, absent_values, counts_of, look
from densesirst_gen.scene.scene import Scene, SceneError, is_void


def gray(seed: int = 0, low: int = 0, high: int = 255) -> np.ndarray:
    """A smooth 8-bit image that fills low to high."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(low, high, 64)[:, None] + rng.normal(0, 3, (64, 64))
    return ramp.clip(low, high).round().astype(np.uint8)


def counts(*images: np.ndarray) -> Counts:
    looks = [seen for image in images if (seen := look(image)) is not None]
    return counts_of(looks)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
# row 115
def test_a_depth_in_full_use_is_taken_as_it_is(bits: int) -> None:
    image = gray().astype(np.uint16) * ((2**bits - 1) // 255)
    assert counts(image) == Counts((0, 2**bits - 1), 1.0, (), f"{bits} bits")


def test_8_bit_images_keep_black_and_white_and_tell_their_range() -> None:
    found = counts(gray(0, 100, 140), gray(1, 110, 150))
    assert found.span == (0, 255)
    assert found.reach == pytest.approx(50 / 255 / 0.9, abs=0.01)


@given(
    offset=st.integers(3000, 50_000),
    gain=st.integers(1, 4),
    seed=st.integers(0, 9),
    other=st.tuples(st.integers(3000, 50_000), st.integers(1, 4)),
)
# row 112
def test_narrow_counts_mean_the_same_whatever_their_offset_and_gain(
    offset: int, gain: int, seed: int, other: tuple[int, int]
) -> None:
    image = gray(seed).astype(np.uint16)
    a, b = counts(offset + gain * image), counts(other[0] + other[1] * image)
    assert a.basis == b.basis == "their own range"
    for found, (start, step) in ((a, (offset, gain)), (b, other)):
        black, white = found.span
        assert (black - start) / step == pytest.approx(-1, abs=0.02)
        assert (white - start) / step == pytest.approx(256, abs=0.02)
    assert a.reach == b.reach


@pytest.mark.parametrize("value", [0, 65535])
# row 114
def test_no_single_pixel_decides(value: int) -> None:
    image = gray().astype(np.uint16) * 40 + 2000
    dead = image.copy()
    dead[5, 5] = dead[40, 3] = value
    assert counts(dead).span == counts(image).span


# row 113
def test_a_frame_and_its_neighbour_have_one_span() -> None:
    """4090 and 4100 counts are not 12 and 14 bits."""
    a, b = gray(0).astype(np.uint16) * 10 + 500, gray(1).astype(np.uint16) * 10 + 500
    a[3, 5], b[3, 5] = 4090, 4100
    assert counts(a).span == counts(b).span == counts(a, b).span


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (-9999, np.float32),
        (-32768, np.float32),
        (np.finfo(np.float32).max, np.float32),
        (np.finfo(np.float32).min, np.float32),
        (0, np.uint16),
        (65535, np.uint16),
    ],
)
# row 114
def test_values_that_plainly_mean_no_data(value: float, dtype: type) -> None:
    image = (gray() * np.float32(2) + 7200).astype(dtype)
    whole = counts(image)
    image[:3] = value
    assert absent_values(image) == (float(np.dtype(dtype).type(value)),)
    found = counts(image)
    assert found.nodata == absent_values(image)
    assert found.span == pytest.approx(whole.span, rel=0.01)
    void = is_void(image, found.nodata)
    assert void is not None
    assert void[:3].all()
    assert not void[3:].any()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_dark_image_has_data_everywhere(dtype: type) -> None:
    assert absent_values((gray() * 40.0).astype(dtype)) == ()


def test_values_of_8_bits_mean_no_data_only_if_they_are_said_to() -> None:
    image = gray(0, 100, 200)
    image[:3] = 0
    assert absent_values(image) == ()
    seen = look(image, [0])
    assert seen is not None
    assert seen.low >= 100


def test_an_image_without_data_says_nothing() -> None:
    assert look(np.full((8, 8), np.nan, np.float32)) is None
    with pytest.raises(SceneError, match="no pixel of the image holds data"):
        Scene("a", gray()[:8, :8], np.zeros((8, 8), np.int32), void=np.ones((8, 8), bool))


# row 114
def test_nan_is_refused_unless_it_means_no_data() -> None:
    image = np.ones((8, 8), np.float32)
    image[0, 0] = np.nan
    labels = np.zeros((8, 8), np.int32)
    with pytest.raises(SceneError, match="--nodata nan"):
        Scene("a", image, labels)
    scene = Scene("a", image, labels, void=is_void(image, [np.nan]))
    assert scene.levels == (1, 2)
    assert np.isfinite(scene.filled).all()


def test_plain_values_and_back() -> None:
    found = Counts((-20.5, 40), 0.25, (np.nan, -9999.0), "their own range")
    again = Counts.from_dict(found.to_dict())
    assert again.to_dict() == found.to_dict()
    for broken in ({}, {"span": [1, 0], "reach": 1, "nodata": []}, {"span": "x", "reach": 1}):
        with pytest.raises(ValueError, match=r"no counts of a camera|could not convert"):
            Counts.from_dict(broken)

"""What lies apart in an image."""

from __future__ import annotations

import numpy as np
import pytest

from densesirst_gen.scene.aloof import aloof


def image() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.rint(rng.normal(7000, 20, (64, 64))).astype(np.uint16)


def test_both_ends_may_lie_apart() -> None:
    values = image()
    values[:4], values[30:33, :30] = 5, 16383
    found = aloof(values)
    assert found is not None
    assert found.values == (5, 16383)
    assert 6900 < found.rest.low < found.rest.high < 7100
    assert found.where.startswith("what is 5 (6.2% of the pixels) and what is 16,383")


@pytest.mark.parametrize("nodata", [(), (16383,)])
def test_what_means_no_data_does_not_lie_apart(nodata: tuple[float, ...]) -> None:
    values = image()
    values[:4] = 16383
    assert (aloof(values, nodata) is None) == bool(nodata)


def test_few_pixels_blank_images_and_two_values_do_not_count() -> None:
    few = image()
    few[10:12, 10:14] = 16383
    halves = np.where(np.arange(64) < 32, 10, 200).astype(np.uint8)
    for values in (few, image(), np.zeros((64, 64), np.float32), np.tile(halves, (64, 1))):
        assert aloof(values) is None
    assert aloof(np.full((8, 8), np.nan, np.float32)) is None


def test_the_last_row_may_be_numbers_and_not_finite_values_are_passed_over() -> None:
    values = image().astype(np.float32)
    values[-1] = np.linspace(-30000, 30000, 64)
    values[5, 5] = np.nan
    found = aloof(values)
    assert found is not None
    assert (found.where, found.values) == ("the last row", ())
    assert found.rest.high < 7100

"""Values of floats that plainly mean no data, and those that don't."""

from __future__ import annotations

import numpy as np
import pytest

from densesirst_gen.scene.counts import absent_values


def degrees(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 96 * 96).reshape(96, 96).astype(np.float32)


@pytest.mark.parametrize(
    ("low", "high", "value"), [(290, 310, 0.0), (-13, -3, -273.15), (20, 40, -999.0), (20, 28, 0.0)]
)
def test_rows_far_from_all_else_are_no_data(low: float, high: float, value: float) -> None:
    image = degrees(low, high)
    image[:3] = value
    assert absent_values(image) == (value,)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-5, 5), (5, 20), (0, 255)])
def test_zeros_that_may_be_measured_are_data(low: float, high: float) -> None:
    image = degrees(low, high)
    image[:3] = 0
    assert absent_values(image) == ()


def test_a_few_zeros_tell_nothing() -> None:
    image = degrees(290, 310)
    image[0, :8] = 0
    assert absent_values(image) == ()

"""Filters in whole numbers: whatever the order of adding, their sums are the same.

Signals are whole numbers times a step. A filter's weights are whole numbers times a power of two,
of as many bits as the sums leave: the absolute sum of all its products and its bias stays below
2^24 of these, so that float32 holds each partial sum exactly. Then neither the order of adding nor
fused multiplication nor the processor changes a bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EXACT = 2**24
"""Up to it float32 holds every whole number."""
FINEST = 20
"""Weights have at most so many bits behind the point."""


class Signal(NamedTuple):
    """What flows between operators: whole numbers from `least` to `most`, times `step`."""

    name: str
    step: float
    least: int
    most: int

    @property
    def reach(self) -> int:
        """The largest absolute value."""
        return max(-self.least, self.most)


def whole_filters(
    weight: np.ndarray, bias: np.ndarray, inside: Signal, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """The filters that make signals of a step of signals of another; rounding down rounds.

    Parameters
    ----------
    weight : ndarray, (out, in, height, width), real
    bias : ndarray, (out,), real
    inside : Signal
    step : float
        Of what comes out.

    Returns
    -------
    weight, bias : ndarray, float32
        Each filter's are multiples of one power of two. The bias has the half that turns rounding
        down into rounding.
    """
    filters = weight.astype(np.float64) * (inside.step / step)
    offset = bias.astype(np.float64) / step + 0.5
    bits = _bits(filters, offset, inside.reach)
    by_filter = bits[:, None, None, None]
    whole = np.ldexp(np.rint(np.ldexp(filters, by_filter)), -by_filter)
    return whole.astype(np.float32), np.ldexp(np.rint(np.ldexp(offset, bits)), -bits).astype(
        np.float32
    )


def _bits(filters: np.ndarray, offset: np.ndarray, reach: int) -> np.ndarray:
    """(out,): bits behind the point for which no sum comes to 2^24 of the last of them."""
    rounding = reach * filters[0].size / 2 + 1
    largest = reach * _absolute_sums(filters) + np.abs(offset)
    _, exponent = np.frexp((EXACT - rounding) / np.maximum(largest, 0.5))
    return np.minimum(exponent - 1, FINEST)


def _absolute_sums(filters: np.ndarray) -> np.ndarray:
    """(out,): added as whole numbers, that no order of adding changes it; seldom below the sum."""
    absolute = np.abs(filters).reshape(len(filters), -1)
    unit = np.maximum(absolute.max(axis=1), np.finfo(np.float32).tiny) / EXACT
    return np.ceil(absolute / unit[:, None]).sum(axis=1) * unit

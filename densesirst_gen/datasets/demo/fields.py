"""Random fields for the demo scenes: fractal noise and the skies made of it.

A cloud function takes a generator and a shape and returns float64 of about 0 (open sky) to 1
(thick cloud). Only sums, products and interpolation decide pixels, all in float64, so that the
same seed gives the same field everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

Clouds = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cell: tuple[float, float],
    gain: float = 0.5,
) -> np.ndarray:
    """Multi-octave noise with zero mean and unit standard deviation.

    A coarse grid of normal numbers is doubled again and again by B-spline subdivision; noise
    `gain` times weaker joins after each doubling. All octaves share the cost of the last one.

    Parameters
    ----------
    rng : Generator
    shape : (int, int)
        (H, W) of the field.
    cell : (float, float)
        (rows, cols) of the largest features in pixels, rounded to powers of two. Unequal cells
        stretch every octave alike; a cell of 1 leaves its axis rough.
    gain : float
        Amplitude of an octave relative to the coarser one: 0.4 is smooth, 0.7 is rough.

    Returns
    -------
    ndarray, (H, W), float64
    """
    doublings = [max(0, round(float(np.log2(c)))) for c in cell]
    grid = rng.standard_normal(
        [(n - 1 >> d) + 4 if d else n for n, d in zip(shape, doublings, strict=True)]
    )
    octaves = min((d for d in doublings if d), default=0)
    for k in range(max(doublings)):
        for axis in range(2):
            if k < doublings[axis]:
                grid = _double(grid, axis, (shape[axis] - 1 >> doublings[axis] - k - 1) + 4)
        if k < octaves:
            grid += gain ** (k + 1) * rng.standard_normal(grid.shape)
    field = grid[: shape[0], : shape[1]]
    return (field - field.mean()) / (field.std() + 1e-12)


def _double(grid: np.ndarray, axis: int, n: int) -> np.ndarray:
    """Cubic B-spline subdivision along one axis, the first `n` samples."""
    a = np.moveaxis(grid, axis, 0)
    fine = np.empty((2 * len(a) - 3, *a.shape[1:]))
    fine[0::2] = (a[:-1] + a[1:]) / 2
    fine[1::2] = (a[:-2] + 6 * a[1:-1] + a[2:]) / 8
    return np.moveaxis(fine[:n], 0, axis)


def warp(field: np.ndarray, by: np.ndarray, slope: float = 0.0) -> np.ndarray:
    """Shift every pixel of a field by `by` pixels along rows and columns, and shear its rows.

    Parameters
    ----------
    field, by : ndarray, (H, W), float64
    slope : float
        Rows per column: tilts horizontal streaks.
    """
    rows, cols = np.ogrid[: field.shape[0], : field.shape[1]]
    at = np.stack([rows + by + slope * (cols - cols.size / 2), cols - by])
    return ndimage.map_coordinates(field, at, order=1, mode="mirror")


def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def clear(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Hardly more than nothing: broad, faint patches."""
    return 0.06 * fractal(rng, shape, (shape[0] / 2, shape[1] / 2), gain=0.45)


def haze(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Soft horizontal layers of low contrast."""
    layers = fractal(rng, shape, (shape[0] / 3, shape[1] / 1.5), gain=0.4)
    return 0.3 + 0.18 * layers


def cirrus(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Thin tilted streaks, frayed by a warp."""
    streaks = fractal(rng, shape, (shape[0] / 8, shape[1] / 2), gain=0.6)
    fray = fractal(rng, shape, (shape[0] / 3, shape[1] / 3), gain=0.45)
    streaks = warp(streaks, 0.035 * shape[0] * fray, slope=rng.uniform(-0.35, 0.35))
    return ramp(streaks + 0.6 * fray, -0.6, 3.0)


def cumulus(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Heaps with crisp, puffy edges and lit upper sides, denser to one side of the frame."""
    body = fractal(rng, shape, (shape[0] / 2.5, shape[1] / 2), gain=0.55)
    puffs = 1.2 - np.abs(fractal(rng, shape, (shape[0] / 8, shape[0] / 8), gain=0.6))
    slope = np.linspace(-0.6, 0.6, shape[0])[:, None] * rng.choice([-1.0, 1.0])
    thick = body + 0.35 * puffs + slope - rng.uniform(0.3, 0.7)
    lit = ndimage.gaussian_filter(thick, shape[0] / 170)
    relief = np.gradient(lit, axis=0) * shape[0] / 60
    return ramp(thick, 0.0, 0.5) * np.clip(0.5 + 0.2 * thick + 0.5 * relief, 0.15, 1.3)


def overcast(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A closed, torn deck from dark to bright."""
    deck = fractal(rng, shape, (shape[0] / 2, shape[1] / 2), gain=0.58)
    deck = warp(deck, 0.04 * shape[0] * fractal(rng, shape, (shape[0] / 4, shape[1] / 4)))
    return ramp(deck, -2.0, 2.2)

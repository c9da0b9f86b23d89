"""The demo scenes' own targets: where they are, and what each adds to its surroundings."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

REACH = 8  # pixels from a target's centre to the side of the window it is drawn in
EDGE = 0.25  # a target's mask is where it gives more than this share of its peak

# Each shape is a sum of few blobs: (along, across, sigma along, sigma across, height), in units of
# the target's size, on axes turned with the target.
SHAPES: dict[str, tuple[tuple[float, float, float, float, float], ...]] = {
    "point": ((0, 0, 1.0, 1.0, 1.0),),
    "streak": ((0, 0, 1.9, 0.8, 1.0),),
    "aircraft": ((0, 0, 1.9, 0.6, 1.0), (0.3, 0, 0.6, 1.6, 0.7), (-1.8, 0, 0.5, 0.8, 0.5)),
    "drone": ((0, 0, 0.8, 0.8, 1.0), (1.3, 0.2, 0.7, 0.6, 0.6), (-1.3, 0.2, 0.7, 0.6, 0.6)),
    "boat": ((0, 0, 1.8, 0.6, 0.8), (0.2, -0.9, 0.6, 0.8, 1.0)),
}
FLYING = ("point", "point", "streak", "aircraft", "drone")
SMALLEST = 0.6  # sigma in pixels: below it the optics would not pass it


def add_targets(
    rng: np.random.Generator,
    radiance: np.ndarray,
    room: np.ndarray,
    n: int,
    peak: tuple[float, float],
    shapes: tuple[str, ...] = FLYING,
) -> tuple[np.ndarray, np.ndarray]:
    """Put targets on calm spots of a picture, wholly inside `room` and clear of each other.

    Parameters
    ----------
    rng : Generator
    radiance : ndarray, (H, W), float64
        Gray levels behind the optics.
    room : ndarray, (H, W), bool
        Where a target's whole window may lie.
    n : int
        How many are wanted; fewer are placed where there is no room for all.
    peak : (float, float)
        Range of their peaks above the background, drawn log-uniformly.
    shapes : tuple of str
        Keys of `SHAPES` to choose from.

    Returns
    -------
    ndarray, (H, W), float64
        The picture with its targets.
    ndarray, (H, W), bool
        Union of their masks, at least 3 pixels from each other.
    """
    radiance, mask = radiance.copy(), np.zeros(radiance.shape, bool)
    draws = rng.random((n, 5))
    kinds = rng.choice(shapes, n)
    for (row, col), u, kind in zip(_spots(radiance, room, draws[:, 0]), draws, kinds, strict=False):
        window = slice(row - REACH, row + REACH + 1), slice(col - REACH, col + REACH + 1)
        turn = 0.0 if kind == "boat" else np.pi * u[1]
        stamp = _stamp(kind, size=0.65 + 0.75 * u[2] ** 2, turn=turn, shift=u[3] - 0.5)
        radiance[window] += peak[0] * (peak[1] / peak[0]) ** u[4] * stamp
        mask[window] |= stamp > EDGE * stamp.max()
    return radiance, mask


def _spots(radiance: np.ndarray, room: np.ndarray, uniforms: np.ndarray) -> list[tuple[int, int]]:
    """Centres on the calmer half of the free positions, one window and a gap apart."""
    side = 2 * REACH + 1
    free = ndimage.minimum_filter(room.astype(np.uint8), side, mode="constant") > 0
    rough = ndimage.maximum_filter(radiance, 9) - ndimage.minimum_filter(radiance, 9)
    if free.any():
        free &= rough <= np.median(rough[free])
    spots = []
    for u in uniforms:
        where = np.flatnonzero(free)
        if len(where) == 0:
            break
        row, col = divmod(int(where[int(u * len(where))]), room.shape[1])
        spots.append((row, col))
        free[max(0, row - side) : row + side + 1, max(0, col - side) : col + side + 1] = False
    return spots


def _stamp(kind: str, size: float, turn: float, shift: float) -> np.ndarray:
    """What a target of unit peak adds to its window, off the centre pixel by `shift`."""
    y, x = np.ogrid[-REACH : REACH + 1, -REACH : REACH + 1]
    x, y = x - shift, y + shift / 2
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    blobs = [
        height
        * np.exp(-0.5 * ((along - a * size) / max(sa * size, SMALLEST)) ** 2)
        * np.exp(-0.5 * ((across - b * size) / max(sb * size, SMALLEST)) ** 2)
        for a, b, sa, sb, height in SHAPES[kind]
    ]
    return np.maximum.reduce(blobs)

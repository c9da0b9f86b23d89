"""The outline of a mask along the edges of its pixels: as one polygon, exact to the pixel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def outline(mask: np.ndarray) -> np.ndarray:
    """One closed polygon around all pixels of a mask, and around no others.

    Parts that touch at a corner are gone through in turn, and holes and parts that lie apart are
    reached by a way there and back, which encloses nothing.

    Parameters
    ----------
    mask : ndarray, (H, W), bool
        At least one pixel.

    Returns
    -------
    ndarray, (K, 2), float64
        (x, y) in pixel edges; the last is not the first again.

    Raises
    ------
    ValueError
        If no pixel is set.
    """
    rings = _rings(mask)
    if not rings:
        raise ValueError("a mask without pixels has no outline")
    path = rings.pop(0)
    while rings:
        near = [np.abs(path[:, None] - ring[None]).sum(axis=2) for ring in rings]
        nearest = int(np.argmin([distances.min() for distances in near]))
        path = _joined(path, rings.pop(nearest), near[nearest])
    return path


def _rings(mask: np.ndarray) -> list[np.ndarray]:
    """The corners of all borders, outer ones and those of holes."""
    import shapely

    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    rows, cols = np.nonzero(np.diff(padded, axis=1))
    x0, x1, y = cols[::2], cols[1::2], rows[::2]
    parts = shapely.get_parts(shapely.union_all(shapely.box(x0, y, x1, y + 1)))
    borders = shapely.get_rings(parts)
    return [_corners(shapely.get_coordinates(border)[:-1]) for border in borders]


def _corners(ring: np.ndarray) -> np.ndarray:
    """A closed ring of level and upright edges without the points at which it goes straight on."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    return ring[(before[:, 0] == 0) != (after[:, 0] == 0)]


def _joined(path: np.ndarray, ring: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """A path that leaves for a ring where they are nearest, goes round it, and goes on."""
    i, j = np.unravel_index(distances.argmin(), distances.shape)
    way = np.concatenate([path[: i + 1], np.roll(ring, -int(j), axis=0), ring[j : j + 1], path[i:]])
    moves = [True, *((a != b).any() for a, b in pairwise(way))]
    return way[np.array(moves)]

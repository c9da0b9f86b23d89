"""Are predicted boxes off by the pixel that conventions differ in, all in the same way?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from densesirst_gen.detection.metrics import TargetScores, box_centres

OFFSETS = {
    "counted from 1": (1, 1, 1, 1),
    "moved by one pixel": (-1, -1, -1, -1),
    "with the last pixels inside": (0, 0, -1, -1),
    "one pixel too wide and too high": (0, 0, 1, 1),
    "counted from 1, with the last pixels inside": (1, 1, 0, 0),
    "counted from 0 where 1 is meant": (-1, -1, 0, 0),
    "moved by half a pixel": (0.5, 0.5, 0.5, 0.5),
    "moved back by half a pixel": (-0.5, -0.5, -0.5, -0.5),
}
"""What boxes of another convention have more than the true ones: x0, y0, x1, y1, in px."""
NEAR = 0.2
FEWEST = 3


def offset_of(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[str, int] | None:
    """The one of `OFFSETS` that most boxes have, and how many boxes were held against targets.

    Parameters
    ----------
    pairs : iterable of (N, 4) and (M, 4) ndarrays
        Found and true boxes of some images, xyxy.

    Returns
    -------
    (str, int) or None
        None where the boxes are right, or are off in no known way, or are few.
    """
    differences = _differences(pairs)
    for name, offset in OFFSETS.items():
        if _have_most(differences, offset):
            return name, len(differences)
    return None


def shift_of(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[tuple[int, int], int] | None:
    """By how many whole px (x, y) most boxes lie beside their targets, and how many were looked at.

    Parameters
    ----------
    pairs : iterable of (N, 4) and (M, 4) ndarrays
        Found and true boxes of some images, xyxy.

    Returns
    -------
    ((int, int), int) or None
        None where most lie on their targets, or by no whole shift, or are few.
    """
    differences = _differences(pairs)
    centres = (differences[:, :2] + differences[:, 2:]) / 2
    if not len(centres):
        return None
    x, y = (int(value) for value in np.rint(np.median(centres, axis=0)))
    is_off = (x, y) != (0, 0) and _have_most(centres, (x, y))
    return ((x, y), len(centres)) if is_off else None


def _have_most(differences: np.ndarray, offset: tuple[float, ...]) -> bool:
    n = int((np.abs(differences - offset) <= NEAR).all(axis=1).sum())
    return n >= FEWEST and 2 * n > len(differences)


def _differences(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(K, 4) what boxes have more than the targets that they lie on, in all images."""
    parts = [_differences_in(found, truth) for found, truth in pairs]
    return np.concatenate([np.zeros((0, 4)), *parts])


def _differences_in(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The same in one image."""
    taken = TargetScores().match(box_centres(found), box_centres(truth))
    difference: np.ndarray = found[taken[taken >= 0]] - truth[taken >= 0]
    return difference

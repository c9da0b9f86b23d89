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
    parts = [np.zeros((0, 4)), *(_differences(found, truth) for found, truth in pairs)]
    differences = np.concatenate(parts)
    for name, offset in OFFSETS.items():
        n = int((np.abs(differences - offset) <= NEAR).all(axis=1).sum())
        if n >= FEWEST and 2 * n > len(differences):
            return name, len(differences)
    return None


def _differences(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(K, 4) what boxes have more than the targets that they lie on."""
    taken = TargetScores().match(box_centres(found), box_centres(truth))
    difference: np.ndarray = found[taken[taken >= 0]] - truth[taken >= 0]
    return difference

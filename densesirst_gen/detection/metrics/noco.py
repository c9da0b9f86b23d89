"""mNoCoAP (OSCAR): average precision of points, by how well they hit a target's bright middle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from densesirst_gen.detection.metrics.boxes import FoundBoxes, Matches, ranked
from densesirst_gen.detection.metrics.results import Result
from densesirst_gen.detection.metrics.voc import area_ap

NoCoMatches = tuple[Matches, ...]
"""One for each threshold."""

NOCO_THRESHOLDS = tuple(round(0.1 * k, 1) for k in range(1, 10))
CONTRAST_FLOOR = 0.01
SPAN_FLOOR = 0.001


@dataclass(frozen=True, eq=False)
class NoCoResult(Result):
    """Average precision of points in a dataset.

    Parameters
    ----------
    ap : float
        mNoCoAP, the mean of `aps`.
    aps : tuple of float
        At each threshold.
    n_truth, n_found, n_images : int
    """

    ap: float
    aps: tuple[float, ...]
    n_truth: int
    n_found: int
    n_images: int


@dataclass(frozen=True)
class MNoCoAP:
    """Mean average precision over thresholds of the normalised contrast map.

    A point is true at a threshold if the map exceeds it there and the point lies in the box of a
    target that no point of higher score has taken.

    Parameters
    ----------
    thresholds : tuple of float
    """

    thresholds: tuple[float, ...] = NOCO_THRESHOLDS

    def measure(self, image: np.ndarray, found: FoundBoxes, truth: np.ndarray) -> NoCoMatches:
        """One image.

        Parameters
        ----------
        image : ndarray, (H, W), float
            Gray levels, 0..255.
        found : FoundBoxes
            Its `points` are judged.
        truth : ndarray, (M, 4), int
            Boxes of the targets, of the same resolution as the image.

        Returns
        -------
        tuple of Matches
            One for each threshold.
        """
        found = found.where(np.argsort(-found.scores, kind="stable"))
        value, inside = _at_points(noco_map(image, truth), found.points, truth)
        fits = value[:, None] > np.array(self.thresholds)  # (N, T)
        hits = _take(inside, fits)
        return tuple(Matches(found.scores, column, len(truth)) for column in hits.T)

    def result(self, parts: Iterable[NoCoMatches]) -> NoCoResult:
        """The dataset, from the measures of its images."""
        images = list(parts)
        lists = [ranked(part[k] for part in images) for k in range(len(self.thresholds))]
        aps = tuple(area_ap(found) for found in lists)
        one = lists[0]
        mean = float(np.mean(aps))
        return NoCoResult(asdict(self), mean, aps, one.n_truth, one.n_found, one.n_images)


def noco_map(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Normalised contrast: high in the bright middle of targets.

    In a window of three times the box, contrast with the darkest pixel is weighted with a Gaussian
    and scaled to reach from 0 to 1. Where windows overlap, the larger value counts; in a cluster
    the reference code lets one window erase the next.

    Parameters
    ----------
    image : ndarray, (H, W), float
        Gray levels, 0..255.
    boxes : ndarray, (M, 4), int
        Half-open xyxy, inside the image.

    Returns
    -------
    ndarray, (H, W), float64
        From 0 to below 1; 0 outside all windows.
    """
    noco = np.zeros(image.shape)
    for x0, y0, x1, y1 in boxes.tolist():
        columns, across = _axis(x0, x1, image.shape[1])
        rows, down = _axis(y0, y1, image.shape[0])
        part = image[rows, columns].astype(np.float64)
        rise = part - part.min()
        weighted = np.exp(-(down[:, None] ** 2 + across**2) / 2) * rise
        weighted /= image[y0:y1, x0:x1].max() - part.min() + CONTRAST_FLOOR
        weighted -= weighted.min()
        weighted /= weighted.max() + SPAN_FLOOR
        noco[rows, columns] = np.maximum(noco[rows, columns], weighted)
    return noco


def _axis(low: int, high: int, size: int) -> tuple[slice, np.ndarray]:
    """The window along one axis, cut to the image, and its distances from the box's middle."""
    side = high - low
    mesh = np.linspace(-1.5, 1.5, 3 * side)
    start, stop = max(low - side, 0), min(high + side, size)
    return slice(start, stop), mesh[start - low + side : stop - low + side]


def _at_points(
    noco: np.ndarray, points: np.ndarray, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Map values (N,) at the rounded points, and (N, M) in which boxes these lie."""
    whole = np.rint(points).astype(np.int64)
    height, width = noco.shape
    on_image = ((whole >= 0) & (whole < (width, height))).all(axis=1)
    safe = np.where(on_image[:, None], whole, 0)
    value = np.where(on_image, noco[safe[:, 1], safe[:, 0]], 0.0)
    place = whole[:, None]
    return value, ((place >= boxes[:, :2]) & (place < boxes[:, 2:])).all(axis=2)


def _take(inside: np.ndarray, fits: np.ndarray) -> np.ndarray:
    """(N, T) bool: which points, row after row, take a target that is still free."""
    hits = np.zeros(fits.shape, bool)
    free = np.ones((fits.shape[1], inside.shape[1]), bool)
    for n in np.flatnonzero(inside.any(axis=1)):
        open_ = inside[n] & free & fits[n][:, None]  # (T, M)
        hits[n] = open_.any(axis=1)
        t = np.flatnonzero(hits[n])
        free[t, open_[t].argmax(axis=1)] = False
    return hits

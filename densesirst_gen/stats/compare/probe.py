"""Can a classifier tell the clusters of one dataset from those of another by their pixels?

Each target of a cluster is described by its pixels: how its light is spread, where it lies in its
mask, what surrounds it. An additive model (logistic regression on features cut into bins) learns to
tell the two datasets; a cluster's score is the mean of its targets'. Images are kept together, by
name, so no background is on both sides of a fold, even where both datasets have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage, optimize, special

from densesirst_gen.scene.annotate import EIGHT, annotate
from densesirst_gen.scene.density import clusters
from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.compare.held_out import auc, folds, interval

SIDE = 11
N_FOLDS = 5
N_BINS = 10
LEAST_CLUSTERS = 10
RIDGE = 3.0


@dataclass(frozen=True)
class ProbeResult:
    """How well the two datasets can be told apart.

    Parameters
    ----------
    auc : float
        Area under the ROC curve over clusters, held-out images; 0.5 can't tell, 1 always can.
    low, high : float
        95 % interval, by resampling images.
    n_a, n_b : int
        Clusters of each dataset.
    n_images : int
        Names of images, over both.
    """

    auc: float
    low: float
    high: float
    n_a: int
    n_b: int
    n_images: int


@dataclass(frozen=True, eq=False)
class _Side:
    """Features of the targets in clusters: (T, F); cluster of each; image of each cluster."""

    features: np.ndarray
    cluster: np.ndarray
    names: list[str]


def probe(
    a: Iterable[Scene], b: Iterable[Scene], *, seed: int = 0, max_clusters: int = 1000
) -> ProbeResult:
    """Train a classifier to tell clusters of `a` from those of `b`, and say how well it does.

    Parameters
    ----------
    a, b : iterable of Scene
        Gone through once. Clusters are targets linked by centroids less than 10 px apart, two or
        more.
    seed : int
        Of folds and resampling; the result depends on nothing else but the scenes.
    max_clusters : int
        Most clusters of each dataset; more are thinned out at random.

    Returns
    -------
    ProbeResult

    Raises
    ------
    ValueError
        If a dataset has fewer than 10 clusters, or both together fewer than 5 images.
    """
    rng = np.random.default_rng(seed)
    sides = [_thinned(_describe(scenes), max_clusters, rng) for scenes in (a, b)]
    _check(sides)
    features = np.concatenate([side.features for side in sides])
    offset = len(sides[0].names)
    cluster = np.concatenate([sides[0].cluster, sides[1].cluster + offset])
    names = np.array([*sides[0].names, *sides[1].names])
    is_b = np.arange(len(names)) >= offset
    images, image = np.unique(names, return_inverse=True)
    fold = folds(image, N_FOLDS, rng)
    score = _held_out_scores(features, is_b[cluster], fold[cluster])
    mean = np.bincount(cluster, score) / np.bincount(cluster)
    low, high = interval(mean, is_b, image, rng)
    return ProbeResult(auc(mean, is_b), low, high, offset, len(names) - offset, len(images))


def _check(sides: list[_Side]) -> None:
    counts = [len(side.names) for side in sides]
    n_images = len({name for side in sides for name in side.names})
    if min(counts) < LEAST_CLUSTERS or n_images < N_FOLDS:
        raise ValueError(
            f"the probe needs {LEAST_CLUSTERS} clusters of each dataset and {N_FOLDS} images, "
            f"got {counts[0]} and {counts[1]} clusters in {n_images} images"
        )


# ---- features


def _describe(scenes: Iterable[Scene]) -> _Side:
    rows, cluster = [np.zeros((0, 0))], [np.zeros(0, np.int64)]
    names: list[str] = []
    for scene in scenes:
        notes = annotate(scene.labels)
        if len(notes) < 2:
            continue
        group = clusters(notes.points)
        inside = np.flatnonzero(np.bincount(group)[group] > 1)
        found, member = np.unique(group[inside], return_inverse=True)
        if len(found):
            rows.append(_features(scene, notes.boxes[inside], inside + 1))
            cluster.append(member + len(names))
            names += [scene.name] * len(found)
    return _Side(np.concatenate(rows[1:] or rows), np.concatenate(cluster), names)


def _features(scene: Scene, boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, F) numbers of targets, from a window of 11 x 11 pixels around each; gray levels."""
    gray = scene.gray()
    x0, y0 = (boxes[:, :2] + boxes[:, 2:] - 1).T // 2
    half = SIDE // 2
    pixels = sliding_window_view(np.pad(gray, half, mode="edge"), (SIDE, SIDE))[y0, x0]
    owner = sliding_window_view(np.pad(scene.labels, half), (SIDE, SIDE))[y0, x0]
    mask = owner == labels[:, None, None]
    near = ndimage.binary_dilation(owner > 0, EIGHT[None])
    ground = np.ma.median(np.ma.masked_array(pixels, near), axis=(1, 2)).filled(0)
    rise = pixels - ground[:, None, None]
    ring = ndimage.binary_dilation(mask, EIGHT[None]) & (owner == 0)
    light = np.where(mask, rise, 0)
    peak = np.maximum(light.max(axis=(1, 2)), 1)
    return np.column_stack([
        peak,
        ground,
        np.where(near, 0, rise).std(axis=(1, 2)),
        mask.sum(axis=(1, 2)),
        (pixels.max(axis=(1, 2)) >= 255) * 1.0,
        light.sum(axis=(1, 2)) / mask.sum(axis=(1, 2)) / peak,
        *_spread(np.where(mask, rise, -np.inf), peak),
        *_spread(np.where(ring, rise, -np.inf), peak)[:3],
        np.where(mask, rise, np.inf).min(axis=(1, 2)) / peak,
        np.where(ring, rise, 0).sum(axis=(1, 2)) / np.maximum(ring.sum(axis=(1, 2)), 1) / peak,
        *_moments(np.maximum(light, 0)),
        *_moments(mask * 1.0),
    ])  # fmt: skip


def _spread(rise: np.ndarray, peak: np.ndarray) -> list[np.ndarray]:
    """The largest values but the first, as shares of the peak; 0 where there are fewer pixels."""
    ordered = np.sort(rise.reshape(len(rise), -1), axis=1)[:, :-10:-1]
    return list((np.where(np.isfinite(ordered), ordered, 0) / peak[:, None])[:, 1:].T)


def _moments(weight: np.ndarray) -> list[np.ndarray]:
    """Centre and second moments of light or mask, pixels from the window's centre."""
    place = np.arange(SIDE) - SIDE // 2
    total = np.maximum(weight.sum(axis=(1, 2)), 1e-9)
    y = (weight.sum(axis=2) * place).sum(axis=1) / total
    x = (weight.sum(axis=1) * place).sum(axis=1) / total
    down, right = place - y[:, None], place - x[:, None]
    yy = (weight.sum(axis=2) * down**2).sum(axis=1) / total
    xx = (weight.sum(axis=1) * right**2).sum(axis=1) / total
    xy = np.einsum("nij,ni,nj->n", weight, down, right) / total
    return [y, x, yy, xx, xy]


def _thinned(side: _Side, most: int, rng: np.random.Generator) -> _Side:
    if len(side.names) <= most:
        return side
    kept = np.sort(rng.permutation(len(side.names))[:most])
    number = np.full(len(side.names), -1)
    number[kept] = np.arange(most)
    rows = number[side.cluster] >= 0
    names = [side.names[k] for k in kept]
    return _Side(side.features[rows], number[side.cluster[rows]], names)


# ---- classifier


def _held_out_scores(features: np.ndarray, is_b: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Log odds of being of `b`, each target by a model that has not seen its image."""
    score = np.zeros(len(features))
    for k in range(N_FOLDS):
        train, test = fold != k, fold == k
        if not test.any() or len(np.unique(is_b[train])) < 2:
            continue
        cuts = np.quantile(features[train], np.arange(1, N_BINS) / N_BINS, axis=0)
        weights = _fitted(_binned(features[train], cuts), is_b[train])
        score[test] = _binned(features[test], cuts) @ weights
    return score


def _binned(features: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """(T, F * (bins - 1)) of 0 and 1: above which cuts each feature lies."""
    above = features[:, None, :] > cuts[None]
    return above.reshape(len(features), -1).astype(np.float64)


def _fitted(inputs: np.ndarray, is_b: np.ndarray) -> np.ndarray:
    """Weights of a ridge logistic regression with both classes of equal weight."""
    sign = np.where(is_b, 1.0, -1.0)
    importance = np.where(is_b, 0.5 / is_b.mean(), 0.5 / (~is_b).mean())
    centred = inputs - inputs.mean(axis=0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (centred @ weights)
        slope = -importance * sign * special.expit(-margin)
        total = (importance * np.logaddexp(0, -margin)).sum() + RIDGE * (weights**2).sum()
        return float(total), centred.T @ slope + 2 * RIDGE * weights

    start = np.zeros(inputs.shape[1])
    options = {"maxiter": 60}
    return np.asarray(
        optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    )

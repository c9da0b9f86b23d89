"""Two classes told apart on images that were held back: folds, area under the curve, interval."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import stats

N_RESAMPLES = 400


def folds(image: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Which fold (n,) each row is in; rows of one image (n,), counted from 0, stay together."""
    return (rng.permutation(image.max() + 1) % n_folds)[image]


def auc(score: np.ndarray, is_b: np.ndarray) -> float:
    """Area under the ROC curve of scores (n,) for being `is_b` (n,); both classes must be there."""
    n_b, n_a = int(is_b.sum()), int((~is_b).sum())
    ranks = stats.rankdata(score)[is_b].sum()
    return float((ranks - n_b * (n_b + 1) / 2) / (n_a * n_b))


def interval(
    score: np.ndarray, is_b: np.ndarray, image: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """95 % of the areas of images drawn with replacement, with all their rows."""
    order = np.argsort(image, kind="stable")
    bounds = np.searchsorted(image[order], np.arange(image.max() + 2))
    members = [order[i:j] for i, j in pairwise(bounds.tolist())]
    areas = []
    for _ in range(N_RESAMPLES):
        drawn = np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])
        if 0 < is_b[drawn].sum() < len(drawn):
            areas.append(auc(score[drawn], is_b[drawn]))
    low, high = np.quantile(areas, (0.025, 0.975))
    return float(low), float(high)

"""How near one dataset is to another: 20 statistics, their distances and their noise floors.

The distance of a statistic compares its distributions in the two datasets. Two honest samples
differ too, so each distance is divided by its *noise floor*: the 95th percentile of the distance
between random disjoint parts of the reference. A ratio below 1 is as close as another draw of the
reference would be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densesirst_gen.stats.compare.scorecard import STATISTICS, Statistic
from densesirst_gen.stats.tables import DatasetStats

FLOOR_QUANTILE = 0.95


@dataclass(frozen=True)
class StatisticDistance:
    """How one statistic of a dataset compares with the reference.

    `distance`, `floor` and `ratio` are None where one of the two has no rows: no cluster, say, or
    no sky mask. All numbers are finite.

    Parameters
    ----------
    name, kind : str
        Of the `Statistic`.
    distance : float, optional
        At least 0, in the unit that `kind` says.
    floor : float, optional
        95th percentile of the same distance between draws of the reference; never below 1 / rows
        of the reference, one row being the finest step that a sample can show.
    ratio : float, optional
        distance / floor.
    mean, reference_mean : float, optional
        None for a category, and where there are no rows.
    """

    name: str
    kind: str
    distance: float | None
    floor: float | None
    ratio: float | None
    mean: float | None
    reference_mean: float | None


@dataclass(frozen=True)
class Score:
    """The output of `compare` in four numbers.

    Parameters
    ----------
    n_compared : int
        Statistics for which both datasets have rows.
    n_within : int
        Those with a ratio of at most 1.
    mean_ratio, max_ratio : float
        0 if nothing could be compared.
    """

    n_compared: int
    n_within: int
    mean_ratio: float
    max_ratio: float


def compare(
    a: DatasetStats, b: DatasetStats, *, seed: int = 0, draws: int = 200
) -> list[StatisticDistance]:
    """Compare a dataset with a reference, statistic by statistic.

    Parameters
    ----------
    a : DatasetStats
        The dataset to judge; at least one image.
    b : DatasetStats
        The reference; at least two images.
    seed : int
        Of the draws that make the noise floor.
    draws : int
        How many.

    Returns
    -------
    list of StatisticDistance
        In the order of `STATISTICS`.

    Raises
    ------
    ValueError
        If there are fewer images, or no draws.
    """
    n_a, n_b = len(a.scenes), len(b.scenes)
    if n_a < 1 or n_b < 2 or draws < 1:
        raise ValueError(
            f"need at least 1 image, 2 of the reference and 1 draw, got {n_a}, {n_b} and {draws}"
        )
    drawn = _draw_images(n_a, n_b, draws, np.random.default_rng(seed))
    scale = _floor_scale(n_a, n_b, int(drawn[0].sum()))
    return [_compare_one(statistic, a, b, drawn, scale) for statistic in STATISTICS]


def score(distances: Sequence[StatisticDistance]) -> Score:
    """Sum up the output of `compare`."""
    ratios = [d.ratio for d in distances if d.ratio is not None]
    n_within = sum(ratio <= 1 for ratio in ratios)
    mean = float(np.mean(ratios)) if ratios else 0.0
    return Score(len(ratios), n_within, mean, max(ratios, default=0.0))


def _draw_images(n_a: int, n_b: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, n_b) bool: random images of the reference, as many as `a` has, at most one half."""
    size = min(n_a, n_b // 2)
    return np.array([rng.permutation(n_b) < size for _ in range(draws)])


def _floor_scale(n_a: int, n_b: int, size: int) -> float:
    """From the distance of `size` images to the rest, to that of n_a images to all n_b.

    The difference of the means of two independent samples has variance s^2 (1/n + 1/m), of a part
    and the rest of one sample just the same, and W1 and total variation shrink as its root.
    """
    return math.sqrt((1 / n_a + 1 / n_b) / (1 / size + 1 / (n_b - size)))


def _compare_one(
    statistic: Statistic, a: DatasetStats, b: DatasetStats, drawn: np.ndarray, scale: float
) -> StatisticDistance:
    values_a, values_b = statistic.values(a), statistic.values(b)
    distance = floor = ratio = None
    if len(values_a) and len(values_b):
        levels, codes = np.unique(np.concatenate([values_a, values_b]), return_inverse=True)
        codes_a, codes_b = np.split(codes, [len(values_a)])
        steps = None if statistic.kind == "TV" else np.diff(levels) / (values_b.std() or 1.0)
        distance = _distance(codes_a, codes_b, steps)
        parts = drawn[:, statistic.row_scenes(b)]
        floor = max(scale * _noise(codes_b, parts, steps), 1 / len(values_b))
        ratio = distance / floor
    means = _mean(values_a), _mean(values_b)
    return StatisticDistance(statistic.name, statistic.kind, distance, floor, ratio, *means)


def _distance(one: np.ndarray, two: np.ndarray, steps: np.ndarray | None) -> float:
    """Distance of two samples, given as ranks among their common levels.

    Wasserstein-1, the area between the two distribution functions, with `steps` from each level to
    the next; total variation without steps.
    """
    n = int(max(one.max(), two.max())) + 1
    excess = np.bincount(one, minlength=n) / len(one) - np.bincount(two, minlength=n) / len(two)
    if steps is None:
        return float(np.abs(excess).sum() / 2)
    return float(np.abs(np.cumsum(excess)[:-1]) @ steps[: n - 1])


def _noise(codes: np.ndarray, parts: np.ndarray, steps: np.ndarray | None) -> float:
    """95th percentile of the distance of each part, (draws, rows) bool, to what it leaves."""
    both = [part for part in parts if part.any() and not part.all()]
    noise = [_distance(codes[part], codes[~part], steps) for part in both]
    return float(np.quantile(noise, FLOOR_QUANTILE)) if noise else 0.0


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) and np.isrealobj(values) else None

"""Do two patches show the same frame? A fit of both Gaussians that needs no frame."""

from __future__ import annotations

import numpy as np
from release.fit import (
    FIRST_DAMPING,
    LEAST_DAMPING,
    MASK_WEIGHT,
    MOST_DAMPING,
    UNBOUNDED,
    Evidence,
    gains_and_slopes,
)
from release.model import HIGH, LOW, THRESHOLD

BOUND_WEIGHT = 300.0
BOUNDED = np.r_[0:5, 6:11]


def fit_pairs(
    one: Evidence, other: Evidence, start: np.ndarray, start_other: np.ndarray, steps: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (n, 12) of n pairs and their squared misfit in units of the rounding.

    Pairs with fewer than 20 pixels in common that say something have an infinite misfit.
    """
    now = np.concatenate([start, start_other], 1).astype(float)
    damping = np.full(len(now), FIRST_DAMPING)
    common = one.sure * other.sure * (one.high < UNBOUNDED) * (other.high < UNBOUNDED)
    normal, right, cost = _equations(now, one, other, common)
    for _ in range(steps):
        k = np.arange(12)
        damped = normal.copy()
        damped[:, k, k] += damping[:, None] * (normal[:, k, k] + 1) + 1e-9
        trial = now - np.linalg.solve(damped, right[..., None])[..., 0].clip(-0.3, 0.3)
        trial[:, [1, 2, 7, 8]] = trial[:, [1, 2, 7, 8]].clip(0.2, 0.8)
        there = _equations(trial, one, other, common)
        better = there[2] < cost
        now[better] = trial[better]
        for mine, its in zip((normal, right, cost), there, strict=True):
            mine[better] = its[better]
        damping = np.where(better, damping * 0.3, damping * 4).clip(LEAST_DAMPING, MOST_DAMPING)
    return now, np.where(common.sum(1) >= 20, cost, np.inf)


def _equations(
    now: np.ndarray, one: Evidence, other: Evidence, common: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal matrix (n, 12, 12), gradient (n, 12), cost (n,)."""
    (gains, slopes), (gains_b, slopes_b) = (
        gains_and_slopes(part) for part in (now[:, :6], now[:, 6:])
    )
    rise, rise_b = one.low + 0.5, other.low + 0.5
    weight = common / np.sqrt((gains**2 + gains_b**2) / 12 + 1e-4)
    off = weight * (rise * gains_b - rise_b * gains)
    slope = np.concatenate(
        [-(weight * rise_b)[:, None] * slopes, (weight * rise)[:, None] * slopes_b], 1
    )
    normal = slope @ slope.transpose(0, 2, 1)
    right = (slope @ off[..., None])[..., 0]
    cost = (off**2).sum(1)
    for part, sign, gain, slope in (
        (slice(0, 6), one.sign, gains, slopes),
        (slice(6, 12), other.sign, gains_b, slopes_b),
    ):
        beyond = (MASK_WEIGHT * (gain - THRESHOLD) * sign - 0.02).clip(max=0) * sign
        active = slope * (beyond != 0)[:, None] * MASK_WEIGHT
        normal[:, part, part] += active @ active.transpose(0, 2, 1)
        right[:, part] += (active @ beyond[..., None])[..., 0]
        cost += (beyond**2).sum(1)
    values = now[:, BOUNDED]
    low, high = np.tile(LOW, 2), np.tile(HIGH, 2)
    bounds = (low - values).clip(min=0) - (values - high).clip(min=0)
    normal[:, BOUNDED, BOUNDED] += (bounds != 0) * BOUND_WEIGHT**2
    right[:, BOUNDED] -= bounds * BOUND_WEIGHT**2
    return normal, right, cost + ((bounds * BOUND_WEIGHT) ** 2).sum(1)

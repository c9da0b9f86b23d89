"""Fit of one pasted patch: which donor and which Gaussian give its 25 pixels.

A pixel that rose by n says n <= T lambda G < n + 1, a saturated one only the lower half, the mask
whether lambda G is above the threshold. `Bank` proposes: random Gaussians by the mask that they
leave, against all donors at once. `fit` refines by damped Gauss-Newton steps, many candidates in
one go: first on the middles of the intervals, then on what lies outside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from release.model import BITS, HIGH, LOW, N_PIXELS, THRESHOLD, X, Y, gaussians

MASK_WEIGHT = 255.0
BOUND_WEIGHTS = np.array([100.0, 300.0, 300.0, 300.0, 300.0])
UNBOUNDED = 1e9
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-2, 1e-7, 1e6


@dataclass(frozen=True)
class Evidence:
    """What is known of n patches.

    Parameters
    ----------
    low, high : (n, 25)
        Bounds of T lambda G; ``high`` is `UNBOUNDED` where the pixel is saturated.
    sure : (n, 25)
        1 where the pixel shows this patch alone, else 0.
    sign : (n, 25)
        1 in the mask, -1 outside, 0 where another mask hides it.
    """

    low: np.ndarray
    high: np.ndarray
    sure: np.ndarray
    sign: np.ndarray

    def __getitem__(self, index: np.ndarray | slice) -> Evidence:
        return Evidence(self.low[index], self.high[index], self.sure[index], self.sign[index])


class Bank:
    """Random Gaussians times lambda, found by the mask that they leave.

    Parameters
    ----------
    size : int
    seed : int
    """

    def __init__(self, size: int = 600_000, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        values = np.empty((size, 6), np.float32)
        gains = np.empty((size, N_PIXELS), np.float32)
        for part in np.array_split(np.arange(size), max(1, size // 50_000)):
            draw = rng.uniform(LOW, HIGH, (len(part), 5))
            theta = np.radians(rng.integers(-90, 90, len(part)))
            values[part] = np.column_stack([draw, theta])
            gains[part] = gaussians(draw, theta)
        keys = ((gains > THRESHOLD) @ BITS.astype(float)).astype(np.int64)
        order = np.argsort(keys, kind="stable")
        self.values, self.gains = values[order], gains[order]
        self.keys, self.first, self.count = np.unique(
            keys[order], return_index=True, return_counts=True
        )

    def matching(self, key: int, known: int) -> np.ndarray:
        """Which of the masks agree with one on its known pixels."""
        return np.flatnonzero((self.keys & known) == (key & known))

    def draws(self, key: int, known: int, most: int) -> np.ndarray:
        """At most so many draws with such a mask, evenly taken."""
        hits = self.matching(key, known)
        spans = [np.arange(self.first[k], self.first[k] + self.count[k]) for k in hits]
        every = np.concatenate([*spans, np.zeros(0, int)])
        return every if len(every) <= most else every[:: len(every) // most + 1]


def propose(
    evidence: Evidence, frames: np.ndarray, bank: Bank, best: int, draws: int = 1500
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patch, donor and start (k, 6) of the candidates: the best donors of each patch."""
    parts = []
    for k in range(len(evidence.low)):
        one = evidence[slice(k, k + 1)]
        donors, start = _proposals(one, frames, bank, best, draws)
        parts.append((np.full(len(donors), k), donors, start))
    who, donor, start = (np.concatenate(column) for column in zip(*parts, strict=True))
    return who, donor, start


def _proposals(
    one: Evidence, frames: np.ndarray, bank: Bank, best: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    key = int(BITS[one.sign[0] > 0].sum())
    known = int(BITS[one.sign[0] != 0].sum())
    draws = bank.draws(key, known, most)
    gains = bank.gains[draws]
    weight = (one.sure * (one.high < UNBOUNDED)).astype(np.float32)[0]
    rise = ((one.low[0] + 0.5) * weight).astype(np.float32)
    dot = (frames * rise) @ gains.T
    norm = (frames**2 * weight) @ (gains**2).T
    gain = bank.values[draws, 0]
    scale = np.clip(dot / np.maximum(norm, 1e-9), 0.5 / gain, 1 / gain)
    cost = scale * (scale * norm - 2 * dot)
    draw = cost.argmin(1)
    lowest = cost[np.arange(len(frames)), draw]
    donors = np.argsort(lowest)[:best]
    start = bank.values[draws[draw[donors]]].astype(float)
    start[:, 0] *= scale[donors, draw[donors]]
    return donors, start


def fit(
    start: np.ndarray,
    frames: np.ndarray,
    evidence: Evidence,
    margin: float,
    steps: int,
    turning: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (n, 6) and squared misfit (n,) after some steps.

    ``margin`` keeps away from the ends of the intervals; 0.5 fits their middles. Not ``turning``:
    the angle, the last parameter, stays.
    """
    free = 6 if turning else 5
    now = start.astype(float)
    damping = np.full(len(now), FIRST_DAMPING)
    state = _state(now, frames, evidence, margin)
    for _ in range(steps):
        trial = now.copy()
        trial[:, :free] += _step(state, frames, damping, free)
        trial[:, 1:3] = trial[:, 1:3].clip(0.2, 0.8)
        trial[:, 3:5] = trial[:, 3:5].clip(-0.4, 0.2)
        there = _state(trial, frames, evidence, margin)
        better = there.cost < state.cost
        now[better] = trial[better]
        state.take(there, better)
        damping = np.where(better, damping * 0.3, damping * 4).clip(LEAST_DAMPING, MOST_DAMPING)
    return now, state.cost


@dataclass
class _State:
    slopes: np.ndarray  # (n, 6, 25), of lambda G
    pixels: np.ndarray  # (n, 25), how far outside its interval
    mask: np.ndarray
    bounds: np.ndarray  # (n, 5)
    cost: np.ndarray

    def take(self, other: _State, where: np.ndarray) -> None:
        for mine, its in zip(vars(self).values(), vars(other).values(), strict=True):
            mine[where] = its[where]


def _state(now: np.ndarray, frames: np.ndarray, evidence: Evidence, margin: float) -> _State:
    gains, slopes = gains_and_slopes(now)
    value = frames * gains
    under = np.where(evidence.low > 0, value - (evidence.low + margin), 0).clip(max=0)
    over = (value - (evidence.high - margin)).clip(min=0)
    pixels = (under + over) * evidence.sure
    beyond = MASK_WEIGHT * (gains - THRESHOLD) * evidence.sign
    mask = (beyond - 0.02).clip(max=0) * evidence.sign
    bounds = (LOW + 1e-4 - now[:, :5]).clip(min=0) - (now[:, :5] - HIGH + 1e-4).clip(min=0)
    cost = (pixels**2).sum(1) + (mask**2).sum(1) + ((bounds * BOUND_WEIGHTS) ** 2).sum(1)
    return _State(slopes, pixels, mask, bounds, cost)


def _step(state: _State, frames: np.ndarray, damping: np.ndarray, free: int) -> np.ndarray:
    slopes = state.slopes[:, :free]
    weight = (state.pixels != 0) * frames**2 + (state.mask != 0) * MASK_WEIGHT**2
    pull = state.pixels * frames + state.mask * MASK_WEIGHT
    normal = (slopes * weight[:, None, :]) @ slopes.transpose(0, 2, 1)
    right = (slopes @ pull[:, :, None])[..., 0]
    k = np.arange(free)
    normal[:, k[:5], k[:5]] += (state.bounds != 0) * BOUND_WEIGHTS**2
    right[:, :5] -= state.bounds * BOUND_WEIGHTS**2
    normal[:, k, k] += damping[:, None] * (normal[:, k, k] + 1) + 1e-9
    return -np.linalg.solve(normal, right[..., None])[..., 0].clip(-0.3, 0.3)


def gains_and_slopes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """lambda G (n, 25) and its derivatives (n, 6, 25) by the six parameters."""
    gain, sigma_x, sigma_y, mu_x, mu_y, theta = (column[:, None] for column in values.T)
    cos, sin = np.cos(theta), np.sin(theta)
    along = cos * (X - mu_x) - sin * (Y - mu_y)
    across = sin * (X - mu_x) + cos * (Y - mu_y)
    p, q = 1 / sigma_x**2, 1 / sigma_y**2
    g = np.exp(-0.5 * (along**2 * p + across**2 * q))
    slopes = np.empty((len(g), 6, N_PIXELS))
    slopes[:, 1] = g * along**2 * p / sigma_x
    slopes[:, 2] = g * across**2 * q / sigma_y
    slopes[:, 3] = g * (cos * along * p + sin * across * q)
    slopes[:, 4] = g * (cos * across * q - sin * along * p)
    slopes[:, 5] = g * along * across * (p - q)
    row = np.arange(len(g))
    least, most = g.argmin(1), g.argmax(1)
    floor, top = g[row, least][:, None], g[row, most][:, None]
    unit = (g - floor) / (top - floor)
    for k in range(1, 6):
        slope = slopes[:, k]
        at_floor, at_top = slope[row, least][:, None], slope[row, most][:, None]
        slopes[:, k] = gain * (slope - at_floor - unit * (at_top - at_floor)) / (top - floor)
    slopes[:, 0] = unit
    return gain * unit, slopes

"""From evidence to pastes: candidates, refinement, whole degrees, the check of every pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from release.fit import Bank, Evidence, fit, propose
from release.model import N_PIXELS, THRESHOLD, gaussians, steps_of, values_of
from release.sharpen import sharpened

MIDDLE, INSIDE, EDGE = 0.5, 0.05, 0.01
NEARLY = 6
"""Wrong pixels of a patch up to which the last hundredths are worth a try."""


@dataclass(frozen=True)
class Effort:
    """How hard to search.

    Parameters
    ----------
    donors : int
        Candidates of a patch.
    kept : int
        Those refined to their intervals.
    turned : int
        Those tried at whole degrees.
    degrees : tuple of int
        Steps from the fitted angle.
    sharpened : int
        Candidates of a patch without an exact one that linear programmes try, at seven angles.
    """

    donors: int = 60
    kept: int = 12
    turned: int = 5
    degrees: tuple[int, ...] = (0, -1, 1)
    sharpened: int = 0


@dataclass(frozen=True)
class Solutions:
    """Candidates of n patches, the best of each first.

    Parameters
    ----------
    who : int (k,)
        Patch of a candidate.
    donor : int (k,)
        Row of the frames.
    steps : int (k, 5)
    theta : int (k,)
    wrong : int (k,)
        Pixels that it does not explain.
    cost : float (k,)
        How far from the middles of the intervals.
    """

    who: np.ndarray
    donor: np.ndarray
    steps: np.ndarray
    theta: np.ndarray
    wrong: np.ndarray
    cost: np.ndarray

    def best(self, n: int) -> np.ndarray:
        """Index of the best candidate of each patch, -1 where there is none."""
        order = np.lexsort((self.cost, self.wrong, self.who))
        who, first = np.unique(self.who[order], return_index=True)
        best = np.full(n, -1)
        best[who] = order[first]
        return best

    def n_exact_donors(self, n: int) -> np.ndarray:
        """How many donors explain all pixels of each patch."""
        exact = self.wrong == 0
        pairs = np.unique(np.column_stack([self.who[exact], self.donor[exact]]), axis=0)
        return np.bincount(pairs[:, 0], minlength=n)


def solve(evidence: Evidence, frames: np.ndarray, bank: Bank, effort: Effort) -> Solutions:
    """Search all donors; ``frames`` float (m, 25)."""
    who, donor, start = propose(evidence, frames.astype(np.float32), bank, effort.donors)
    return refine(evidence, frames, who, donor, start, effort)


def refine(
    evidence: Evidence,
    frames: np.ndarray,
    who: np.ndarray,
    donor: np.ndarray,
    start: np.ndarray,
    effort: Effort,
) -> Solutions:
    """From starts (k, 6) to pastes in whole degrees."""
    now, middle = fit(start, frames[donor], evidence[who], MIDDLE, 15)
    kept = lowest(who, middle, effort.kept)
    who, donor, now, middle = who[kept], donor[kept], now[kept], middle[kept]
    now, cost = fit(now, frames[donor], evidence[who], INSIDE, 20)
    kept = lowest(who, cost, effort.turned)
    who, donor, now, middle = who[kept], donor[kept], now[kept], middle[kept]
    solved = Solved(who, donor, now, middle)
    found = whole_degrees(evidence, frames, solved, effort.degrees)
    return sharpen(evidence, frames, solved, found, effort.sharpened) if effort.sharpened else found


@dataclass(frozen=True)
class Solved:
    """Candidates with any angle."""

    who: np.ndarray
    donor: np.ndarray
    values: np.ndarray
    cost: np.ndarray

    def __getitem__(self, index: np.ndarray) -> Solved:
        return Solved(*(array[index] for array in vars(self).values()))


def whole_degrees(
    evidence: Evidence, frames: np.ndarray, found: Solved, degrees: tuple[int, ...]
) -> Solutions:
    """Fit again at the degrees nearby."""
    many = found[np.repeat(np.arange(len(found.who)), len(degrees))]
    theta = np.rint(np.degrees(many.values[:, 5])).astype(int) + np.tile(degrees, len(found.who))
    start = many.values.copy()
    start[:, 5] = np.radians(theta)
    parts = (frames[many.donor], evidence[many.who])
    now, _ = fit(start, *parts, INSIDE, 8, turning=False)
    now, _ = fit(now, *parts, EDGE, 12, turning=False)
    steps = steps_of(now[:, :5])
    theta = (theta + 90) % 180 - 90
    wrong = n_wrong(evidence[many.who], frames[many.donor], steps, theta)
    return Solutions(many.who, many.donor, steps, theta, wrong, many.cost)


def sharpen(
    evidence: Evidence, frames: np.ndarray, solved: Solved, found: Solutions, candidates: int
) -> Solutions:
    """More solutions for those patches that have no exact one yet, but nearly."""
    n = len(evidence.low)
    best = found.best(n)
    fewest = np.where(best >= 0, found.wrong[best], N_PIXELS)
    wanting = (fewest > 0) & (fewest <= NEARLY)
    some = np.flatnonzero(wanting[solved.who])
    kept = some[lowest(solved.who[some], solved.cost[some], candidates)]
    rows = [row for k in kept for row in _sharpened(evidence, frames, solved, k)]
    if not rows:
        return found
    who, donor, steps, theta, cost = (np.array(column) for column in zip(*rows, strict=True))
    wrong = n_wrong(evidence[who], frames[donor], steps, theta)
    new = Solutions(who, donor, steps, theta, wrong, cost)
    parts = zip(vars(found).values(), vars(new).values(), strict=True)
    return Solutions(*(np.concatenate(pair) for pair in parts))


def _sharpened(evidence: Evidence, frames: np.ndarray, solved: Solved, k: int) -> Iterator[tuple]:
    who, donor, values = solved.who[k], solved.donor[k], solved.values[k]
    one = evidence[slice(who, who + 1)]
    middle = round(float(np.degrees(values[5])))
    for turn in (0, -1, 1, -2, 2, -3, 3):
        theta = (middle + turn + 90) % 180 - 90
        now, _ = sharpened(frames[donor], one, values[:5], np.radians(theta))
        yield who, donor, steps_of(now), theta, solved.cost[k]


def n_wrong(
    evidence: Evidence, frames: np.ndarray, steps: np.ndarray, theta: np.ndarray
) -> np.ndarray:
    """How many sure pixels and mask pixels are not explained, (n,)."""
    gains = gaussians(values_of(steps), np.radians(theta))
    value = np.floor(frames * gains)
    off = (value < evidence.low) | (value >= evidence.high)
    off_mask = (255 * gains > 255 * THRESHOLD) != (evidence.sign > 0)
    return ((off & (evidence.sure > 0)) | (off_mask & (evidence.sign != 0))).sum(1)


def lowest(who: np.ndarray, cost: np.ndarray, n: int) -> np.ndarray:
    """The n candidates of each patch with the lowest cost, in order."""
    order = np.lexsort((cost, who))
    rank = np.arange(len(order)) - np.searchsorted(who[order], who[order])
    return order[rank < n]


def shape_of(steps: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Solutions as starts of another fit, (n, 6)."""
    return np.column_stack([values_of(steps), np.radians(theta)])

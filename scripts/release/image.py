"""All patches of one image: solved one by one, put in order, checked together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from release.fit import Bank, Evidence
from release.model import SIDE, Paste, gaussians, paste_all, rises, values_of
from release.scenes import WHITE, Pair, Patches, patches_of
from release.solve import Effort, Solutions, solve

QUICK = Effort()
THOROUGH = Effort(donors=200, kept=40, turned=12, degrees=(0, -1, 1, -2, 2), sharpened=2)


@dataclass(frozen=True)
class Inverted:
    """What an image says of its patches, in the order of pasting.

    Parameters
    ----------
    name : str
    conversion : str
    pastes : list of Paste
    rows : list of dict
        One a patch: donor, parameters, corner, whether exact or why not.
    n_pixels, n_equal : int
        Pixels that the patches cover, and those of them that are reproduced.
    equal, equal_mask : bool
        Whether the whole image and the whole mask of the pasted targets are.
    lost, stray : int
        Targets without a possible corner, changed pixels outside all patches.
    meetings : dict
        Pixels where two patches meet, and how many of them each rule explains.
    """

    name: str
    conversion: str
    pastes: list[Paste]
    rows: list[dict]
    n_pixels: int
    n_equal: int
    equal: bool
    equal_mask: bool
    lost: int
    stray: int
    meetings: dict[str, int]


def invert_image(
    pair: Pair,
    frames: Mapping[str, np.ndarray],
    bank: Bank,
    efforts: tuple[Effort, ...],
    known: Sequence[Paste] = (),
) -> Inverted:
    """Recover the patches of one image; those that ``known`` pastes explain are not searched."""
    patches = patches_of(pair, bank)
    table = np.array(list(frames.values()))
    found = _Found.of(len(patches.corners))
    evidence = patches.evidence
    found.take(known, patches.corners, list(frames))
    found.recount(evidence, table)
    todo = np.flatnonzero(found.wrong > 0)
    order = list(range(len(found.wrong)))
    for effort in efforts:
        if len(todo):
            found.improve(todo, solve(evidence[todo], table, bank, effort))
        order = order_of(patches, found, table)
        evidence = owned(patches, order)
        found.recount(evidence, table)
        todo = np.flatnonzero(found.wrong > 0)
    pastes = found.pastes(patches.corners, list(frames))
    return _checked(pair, patches, found, pastes, order, evidence, frames)


@dataclass
class _Found:
    donor: np.ndarray
    steps: np.ndarray
    theta: np.ndarray
    wrong: np.ndarray
    n_donors: np.ndarray

    @classmethod
    def of(cls, n: int) -> _Found:
        zero = np.zeros(n, int)
        return cls(zero.copy(), np.zeros((n, 5), int), zero.copy(), zero + 99, zero.copy())

    def improve(self, todo: np.ndarray, solutions: Solutions) -> None:
        best = solutions.best(len(todo))
        n_donors = solutions.n_exact_donors(len(todo))
        for place, k, n in zip(todo, best, n_donors, strict=True):
            if k >= 0 and solutions.wrong[k] < self.wrong[place]:
                self.donor[place], self.steps[place] = solutions.donor[k], solutions.steps[k]
                self.theta[place], self.wrong[place] = solutions.theta[k], solutions.wrong[k]
            self.n_donors[place] = max(n, self.n_donors[place])

    def take(self, known: Sequence[Paste], corners: np.ndarray, names: list[str]) -> None:
        place = {(int(row), int(col)): k for k, (row, col) in enumerate(corners)}
        for paste in known:
            k = place.get((paste.row, paste.col))
            if k is not None and paste.donor in names and not paste.donor.startswith("unnamed"):
                self.donor[k], self.theta[k] = names.index(paste.donor), paste.theta
                self.steps[k], self.n_donors[k] = paste.steps, 0

    def recount(self, evidence: Evidence, table: np.ndarray) -> None:
        if len(self.wrong):
            self.wrong = count_wrong(evidence, table[self.donor], self.gains())

    def gains(self) -> np.ndarray:
        return gaussians(values_of(self.steps), np.radians(self.theta))

    def pastes(self, corners: np.ndarray, names: list[str]) -> list[Paste]:
        parts = zip(self.donor, self.steps, self.theta, corners, strict=True)
        return [
            Paste(names[d], tuple(int(v) for v in s), int(t), int(c[0]), int(c[1]))
            for d, s, t, c in parts
        ]


def count_wrong(evidence: Evidence, frames: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Pixels and mask pixels that are not explained, (n,)."""
    value = np.floor(frames * gains)
    off = ((value < evidence.low) | (value >= evidence.high)) & (evidence.sure > 0)
    off_mask = ((255 * gains > 25) != (evidence.sign > 0)) & (evidence.sign != 0)
    return (off | off_mask).sum(1)


def order_of(patches: Patches, found: _Found, table: np.ndarray) -> list[int]:
    """An order of pasting: what must be, and what explains the pixels where patches meet."""
    n = len(patches.corners)
    before = patches.earlier.copy()
    value = np.floor(table[found.donor] * found.gains()) if n else np.zeros((0, 25))
    for i in range(n):
        for j in range(i + 1, n):
            if not before[i, j] and not before[j, i]:
                first = _earlier_by_pixels(patches, value, i, j)
                if first:
                    before[i, j], before[j, i] = first > 0, first < 0
    return sorted_by(before)


def _earlier_by_pixels(patches: Patches, value: np.ndarray, i: int, j: int) -> int:
    """1 if i was pasted before j, -1 if after, 0 if the pixels do not say."""
    here, there = meeting(patches.corners[i], patches.corners[j])
    if not len(here):
        return 0
    low, high = patches.evidence.low[i, here], patches.evidence.high[i, here]

    def fits(rise: np.ndarray) -> int:
        return int(((rise >= low) & (rise < high)).sum())

    return int(np.sign(fits(value[j, there]) - fits(value[i, here])))


def meeting(corner: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The common pixels of two patches, as flat indices in the one and in the other."""
    rows, cols = np.divmod(np.arange(SIDE * SIDE), SIDE)
    down, right = rows + corner[0] - other[0], cols + corner[1] - other[1]
    both = (down >= 0) & (down < SIDE) & (right >= 0) & (right < SIDE)
    return np.flatnonzero(both), (down * SIDE + right)[both]


def sorted_by(before: np.ndarray) -> list[int]:
    """The lowest numbers first as far as the relation allows; a circle is cut at its lowest."""
    left, order = list(range(len(before))), []
    while left:
        free = [k for k in left if not before[np.ix_(left, [k])].any()]
        order.append(free[0] if free else left[0])
        left.remove(order[-1])
    return order


def owned(patches: Patches, order: list[int]) -> Evidence:
    """The evidence when every pixel belongs to the last patch over it."""
    sure = np.ones_like(patches.evidence.sure)
    for place, k in enumerate(order):
        for later in order[place + 1 :]:
            here, _ = meeting(patches.corners[k], patches.corners[later])
            sure[k, here] = 0
    return replace(patches.evidence, sure=sure)


def _checked(
    pair: Pair,
    patches: Patches,
    found: _Found,
    pastes: list[Paste],
    order: list[int],
    evidence: Evidence,
    frames: Mapping[str, np.ndarray],
) -> Inverted:
    in_order = [pastes[k] for k in order]
    image, mask = paste_all(pair.before, in_order, dict(frames))
    cover = np.zeros(image.shape, bool)
    for paste in pastes:
        cover[paste.window] = True
    equal = image == pair.after
    rows = [_row(pair, patches, found, pastes[k], k, evidence) for k in order]
    return Inverted(
        pair.name,
        pair.conversion,
        in_order,
        rows,
        int(cover.sum()),
        int(equal[cover].sum()),
        bool(equal.all()),
        bool((mask == np.isin(pair.labels, pair.pasted)).all()),
        len(patches.lost),
        patches.stray,
        meetings(patches, found, pastes, frames),
    )


def _row(
    pair: Pair, patches: Patches, found: _Found, paste: Paste, k: int, evidence: Evidence
) -> dict:
    gain, sigma_x, sigma_y, mu_x, mu_y = (round(float(v), 6) for v in paste.values)
    saturated = int((evidence.high[k] > WHITE + 1).sum())
    hidden = int((evidence.sure[k] == 0).sum())
    wrong = int(found.wrong[k])
    return {
        "image": pair.name,
        "row": paste.row,
        "col": paste.col,
        "donor": paste.donor,
        "lambda": gain,
        "sigma_x": sigma_x,
        "sigma_y": sigma_y,
        "mu_x": mu_x,
        "mu_y": mu_y,
        "theta": paste.theta,
        "exact": wrong == 0,
        "wrong_pixels": wrong,
        "why_not": _reason(wrong, saturated, hidden),
        "equally_good_donors": int(found.n_donors[k]),
        "saturated_pixels": saturated,
        "hidden_pixels": hidden,
        "corner_is_sure": k not in patches.ambiguous,
    }


def _reason(wrong: int, saturated: int, hidden: int) -> str | None:
    if not wrong:
        return None
    if wrong <= 3:
        return "nearly: at most three pixels differ"
    if hidden:
        return "overlap: another patch hides part of it"
    if saturated:
        return "saturation: part of it is cut at 255"
    return "no known frame explains it"


def meetings(
    patches: Patches, found: _Found, pastes: list[Paste], frames: Mapping[str, np.ndarray]
) -> dict[str, int]:
    """Which rule explains the pixels where two exact patches meet and the rules differ."""
    count = dict.fromkeys(("pixels", "older_is_larger", "last", "larger", "sum"), 0)
    for i, paste in enumerate(pastes):
        for j in np.flatnonzero(patches.earlier[i]):
            here, there = meeting(patches.corners[i], patches.corners[j])
            if not len(here) or found.wrong[i] or found.wrong[j]:
                continue
            old = rises(paste, frames[paste.donor]).ravel()[here]
            new = rises(pastes[j], frames[pastes[j].donor]).ravel()[there]
            _count(count, old, new, patches.evidence.low[i, here], patches.evidence.high[i, here])
    return count


def _count(
    count: dict[str, int], old: np.ndarray, new: np.ndarray, low: np.ndarray, high: np.ndarray
) -> None:
    telling = (old > 0) & (new > 0)
    count["older_is_larger"] += int((old > new)[telling].sum())
    count["pixels"] += int(telling.sum())
    for rule, value in {"last": new, "larger": np.maximum(old, new), "sum": old + new}.items():
        count[rule] += int(((value >= low) & (value < high) & telling).sum())

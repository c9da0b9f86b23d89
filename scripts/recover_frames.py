"""Recover the frames of images that are not at hand, from the patches alone.

python scripts/recover_frames.py SIRSTV2 DEVKIT --split FILE --out NPZ [--frames NPZ] [--from NPZ]

Patches that no known frame explains are compared two by two: if both show the same T, then
rise_i / (lambda_i G_i) = rise_j / (lambda_j G_j) in all pixels, which twelve parameters can meet
only by chance. Those that agree are one frame: its 25 gray levels follow from all of them, as
whole numbers. --from starts with frames found before.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from release.fit import UNBOUNDED, Bank, Evidence, fit
from release.frames import read_file, read_frames, write_frames
from release.model import N_PIXELS, gaussians
from release.pairs import fit_pairs
from release.scenes import patches_of, read_pair
from release.solve import Effort, shape_of, solve

SAME = 30.0
"""Squared misfit of two patches, in units of the rounding, below which they may share a frame."""
FEWEST = 4
"""Patches that a frame must explain exactly to be kept."""
EFFORT = Effort(donors=40, kept=12, turned=5)


def main() -> None:
    """Find frames until no more turn up."""
    args = _arguments()
    bank = Bank()
    evidence = _evidence(args, bank)
    named = np.array(list(read_frames(args.sirstv2, args.devkit, args.frames, None).values()))
    rest = evidence[_wrong(evidence, named, bank) > 0]
    print(
        f"{len(rest.low)} of {len(evidence.low)} patches are not explained by {len(named)} frames"
    )
    frames = np.zeros((0, N_PIXELS))
    if args.start:
        frames = np.array(list(read_file(args.start).values()))
    for _ in range(args.rounds):
        frames = improved(frames, rest, bank)
        frames = kept(np.concatenate([frames, _new_frames(frames, rest, bank)]), rest, bank)
        frames = improved(frames, rest, bank)
        wrong = _wrong(rest, frames, bank)
        print(f"{len(frames)} frames explain {int((wrong == 0).sum())} of them", flush=True)
        write_frames(args.out, {f"unnamed_{k:02d}": frame for k, frame in enumerate(frames)})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sirstv2", type=Path)
    parser.add_argument("devkit", type=Path)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=Path, help="named frames at 5x5")
    parser.add_argument("--from", dest="start", type=Path, help="frames to start with")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _evidence(args: argparse.Namespace, bank: Bank) -> Evidence:
    names = [line.strip() for line in args.split.read_text().splitlines() if line.strip()]
    pairs = (read_pair(args.sirstv2, args.devkit, name) for name in names)
    parts = [patches_of(pair, bank).evidence for pair in pairs]
    return Evidence(*(np.concatenate(arrays) for arrays in zip(*map(_fields, parts), strict=True)))


def _fields(evidence: Evidence) -> tuple[np.ndarray, ...]:
    return evidence.low, evidence.high, evidence.sure, evidence.sign


def _search(
    evidence: Evidence, frames: np.ndarray, bank: Bank
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wrong pixels, frame and parameters (n, 6) of the best candidate of each patch."""
    n = len(evidence.low)
    wrong, donor, shape = np.full(n, N_PIXELS), np.zeros(n, int), np.full((n, 6), 0.5)
    for part in np.array_split(np.arange(n), max(1, n // 100)):
        found = solve(evidence[part], frames, bank, EFFORT)
        best = found.best(len(part))
        some, best = part[best >= 0], best[best >= 0]
        wrong[some], donor[some] = found.wrong[best], found.donor[best]
        shape[some] = shape_of(found.steps, found.theta)[best]
    return wrong, donor, shape


def _wrong(evidence: Evidence, frames: np.ndarray, bank: Bank) -> np.ndarray:
    return _search(evidence, frames, bank)[0]


def improved(frames: np.ndarray, rest: Evidence, bank: Bank) -> np.ndarray:
    """Every frame again from all patches that it nearly explains."""
    if not len(frames):
        return frames
    wrong, donor, shape = _search(rest, frames, bank)
    frames = frames.copy()
    for k in range(len(frames)):
        members = (donor == k) & (wrong <= 8)
        if members.sum() >= FEWEST:
            frames[k] = whole_levels(frames[k], shape[members], rest[members])
    return frames


def kept(frames: np.ndarray, rest: Evidence, bank: Bank) -> np.ndarray:
    """Without those that explain too few patches."""
    wrong, donor, _ = _search(rest, frames, bank)
    exact = np.bincount(donor[wrong == 0], minlength=len(frames))
    return frames[exact >= FEWEST]


def _new_frames(frames: np.ndarray, rest: Evidence, bank: Bank) -> np.ndarray:
    start = frames if len(frames) else np.full((1, N_PIXELS), 120.0)
    wrong, _, shape = _search(rest, start, bank)
    left = np.flatnonzero((wrong > 3) & ((rest.sure * (rest.high < UNBOUNDED)).sum(1) >= 20))
    rest, shape = rest[left], shape[left]
    new = []
    for members, start_shape in groups(rest, shape):
        frame = _first_levels(start_shape, rest[members])
        if frame is not None:
            new.append(frame)
    return np.array(new).reshape(-1, N_PIXELS)


def groups(rest: Evidence, shape: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Patches that seem to share a frame, with the parameters that say so."""
    n = len(shape)
    misfit, fitted = np.full((n, n), np.inf), []
    for k in range(n):
        parameters, cost = fit_pairs(rest[np.full(n, k)], rest, shape[np.full(n, k)], shape)
        misfit[k] = cost
        fitted.append(parameters)
        misfit[k, k] = np.inf
    same, left, found = misfit < SAME, np.ones(n, bool), []
    for k in np.argsort(same.sum(1), kind="stable"):
        members = np.flatnonzero(same[k] & left)
        if left[k] and len(members) >= FEWEST - 1:
            own = np.median(fitted[k][members, :6], axis=0)
            found.append((np.r_[k, members], np.vstack([own, fitted[k][members, 6:]])))
            left[members] = left[k] = False
    return found


def _first_levels(shape: np.ndarray, members: Evidence) -> np.ndarray | None:
    """T by least squares; members that do not fit lose their say."""
    say = np.ones(len(shape))
    for _ in range(12):
        frame = _least_squares(shape, members, say)
        shape, cost = fit(shape, np.tile(frame, (len(shape), 1)), members, 0.5, 5)
        say = 1 / (1 + (cost / 6) ** 2)
    good = cost < 15
    if good.sum() < FEWEST:
        return None
    return whole_levels(frame.clip(0, 255), shape[good], members[good])


def _least_squares(shape: np.ndarray, members: Evidence, say: np.ndarray) -> np.ndarray:
    gains = _gains(shape)
    weight = say[:, None] * members.sure * (members.high < UNBOUNDED)
    rise = weight * (members.low + 0.5) * gains
    return rise.sum(0) / np.maximum((weight * gains**2).sum(0), 1e-6)


def _gains(shape: np.ndarray) -> np.ndarray:
    return gaussians(shape[:, :5], shape[:, 5])


def whole_levels(frame: np.ndarray, shape: np.ndarray, members: Evidence) -> np.ndarray:
    """The frame in whole gray levels that explains most.

    The level of all is open by a few percent, lambda makes up for it: try many.
    """
    scales = np.linspace(0.9, 1.06, 129)
    cost = []
    for scale in scales:
        now = shape.copy()
        now[:, 0] /= scale
        tile = np.tile(np.rint(frame * scale).clip(0, 255), (len(now), 1))
        cost.append(np.minimum(fit(now, tile, members, 0.5, 3)[1], 20).sum())
    best = (np.inf, np.inf, frame)
    for k in np.argsort(cost)[:4]:
        now = shape.copy()
        now[:, 0] /= scales[k]
        level, misfit = _settled(np.rint(frame * scales[k]).clip(0, 255), now, members)
        best = min(best, ((misfit > 0.01).sum(), misfit.clip(max=20).sum(), level), key=_first_two)
    return best[2]


def _first_two(scored: tuple) -> tuple:
    return scored[:2]


def _settled(
    frame: np.ndarray, shape: np.ndarray, members: Evidence
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the patches and choose each pixel's level by how many it satisfies, in turns."""
    levels = np.arange(256)
    for _ in range(6):
        tile = np.tile(frame, (len(shape), 1))
        shape, _ = fit(shape, tile, members, 0.5, 6)
        shape, misfit = fit(shape, tile, members, 0.05, 10)
        good = misfit < 25
        if not good.any():
            break
        gains, part = _gains(shape[good]), members[good]
        value = np.floor(levels[:, None, None] * gains)
        met = ((value >= part.low) & (value < part.high) & (part.sure > 0)).sum(1)
        near = _least_squares(shape[good], part, np.ones(int(good.sum())))
        score = met - 1e-3 * np.minimum(abs(levels[:, None] - near), 100)
        chosen = score.argmax(0).astype(float)
        if (chosen == frame).all():
            break
        frame = chosen
    return frame, misfit


if __name__ == "__main__":
    main()

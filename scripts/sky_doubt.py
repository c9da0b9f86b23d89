"""How often a wrong predicted sky is listed as worth a look, and a right one.

python scripts/sky_doubt.py [--data ../shared/data] [--each 120] [--fit]

Wrong is a sky of which a tenth of the image or more is none. The cases are the images of SIRST v2
and what is made of them so that the truth stays known: crops of ground, of sky and of both, small
ones enlarged and blurred, images upside down, turned, mirrored, saturated, and what lies below the
last sky. ``--fit`` weighs the signs of doubt anew, without a kind each in turn. Where the data have
a folder ``other`` with ``looked.csv``, its images are counted by what a person saw.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from evaluate_sky import files_with_sky, gray_and_truth
from scipy.optimize import minimize

from densesirst_gen.datasets import read_dataset
from densesirst_gen.sky import doubt
from densesirst_gen.sky.check import worth_a_look
from densesirst_gen.sky.limits import DOUBTFUL, LITTLE_SKY
from densesirst_gen.sky.network import features, shipped
from densesirst_gen.sky.predict import is_blank, prediction_from, unit_gray

WRONG = 0.1
"""Of the image that is taken for sky and is none."""
TRIES = 20
"""Places at which a crop is looked for in an image."""
STIFF = 0.03
"""Of the weights' squares, when they are fitted."""
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Case:
    """What is said of one image; `wrong` is None where nobody knows."""

    kind: str
    name: str
    wrong: bool
    confidence: float
    share: float
    signs: doubt.Signs

    @property
    def doubt(self) -> float:
        """0 to 1; none of little sky."""
        known = self.share > LITTLE_SKY
        return float(1 / (1 + np.exp(-doubt.score(self.signs)))) if known else 0.0

    def is_listed(self, *, doubted: bool = True) -> bool:
        """Whether it is worth a look, with its doubt or by confidence and share alone."""
        if self.confidence < DOUBTFUL and self.share <= LITTLE_SKY:
            return False
        return worth_a_look(self.confidence, self.share, self.doubt if doubted else None)


def main() -> None:
    """Print one line of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = os.environ.get("DENSESIRST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--each", type=int, default=120, help="cases of each kind")
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    cases = list(made(args.data, args.each))
    for kind in dict.fromkeys(case.kind for case in cases):
        show(kind, [case for case in cases if case.kind == kind])
    show("all", cases)
    if args.fit:
        fit(cases)
    if (args.data / "other" / "looked.csv").exists():
        show("other", list(looked(args.data / "other")))


def made(data: Path, each: int) -> Iterator[Case]:
    """Images of SIRST v2, and as many of each kind that is made of them."""
    files = files_with_sky(data)
    rng = np.random.default_rng(1)
    names = rng.permutation(list(files))
    for kind, change in KINDS.items():
        n_found = 0
        for name in names:
            if n_found == each:
                break
            pair = change(*gray_and_truth(files[name]), rng)
            if pair is not None and min(pair[0].shape) >= 24 and not is_blank(pair[0]):
                n_found += 1
                yield told(kind, str(name), *(np.ascontiguousarray(part) for part in pair))


def told(kind: str, name: str, gray: np.ndarray, truth: np.ndarray) -> Case:
    """What the network says of an image, and whether that is wrong."""
    found, signs = seen(gray)
    wrong = bool((found.sky & ~truth).mean() >= WRONG)
    return Case(kind, name, wrong, found.confidence, float(found.sky.mean()), signs)


def seen(gray: np.ndarray) -> tuple[doubt.SkyPrediction, doubt.Signs]:
    """Prediction and signs of doubt."""
    network, inputs = shipped(), features(gray)
    coarse = network.model.log_odds(inputs)
    signs = doubt.signs(*doubt.chances(network, coarse, doubt.views_of(network, inputs)))
    return prediction_from(coarse, gray), signs


def looked(folder: Path) -> Iterator[Case]:
    """Images that a person looked at."""
    with (folder / "looked.csv").open() as file:
        seen_by_eye = {Path(row["file"]).stem: row["by_eye"] for row in csv.DictReader(file)}
    for file in read_dataset(folder / "images").scenes:
        found, signs = seen(unit_gray(file.load()))
        wrong, share = seen_by_eye[file.name] == "wrong", float(found.sky.mean())
        yield Case("other", file.name, wrong, found.confidence, share, signs)


def show(kind: str, cases: list[Case]) -> None:
    """One line: how many are listed of the wrong, the surely wrong, the right ones and all."""
    wrong, right = ([c for c in cases if c.wrong == is_wrong] for is_wrong in (True, False))
    sure = [c for c in wrong if c.confidence >= 0.9]
    parts = {"wrong": wrong, "wrong, 0.9 sure": sure, "right": right, "all": cases}
    counts = (
        f"{sum(c.is_listed() for c in part)} ({sum(c.is_listed(doubted=False) for c in part)}) "
        f"of {len(part)} {label}"
        for label, part in parts.items()
    )
    print(f"{kind:>12}: listed (without doubt) {'; '.join(counts)}", flush=True)


# ------------------------------------------------------------------------------------------- kinds


def crop(low: int, high: int, accept: Callable[[float], bool]) -> Change:
    """A square of so many pixels whose share of sky is accepted."""

    def change(gray: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> Pair | None:
        side = min(int(rng.integers(low, high)), *gray.shape)
        for _ in range(TRIES):
            row, col = (int(rng.integers(length - side + 1)) for length in gray.shape)
            place = np.s_[row : row + side, col : col + side]
            if accept(truth[place].mean()) and gray[place].std() > 0.005:
                return gray[place], truth[place]
        return None

    return change


def enlarged(gray: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> Pair | None:
    """A small crop, mostly of ground, at 256x256 and blurred."""
    pair = crop(40, 80, lambda share: share < 0.3)(gray, truth, rng)
    if pair is None:
        return None
    larger = cv2.resize(pair[0], (256, 256), interpolation=cv2.INTER_CUBIC)
    sky = cv2.resize(pair[1].astype(np.uint8), (256, 256), interpolation=cv2.INTER_NEAREST)
    return cv2.GaussianBlur(larger, (0, 0), 2).clip(0, 1), sky > 0


def saturated(gray: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> Pair:
    """The middle half of the levels over the whole range."""
    low, high = np.quantile(gray, (0.25, 0.75))
    return np.clip((gray - low) / max(high - low, 0.02), 0, 1).astype(np.float32), truth


def below(gray: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> Pair | None:
    """The rows below the last that has sky, if they are forty."""
    rows = np.flatnonzero(truth.any(axis=1))
    start = rows[-1] + 1 if len(rows) else 0
    return (gray[start:], truth[start:]) if len(gray) - start >= 40 else None


Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], Pair | None]
KINDS: dict[str, Change] = {
    "as they are": lambda gray, truth, rng: (gray, truth),
    "mirrored": lambda gray, truth, rng: (gray[:, ::-1], truth[:, ::-1]),
    "upside down": lambda gray, truth, rng: (gray[::-1], truth[::-1]),
    "turned by 90": lambda gray, truth, rng: (np.rot90(gray), np.rot90(truth)),
    "saturated": saturated,
    "crop of 256": crop(256, 257, lambda share: True),
    "sky alone": crop(48, 160, lambda share: share == 1),
    "both": crop(64, 160, lambda share: 0.1 < share < 0.9),
    "ground alone": crop(48, 160, lambda share: share == 0),
    "enlarged": enlarged,
    "below": below,
}


# --------------------------------------------------------------------------------------------- fit


def fit(cases: list[Case]) -> None:
    """Print the weights, and how well they do on each kind that they were not fitted to."""
    used = [case for case in cases if case.share > LITTLE_SKY]
    for kind in dict.fromkeys(case.kind for case in used if case.wrong):
        weights = weighed([case for case in used if case.kind != kind])[1:]
        wrong = logarithms([c for c in used if c.wrong and c.kind == kind]) @ weights
        right = logarithms([c for c in used if not c.wrong]) @ weights
        pairs = f"{(wrong[:, None] > right).mean():.1%} of {len(wrong)} x {len(right)} pairs"
        print(f"  without {kind}: its wrong ones more doubted than right ones in {pairs}")
    print("offset and weights:", np.round(weighed(used), 3))


def logarithms(cases: list[Case]) -> np.ndarray:
    """(cases, 2): of the signs."""
    return np.log(np.array([case.signs for case in cases]) + doubt.LEAST)


def weighed(cases: list[Case]) -> np.ndarray:
    """Offset and weights of least cross-entropy; all wrong ones weigh as much as all right."""
    signs, wrong = logarithms(cases), np.array([case.wrong for case in cases])
    mean, spread = signs.mean(0), signs.std(0)
    weight = np.where(wrong, 1 / wrong.sum(), 1 / (~wrong).sum()) / 2

    def loss(p: np.ndarray) -> float:
        odds = ((signs - mean) / spread) @ p[1:] + p[0]
        entropy = np.logaddexp(0, np.where(wrong, -odds, odds)) @ weight
        return float(entropy + STIFF / 2 * (p[1:] ** 2).sum())

    found = minimize(loss, np.zeros(signs.shape[1] + 1)).x
    scale = found[1:] / spread
    return np.concatenate([[found[0] - scale @ mean], scale])


if __name__ == "__main__":
    main()

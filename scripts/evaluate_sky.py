"""How well the sky is found on images that the network was not trained on.

python scripts/evaluate_sky.py FOLD.npz [FOLD.npz ...] [--sweep] [--changed]

The folds come from `scripts/train_sky.py hold-out`. Folds of different images are taken together
as one cross-validation; of an image that is in several (other seeds), the answers are averaged.
``--sweep`` shows pasting at several confidences and margins. ``--changed`` runs the folds' networks
on their images as other cameras might have taken them: black-hot, small, large, flat, noisy.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from densesirst_gen.datasets import SceneFile, read_dataset
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.placement import free_positions
from densesirst_gen.sky.network import Model, features, unpacked
from densesirst_gen.sky.predict import (
    SKY_CONFIDENCE,
    SKY_MARGIN,
    SkyPrediction,
    prediction_from,
    unit_gray,
)

PATCHES = 200
"""Random free positions of a pasted patch that are tried in each image."""
NETWORK = "net/"
"""What the names of a fold's weights begin with."""
WORST = 5
"""Images named that have the most patches outside."""
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda gray: gray,
    "polarity reversed": lambda gray: 1 - gray,
    "at 96x135": lambda gray: resized(gray, (96, 135)),
    "at 1080x1918": lambda gray: resized(gray, (1080, 1918)),
    "half the contrast": lambda gray: gray / 2 + np.float32(0.25),
    "levels squared": lambda gray: gray**2,
    "noise of 0.03": lambda gray: np.clip(gray + noise_like(gray) * np.float32(0.03), 0, 1),
}
"""What ``--changed`` does to an image's levels, 0 to 1."""


@dataclass(frozen=True)
class Case:
    """An image that was held out.

    Parameters
    ----------
    name : str
    truth : ndarray, (H, W), bool
    found : SkyPrediction
    """

    name: str
    truth: np.ndarray
    found: SkyPrediction

    @property
    def overlap(self) -> float:
        """Intersection over union; 1 if there is no sky and none was found."""
        return overlap_of(self.found.sky, self.truth)

    @property
    def accuracy(self) -> float:
        """Share of the pixels that are right."""
        return float((self.truth == self.found.sky).mean())


def main() -> None:
    """Print the figures of the model card."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folds", type=Path, nargs="+")
    default = os.environ.get("DENSESIRST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--changed", action="store_true")
    args = parser.parse_args()
    files = files_with_sky(args.data)
    cases = list(held_out(args.folds, files))
    show_overlap(cases)
    show_reliability(cases)
    settings = [(SKY_CONFIDENCE, SKY_MARGIN)]
    if args.sweep:
        settings = [(c, m) for c in (0.5, 0.7, 0.8, 0.9, 0.95) for m in (0, 4, 8)]
    for confidence, margin in settings:
        show_pasting(cases, confidence, margin)
    if args.changed:
        show_changed(args.folds, files)


def held_out(folds: list[Path], files: dict[str, SceneFile]) -> Iterator[Case]:
    """Every held-out image, with what a network that has not seen it says."""
    for name, answer in answers_of(folds).items():
        gray, truth = gray_and_truth(files[name])
        yield Case(name, truth, prediction_from(answer, gray))


def files_with_sky(data: Path) -> dict[str, SceneFile]:
    """The images of SIRST v2 with the sky masks of DenseSIRST, by name."""
    masks = data / "densesirst" / "SkySeg" / "BinaryMask"
    return {file.name: file for file in read_dataset(data / "sirstv2", sky_dir=masks).scenes}


def gray_and_truth(file: SceneFile) -> tuple[np.ndarray, np.ndarray]:
    """Levels from 0 to 1, and the true sky."""
    scene = file.load()
    assert scene.sky is not None
    return unit_gray(scene), scene.sky


def overlap_of(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks; 1 if both are empty."""
    union = (found | truth).sum()
    return float((found & truth).sum() / union) if union else 1.0


def answers_of(folds: list[Path]) -> dict[str, np.ndarray]:
    """Name of each held-out image, and the mean of the log-odds that the folds have of it."""
    found: dict[str, list[np.ndarray]] = {}
    for fold in folds:
        with np.load(fold) as stored:
            for name, answer in zip(stored["names"], stored["log_odds"], strict=True):
                found.setdefault(str(name), []).append(answer.astype(np.float32))
    return {name: np.mean(answers, axis=0) for name, answers in found.items()}


def show_overlap(cases: list[Case]) -> None:
    """Overlap and accuracy over all images, those with sky and ground, and those without sky."""
    mixed = [c for c in cases if 0 < c.truth.mean() < 1]
    bare = [c for c in cases if not c.truth.any()]
    for label, chosen in (("all", cases), ("sky and ground", mixed), ("no sky", bare)):
        if chosen:
            show_mean(label, [(c.overlap, c.accuracy) for c in chosen])


def show_mean(label: str, figures: list[tuple[float, float]]) -> None:
    """One line of what each image's overlap and accuracy are on average."""
    overlap, accuracy = np.transpose(figures)
    print(
        f"{label:>17}: {len(figures)} images, mean IoU {overlap.mean():.4f}, "
        f"median {np.median(overlap):.4f}, pixel accuracy {accuracy.mean():.4f}"
    )


def show_reliability(cases: list[Case]) -> None:
    """Stated chance against share that is sky, by pixel; stated against true overlap, by image."""
    sample = np.random.default_rng(0)
    chance, truth = [], []
    for case in cases:
        chosen = sample.integers(case.truth.size, size=5000)
        chance.append(case.found.probability.ravel()[chosen])
        truth.append(case.truth.ravel()[chosen])
    show_bins("pixels", np.concatenate(chance), np.concatenate(truth), np.linspace(0, 1, 11))
    stated = np.array([c.found.confidence for c in cases])
    overlaps = np.array([c.overlap for c in cases])
    show_bins("images", stated, overlaps, np.array([0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1]))


def show_bins(label: str, stated: np.ndarray, found: np.ndarray, edges: np.ndarray) -> None:
    """Mean stated and found value of each bin, and the mean absolute difference."""
    bins = np.clip(np.searchsorted(edges, stated, side="right") - 1, 0, len(edges) - 2)
    error = 0.0
    for k in range(len(edges) - 1):
        if (inside := bins == k).any():
            pair = stated[inside].mean(), found[inside].mean()
            error += abs(pair[0] - pair[1]) * inside.mean()
            print(f"  {label} {edges[k]:.2f}-{edges[k + 1]:.2f}: ", end="")
            print(f"stated {pair[0]:.3f}, found {pair[1]:.3f} ({inside.mean():.1%})")
    print(f"  {label}: calibration error {error:.4f}")


def show_pasting(cases: list[Case], confidence: float, margin: int) -> None:
    """Are patches in the true sky, and how much of the usable sky is left?"""
    side, rng = PasteConfig().window_px, np.random.default_rng(0)
    outside, kept = {}, []
    for case in cases:
        windows = windows_in(case.found.certain(confidence, margin), side)
        true_windows = windows_in(case.truth, side)
        if true_windows.any():
            kept.append((windows & true_windows).sum() / true_windows.sum())
        if windows.any():
            outside[case.name] = patches_outside(windows, case.truth, rng)
    shares = {name: share / len(outside) for name, share in outside.items()}
    print(
        f"pasting at confidence {confidence}, margin {margin}: {1 - sum(shares.values()):.4%} of "
        f"patches in the true sky ({len(shares)} images), "
        f"{np.mean(kept):.1%} of usable windows kept"
    )
    worst = sorted((n for n in shares if shares[n]), key=lambda name: -shares[name])[:WORST]
    print("  not in it, most of them in:", ", ".join(f"{n} {shares[n]:.2%}" for n in worst))


def patches_outside(windows: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> float:
    """Share of the random patches in these windows that are not wholly in the true sky."""
    config = PasteConfig()
    patches = windows_in(truth, config.patch_px)
    rows, cols = np.nonzero(windows)
    pick = rng.integers(len(rows), size=PATCHES)
    shift = rng.integers(config.window_px - config.patch_px + 1, size=(2, PATCHES))
    return 1 - float(patches[rows[pick] + shift[0], cols[pick] + shift[1]].mean())


def show_changed(folds: list[Path], files: dict[str, SceneFile]) -> None:
    """Overlap and accuracy on images that were changed as `CHANGES` says."""
    figures: dict[str, list[tuple[float, float]]] = {label: [] for label in CHANGES}
    for fold in folds:
        names, model = network_of(fold)
        for name in names:
            gray, truth = gray_and_truth(files[name])
            for label, change in CHANGES.items():
                case = changed(name, change(gray), truth, model)
                figures[label].append((case.overlap, case.accuracy))
    for label, chosen in figures.items():
        show_mean(label, chosen)


def network_of(fold: Path) -> tuple[list[str], Model]:
    """The names that a fold held out, and the network that has not seen them."""
    with np.load(fold) as stored:
        weights = {
            key.removeprefix(NETWORK): stored[key] for key in stored if key.startswith(NETWORK)
        }
        if not weights:
            raise SystemExit(f"{fold}: holds no network; make it again with train_sky.py hold-out")
        return [str(name) for name in stored["names"]], Model(unpacked(weights))


def changed(name: str, gray: np.ndarray, truth: np.ndarray, model: Model) -> Case:
    """What the network says of a changed image; the truth follows a change of size."""
    truth = resized(truth.astype(np.float32), gray.shape) > 0.5
    return Case(name, truth, prediction_from(model.log_odds(features(gray)), gray))


def noise_like(gray: np.ndarray) -> np.ndarray:
    """Normal noise, the same for all images of a size."""
    return np.random.default_rng(0).standard_normal(gray.shape, dtype=np.float32)


def resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image of any values at another size: averaged or interpolated."""
    shrinks = image.shape[0] >= shape[0] and image.shape[1] >= shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, shape[::-1], interpolation=method)


def windows_in(allowed: np.ndarray, side: int) -> np.ndarray:
    """Where the top-left corner of a window fits, bool."""
    return free_positions(~allowed, side, side)


if __name__ == "__main__":
    main()

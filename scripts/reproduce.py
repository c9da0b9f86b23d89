"""Measure on the released data what the code states as numbers; train what papers print.

python scripts/reproduce.py density | levels | skycheck   [--data ../shared/data]
python scripts/reproduce.py densesirst --out DIR [--data DIR] [--against DEVKIT]
python scripts/reproduce.py --list
python scripts/reproduce.py TABLE --data DIR --out DIR [--epochs N] [-O key=value] [--only ROW ...]
python scripts/reproduce.py TABLE --out DIR --collect [--json]

density   Eq. 4 on the released part: 0.4082 in clusters, 0.1345 for single targets
levels    peaks of the pasted targets divided by their gain: PEAK_VALUES in paste/draws.py
skycheck  how often `sky check` doubts good sky masks, and finds flipped and shifted ones
densesirst  the released images and labels from SIRST v2, bit for bit where every patch is known
TABLE     a published table: its trainings, and its numbers beside ours (needs torch)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from evaluate_sky import files_with_sky
from scipy.optimize import least_squares

from densesirst_gen.datasets import read_dataset
from densesirst_gen.paste.draws import PEAK_QUANTILES, PEAK_VALUES
from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky.check import check_sky
from densesirst_gen.stats.tables import dataset_stats

DARK = 40
"""Sky below this gray level leaves room for every peak: nothing is clipped."""


def main() -> None:
    """Run one measurement, or the trainings of a table."""
    measurements = {"density": density, "levels": levels, "skycheck": skycheck}
    if "densesirst" in sys.argv[1:2]:
        from release import remade

        remade.main(sys.argv[1:])
        return
    if not measurements.keys() & set(sys.argv[1:]):
        import reproduce_tables

        reproduce_tables.main(sys.argv[1:])
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=measurements)
    default = os.environ.get("DENSESIRST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    args = parser.parse_args()
    measurements[args.what](args.data)


def released(data: Path, folder: str) -> Iterator[Scene]:
    """The released scenes, rebuilt into a folder."""
    command = [sys.executable, str(data / "make_densesirst.py"), folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (file.load() for file in read_dataset(folder).scenes)


def density(data: Path) -> None:
    """Mean normalised density of clusters and singles."""
    with tempfile.TemporaryDirectory() as folder:
        summary = dataset_stats(released(data, folder)).summary()
    for kind in ("clusters", "singles"):
        print(f"{kind} {summary[f'density_{kind}']:.4f}")


def skycheck(data: Path) -> None:
    """False alarms on all masks; faults found on those with 2 to 98 % sky."""
    alarms, found = 0, Counter[str]()
    files = files_with_sky(data)
    n_mixed = 0
    for file in files.values():
        scene = file.load()
        assert scene.sky is not None
        alarms += is_doubted(scene.image, scene.sky)
        if 0.02 <= scene.sky.mean() <= 0.98:
            n_mixed += 1
            found.update(
                {name: is_doubted(scene.image, m) for name, m in faults(scene.sky).items()}
            )
    print(f"{alarms} of {len(files)} good masks doubted")
    for name, n in found.items():
        print(f"{name}: {n / n_mixed:.0%} of {n_mixed} found")


def is_doubted(image: np.ndarray, sky: np.ndarray) -> bool:
    """Whether the place of a mask is doubted."""
    return any(doubt.kind in ("flipped", "shifted") for doubt in check_sky(image, sky))


def faults(sky: np.ndarray) -> dict[str, np.ndarray]:
    """The mask, flipped and shifted."""
    moved = {
        f"shifted {px} px {name}": _shifted(sky, *(px * step for step in way))
        for px in (8, 16, 32)
        for name, way in {"down": (1, 0), "up": (-1, 0), "right": (0, 1), "left": (0, -1)}.items()
    }
    flips = {"left to right": sky[:, ::-1], "upside down": sky[::-1], "turned": sky[::-1, ::-1]}
    return {**{name: np.ascontiguousarray(m) for name, m in flips.items()}, **moved}


def _shifted(sky: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """Moved; its border row or column is repeated."""
    down, right = (np.arange(n) for n in sky.shape)
    return sky[
        np.clip(down - rows, 0, sky.shape[0] - 1)[:, None],
        np.clip(right - cols, 0, sky.shape[1] - 1),
    ]


def levels(data: Path) -> None:
    """Fit the quantiles of level so that level x gain has the released peaks on dark sky."""
    backgrounds = {file.name: file for file in read_dataset(data / "sirstv2").scenes}
    with tempfile.TemporaryDirectory() as folder:
        pairs = ((scene, backgrounds[scene.name].load()) for scene in released(data, folder))
        peaks = np.concatenate([_peaks(*pair) for pair in pairs])
    ranks = (np.arange(200) + 0.5) / 200
    wanted = np.quantile(peaks + 0.5, ranks)  # released values are cut, not rounded

    def misfit(steps: np.ndarray) -> np.ndarray:
        return _product(np.cumsum([0, *np.exp(steps)]), ranks) - wanted

    fit = least_squares(misfit, np.log(np.diff(PEAK_VALUES)))
    stated = _product(np.array(PEAK_VALUES), ranks) - wanted
    print(f"{len(peaks)} targets on sky below {DARK} gray levels")
    print("quantile " + " ".join(f"{q:6.2f}" for q in PEAK_QUANTILES))
    print("fitted   " + " ".join(f"{v:6.1f}" for v in np.cumsum([0, *np.exp(fit.x)])))
    print("stated   " + " ".join(f"{v:6.1f}" for v in PEAK_VALUES))
    for name, residual in (("fitted", fit.fun), ("stated", stated)):
        print(f"{name}: quantiles of the peaks met within {np.sqrt(np.mean(residual**2)):.2f} rms")


def _product(values: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Quantiles of level x gain, gain uniform on 0.5 to 1."""
    level = np.interp((np.arange(500) + 0.5) / 500, PEAK_QUANTILES, values)
    gain = 0.5 + 0.5 * (np.arange(60) + 0.5) / 60
    return np.quantile(np.outer(level, gain), ranks)


def _peaks(scene: Scene, background: Scene) -> np.ndarray:
    """Exact rises of the brightest pixel of the pasted targets on dark sky."""
    rise = scene.image.astype(int) - background.image
    labels = scene.labels
    peak = np.zeros(scene.n_targets + 1, int)
    below = np.zeros(scene.n_targets + 1, int)
    np.maximum.at(peak, labels.ravel(), rise.ravel())
    np.maximum.at(below, labels.ravel(), background.image.ravel())
    pasted = np.ones(scene.n_targets + 1, bool)
    pasted[np.unique(labels[background.labels > 0])] = pasted[0] = False
    return peak[pasted & (below < DARK)]


if __name__ == "__main__":
    main()

"""Pictures of how the release was pasted.

python scripts/release_pictures.py parameters JSON PNG    recovered parameters, the claimed law
python scripts/release_pictures.py patch PNG              a patch of made-up numbers
python scripts/release_pictures.py patch PNG --json JSON --row K --sirstv2 DIR --devkit DIR
                                   [--frames NPZ]         a released one, its donor and what is left

JSON is what `invert_release.py` writes. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
from release.frames import read_frames
from release.model import HIGH, LOW, SIDE, Paste, rises, steps_of
from release.report import NAMES, values_of
from release.scenes import read_pair

mpl.use("Agg")

import matplotlib.pyplot as plt


def main() -> None:
    """Draw what the first word says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("parameters")
    one.add_argument("json", type=Path)
    one.add_argument("png", type=Path)
    patch = kinds.add_parser("patch")
    patch.add_argument("png", type=Path)
    for name in ("--json", "--sirstv2", "--devkit", "--frames"):
        patch.add_argument(name, type=Path)
    patch.add_argument("--row", type=int, default=0)
    args = parser.parse_args()
    if args.kind == "parameters":
        draw_parameters(json.loads(args.json.read_text())["rows"], args.png)
    else:
        draw_patch(*(_released(args) if args.json else _made_up()), args.png)


def draw_parameters(rows: list[dict], png: Path) -> None:
    """Histograms of the exact patches, of lambda where one donor alone explains them."""
    exact = [row for row in rows if row["exact"]]
    sure = [row for row in exact if row["equally_good_donors"] == 1]
    columns = {n: values_of(sure if n == "lambda" else exact, n) for n in NAMES}
    columns["theta modulo 90"] = values_of(exact, "theta") % 90
    bounds = [*zip(LOW, HIGH, strict=True), (0, 90)]
    figure, axes = plt.subplots(1, 6, figsize=(13, 2.2), sharey=True, layout="constrained")
    for axis, (name, values), (low, high) in zip(axes, columns.items(), bounds, strict=True):
        axis.hist(
            values,
            bins=15,
            range=(low, high),
            weights=np.full(len(values), 15 / len(values)),
            color="#7a9cc6",
        )
        axis.axhline(1, color="black", linewidth=1)
        axis.set_title(name, fontsize=9)
    figure.savefig(png, dpi=80)


def draw_patch(panels: dict[str, np.ndarray], title: str, png: Path) -> None:
    """Panels of 5x5 numbers side by side."""
    figure, axes = plt.subplots(1, len(panels), figsize=(2.3 * len(panels), 2.6))
    for axis, (name, values) in zip(axes, panels.items(), strict=True):
        axis.imshow(values, cmap="gray", vmin=0, vmax=max(1, values.max()))
        for (row, col), value in np.ndenumerate(values):
            colour = "black" if value > 0.6 * max(1, values.max()) else "white"
            text = f"{value:.2f}" if values.dtype.kind == "f" else str(value)
            axis.text(col, row, text, ha="center", va="center", fontsize=7, color=colour)
        axis.set_axis_off()
        axis.set_title(name, fontsize=9)
    figure.suptitle(title, fontsize=9)
    figure.savefig(png, dpi=80)


def _panels(paste: Paste, donor: np.ndarray, rise: np.ndarray) -> dict[str, np.ndarray]:
    made = rises(paste, donor)
    return {
        "T": donor.astype(int).reshape(SIDE, SIDE),
        "lambda G": paste.gains().reshape(SIDE, SIDE),
        "floor(lambda T G)": made,
        "released - original": rise,
        "difference": rise - made,
    }


def _made_up() -> tuple[dict[str, np.ndarray], str]:
    rows, cols = np.mgrid[:SIDE, :SIDE]
    donor = (150 - 12 * rows + 7 * cols + (rows * cols) % 3).ravel().astype(float)
    values = np.array([0.82, 0.36, 0.52, -0.12, -0.05])
    paste = Paste("made up", tuple(steps_of(values)), 35, 0, 0)
    panels = _panels(paste, donor, rises(paste, donor))
    del panels["released - original"], panels["difference"]
    return panels, "made-up numbers"


def _released(args: argparse.Namespace) -> tuple[dict[str, np.ndarray], str]:
    row = json.loads(args.json.read_text())["rows"][args.row]
    values = np.array([row[name] for name in NAMES])
    steps = tuple(steps_of(values))
    paste = Paste(row["donor"], steps, row["theta"], row["row"], row["col"])
    pair = read_pair(args.sirstv2, args.devkit, row["image"])
    rise = pair.after[paste.window].astype(int) - pair.before[paste.window]
    donor = read_frames(args.sirstv2, args.devkit, args.frames)[paste.donor]
    corner = f"({paste.row}, {paste.col})"
    return _panels(paste, donor, rise), f"{row['image']} at {corner}, donor {paste.donor}"


if __name__ == "__main__":
    main()

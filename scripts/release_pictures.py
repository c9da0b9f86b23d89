"""Pictures of how the release was pasted.

python scripts/release_pictures.py parameters JSON PNG    recovered parameters, the claimed law
python scripts/release_pictures.py patch PNG              a patch of made-up numbers
python scripts/release_pictures.py patch PNG --json JSON --row K --sirstv2 DIR --devkit DIR
                                   [--frames NPZ]         a released one, its donor and what is left
python scripts/release_pictures.py frames PNG             what both profiles paste, demo scenes

JSON is what `invert_release.py` writes. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image
from release.frames import read_frames
from release.model import HIGH, LOW, SIDE, Paste, rises, steps_of
from release.report import NAMES, values_of
from release.scenes import read_pair

from densesirst_gen import build_library, make_plan, render, scene_rng
from densesirst_gen.datasets.demo import N_DEMO_SCENES, demo_scene
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.paste.extract import extract_frame, stack_entries
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.picture import densest_spot, scene_panel, zoom_panel
from densesirst_gen.scene.scene import Scene

mpl.use("Agg")

import matplotlib.pyplot as plt

SHOWN = (18, 23)
"""Demo scenes of the picture of frames."""


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
    kinds.add_parser("frames").add_argument("png", type=Path)
    args = parser.parse_args()
    if args.kind == "parameters":
        draw_parameters(json.loads(args.json.read_text())["rows"], args.png)
    elif args.kind == "frames":
        draw_frames(args.png)
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


def draw_frames(png: Path) -> None:
    """From a demo scene's sky to its frame, and the same scene pasted on by both profiles."""
    scenes = [demo_scene(index) for index in range(N_DEMO_SCENES)]
    frames = stack_entries([e for s in scenes for e in extract_frame(s, SIDE)], "frames", {})
    libraries = {"bag-cp": build_library(scenes), "release": frames}
    figure, axes = plt.subplots(len(SHOWN), 5, figsize=(12, 2.6 * len(SHOWN)), layout="constrained")
    for scene, row in zip((scenes[index] for index in SHOWN), axes, strict=True):
        panels = {
            "an image and its sky": scene_panel(replace(scene, labels=np.zeros_like(scene.labels))),
            "the sky, black outside": scene_panel(_only_sky(scene), marks=False),
            "T: its box at 5x5": frames.patches[list(frames.sources).index(scene.name)],
            **{f"pasted by {name}": _pasted(scene, name, lib) for name, lib in libraries.items()},
        }
        for axis, (title, picture) in zip(row, panels.items(), strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
            axis.set_axis_off()
            axis.set_title(title, fontsize=9)
    figure.savefig(png, dpi=70)


def _only_sky(scene: Scene) -> Scene:
    return replace(scene, image=np.where(scene.sky, scene.image, 0))


def _pasted(scene: Scene, profile: str, library: TargetLibrary) -> Image.Image:
    """Where a scene is densest after pasting."""
    plan = make_plan(scene, library, PROFILES[profile], scene_rng(2, scene.name))
    after = render(scene, library, plan)
    return zoom_panel(after, densest_spot(after), marks=False)


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

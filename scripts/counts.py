"""The same scenes in the counts of other cameras: what is measured and pasted must stay the same.

python scripts/counts.py SIRSTV2 [--images 14] [--seed 0]

Real 8-bit images are written again as linear maps of their own pixels, so that the right numbers
are those of the originals. No --span is given anywhere.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from densesirst_gen import PROFILES, TargetLibrary, make_plan, read_dataset, render
from densesirst_gen.build.donors import make_library
from densesirst_gen.datasets import SceneFile
from densesirst_gen.files.images.codec import encode_png, encode_tiff
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.measure import measure

Convert = Callable[[np.ndarray], np.ndarray]
EDGE = 4
"""Rows and columns at the border that hold no data, or dead pixels, in some of the cameras."""


def whole(gain: int, offset: int = 0) -> Convert:
    """Counts of 16 bits: offset + gain * gray level."""
    return lambda gray: (offset + gain * gray.astype(np.int64)).astype(np.uint16)


def with_pixels(
    convert: Convert, value: float, where: tuple[slice, slice] | None = None
) -> Convert:
    """The counts of a camera, and a value in two pixels of them, or in a part of the image."""

    def changed(gray: np.ndarray) -> np.ndarray:
        counts = convert(gray)
        if where is None:
            counts[EDGE, EDGE] = counts[EDGE, -EDGE] = value
        else:
            counts[where] = value
        return counts

    return changed


def degrees(gray: np.ndarray) -> np.ndarray:
    """Degrees Celsius, 0.1 a gray level."""
    return (gray / 10 - 20).astype(np.float32)


ROWS = np.s_[:EDGE, :]
CAMERAS: dict[str, tuple[Convert, float]] = {
    "8 bit": (lambda gray: gray, 1),
    "8 bit, narrow: 90 + v / 5": (lambda gray: (90 + gray // 5).astype(np.uint8), 0.2),
    "12 bit, full: 16 v": (whole(16), 16),
    "14 bit, full: 64 v": (whole(64), 64),
    "14 bit, narrow: 7200 + 2 v": (whole(2, 7200), 2),
    "14 bit, a third: 5000 + 20 v": (whole(20, 5000), 20),
    "16 bit: 51200 + 4 v": (whole(4, 51200), 4),
    "8-bit values in uint16": (whole(1), 1),
    "14 bit, two dead pixels at 65535": (with_pixels(whole(64), 65535), 64),
    "14 bit narrow, rows of 0": (with_pixels(whole(2, 7200), 0, ROWS), 2),
    "degrees C": (degrees, 0.1),
    "degrees C, two pixels at 1000": (with_pixels(degrees, 1000), 0.1),
    "degrees C, rows of -9999": (with_pixels(degrees, -9999, ROWS), 0.1),
    "float, no data 3.4e38": (with_pixels(degrees, np.finfo(np.float32).max, ROWS), 0.1),
    "float 0..1": (lambda gray: (gray / 255).astype(np.float32), 1 / 255),
    "radiance, 1e-9 a level": (lambda gray: (gray * 1e-9).astype(np.float32), 1e-9),
}


@dataclass(frozen=True)
class Numbers:
    """What is compared.

    Parameters
    ----------
    scr : float
        Median over the targets.
    own : int
        Targets fit for a library.
    rise : float
        Median rise of a paste, gray levels of the 8-bit original.
    share : float
        Median rise of a paste over the range of its scene (0.1 to 99.9 %).
    above, own_above : float
        Shares of pasted and of own targets that are brighter than all else in their image.
    """

    scr: float
    own: int
    rise: float
    share: float
    above: float
    own_above: float


def written(folder: Path, scenes: list[Scene], convert: Convert) -> None:
    """The scenes in another camera's counts, with their masks."""
    for scene in scenes:
        counts = convert(scene.image)
        deep = counts.dtype == np.float32
        data = encode_tiff(counts) if deep else encode_png(counts)
        path = folder / f"images/{scene.name}{'.tif' if deep else '.png'}"
        for file, content in (
            (path, data),
            (
                folder / f"masks/{scene.name}.png",
                encode_png((scene.labels > 0).astype(np.uint8) * 255),
            ),
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def numbers_of(folder: Path, gain: float, library: TargetLibrary) -> Numbers:
    """What the package says of a folder."""
    dataset = read_dataset(folder)
    table = measure(dataset.scenes).stats
    pasted = [pasted_into(file, library, gain) for file in dataset.scenes]
    rises, shares, above = (
        np.concatenate(column) for column in list(zip(*pasted, strict=True))[:3]
    )
    own = np.concatenate([row[3] for row in pasted])
    return Numbers(
        float(np.median(table.targets["scr"])),
        len(make_library(dataset, "targets")),
        float(np.median(rises)),
        float(np.median(shares)),
        float(above.mean()),
        float(own.mean()),
    )


def pasted_into(file: SceneFile, library: TargetLibrary, gain: float) -> tuple[np.ndarray, ...]:
    """Of the pastes of one scene rise, share of the scene's range and whether they are above it."""
    scene, config = file.load(), replace(PROFILES["bag-cp"], region="anywhere")
    plan = make_plan(scene, library, config, scene_rng(0, scene.name))
    image = render(scene, library, plan).image
    low, high = np.quantile(scene.data, (0.001, 0.999))
    rise = plan.pastes["increment"]
    labels = plan.pastes["label"]
    drawn = render(scene, library, plan).labels
    peaks = np.array([image[drawn == label].max() for label in labels], np.float64)
    ground = scene.data.max()
    own = [scene.image[scene.labels == k].max() for k in range(1, scene.n_targets + 1)]
    rest = scene.image[(scene.labels == 0) & (True if scene.void is None else ~scene.void)].max()
    return rise / gain, rise / (high - low), peaks > ground, np.array(own) > rest


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    files = [f for f in read_dataset(args.data).scenes if f.has_targets()]
    chosen = np.random.default_rng(args.seed).choice(len(files), args.images, replace=False)
    scenes = [files[k].load() for k in sorted(chosen)]
    library = make_library(read_dataset(args.data), "targets")
    print(
        "| counts | SCR | own library | rise, gray levels | rise / range | above all | own above |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (convert, gain) in CAMERAS.items():
        with tempfile.TemporaryDirectory() as folder:
            written(Path(folder), scenes, convert)
            n = numbers_of(Path(folder), gain, library)
        print(
            f"| {name} | {n.scr:.1f} | {n.own} | {n.rise:.1f} | {n.share:.2f} | {n.above:.0%} "
            f"| {n.own_above:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

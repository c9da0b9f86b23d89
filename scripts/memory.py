"""Does a long build need more and more memory, or leave files open?

python scripts/memory.py [--frames 100000] [--side 64] [--out DIR]

Frames of noise, each a file of its own, with a few targets and a given sky, are built in this
process. While scenes are made, the resident memory and the open files are noted after every
hundredth of them. Of the last three quarters a line is fitted: its slope is that of memory, and its
error comes from the slopes of ten blocks one after the other. Exit code 1 if memory grows by more
than twice that error and by more than --allowed MiB over the whole build, or if more files are open
at the end than at the beginning.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.paste.config import PROFILES

N_KINDS = 50
"""Frames that differ; each is there many times under other names."""
N_SAMPLES = 100
N_BLOCKS = 10
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """What is used after so many scenes: bytes, open files."""

    scenes: int
    memory: int
    files: int


@dataclass(frozen=True)
class Slope:
    """Growth of memory and its standard error, bytes a scene."""

    value: float
    error: float

    def grows(self, scenes: int, allowed: float) -> bool:
        """Whether it is no chance, and more than `allowed` bytes over so many scenes."""
        return self.value > 2 * self.error and self.value * scenes > allowed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=64, help="px")
    parser.add_argument("--allowed", type=float, default=2.0, help="MiB over the whole build")
    parser.add_argument("--out", type=Path, help="folder to work in  [a temporary one]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        write_frames(Path(folder) / "frames", options.frames, options.side)
        begun = time.monotonic()
        samples = watched_build(Path(folder) / "frames", Path(folder) / "out", options.frames)
        seconds = time.monotonic() - begun
    print(text(samples, options.frames, seconds))
    return int(not is_flat(samples, options.allowed * MIB))


def write_frames(root: Path, n: int, side: int) -> None:
    """Images, target masks and sky masks; contents that come again are links to one file."""
    kinds = min(n, N_KINDS)
    for k in range(n):
        files = [f"{part}/{k:06}.png" for part in ("images", "masks", "sky")]
        if k < kinds:
            write_files(root, zip(files, _frame(k, side), strict=True))
        else:
            for file in files:
                os.link(root / file.replace(f"{k:06}", f"{k % kinds:06}"), root / file)


def _frame(seed: int, side: int) -> Iterator[bytes]:
    rng = np.random.default_rng(seed)
    image, mask = rng.normal(60, 3, (side, side)), np.zeros((side, side), np.uint8)
    for row, col in rng.integers(2, side - 4, (2, 2)):
        image[row : row + 2, col : col + 2] += 90
        mask[row : row + 2, col : col + 2] = 255
    sky = np.full_like(mask, 255)
    sky[side // 2 :] = 0
    return map(encode_png, (image.clip(0, 255).astype(np.uint8), mask, sky))


def watched_build(frames: Path, out: Path, n: int) -> list[Sample]:
    """Build, and what was used while scenes were made."""
    samples: list[Sample] = []
    dataset = read_dataset(frames, sky_dir=frames / "sky")
    build_dataset(dataset, out, Recipe(PROFILES["bag-cp"]), progress=noting(samples, n))
    return samples


def noting(samples: list[Sample], n: int) -> Callable[[Iterable[Any], int], Iterator[Any]]:
    """A `progress` that takes samples."""
    every = max(n // N_SAMPLES, 1)

    def watch(items: Iterable[Any], total: int) -> Iterator[Any]:
        for done, item in enumerate(items, 1):
            yield item
            if done % every == 0:
                samples.append(Sample(done, resident(), open_files()))

    return watch


def resident() -> int:
    """Bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def slope_of(samples: Sequence[Sample]) -> Slope:
    """Of the last three quarters: before that, caches fill."""
    settled = samples[len(samples) // 4 :]
    blocks = [b for b in np.array_split(np.arange(len(settled)), N_BLOCKS) if len(b) > 1]
    slopes = [_fitted([settled[k] for k in block]) for block in blocks]
    error = float(np.std(slopes, ddof=1)) / len(slopes) ** 0.5 if len(slopes) > 1 else 0.0
    return Slope(_fitted(settled), error)


def _fitted(samples: Sequence[Sample]) -> float:
    scenes, memory = ([s.scenes for s in samples], [s.memory for s in samples])
    return float(np.polyfit(scenes, memory, 1)[0])


def is_flat(samples: Sequence[Sample], allowed: float) -> bool:
    """Whether neither memory nor open files grow; `allowed` in bytes over all scenes."""
    grows = slope_of(samples).grows(samples[-1].scenes, allowed)
    return not grows and samples[-1].files <= samples[0].files


def text(samples: Sequence[Sample], n: int, seconds: float) -> str:
    """What was found, for a person."""
    slope, last = slope_of(samples), samples[-1]
    first = samples[len(samples) // 4]
    whole = slope.value * n / MIB
    return (
        f"{n:,} scenes in {seconds:.0f} s ({n / seconds:.0f}/s); memory after a quarter "
        f"{first.memory / MIB:.1f} MiB, at the end {last.memory / MIB:.1f} MiB; slope "
        f"{slope.value:.2f} +- {slope.error:.2f} bytes a scene, {whole:.2f} MiB over all; open "
        f"files {samples[0].files} at the beginning, {last.files} at the end, "
        f"{max(s.files for s in samples)} at most"
    )


if __name__ == "__main__":
    sys.exit(main())

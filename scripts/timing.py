"""What the benchmarks share: a scene, the time of a step, medians and ranges in words."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene


def noise_scene() -> Scene:
    """A 512x512 image of noise, all sky, with two targets."""
    image = np.random.default_rng(0).integers(40, 60, (512, 512)).astype(np.uint8)
    mask = np.zeros(image.shape, bool)
    mask[100:104, 200:203] = mask[300:303, 40:45] = True
    image[mask] += 90
    return Scene("noise", image, label_mask(mask), np.ones(image.shape, bool))


def microseconds(step: Callable[[], object], rounds: int, repeats: int = 50) -> list[float]:
    """Microseconds of one call, one value for each round, after a warm-up."""
    step()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(repeats):
            step()
        times.append((time.perf_counter() - start) / repeats * 1e6)
    return times


def spread(values: Sequence[float], unit: str) -> str:
    """Median and range."""
    median = statistics.median(values)
    return f"median {median:7.2f} {unit} ({min(values):.2f} to {max(values):.2f})"


def ratio(a: Sequence[float], b: Sequence[float]) -> str:
    """Median and range of a over b, round by round."""
    ratios = [x / y for x, y in zip(a, b, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

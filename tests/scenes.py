"""Scenes made on the spot."""

from __future__ import annotations

from functools import cache

import numpy as np

from densesirst_gen.datasets.demo import demo_scene
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene

drawn = cache(demo_scene)
"""A demo scene, drawn once; nobody writes into it."""


def make_scene(
    shape: tuple[int, int] = (96, 128),
    *,
    name: str = "scene",
    dtype: type = np.uint8,
    sky: np.ndarray | str | None = "all",
    targets: int = 2,
    base: float = 40.0,
    seed: int = 0,
) -> Scene:
    """A noisy scene with a few round targets, its levels stated in 8-bit gray levels."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    gray = base + 10 * rows / shape[0] + rng.normal(0, 1.5, shape)
    mask = np.zeros(shape, bool)
    for k in range(targets):
        spot = (rows - 12 - 20 * k) ** 2 + (cols - 15 - 25 * k) ** 2
        gray += 90 * np.exp(-spot / 4)
        mask |= spot <= 5
    unit, span = {np.uint8: (1, None), np.uint16: (16383 / 255, (0.0, 16383.0))}.get(
        dtype, (0.1, (0.0, 25.5))
    )
    image = np.clip(gray, 0, 255) * unit
    image = image.astype(dtype) if dtype is np.float32 else np.floor(image).astype(dtype)
    covered = np.ones(shape, bool) if isinstance(sky, str) else sky
    return Scene(name, image, label_mask(mask), covered, span)


def round_targets() -> Scene:
    """A scene with targets of 1x1, 1x2, 2x2, ... pixels, and one too large."""
    image = np.full((120, 160), 30, np.uint8)
    mask = np.zeros(image.shape, bool)
    for k, (height, width) in enumerate([(1, 1), (1, 3), (3, 1), (2, 2), (4, 6), (9, 7), (30, 20)]):
        box = np.s_[20 : 20 + height, 5 + 20 * k : 5 + 20 * k + width]
        image[box], mask[box] = 120 + 10 * k, True
    return Scene("round", image, label_mask(mask), None)


def random_scenes(seed: int, n: int, gain: float = 60.0, size: int = 3) -> list[Scene]:
    """Scenes with one or two rows of four targets on noise."""
    rng = np.random.default_rng(seed)
    scenes = []
    for k in range(n):
        image = rng.normal(80, 5, (64, 64))
        labels = np.zeros(image.shape, np.int32)
        for row in range(rng.integers(1, 3)):
            y, x = 8 + 30 * row + rng.integers(0, 8), rng.integers(4, 20)
            for i in range(4):
                spot = np.s_[y : y + rng.integers(1, size + 1), x + 6 * i : x + 6 * i + size]
                image[spot] += gain * rng.uniform(0.5, 1.5)
                labels[spot] = 4 * row + i + 1
        sky = np.arange(64)[:, None] < rng.integers(20, 64, 1)
        picture = image.clip(0, 255).astype(np.uint8)
        scenes.append(Scene(f"{k:03}", picture, labels, np.broadcast_to(sky, (64, 64)).copy()))
    return scenes

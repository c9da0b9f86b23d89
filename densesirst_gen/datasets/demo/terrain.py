"""What stands in front of the sky in the demo scenes: land, sea, buildings, trees, masts, wires.

A layer takes a generator and a `Canvas` and returns the canvas with one more thing painted over
it, so a scene is a chain of layers from far to near.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from densesirst_gen.datasets.demo.canvas import Canvas, Segment, below, fade, strokes
from densesirst_gen.datasets.demo.fields import fractal, ramp

Layer = Callable[[np.random.Generator, Canvas], Canvas]


def receding(rng: np.random.Generator, canvas: Canvas, aspect: float = 1.0) -> np.ndarray:
    """Noise on a plane that recedes to the horizon, fading where it gets too fine to be seen.

    Parameters
    ----------
    aspect : float
        Width over depth of the features on the plane.
    """
    height, width = canvas.shape
    texture = fractal(rng, (512, 512), (8, 8), gain=0.9)
    depth = np.arange(height)[:, None] - canvas.horizon
    near = np.maximum(depth, 0.5) / height
    y = 40 / (near + 0.03) + np.zeros(width)
    x = 256 + (np.arange(width) - width / 2) / height * 60 / (near + 0.03) / aspect
    plane = ndimage.map_coordinates(texture, [y, x], order=1, mode="mirror")
    return plane * np.clip(near * 4, 0.1, 1)


def plain(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Flat ground up to the horizon, with a road that runs to it between bright kerbs."""
    height, width = canvas.shape
    depth = (np.arange(height)[:, None] - canvas.horizon) / height
    lane = np.arange(width) / height - rng.uniform(0.3, 0.9) - rng.uniform(-0.4, 0.4) * depth
    road = np.abs(lane) / np.maximum(depth, 1e-3) / rng.uniform(0.25, 0.9)
    level = canvas.warmth * (0.85 + 0.3 * np.clip(depth, 0, 1)) + 6 * receding(rng, canvas, 3)
    level = np.where(road < 1, level * rng.choice([0.82, 0.9, 1.1]), level)
    level = level + canvas.warmth * 0.15 * np.exp(-(((road - 1.02) / 0.03) ** 2))
    return canvas.paint(below(canvas.shape, canvas.horizon), level)


def sea(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Water with waves stretched along the horizon and a path of glint."""
    height, width = canvas.shape
    waves, ripples = receding(rng, canvas, 3), receding(rng, canvas, 2)
    swell = fractal(rng, canvas.shape, (height / 24, width / 2), gain=0.6)
    level = canvas.warmth * (1 + 0.08 * np.linspace(-1, 1, height)[:, None])
    level = level + 3.5 * waves + 2 * ripples + 1.5 * swell
    path = np.exp(-(((np.arange(width) / width - rng.uniform(0.2, 0.8)) / 0.16) ** 2))
    sparkle = ramp(waves + ripples + swell, 0.5, 3.5) * path
    return canvas.paint(below(canvas.shape, canvas.horizon), level + 8 * path + 80 * sparkle)


def hills(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Three wooded ranges, the far one hazy, the near one as warm as the ground."""
    height, width = canvas.shape
    air = float(canvas.radiance[min(height - 1, int(canvas.horizon))].mean())
    slopes = fractal(rng, canvas.shape, (height / 6, height / 8), gain=0.65)
    relief = 50 * np.clip(np.gradient(slopes, axis=1), -0.25, 0.25)
    scrub = fractal(rng, canvas.shape, (height / 32, height / 32), gain=0.9)
    for share, rise in ((0.25, 0.12), (0.5, 0.06), (0.85, 0.0)):
        line = fractal(rng, (1, width), (1, width / 2.5), gain=0.5)[0]
        ridge = canvas.horizon - height * (rise + 0.03 * line)
        mist = 0.2 * fade(canvas.shape, ridge, 0.08 * height)
        level = air + share * (canvas.warmth - air) * (0.8 + mist)
        edge = below(canvas.shape, ridge + (0.3 + share) * height / 400 * scrub)
        canvas = canvas.paint(edge, level + share * (relief + 3 * scrub))
    return canvas


def treeline(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """A wood in four rows, the near ones larger, with leafy, ragged crowns lit from above."""
    height, width = canvas.shape
    leaves = fractal(rng, canvas.shape, (height / 16, height / 16), gain=0.95)
    for nearness in (0.55, 0.7, 0.85, 1.0):
        foot = canvas.horizon + height * (nearness - 0.55) * 0.3
        ridge = np.full(width, foot)
        for middle in rng.uniform(0, width, rng.integers(10, 18)):
            tall, half = height * nearness * rng.uniform(0.05, [0.14, 0.08])
            x = np.abs(np.arange(width) - middle) / half
            crown = foot - tall * np.clip(1 - x ** rng.choice([1.3, 2.5]), 0, None)
            ridge = np.minimum(ridge, crown)
        ridge = ridge + height * 0.01 * leaves + height * 0.004 * np.roll(leaves, 7, axis=1)
        lit = 0.12 * fade(canvas.shape, ridge, 0.05 * height)
        level = canvas.warmth * (0.5 + 0.15 * nearness + lit + 0.05 * leaves)
        canvas = canvas.paint(below(canvas.shape, ridge), level)
    return canvas


def bare_trees(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Trees without leaves: short trunks that fork down to twigs of a pixel."""
    height, width = canvas.shape
    for tall in np.sort(rng.uniform(0.04, 0.08, rng.integers(6, 11))):
        foot = rng.uniform(0, width), canvas.horizon + height * (1.5 * tall - 0.05)
        segments = _branch(rng, foot, -np.pi / 2, height * tall, height * tall / 7, 6)
        level = canvas.warmth * rng.uniform(0.8, 1.15)
        canvas = canvas.paint(strokes(canvas.shape, segments), level)
    return canvas


def _branch(
    rng: np.random.Generator,
    foot: tuple[float, float],
    angle: float,
    long: float,
    width: float,
    forks: int,
) -> list[Segment]:
    """A branch in two bent pieces and, `forks` times over, all that grows from it."""
    x, y = foot
    segments: list[Segment] = []
    for _ in range(2):
        tip = x + long / 2 * np.cos(angle), y + long / 2 * np.sin(angle)
        segments.append((x, y, *tip, max(width, 0.8)))
        angle, (x, y) = angle + rng.normal(0, 0.15), tip
    for turn in rng.normal((-0.35, 0.4, 0.0), 0.22)[: rng.integers(2, 4) if forks else 0]:
        longer = long * rng.uniform(0.65, 1.0)
        segments += _branch(rng, (x, y), angle + turn, longer, width * 0.62, forks - 1)
    return segments


def city(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Rows of blocks with windows, far and hazy to near and tall, on a floor of warm ground."""
    height, width = canvas.shape
    canvas = canvas.paint(below(canvas.shape, canvas.horizon), 0.7 * canvas.warmth)
    for share in (0.35, 0.6, 0.85):
        cover, level = np.zeros(canvas.shape), np.zeros(canvas.shape)
        left = -rng.uniform(0, 0.2) * height
        while left < width:
            wide, tall = height * share * rng.uniform(0.08, [0.26, 0.4])
            for inset, lift in ((0.0, 0.0), (0.3, 0.025 * height * share)):
                box = _box(canvas, left + inset * wide, (1 - 1.6 * inset) * wide, tall + lift)
                cover[box] = 1
                level[box] = _facade(rng, cover[box].shape, height * share) * canvas.warmth
            left += wide * rng.uniform(0.95, 2.0)
        air = canvas.radiance
        canvas = canvas.paint(cover, air + (0.3 + 0.6 * share) * (level - air))
    return canvas


def _box(canvas: Canvas, left: float, wide: float, tall: float) -> tuple[slice, slice]:
    """Pixels from a roof down to the horizon."""
    top = max(0, int(canvas.horizon - tall))
    return slice(top, int(canvas.horizon) + 1), slice(max(0, int(left)), max(0, int(left + wide)))


def _facade(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> np.ndarray:
    """Two walls of unequal warmth, windows and a bright parapet, relative to the ground's level."""
    floor, bay = max(3, int(scale * 0.025)), max(3, int(scale * rng.uniform(0.02, 0.05)))
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    panes = rng.normal(-0.2, 0.12, (shape[0] // floor + 1, shape[1] // bay + 1))
    panes += rng.choice([0.0, 0.0, -0.15, 0.2], panes.shape[1])
    glass = (rows % floor >= floor * 0.4) & (cols % bay >= bay * rng.uniform(0.3, 0.6))
    walls = np.where(cols < shape[1] * rng.uniform(0, 1), *rng.uniform(0.5, 1.2, 2))
    walls = walls + glass * panes[rows // floor, cols // bay] + 0.12 * rows / (scale + 1)
    return np.where(rows < max(1, floor // 3), walls + 0.2, walls)


def roof(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """A near house, cut by a side of the frame: gabled roof, chimney, large windows."""
    height, width = canvas.shape
    middle, half = width * rng.choice([0.1, 0.85]), width * rng.uniform(0.22, 0.34)
    eaves = canvas.horizon - height * rng.uniform(0.12, 0.2)
    x = np.arange(width)
    ridge = eaves - height * 0.18 * np.clip(1 - np.abs(x - middle) / half, 0, 1)
    ridge = np.where(np.abs(x - middle) < half, ridge, height)
    stains = fractal(rng, canvas.shape, (height / 4, height / 16), gain=0.7)
    wall = _facade(rng, canvas.shape, height * 3)
    under = np.arange(height)[:, None] - eaves
    wall = 0.5 + 0.5 * wall - 0.3 * fade(canvas.shape, eaves, 0.02 * height)
    slab = np.where(under < 0, 1.1 + under / height, wall) + 0.03 * stains
    stack = middle + half * rng.uniform(-0.6, 0.6)
    chimney = (stack, eaves, stack, eaves - height * 0.19, height * 0.03)
    canvas = canvas.paint(strokes(canvas.shape, [chimney]), canvas.warmth * 1.3)
    canvas = canvas.paint(below(canvas.shape, ridge), slab * canvas.warmth)
    line = below(canvas.shape, ridge) - below(canvas.shape, ridge + height * 0.012)
    return canvas.paint(line, canvas.warmth * 1.25)


def masts(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Poles and antennas of one to a few pixels, with cross-arms."""
    height, width = canvas.shape
    segments: list[Segment] = []
    for x in rng.uniform(0.04, 0.96, rng.integers(2, 5)) * width:
        top = canvas.horizon - height * rng.uniform(0.12, 0.4)
        thick = 1 + rng.uniform(0, height / 200)
        segments.append((x, canvas.horizon + height * 0.1, x, top, thick))
        for y in top + height * np.array([0.02, 0.045])[: rng.integers(0, 3)]:
            arm = height * rng.uniform(0.01, 0.03)
            segments.append((x - arm, y, x + arm, y, 1.0))
    return canvas.paint(strokes(canvas.shape, segments), canvas.warmth * 1.1)


def pylons(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Lattice towers with the wires between them, sagging."""
    height, width = canvas.shape
    feet = np.linspace(-0.15, 1.15, 4) * width + rng.uniform(-0.1, 0.1, 4) * width
    tall = height * rng.uniform(0.28, 0.4, 4)
    segments: list[Segment] = []
    for x, h in zip(feet, tall, strict=True):
        segments += _lattice(x, canvas.horizon + 0.05 * height, h)
    tops = canvas.horizon + 0.05 * height - tall
    arms = [(level, side) for level in (0.0, 0.14) for side in (-1, 1)]
    for i in range(3):
        for level, side in arms:
            y0, y1 = (tops[j] + level * tall[j] for j in (i, i + 1))
            x0, x1 = (feet[j] + side * 0.16 * tall[j] for j in (i, i + 1))
            segments += sagging(x0, y0, x1, y1, 0.08 * height)
    return canvas.paint(strokes(canvas.shape, segments), canvas.warmth * 0.9)


def _lattice(x: float, foot: float, tall: float) -> list[Segment]:
    rungs = np.linspace(0, 1, 8)
    half = tall * (0.02 + 0.09 * (1 - rungs) ** 1.5)
    rows = foot - tall * rungs
    segments: list[Segment] = []
    for i in range(7):
        for side in (-1, 1):
            low, high = (x + side * half[i], rows[i]), (x + side * half[i + 1], rows[i + 1])
            segments += [(*low, *high, 1.2), (*low, x - side * half[i + 1], rows[i + 1], 0.8)]
    arms = [(x - 0.16 * tall, y, x + 0.16 * tall, y, 1.2) for y in (rows[-1], rows[-2])]
    return segments + arms


def sagging(x0: float, y0: float, x1: float, y1: float, sag: float) -> list[Segment]:
    """A wire between two points as short segments of 0.8 pixels width."""
    t = np.linspace(0, 1, 25)
    x, y = x0 + t * (x1 - x0), y0 + t * (y1 - y0) + 4 * sag * t * (1 - t)
    return [(x[i], y[i], x[i + 1], y[i + 1], 0.8) for i in range(24)]


def wires(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Cables right across the frame, high above the ground, near enough to be thick."""
    height, width = canvas.shape
    left, right = rng.uniform(0.05, 0.55, 2) * canvas.horizon
    segments: list[Segment] = []
    for gap in np.cumsum(rng.uniform(0.02, 0.06, rng.integers(2, 5))) * height:
        for x0, y0, x1, y1, w in sagging(-9, left + gap, width + 9, right + gap, 0.03 * height):
            segments.append((x0, y0, x1, y1, max(w, height / 400)))
    return canvas.paint(strokes(canvas.shape, segments), canvas.warmth * 0.8)


def farmland(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Land seen from above, nothing but it: strips of fields, hedges, groves, a road."""
    height, width = canvas.shape
    bend = height * 0.006 * fractal(rng, canvas.shape, (height / 4, height / 4))
    rows, cols = np.ogrid[:height, :width]
    y = (0.9 * rows + 0.35 * cols + bend) / (0.17 * height)
    strip = np.floor(y).astype(int) % 16
    shift, wide = rng.uniform(0, 1, 16)[strip], rng.uniform(0.12, 0.5, 16)[strip]
    x = ((0.9 * cols - 0.45 * rows + bend) / height + shift) / wide
    level = rng.uniform(0.75, 1.15, (16, 16))[strip, np.floor(x).astype(int) % 16]
    border = np.minimum(0.17 * (0.5 - np.abs(y % 1 - 0.5)), wide * (0.5 - np.abs(x % 1 - 0.5)))
    soil = fractal(rng, canvas.shape, (height / 5, height / 5), gain=0.85)
    grove = ramp(fractal(rng, canvas.shape, (height / 5, height / 5), gain=0.8), 1.1, 1.4)
    level = level - 0.2 * np.exp(-border / 0.005) - 0.3 * grove + 0.04 * soil
    ends = rng.uniform(0.1, 0.9, 2) * height
    road = strokes(canvas.shape, [(-9.0, ends[0], width + 9.0, ends[1], 1 + 0.008 * height)])
    canvas = canvas.paint(np.ones(canvas.shape), canvas.warmth * level)
    return canvas.paint(0.6 * road, canvas.warmth * 1.35)

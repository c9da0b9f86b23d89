"""A default set of infrared scenes, drawn by this package from a seed: no data needed.

The set covers what a builder meets in real data: clear and cloudy skies, horizons of every sort,
land without sky, small and large frames, 8 bits, 14 bits and radiometric values, scenes with and
without targets of their own. Each scene knows its sky and its targets exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from densesirst_gen.datasets.demo.canvas import Canvas
from densesirst_gen.datasets.demo.fields import (
    Clouds,
    cirrus,
    clear,
    cumulus,
    fractal,
    haze,
    overcast,
)
from densesirst_gen.datasets.demo.targets import FLYING, add_targets
from densesirst_gen.datasets.demo.terrain import (
    Layer,
    bare_trees,
    city,
    farmland,
    hills,
    masts,
    plain,
    pylons,
    roof,
    sea,
    treeline,
    wires,
)
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.counts import Counts
from densesirst_gen.scene.scene import Scene

Shape = tuple[int, int]


@dataclass(frozen=True)
class Depth:
    """Sample type of an image, and its values for gray levels 0 and 255."""

    dtype: type[np.generic]
    black: float
    white: float


@dataclass(frozen=True)
class Sky:
    """Gray level of the zenith, what horizon, thick cloud and a sun's halo add to it."""

    level: float
    glow: float
    clouds: Clouds = clear
    contrast: float = 30.0
    sun: float = 0.0


@dataclass(frozen=True)
class Camera:
    """Flaws of optics and sensor.

    Blur in pixels, noise and stripes in gray levels, vignette and edge enhancement as shares,
    number of dead pixels.
    """

    blur: float = 0.6
    noise: float = 0.7
    stripes: float = 0.15
    vignette: float = 0.04
    sharpen: float = 0.0
    n_dead: int = 0


@dataclass(frozen=True)
class DemoKind:
    """What one demo scene shows.

    Parameters
    ----------
    title : str
        Its part of the scene's name.
    shape : (int, int)
        (H, W).
    sky : Sky
    layers : tuple of Layer
        What stands before the sky, from far to near; none: all sky.
    horizon : float
        Height of the sky as a share of the frame.
    warmth : float
        Gray level of typical ground.
    targets : (int, float, float)
        Their number, and their smallest and largest peak above the background in gray levels.
    boats : bool
        The targets float below the horizon; otherwise they fly in the sky.
    camera : Camera
    depth : Depth
    black_hot : bool
        Warm is dark.
    """

    title: str
    shape: Shape
    sky: Sky
    layers: tuple[Layer, ...] = ()
    horizon: float = 1.0
    warmth: float = 120.0
    targets: tuple[int, float, float] = (0, 1.0, 1.0)
    boats: bool = False
    camera: Camera = Camera()
    depth: Depth = Depth(np.uint8, 0, 255)
    black_hot: bool = False


U14, KELVIN = Depth(np.uint16, 0, 16383), Depth(np.float32, 233, 333)
UNCOOLED = Camera(blur=0.7, noise=1.9, stripes=0.6, vignette=0.1, n_dead=2)
OLD = Camera(blur=1.1, noise=3.2, stripes=1.0, vignette=0.16, n_dead=5)
CRISP = Camera(blur=0.8, noise=0.5, stripes=0.1, sharpen=1.5)
SMALL, QVGA, TALL = (96, 135), (240, 320), (256, 320)
VGA, WIDE, LARGE = (480, 640), (512, 640), (768, 1024)

# fmt: off
KINDS: tuple[DemoKind, ...] = (
    DemoKind("clear_sky", TALL, Sky(92, 12), targets=(2, 14, 70), camera=UNCOOLED),
    DemoKind("city", WIDE, Sky(18, 16, cirrus, 22), (city, masts, treeline), 0.86, 150,
             (2, 16, 60)),
    DemoKind("cumulus_sky", WIDE, Sky(46, 20, cumulus, 95), targets=(3, 25, 90)),
    DemoKind("hills", TALL, Sky(34, 46, haze, 24), (hills,), 0.8, 120, (2, 14, 60),
             camera=UNCOOLED),
    DemoKind("sea", QVGA, Sky(60, 34), (sea,), 0.55, 92, (3, 25, 90), boats=True),
    DemoKind("wires", VGA, Sky(24, 50, haze, 30), (treeline, wires), 0.93, 100, (2, 14, 80)),
    DemoKind("overcast_sky", QVGA, Sky(28, 0, overcast, 190)),
    DemoKind("street", WIDE, Sky(14, 16, cirrus, 14), (treeline, plain, roof, bare_trees), 0.66,
             150, camera=CRISP),
    DemoKind("dark_sky", WIDE, Sky(9, 26), targets=(3, 12, 60)),
    DemoKind("pylons", VGA, Sky(26, 36, haze, 20), (hills, pylons), 0.78, 120, (2, 14, 60),
             camera=CRISP),
    DemoKind("cirrus_sky", TALL, Sky(58, 22, cirrus, 60), targets=(3, 16, 80), depth=U14),
    DemoKind("farmland_no_sky", TALL, Sky(0, 0), (farmland,), warmth=125),
    DemoKind("winter_wood", QVGA, Sky(20, 24), (hills, plain, bare_trees), 0.82, 150, (2, 16, 60)),
    DemoKind("noisy_sky", TALL, Sky(80, 14, haze, 40), targets=(2, 26, 80), camera=OLD),
    DemoKind("small_sea", SMALL, Sky(70, 26), (sea,), 0.55, 105, (2, 25, 80), camera=UNCOOLED),
    DemoKind("city_cumulus", LARGE, Sky(16, 12, cumulus, 95), (city, treeline), 0.88, 125,
             (3, 25, 70)),
    DemoKind("hazy_sky", WIDE, Sky(104, 16, haze, 45), targets=(2, 12, 50)),
    DemoKind("roof_black_hot", QVGA, Sky(30, 20, cumulus, 30), (treeline, roof), 0.85, 130,
             black_hot=True),
    DemoKind("masts", WIDE, Sky(20, 60), (hills, city, masts, treeline), 0.84, 170, (3, 12, 60),
             depth=U14),
    DemoKind("small_sky", SMALL, Sky(76, 14), targets=(2, 18, 80), camera=UNCOOLED),
    DemoKind("halo_sky", VGA, Sky(40, 10, sun=260), targets=(2, 20, 60)),
    DemoKind("plain", QVGA, Sky(40, 50, cirrus, 24), (treeline, plain), 0.7, 112, camera=UNCOOLED),
    DemoKind("torn_sky", VGA, Sky(20, 0, overcast, 150), targets=(2, 30, 90), camera=UNCOOLED),
    DemoKind("sea_cumulus", VGA, Sky(40, 22, cumulus, 60), (sea,), 0.6, 66, (2, 20, 80)),
    DemoKind("radiometric", QVGA, Sky(50, 60, haze, 16), (hills, treeline), 0.82, 150, (2, 14, 60),
             camera=UNCOOLED, depth=KELVIN),
    DemoKind("white_sky", TALL, Sky(150, 20, haze, 50), targets=(2, 16, 70)),
    DemoKind("road_no_sky", VGA, Sky(0, 0), (plain,), -0.25, 110, camera=CRISP),
    DemoKind("evening_city", VGA, Sky(12, 34), (hills, city, pylons, treeline), 0.87, 110,
             (2, 14, 60)),
    DemoKind("cumulus_heaps", TALL, Sky(70, 24, cumulus, 80), camera=UNCOOLED),
    DemoKind("roof_wires", WIDE, Sky(30, 16, haze, 12), (treeline, roof, wires), 0.85, 140,
             (2, 14, 60), camera=CRISP),
)
# fmt: on
N_DEMO_SCENES = len(KINDS)


def demo_names(n: int = N_DEMO_SCENES) -> list[str]:
    """Names of the first `n` demo scenes, without drawing them.

    Returns
    -------
    list of str
        ``demo_00_clear_sky`` and so on; beyond the table of kinds it starts again, with new
        pixels.
    """
    return [_name(i) for i in range(n)]


def _name(index: int) -> str:
    return f"demo_{index:02d}_{KINDS[index % len(KINDS)].title}"


def demo_counts() -> dict[str, Counts]:
    """What the values of the demo scenes mean, by dtype: each sensor's own black and white."""
    depths = {np.dtype(kind.depth.dtype).name: kind.depth for kind in KINDS}
    return {kind: Counts((depth.black, depth.white)) for kind, depth in sorted(depths.items())}


def demo_splits() -> dict[str, tuple[str, ...]]:
    """The default set in three parts: of each five scenes in a row three, one and one.

    Returns
    -------
    dict
        Names under ``train``, ``val`` and ``test``.
    """
    fold = {"train": (0, 1, 2), "val": (3,), "test": (4,)}
    names = demo_names()
    return {k: tuple(n for i, n in enumerate(names) if i % 5 in v) for k, v in fold.items()}


def demo_scene(index: int, seed: int = 0) -> Scene:
    """Draw one demo scene; it depends on nothing but `index` and `seed`.

    Parameters
    ----------
    index : int
        Position in `demo_names`, from 0.
    seed : int
        Another seed, another set of the same kinds; from 0.

    Returns
    -------
    Scene
        With its exact sky and its targets; `span` is what its sensor can give.

    Raises
    ------
    ValueError
        If `index` or `seed` is negative.
    """
    if index < 0 or seed < 0:
        raise ValueError(f"index and seed must be 0 or more, got {index} and {seed}")
    kind = KINDS[index % len(KINDS)]
    scenery, target, sensor = np.random.default_rng([seed, index]).spawn(3)
    canvas = _scenery(scenery, kind)
    gray = ndimage.gaussian_filter(canvas.radiance, kind.camera.blur)
    room = _afloat(canvas) if kind.boats else canvas.sky & (gray < 215)
    n, *peak = kind.targets
    shapes = ("boat",) if kind.boats else FLYING
    gray, mask = add_targets(target, gray, room, n, (peak[0], peak[1]), shapes)
    image = _sample(_expose(sensor, gray, kind.camera), kind)
    span = (kind.depth.black, kind.depth.white)
    return Scene(_name(index), image, label_mask(mask), canvas.sky, span)


def _scenery(rng: np.random.Generator, kind: DemoKind) -> Canvas:
    horizon = kind.horizon * kind.shape[0]
    canvas = Canvas(_sky(rng, kind), np.ones(kind.shape), horizon, kind.warmth)
    for layer in kind.layers:
        canvas = layer(rng, canvas)
    return canvas


def _sky(rng: np.random.Generator, kind: DemoKind) -> np.ndarray:
    """Gray levels of the open sky: a gradient to the horizon, clouds, a halo."""
    (height, width), sky = kind.shape, kind.sky
    down = np.clip(np.arange(height)[:, None] / (kind.horizon * height), 0, 1)
    across = np.linspace(-1, 1, width) * rng.uniform(-0.06, 0.06)
    open_sky = (sky.level * (1 + across)) + sky.glow * down ** rng.uniform(1.5, 4)
    y = (down - rng.uniform(0.8, 1.2)) / 0.6
    x = (np.linspace(0, 1, width) - rng.uniform(0, 1)) / 0.45
    halo = sky.sun / (1 + x * x + y * y) ** 2
    mottle = fractal(rng, kind.shape, (height / 8, width / 8), gain=0.6)
    return open_sky + sky.contrast * sky.clouds(rng, kind.shape) + halo + 1.5 * mottle


def _afloat(canvas: Canvas) -> np.ndarray:
    """The strip of sea below the horizon, deep enough for a boat's window."""
    depth = np.arange(canvas.shape[0])[:, None] - canvas.horizon
    return ~canvas.sky & (depth < 0.2 * canvas.shape[0] + 17)


def _expose(rng: np.random.Generator, gray: np.ndarray, camera: Camera) -> np.ndarray:
    """Vignetting, edge enhancement, noise, stripes and dead pixels."""
    height, width = gray.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    gray = gray * (1 - camera.vignette * (x * x + y * y) / 2)
    noise = camera.noise * rng.standard_normal(gray.shape)
    columns = camera.stripes * rng.standard_normal(width)
    rows = 0.5 * camera.stripes * rng.standard_normal((height, 1))
    gray = gray + ndimage.gaussian_filter(noise, 0.4) + columns + rows
    if camera.sharpen:
        gray = gray + camera.sharpen * (gray - ndimage.gaussian_filter(gray, 2.0))
    dead = rng.integers(0, gray.size, camera.n_dead)
    gray.ravel()[dead] -= rng.uniform(10, 60, camera.n_dead)  # a hot one would pass for a target
    return gray


def _sample(gray: np.ndarray, kind: DemoKind) -> np.ndarray:
    """Gray levels to the values of the sensor."""
    gray = np.clip(255 - gray if kind.black_hot else gray, 0, 255)
    depth = kind.depth
    values = depth.black + gray * ((depth.white - depth.black) / 255)
    return (values if depth.dtype is np.float32 else np.rint(values)).astype(depth.dtype)

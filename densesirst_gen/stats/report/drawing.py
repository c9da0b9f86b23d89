"""Drawing one or two datasets on an empty canvas: histograms, sizes, places.

Colours are those of Okabe and Ito, told apart by every kind of colour vision. The dataset is
filled, a reference is a line over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from densesirst_gen.scene.density import normalised_density
from densesirst_gen.stats.headline import BRIGHTNESS_EDGES, CONTRAST_EDGES, known, shares
from densesirst_gen.stats.rows import SKY_GRID
from densesirst_gen.stats.tables import DatasetStats

BLUE, VERMILLION, SKY_BLUE, GRAY = "#0072B2", "#D55E00", "#56B4E9", "0.45"
LOOKS: tuple[dict[str, Any], ...] = (
    {"fill": True, "facecolor": SKY_BLUE, "edgecolor": BLUE, "linewidth": 0.8},
    {"color": VERMILLION, "linewidth": 1.8},
)
RINGS: tuple[dict[str, Any], ...] = (
    {"facecolor": SKY_BLUE, "edgecolor": BLUE, "linewidth": 0.8},
    {"facecolor": "none", "edgecolor": VERMILLION, "linewidth": 1.4},
)
ABOVE: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
LABELLED = 0.08
SIZE_AXIS_POINTS = 72 * 4.0
HEADROOM = 1.15
SKY_SHADES = LinearSegmentedColormap.from_list("sky", ["#FFFFFF", "#9DCFF0"])
SKY_EDGES = np.linspace(0, 1, 21)
DENSITY_EDGES = np.linspace(0, 1, 41)
SCR_EDGES = np.logspace(-1, 2, 31)
GAP_EDGES = np.arange(-0.5, 10)
MOST_BARS = 45


class Sample(NamedTuple):
    """A dataset in a figure: the first is the one that is shown, the second the reference."""

    stats: DatasetStats
    label: str


def _histogram(
    axes: Axes, samples: Sequence[Sample], values: Sequence[np.ndarray], edges: np.ndarray
) -> None:
    """Shares (%) in bins, the first sample filled, the second a line; ``n`` above the axes."""
    for sample, sample_values, look in zip(samples, values, LOOKS, strict=False):
        if len(sample_values):
            name = f"{sample.label}: " if len(samples) > 1 else ""
            label = f"{name}n = {len(sample_values):,}"
            axes.stairs(100 * shares(sample_values, edges), edges, label=label, **look)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    if any(map(len, values)):
        axes.legend(**ABOVE)
    else:
        _say_empty(axes)


def _say_empty(axes: Axes) -> None:
    axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center", color=GRAY)
    axes.set_yticks([])


def _whole_edges(values: Sequence[np.ndarray], low: int) -> np.ndarray:
    """Bins around whole numbers from `low` to the largest, so wide that there are not too many."""
    high = int(np.concatenate(list(values)).max(initial=low))
    width = -(-(high + 1 - low) // MOST_BARS)
    return np.arange(low - 0.5, high + 0.5 + width, width)


def _mark_means(axes: Axes, values: Sequence[np.ndarray]) -> None:
    """A line at the mean of each sample, its number on the side away from the other mean."""
    axes.set_ylim(top=HEADROOM * axes.get_ylim()[1])
    means = [v.mean() for v in values if len(v)]
    colours = [c for v, c in zip(values, (BLUE, VERMILLION), strict=False) if len(v)]
    for mean, colour in zip(means, colours, strict=True):
        side, text = ("right", f"{mean:.3f} ") if mean < max(means) else ("left", f" {mean:.3f}")
        axes.axvline(mean, color=colour, linestyle="--", linewidth=1.3)
        place = axes.get_xaxis_transform()
        axes.text(mean, 0.98, text, transform=place, va="top", ha=side, color=colour)


def _number_bars(axes: Axes, values: np.ndarray, edges: np.ndarray) -> None:
    """The height (%) above each bar."""
    for left, right, share in zip(edges[:-1], edges[1:], shares(values, edges), strict=True):
        middle, percent = (left + right) / 2, 100 * share
        axes.text(middle, percent, f"{percent:.1f}", ha="center", va="bottom", fontsize=7)


def draw_sizes(canvas: Canvas, samples: Sequence[Sample]) -> None:
    """Width against height, circles by their share."""
    axes = canvas.add_subplot()
    tables = [s.stats.targets for s in samples]
    sides = np.concatenate([np.maximum(t["width"], t["height"]) for t in tables])
    limit = max(6, int(np.percentile(sides, 99))) if len(sides) else 6
    counted = [_size_shares(table, limit) for table in tables]
    largest = max((s.max(initial=0) for _, _, s in counted), default=0) or 1
    scale = (SIZE_AXIS_POINTS / (limit + 0.2)) ** 2 / largest
    for sample, found, look in zip(samples, counted, RINGS, strict=False):
        axes.scatter(*found[:2], found[2] * scale, label=sample.label, zorder=2, **look)
    for width, height, share in zip(*counted[0], strict=True):
        if share > LABELLED:
            axes.text(width, height, f"{100 * share:.0f} %", ha="center", va="center", fontsize=8)
    axes.set(xlim=(0.4, limit + 0.6), ylim=(0.4, limit + 0.6), aspect="equal")
    axes.set(xlabel="width of the box, px", ylabel="height of the box, px")
    axes.grid(True, axis="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(12, integer=True))
    if len(sides) and len(samples) > 1:
        axes.legend(**ABOVE, markerscale=0.3)
    elif not len(sides):
        _say_empty(axes)


def _size_shares(targets: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Width, height and share of the sizes up to a limit."""
    sizes = np.stack([targets["width"], targets["height"]], axis=1)
    levels, counts = np.unique(sizes, axis=0, return_counts=True)
    fits = (levels <= limit).all(axis=1)
    width, height = levels[fits].T
    return width, height, counts[fits] / max(len(targets), 1)


def draw_contrast(canvas: Canvas, samples: Sequence[Sample]) -> None:
    """Histogram of local contrast."""
    axes = canvas.add_subplot()
    values = [s.stats.targets["local_contrast"] for s in samples]
    _histogram(axes, samples, values, CONTRAST_EDGES)
    axes.set(xlabel="local contrast", ylabel="share of targets (%)")


def draw_brightness(canvas: Canvas, samples: Sequence[Sample]) -> None:
    """Histogram of the share of brighter pixels; its numbers, if there is no reference."""
    axes = canvas.add_subplot()
    values = [100 * s.stats.targets["brightness_rank"] for s in samples]
    _histogram(axes, samples, values, 100 * BRIGHTNESS_EDGES)
    if len(samples) == 1 and len(values[0]):
        _number_bars(axes, values[0], 100 * BRIGHTNESS_EDGES)
    axes.set(xlabel="pixels brighter than the target's peak (%)", ylabel="share of targets (%)")


def draw_density(canvas: Canvas, samples: Sequence[Sample]) -> None:
    """Histograms of normalised density, clusters above singles."""
    rows = canvas.subplots(2, 1, sharex=True)
    groups = [s.stats.groups for s in samples]
    density = [normalised_density(r["density"]) for r in groups]
    for axes, kind, wanted in zip(rows, ("clusters", "singles"), (True, False), strict=True):
        values = [d[(r["n_targets"] > 1) == wanted] for d, r in zip(density, groups, strict=True)]
        _histogram(axes, samples, values, DENSITY_EDGES)
        _mark_means(axes, values)
        axes.set_ylabel(f"share of {kind} (%)")
    rows[1].set_xlabel("normalised density")


def draw_counts(canvas: Canvas, samples: Sequence[Sample]) -> None:
    """Histograms of targets per image and per cluster."""
    left, right = canvas.subplots(1, 2)
    per_image = [s.stats.scenes["n_targets"] for s in samples]
    sizes = [s.stats.groups["n_targets"] for s in samples]
    per_cluster = [n[n > 1] for n in sizes]
    for axes, values, kind, low in (
        (left, per_image, "image", 0),
        (right, per_cluster, "cluster", 2),
    ):
        _histogram(axes, samples, values, _whole_edges(values, low))
        axes.set(xlabel=f"targets per {kind}", ylabel=f"share of {kind}s (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_gaps(canvas: Canvas, samples: Sequence[Sample]) -> None:
    """Histogram of the gaps within clusters."""
    axes = canvas.add_subplot()
    _histogram(axes, samples, [known(s.stats.targets["gap"]) for s in samples], GAP_EDGES)
    axes.set(xlabel="gap to the nearest box of the cluster, px", ylabel="share of targets (%)")
    axes.set_xticks(range(10))


def draw_places(canvas: Canvas, samples: Sequence[Sample]) -> None:
    """Squares where targets lie, over the mean share of sky; two datasets beside each other."""
    panels = canvas.subplots(1, len(samples), squeeze=False)[0]
    for axes, sample in zip(panels, samples, strict=True):
        shown = axes.imshow(
            100 * sample.stats.sky_map, SKY_SHADES, vmin=0, vmax=100, extent=(0, 1, 1, 0)
        )
        corners = squares(sample.stats)
        axes.add_collection(PolyCollection(list(corners), facecolor=VERMILLION))
        if not len(corners):
            _say_empty(axes)
        axes.set(aspect=0.75, xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xlabel="x / width")
        axes.grid(False)
        masks = "" if len(known(sample.stats.scenes["sky_fraction"])) else "no sky masks"
        names = [sample.label] if len(samples) > 1 else []
        axes.set_title(", ".join(filter(None, [*names, masks])), fontsize=9)
    panels[0].set_ylabel("y / height")
    canvas.colorbar(shown, ax=panels, label="mean share of sky (%)", shrink=0.8)


def squares(stats: DatasetStats) -> np.ndarray:
    """(M, 4, 2) corners; the area of a square goes with the number of targets in its cell."""
    targets, (rows, cols) = stats.targets, SKY_GRID
    scenes = stats.scenes[targets["scene"]]
    x, y = ((targets[a] + 0.5) / scenes[side] for a, side in (("x", "width"), ("y", "height")))
    counts = np.histogram2d(y, x, SKY_GRID, ((0, 1), (0, 1)))[0]
    row, col = np.nonzero(counts)
    half = np.sqrt(counts[row, col] / counts.max(initial=1)) / 2
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    centres = np.stack([col + 0.5, row + 0.5], axis=1)
    return (centres[:, None] + half[:, None, None] * corners) / (cols, rows)


def draw_sky(canvas: Canvas, samples: Sequence[Sample]) -> None:
    """Histogram of the sky fraction."""
    axes = canvas.add_subplot()
    values = [100 * known(s.stats.scenes["sky_fraction"]) for s in samples]
    _histogram(axes, samples, values, 100 * SKY_EDGES)
    axes.set(xlabel="sky fraction of the image (%)", ylabel="share of images (%)")


def draw_scr(canvas: Canvas, samples: Sequence[Sample]) -> None:
    """Histogram of the signal-to-clutter ratio."""
    axes = canvas.add_subplot()
    _histogram(axes, samples, [s.stats.targets["scr"] for s in samples], SCR_EDGES)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="signal-to-clutter ratio", ylabel="share of targets (%)")

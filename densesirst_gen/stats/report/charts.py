"""The figures of a dataset: what is drawn, and how each quantity is defined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure as Canvas

from densesirst_gen.stats.report.drawing import (
    Sample,
    draw_brightness,
    draw_contrast,
    draw_counts,
    draw_density,
    draw_gaps,
    draw_places,
    draw_scr,
    draw_sizes,
    draw_sky,
)


@dataclass(frozen=True)
class Chart:
    """A figure to draw.

    Parameters
    ----------
    name, title, caption : str
        See `figures.Figure`.
    draw : callable
        Draws one or two samples on an empty canvas.
    size : (float, float)
        Width and height, inches.
    beside : bool
        Two samples are drawn beside each other rather than over each other.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Canvas, Sequence[Sample]], None]
    size: tuple[float, float] = (6.4, 3.4)
    beside: bool = False

    def size_for(self, n_samples: int) -> tuple[float, float]:
        """Width and height, inches."""
        width, height = self.size
        return (width * 1.25, height * 0.8) if self.beside and n_samples > 1 else (width, height)


CHARTS = (
    Chart(
        "size",
        "Size of targets",
        "Width and height of the tight box of each target. The area of a circle is the share of "
        "targets of this size, the number says it in percent. The axes end at the size that 99 % "
        "of the targets do not exceed.",
        draw_sizes,
        (5.2, 5.0),
    ),
    Chart(
        "local-contrast",
        "Local contrast",
        "Peak of a target over the greatest mean of the eight neighbours that a pixel of its box "
        "has, both in gray levels, the latter at least one. The paper gives no formula; this one "
        "comes closest to its figure. The last bin holds all that is larger.",
        draw_contrast,
    ),
    Chart(
        "brightness",
        "Brightness in the image",
        "For each target, the share of the pixels of its image that are strictly brighter than "
        "its peak, in steps of 5 %. At 0 nothing is brighter.",
        draw_brightness,
    ),
    Chart(
        "density",
        "Density of clusters and of single targets",
        "N A_t / A_c (Eq. 4 of the paper) of every group: N targets, A_t the area of their masks, "
        "A_c that of the tight box around them; scaled so that the least group of the dataset is "
        "0 and the greatest 1. A group is a cluster of targets linked by centroids less than "
        "10 px apart, or a single target. Dashed: the mean. Because two extremes set the scale, "
        "equally good datasets differ here.",
        draw_density,
        (6.4, 4.4),
    ),
    Chart(
        "counts",
        "Targets per image and per cluster",
        "Left: targets in each image. Right: targets in each cluster, two or more that are linked "
        "by centroids less than 10 px apart.",
        draw_counts,
        (7.2, 3.2),
    ),
    Chart(
        "gap",
        "Gap to the nearest target",
        "Pixels between the box of a target and the nearest box of those linked to it by centroids "
        "less than 10 px apart: the larger of the gaps in x and y, 0 where boxes touch or overlap. "
        "Single targets have none.",
        draw_gaps,
    ),
    Chart(
        "places",
        "Where targets lie",
        "All images scaled to one. The area of a square is the share of targets whose centroid "
        "lies in its cell, the largest fills the cell. Shade: mean share of sky over the images "
        "with a sky mask.",
        draw_places,
        (6.4, 4.2),
        beside=True,
    ),
    Chart(
        "sky-fraction",
        "Sky fraction",
        "Share of the pixels of an image that its sky mask marks as sky; images without a mask are "
        "left out.",
        draw_sky,
    ),
    Chart(
        "scr",
        "Signal-to-clutter ratio",
        "|mean of the target - mean of the background| / standard deviation of the background, the "
        "latter at least one gray level. Background: what belongs to no target in the tight box "
        "padded by 10 px. The outer bins hold all that is smaller or larger.",
        draw_scr,
    ),
)
"""In the order of the page."""

"""The table that people read: what a dataset is, in a few sections of names and values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densesirst_gen.stats.headline import BRIGHTNESS_EDGES, known, shares
from densesirst_gen.stats.tables import DatasetStats

Section = tuple[str, list[tuple[str, str]]]
ABSENT = "-"
QUANTILES = (5, 50, 95)


def table_rows(stats: DatasetStats) -> list[Section]:
    """The table of one dataset.

    Returns
    -------
    list of (section, [(name, value)])
        The same sections and names for every dataset; "-" where there is nothing to measure.
    """
    s = stats.summary()
    sections = (_images, _targets, _clusters, _brightness, _contrast, _sky)
    return [section(stats, s) for section in sections]


def table_text(tables: Sequence[Sequence[Section]], headings: Sequence[str] = ()) -> str:
    """Tables of `table_rows` side by side, in aligned columns.

    Parameters
    ----------
    tables : sequence
        At least one.
    headings : sequence of str
        One for each table; none: no line of headings.
    """
    values = [[value for _, rows in table for _, value in rows] for table in tables]
    widths = [
        max(map(len, [*column, *headings[i : i + 1]]), default=0) for i, column in enumerate(values)
    ]
    left = max((len(name) for _, rows in tables[0] for name, _ in rows), default=0) + 2
    lines = [_line("", headings, left, widths)] if headings else []
    cells = zip(*values, strict=True)
    for section, rows in tables[0]:
        lines += ["", section] if lines else [section]
        lines += [_line(f"  {name}", next(cells), left, widths) for name, _ in rows]
    return "\n".join(lines)


def merged(table: Sequence[Section], reference: Sequence[Section]) -> list[Section]:
    """One table of two: each value, then that of the reference in brackets."""
    return [
        (
            f"{section} [reference]",
            [(n, f"{v} [{w}]") for (n, v), (_, w) in zip(rows, others, strict=True)],
        )
        for (section, rows), (_, others) in zip(table, reference, strict=True)
    ]


def _line(name: str, cells: Sequence[str], left: int, widths: Sequence[int]) -> str:
    padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
    return "  ".join([f"{name:<{left}}", *padded]).rstrip()


def _images(stats: DatasetStats, s: dict[str, float]) -> Section:
    scenes = stats.scenes
    rows = [
        ("images", _count(s["images"])),
        ("width, px: 5, 50, 95 %", _quantiles(scenes["width"], 0)),
        ("height, px: 5, 50, 95 %", _quantiles(scenes["height"], 0)),
        ("without targets", _percent(s["images_without_target"], len(scenes))),
        ("without clusters", _percent(s["images_without_cluster"], len(scenes))),
        ("gray level of all pixels: mean", _number(s["gray_mean"], len(scenes))),
        ("gray level of all pixels: std", _number(s["gray_std"], len(scenes))),
    ]
    return "Images", rows


def _targets(stats: DatasetStats, s: dict[str, float]) -> Section:
    n = len(stats.targets)
    size = f"{s['most_frequent_width']} x {s['most_frequent_height']}"
    rows = [
        ("targets", _count(n)),
        ("per image: mean", _number(s["targets_per_image"], len(stats.scenes))),
        ("per image: 5, 50, 95 %", _quantiles(stats.scenes["n_targets"], 0)),
        ("mask area, px: mean", _number(s["mean_area"], n)),
        ("mask area, px: 5, 50, 95 %", _quantiles(stats.targets["area"], 0)),
        ("most frequent size, px", size if n else ABSENT),
        ("targets of this size", _percent(s["targets_of_most_frequent_size"], n)),
    ]
    return "Targets", rows


def _clusters(stats: DatasetStats, s: dict[str, float]) -> Section:
    n_clusters, n_singles = int(s["clusters"]), int(s["singles"])
    gaps = known(stats.targets["gap"])
    rows = [
        ("clusters", _count(n_clusters)),
        ("singles", _count(n_singles)),
        ("targets in clusters", _percent(s["targets_in_clusters"], len(stats.targets))),
        ("targets per cluster: mean", _number(s["targets_per_cluster"], n_clusters)),
        ("gap to the next box, px: 5, 50, 95 %", _quantiles(gaps, 0)),
        ("normalised density of clusters", _number(s["density_clusters"], n_clusters, 4)),
        ("normalised density of singles", _number(s["density_singles"], n_singles, 4)),
    ]
    return "Clusters: targets linked by centroids less than 10 px apart", rows


def _brightness(stats: DatasetStats, s: dict[str, float]) -> Section:
    percent = 100 * shares(stats.targets["brightness_rank"], BRIGHTNESS_EDGES).reshape(4, 5)
    rows = [
        (f"{25 * i} to {25 * i + 25} %", "".join(f"{value:5.1f}" for value in line))
        for i, line in enumerate(percent)
    ]
    n = len(stats.targets)
    rows = rows if n else [(name, ABSENT) for name, _ in rows]
    rows.append(("brightest of the image", _percent(s["targets_brightest_of_image"], n)))
    rows.append(("saturated", _percent(s["targets_saturated"], n)))
    return "Brightness: % of targets by share of brighter pixels, in steps of 5 %", rows


def _contrast(stats: DatasetStats, s: dict[str, float]) -> Section:
    targets = stats.targets
    below_2 = _percent(s["targets_with_local_contrast_below_2"], len(targets))
    rows = [
        ("local contrast: 5, 50, 95 %", _quantiles(targets["local_contrast"], 2)),
        ("local contrast below 2", below_2),
        ("SCR: 5, 50, 95 %", _quantiles(targets["scr"], 1)),
        ("peak above background, gray levels: 5, 50, 95 %", _quantiles(targets["peak_increment"])),
    ]
    return "Contrast", rows


def _sky(stats: DatasetStats, s: dict[str, float]) -> Section:
    n = int(s["images_with_sky_mask"])
    n_targets = len(known(stats.targets["in_sky"]))
    n_boxes = len(known(stats.groups["in_sky"][stats.groups["n_targets"] > 1]))
    rows = [
        ("images with a sky mask", _count(n)),
        ("sky fraction: mean", _percent(s["sky_fraction"], n)),
        ("targets in the sky", _percent(s["targets_in_sky"], n_targets, 2)),
        ("cluster boxes in the sky", _percent(s["cluster_boxes_in_sky"], n_boxes, 2)),
    ]
    return "Sky", rows


def _count(n: float) -> str:
    return f"{int(n):,}"


def _number(value: float, n: int, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if n else ABSENT


def _percent(share: float, n: int, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %" if n else ABSENT


def _quantiles(values: np.ndarray, digits: int = 1) -> str:
    if len(values) == 0:
        return ABSENT
    found = np.percentile(values, QUANTILES, method="nearest")
    return ", ".join(f"{q:.{digits}f}" for q in found)

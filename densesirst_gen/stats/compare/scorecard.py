"""The 20 statistics by which two datasets are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from densesirst_gen.stats.tables import NONE, DatasetStats

VISIBLE_INCREMENT = 10.0
"""Gray levels; below this peak a profile is mostly rounding and noise."""

LARGEST_SIDE = 6
LARGEST_AREA = 60
"""px; larger targets count as this large, or a few huge ones would drown the small."""


@dataclass(frozen=True)
class Statistic:
    """One of the compared quantities.

    Parameters
    ----------
    name : str
    kind : "W1" or "TV"
        Wasserstein-1 distance in standard deviations of the reference, for quantities on a scale;
        total variation, for counts and categories.
    rows : callable
        Takes the rows that count from a `DatasetStats`: one of its tables, or a part of it.
    value : str or callable
        A column of these rows, or a function of them.
    reads_profile : bool
        It depends on how light is spread inside a target, beyond its mask and its peak.
    reads_scene : bool
        It depends on the backgrounds, and says little where these differ on purpose.
    """

    name: str
    kind: Literal["W1", "TV"]
    rows: Callable[[DatasetStats], np.ndarray]
    value: str | Callable[[np.ndarray], np.ndarray]
    reads_profile: bool = False
    reads_scene: bool = False

    def values(self, stats: DatasetStats) -> np.ndarray:
        """The sample of a dataset, one value for each of its rows."""
        rows = self.rows(stats)
        return rows[self.value] if isinstance(self.value, str) else self.value(rows)

    def row_scenes(self, stats: DatasetStats) -> np.ndarray:
        """Index of the scene that each value comes from."""
        scenes: np.ndarray = self.rows(stats)["scene"]
        return scenes


def every_scene(stats: DatasetStats) -> np.ndarray:
    """All scenes."""
    return stats.scenes


def sky_scenes(stats: DatasetStats) -> np.ndarray:
    """Scenes that have a sky mask."""
    return stats.scenes[stats.scenes["sky_fraction"] != NONE]


def cluster_groups(stats: DatasetStats) -> np.ndarray:
    """Groups of two targets or more."""
    return stats.groups[stats.groups["n_targets"] > 1]


def every_target(stats: DatasetStats) -> np.ndarray:
    """All targets."""
    return stats.targets


def clustered(stats: DatasetStats) -> np.ndarray:
    """Targets of clusters."""
    return stats.targets[stats.targets["group_targets"] > 1]


def unsaturated(stats: DatasetStats) -> np.ndarray:
    """Targets of clusters whose peak the sensor did not clip."""
    rows = clustered(stats)
    return rows[~rows["saturated"]]


def visible(stats: DatasetStats) -> np.ndarray:
    """Unsaturated targets of clusters, at least 10 gray levels above their background."""
    rows = unsaturated(stats)
    return rows[rows["peak_increment"] >= VISIBLE_INCREMENT]


def box_size(targets: np.ndarray) -> np.ndarray:
    """Width + i height, px, each at most 6: a category, not a quantity."""
    width, height = (np.minimum(targets[side], LARGEST_SIDE) for side in ("width", "height"))
    return width + 1j * height


def mask_area(targets: np.ndarray) -> np.ndarray:
    """Mask area, px, at most 60."""
    return np.minimum(targets["area"], LARGEST_AREA)


STATISTICS = (
    Statistic("targets_per_image", "W1", every_scene, "n_targets", reads_scene=True),
    Statistic("clusters_per_image", "TV", every_scene, "n_clusters"),
    Statistic("singles_per_image", "TV", every_scene, "n_singles", reads_scene=True),
    Statistic("sky_fraction", "W1", sky_scenes, "sky_fraction", reads_scene=True),
    Statistic("targets_per_cluster", "TV", cluster_groups, "n_targets"),
    Statistic("cluster_side", "W1", cluster_groups, "side"),
    Statistic("cluster_density", "W1", cluster_groups, "density"),
    Statistic("region_log_std", "W1", cluster_groups, "log_std", reads_scene=True),
    Statistic("box_size", "TV", every_target, box_size),
    Statistic("mask_area", "W1", every_target, mask_area),
    Statistic("box_fill", "W1", every_target, "box_fill"),
    Statistic("nn_gap", "TV", clustered, "gap"),
    Statistic("nn_distance", "W1", clustered, "nearest_distance"),
    Statistic("brightness_rank", "W1", every_target, "brightness_rank", reads_scene=True),
    Statistic("local_contrast", "W1", every_target, "local_contrast", True, reads_scene=True),
    Statistic("peak_increment", "W1", unsaturated, "peak_increment"),
    Statistic("log_scr", "W1", every_target, "log_scr", reads_profile=True, reads_scene=True),
    Statistic("profile_mean_over_max", "W1", visible, "profile_mean_over_max", reads_profile=True),
    Statistic("halo_ratio", "W1", visible, "halo_ratio", reads_profile=True),
    Statistic("asymmetry", "W1", visible, "asymmetry", reads_profile=True),
)
"""In the order of the table. Those that do not read scenes stay comparable on other backgrounds."""

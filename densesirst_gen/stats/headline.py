"""The headline numbers of a dataset: scalars of its tables."""

from __future__ import annotations

import numpy as np

from densesirst_gen.scene.density import normalised_density
from densesirst_gen.stats.rows import NONE

BRIGHTNESS_EDGES = np.linspace(0, 1, 21)
CONTRAST_EDGES = np.linspace(0, 5, 21)
"""Bins of Fig. 3 of the paper: 5 % of an image's pixels; a quarter of local contrast."""


def headline(targets: np.ndarray, groups: np.ndarray, scenes: np.ndarray) -> dict[str, float]:
    """Scalars of a dataset, finite; 0 where there is nothing to average.

    Parameters
    ----------
    targets, groups, scenes : ndarray
        Of dtype `rows.TARGET`, `rows.GROUP` and `rows.SCENE`.

    Returns
    -------
    dict of float
        * Counts of images, of those with a sky mask, of targets, clusters and singles.
        * Means per image and per cluster; ``mean_area`` in px.
        * ``most_frequent_width`` and ``most_frequent_height``, px, and the share of targets of
          that size; of equally frequent sizes the smallest.
        * ``density_clusters``, ``density_singles``: `density.normalised_density`, mean over
          clusters and over singles.
        * ``sky_fraction``: mean over the scenes with a sky mask.
        * ``gray_mean``, ``gray_std``: gray levels, over all pixels of all images, as a training
          pipeline needs them.
        * The rest are medians of targets, and shares of images, of targets and, in the sky, of
          masks and of cluster boxes.
    """
    in_cluster = groups["n_targets"] > 1
    return {
        **_counts(targets, scenes, groups["n_targets"], in_cluster),
        **_sizes(targets),
        **_densities(groups["density"], in_cluster),
        **_levels(targets, scenes),
        **_sky(targets, scenes, groups["in_sky"][in_cluster]),
    }


def most_frequent_size(targets: np.ndarray) -> tuple[int, int, float]:
    """(width, height) in px that most rows of `TARGET` have, and their share; 0 for no rows."""
    if len(targets) == 0:
        return 0, 0, 0.0
    sizes = np.stack([targets["width"], targets["height"]], axis=1)
    levels, counts = np.unique(sizes, axis=0, return_counts=True)
    width, height = levels[counts.argmax()].tolist()
    return width, height, float(counts.max() / len(targets))


def pooled_gray(scenes: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation over all pixels of all rows of `SCENE`; gray levels."""
    if len(scenes) == 0:
        return 0.0, 0.0
    pixels = scenes["height"].astype(np.float64) * scenes["width"]
    mean = np.average(scenes["gray_mean"], weights=pixels)
    within, between = scenes["gray_std"] ** 2, (scenes["gray_mean"] - mean) ** 2
    return float(mean), float(np.sqrt(np.average(within + between, weights=pixels)))


def shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Share of values in each of the bins between edges; the outer bins take what lies beyond.

    Parameters
    ----------
    values : ndarray, (N,)
    edges : ndarray, (B + 1,)
        Ascending.

    Returns
    -------
    ndarray, (B,), float64
        Their sum is 1; all 0 for no values.
    """
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return counts / max(len(values), 1)


def distributions(targets: np.ndarray) -> dict[str, dict[str, list[float]]]:
    """``edges`` and ``shares`` of targets for ``brightness_rank`` and ``local_contrast``."""
    bins = {"brightness_rank": BRIGHTNESS_EDGES, "local_contrast": CONTRAST_EDGES}
    return {
        name: {"edges": edges.tolist(), "shares": shares(targets[name], edges).tolist()}
        for name, edges in bins.items()
    }


def known(values: np.ndarray) -> np.ndarray:
    """Those that exist, see `rows.MAY_BE_NONE`."""
    return values[values != NONE]


def _counts(
    targets: np.ndarray, scenes: np.ndarray, sizes: np.ndarray, in_cluster: np.ndarray
) -> dict[str, float]:
    return {
        "images": len(scenes),
        "targets": len(targets),
        "clusters": int(in_cluster.sum()),
        "singles": int((~in_cluster).sum()),
        "targets_per_image": _mean(scenes["n_targets"]),
        "clusters_per_image": _mean(scenes["n_clusters"]),
        "singles_per_image": _mean(scenes["n_singles"]),
        "targets_per_cluster": _mean(sizes[in_cluster]),
        "targets_in_clusters": _mean(targets["group_targets"] > 1),
        "images_without_target": _mean(scenes["n_targets"] == 0),
        "images_without_cluster": _mean(scenes["n_clusters"] == 0),
    }


def _sizes(targets: np.ndarray) -> dict[str, float]:
    width, height, share = most_frequent_size(targets)
    return {
        "mean_area": _mean(targets["area"]),
        "most_frequent_width": width,
        "most_frequent_height": height,
        "targets_of_most_frequent_size": share,
    }


def _densities(density: np.ndarray, in_cluster: np.ndarray) -> dict[str, float]:
    scaled = normalised_density(density)
    return {
        "density_clusters": _mean(scaled[in_cluster]),
        "density_singles": _mean(scaled[~in_cluster]),
    }


def _levels(targets: np.ndarray, scenes: np.ndarray) -> dict[str, float]:
    mean, std = pooled_gray(scenes)
    return {
        "targets_saturated": _mean(targets["saturated"]),
        "targets_brightest_of_image": _mean(targets["brightness_rank"] == 0),
        "targets_with_local_contrast_below_2": _mean(targets["local_contrast"] < 2),
        "local_contrast_median": _median(targets["local_contrast"]),
        "scr_median": _median(targets["scr"]),
        "peak_increment_median": _median(targets["peak_increment"]),
        "gray_mean": mean,
        "gray_std": std,
    }


def _sky(targets: np.ndarray, scenes: np.ndarray, cluster_boxes: np.ndarray) -> dict[str, float]:
    sky = known(scenes["sky_fraction"])
    return {
        "images_with_sky_mask": len(sky),
        "sky_fraction": _mean(sky),
        "targets_in_sky": _mean(known(targets["in_sky"])),
        "cluster_boxes_in_sky": _mean(known(cluster_boxes)),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else 0.0

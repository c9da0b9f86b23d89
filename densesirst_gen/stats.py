"""Numbers of a dataset: one row for each target, each region and each scene.

A region is what `density.clusters` groups: a cluster of linked targets, or a single. Quantities
that do not exist for a row (the gap to the next target of a single, the sky of a scene without
sky mask) are -1; none is NaN.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from densesirst_gen.annotate import Annotations, annotate
from densesirst_gen.appearance import appearance, region_log_std
from densesirst_gen.density import (
    clusters,
    nearest_distance,
    nearest_gap,
    normalised_density,
    region_boxes,
    region_density,
)
from densesirst_gen.scene import Scene
from densesirst_gen.windows import Pixels, box_pixels, target_pixels

NONE = -1
BOX = [(edge, np.int32) for edge in ("x0", "y0", "x1", "y1")]

TARGET = np.dtype(
    [
        ("scene", np.int32),  # row in the table of scenes
        ("label", np.int32),  # in the scene's label image, from 1
        ("region", np.int32),  # in the scene, from 0
        ("region_targets", np.int32),  # targets of that region; 1: a single
        *BOX,  # px, tight and half-open
        ("x", np.float64),  # px, centroid of the mask
        ("y", np.float64),
        ("width", np.int32),  # px
        ("height", np.int32),
        ("area", np.int32),  # px, of the mask
        ("box_fill", np.float64),  # area / area of the box
        ("in_sky", np.float64),  # share of the mask
        ("gap", np.int32),  # px between its box and the nearest linked one; touching or less: 0
        ("nearest_distance", np.float64),  # px to the nearest other centroid of the scene
        ("peak", np.float64),  # these eleven: see `appearance`
        ("mean", np.float64),
        ("saturated", np.bool_),
        ("brightness_rank", np.float64),
        ("local_contrast", np.float64),
        ("scr", np.float64),
        ("log_scr", np.float64),
        ("peak_increment", np.float64),
        ("profile_mean_over_max", np.float64),
        ("halo_ratio", np.float64),
        ("asymmetry", np.float64),
    ]
)
REGION = np.dtype(
    [
        ("scene", np.int32),
        ("region", np.int32),
        ("n_targets", np.int32),
        *BOX,  # px, tight around all masks
        ("side", np.int32),  # px, the longer side of the box
        ("area", np.int32),  # px, sum over the masks
        ("density", np.float64),  # Eq. 4, see `density.region_density`
        ("log_std", np.float64),  # see `appearance.region_log_std`
        ("in_sky", np.float64),  # share of the box
    ]
)
SCENE = np.dtype(
    [
        ("scene", np.int32),
        ("height", np.int32),  # px
        ("width", np.int32),
        ("n_targets", np.int32),
        ("n_clusters", np.int32),
        ("n_singles", np.int32),
        ("sky_fraction", np.float64),
    ]
)


@dataclass(frozen=True, eq=False)
class SceneStats:
    """The tables of one scene: `targets` (N,), `regions` (K,) and `scene` (1,); index 0."""

    name: str
    targets: np.ndarray
    regions: np.ndarray
    scene: np.ndarray


@dataclass(frozen=True, eq=False)
class DatasetStats:
    """The tables of a dataset.

    Parameters
    ----------
    names : tuple of str
        Of the scenes, in the order of `scenes`.
    targets, regions, scenes : ndarray
        Structured arrays of dtype `TARGET`, `REGION` and `SCENE`.
    """

    names: tuple[str, ...]
    targets: np.ndarray
    regions: np.ndarray
    scenes: np.ndarray

    def summary(self) -> dict[str, float]:
        """Scalars of the dataset, finite; 0 where there is nothing to average.

        Returns
        -------
        dict of float
            Counts of images, targets, clusters and singles; means per image and per cluster;
            ``mean_area`` in px; normalised densities (see `density.normalised_density`), mean over
            clusters and over singles; ``sky_fraction`` over scenes with a sky mask. The rest are
            shares of images, of targets and, in the sky, of masks and of cluster boxes.
        """
        targets, scenes = self.targets, self.scenes
        cluster = self.regions["n_targets"] > 1
        density = normalised_density(self.regions["density"])
        return {
            "images": len(scenes),
            "targets": len(targets),
            "clusters": int(cluster.sum()),
            "singles": int((~cluster).sum()),
            "targets_per_image": _mean(scenes["n_targets"]),
            "clusters_per_image": _mean(scenes["n_clusters"]),
            "targets_per_cluster": _mean(self.regions["n_targets"][cluster]),
            "mean_area": _mean(targets["area"]),
            "density_clusters": _mean(density[cluster]),
            "density_singles": _mean(density[~cluster]),
            "sky_fraction": _mean(_known(scenes["sky_fraction"])),
            "images_without_target": _mean(scenes["n_targets"] == 0),
            "images_without_cluster": _mean(scenes["n_clusters"] == 0),
            "targets_saturated": _mean(targets["saturated"]),
            "targets_brightest_of_image": _mean(targets["brightness_rank"] == 0),
            "targets_with_local_contrast_below_2": _mean(targets["local_contrast"] < 2),
            "targets_in_sky": _mean(_known(targets["in_sky"])),
            "cluster_boxes_in_sky": _mean(_known(self.regions["in_sky"][cluster])),
        }


def scene_stats(scene: Scene) -> SceneStats:
    """Measure one scene; pure, so that it can be mapped over scenes by a pool of processes."""
    found = annotate(scene.labels)
    regions = clusters(found.points)
    region_rows = _region_rows(scene, found, regions)
    target_rows = _target_rows(scene, found, regions)
    return SceneStats(scene.name, target_rows, region_rows, _scene_row(scene, region_rows))


def dataset_stats(scenes: Iterable[Scene]) -> DatasetStats:
    """Measure scenes one after another; only their rows are kept."""
    return collect_stats(map(scene_stats, scenes))


def collect_stats(parts: Iterable[SceneStats]) -> DatasetStats:
    """Join the tables of scenes; each row gets the index of its scene, in the given order."""
    parts = list(parts)
    return DatasetStats(
        tuple(part.name for part in parts),
        _join([part.targets for part in parts], TARGET),
        _join([part.regions for part in parts], REGION),
        _join([part.scene for part in parts], SCENE),
    )


def _join(tables: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    rows = np.concatenate([np.zeros(0, dtype), *tables])
    rows["scene"] = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return rows


def _target_rows(scene: Scene, found: Annotations, regions: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(found), TARGET)
    rows["label"] = np.arange(1, len(found) + 1)
    rows["region"] = regions
    rows["region_targets"] = np.bincount(regions)[regions]
    _fill_box(rows, found.boxes)
    rows["x"], rows["y"] = found.points.T
    rows["width"], rows["height"] = (found.boxes[:, 2:] - found.boxes[:, :2]).T
    rows["area"] = found.areas
    rows["box_fill"] = found.areas / (rows["width"] * rows["height"])
    rows["in_sky"] = _share(scene.sky, target_pixels(scene.labels, found.boxes))
    rows["gap"] = nearest_gap(found)
    rows["nearest_distance"] = nearest_distance(found.points)
    for name, values in appearance(scene, found).items():
        rows[name] = values
    return rows


def _region_rows(scene: Scene, found: Annotations, regions: np.ndarray) -> np.ndarray:
    boxes = region_boxes(found.boxes, regions)
    rows = np.zeros(len(boxes), REGION)
    rows["region"] = np.arange(len(boxes))
    rows["n_targets"] = np.bincount(regions, minlength=len(boxes))
    _fill_box(rows, boxes)
    rows["side"] = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    rows["area"] = np.bincount(regions, found.areas, len(boxes))
    rows["density"] = region_density(found, regions)
    rows["log_std"] = region_log_std(scene, boxes)
    rows["in_sky"] = _share(scene.sky, box_pixels(boxes, scene.shape))
    return rows


def _scene_row(scene: Scene, regions: np.ndarray) -> np.ndarray:
    single = regions["n_targets"] == 1
    row = np.zeros(1, SCENE)
    row["height"], row["width"] = scene.shape
    row["n_targets"] = scene.n_targets
    row["n_clusters"], row["n_singles"] = (~single).sum(), single.sum()
    row["sky_fraction"] = NONE if scene.sky is None else scene.sky.mean()
    return row


def _fill_box(rows: np.ndarray, boxes: np.ndarray) -> None:
    rows["x0"], rows["y0"], rows["x1"], rows["y1"] = boxes.T


def _share(mask: np.ndarray | None, pixels: Pixels) -> np.ndarray | int:
    return NONE if mask is None else pixels.mean(pixels.of(mask))


def _known(values: np.ndarray) -> np.ndarray:
    return values[values != NONE]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0

"""Numbers of a dataset: one row for each target, each group and each scene, see `rows`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from densesirst_gen.scene.annotate import Annotations, annotate
from densesirst_gen.scene.density import (
    cluster_columns,
    group_boxes,
    group_density,
    nearest_distance,
)
from densesirst_gen.scene.scene import Scene
from densesirst_gen.scene.windows import Pixels, box_pixels, target_pixels
from densesirst_gen.stats.appearance import appearance, gray_mean_std, group_log_std
from densesirst_gen.stats.headline import headline
from densesirst_gen.stats.rows import GROUP, NONE, SCENE, SKY_GRID, TARGET


@dataclass(frozen=True, eq=False)
class SceneStats:
    """The tables of one scene: `targets` (N,), `groups` (K,) and `scene` (1,); index 0.

    `sky_map`, `SKY_GRID` uint8: how much of each cell of the grid is sky, 255 is all; None for a
    scene without sky mask.
    """

    name: str
    targets: np.ndarray
    groups: np.ndarray
    scene: np.ndarray
    sky_map: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class DatasetStats:
    """The tables of a dataset.

    Parameters
    ----------
    names : tuple of str
        Of the scenes, in the order of `scenes`.
    targets, groups, scenes : ndarray
        Structured arrays of dtype `TARGET`, `GROUP` and `SCENE`; ``pandas.DataFrame`` takes them
        as they are.
    sky_map : ndarray, `SKY_GRID`, float64
        Mean share of sky in each cell of an image, over the scenes with a sky mask; 0 without any.
    """

    names: tuple[str, ...]
    targets: np.ndarray
    groups: np.ndarray
    scenes: np.ndarray
    sky_map: np.ndarray = field(default_factory=lambda: np.zeros(SKY_GRID))

    def summary(self) -> dict[str, float]:
        """Scalars of the dataset, see `headline.headline`."""
        return headline(self.targets, self.groups, self.scenes)


def scene_stats(scene: Scene) -> SceneStats:
    """Measure one scene; pure, so that it can be mapped over scenes by a pool of processes."""
    found = annotate(scene.labels)
    columns = cluster_columns(found)
    group_rows = _group_rows(scene, found, columns["group"])
    target_rows = _target_rows(scene, found, columns)
    row = _scene_row(scene, group_rows)
    return SceneStats(scene.name, target_rows, group_rows, row, _sky_map(scene.sky))


def dataset_stats(scenes: Iterable[Scene]) -> DatasetStats:
    """Measure scenes one after another; only their rows are kept."""
    return collect_stats(map(scene_stats, scenes))


def collect_stats(parts: Iterable[SceneStats]) -> DatasetStats:
    """Join the tables of scenes; each row gets the index of its scene, in the given order."""
    parts = list(parts)
    return DatasetStats(
        tuple(part.name for part in parts),
        _join([part.targets for part in parts], TARGET),
        _join([part.groups for part in parts], GROUP),
        _join([part.scene for part in parts], SCENE),
        _mean_map([part.sky_map for part in parts if part.sky_map is not None]),
    )


def _join(tables: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    rows = np.concatenate([np.zeros(0, dtype), *tables])
    rows["scene"] = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return rows


def _target_rows(scene: Scene, found: Annotations, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    rows = np.zeros(len(found), TARGET)
    rows["label"] = np.arange(1, len(found) + 1)
    for name in ("group", "group_targets", "gap"):
        rows[name] = columns[name]
    _fill_box(rows, found.boxes)
    rows["x"], rows["y"] = found.points.T
    rows["width"], rows["height"] = (found.boxes[:, 2:] - found.boxes[:, :2]).T
    rows["area"] = found.areas
    rows["box_fill"] = found.areas / (rows["width"] * rows["height"])
    rows["in_sky"] = _share(scene.sky, target_pixels(scene.labels, found.boxes))
    rows["nearest_distance"] = nearest_distance(found.points)
    for name, values in appearance(scene, found).items():
        rows[name] = values
    return rows


def _group_rows(scene: Scene, found: Annotations, groups: np.ndarray) -> np.ndarray:
    boxes = group_boxes(found.boxes, groups)
    rows = np.zeros(len(boxes), GROUP)
    rows["group"] = np.arange(len(boxes))
    rows["n_targets"] = np.bincount(groups, minlength=len(boxes))
    _fill_box(rows, boxes)
    rows["side"] = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    rows["area"] = np.bincount(groups, found.areas, len(boxes))
    rows["density"] = group_density(found, groups)
    rows["log_std"] = group_log_std(scene, boxes)
    rows["in_sky"] = _share(scene.sky, box_pixels(boxes, scene.shape))
    return rows


def _scene_row(scene: Scene, groups: np.ndarray) -> np.ndarray:
    single = groups["n_targets"] == 1
    row = np.zeros(1, SCENE)
    row["height"], row["width"] = scene.shape
    row["n_targets"] = scene.n_targets
    row["n_clusters"], row["n_singles"] = (~single).sum(), single.sum()
    row["sky_fraction"] = NONE if scene.sky is None else scene.sky.mean()
    row["gray_mean"], row["gray_std"] = gray_mean_std(scene)
    return row


def _sky_map(sky: np.ndarray | None) -> np.ndarray | None:
    if sky is None:
        return None
    shades = sky.view(np.uint8) * np.uint8(255)
    return cv2.resize(shades, SKY_GRID[::-1], interpolation=cv2.INTER_AREA)


def _mean_map(maps: list[np.ndarray]) -> np.ndarray:
    total = np.zeros(SKY_GRID, np.int64)
    for one in maps:
        total += one
    return total / (255 * max(len(maps), 1))


def _fill_box(rows: np.ndarray, boxes: np.ndarray) -> None:
    rows["x0"], rows["y0"], rows["x1"], rows["y1"] = boxes.T


def _share(mask: np.ndarray | None, pixels: Pixels) -> np.ndarray | int:
    return NONE if mask is None else pixels.mean(pixels.of(mask))

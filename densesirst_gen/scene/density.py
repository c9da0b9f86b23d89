"""How targets lie to each other: clusters, their density (Eq. 4 of the paper), gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from densesirst_gen.scene.annotate import Annotations
from densesirst_gen.scene.groups import linked_groups

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

LINK_PX = 10.0
"""Targets of a cluster are linked by centroid distances below this (paper, section IV-A)."""
FEW = 1000  # points of which all distances are looked at


def linked_pairs(points: np.ndarray, max_distance: float = LINK_PX) -> np.ndarray:
    """Pairs of points that are nearer to each other than `max_distance`.

    Parameters
    ----------
    points : ndarray, (N, 2), float64
        (x, y), px.
    max_distance : float
        px; a pair at exactly this distance is not linked.

    Returns
    -------
    ndarray, (P, 2), int
        Indices i < j of each pair; (0, 2) if there is none.
    """
    if len(points) <= FEW:
        return np.argwhere(np.triu(_distances(points) < max_distance, 1))
    pairs: np.ndarray = _tree(points).query_pairs(max_distance, output_type="ndarray")
    distance = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    return pairs[distance < max_distance]


def _distances(points: np.ndarray) -> np.ndarray:
    """(N, N), of all to all."""
    distances: np.ndarray = np.linalg.norm(points[:, None] - points, axis=2)
    return distances


def _tree(points: np.ndarray) -> cKDTree:
    from scipy.spatial import cKDTree  # it takes longer to load than few points are looked at

    return cKDTree(points)


def clusters(points: np.ndarray, max_distance: float = LINK_PX) -> np.ndarray:
    """Group points by single linkage.

    Parameters
    ----------
    points : ndarray, (N, 2), float64
        Centroids (x, y), px.
    max_distance : float
        px; linked are points nearer than this.

    Returns
    -------
    ndarray, (N,), int32
        Group of each point, 0..K-1 in order of the first point. A group of one point is a
        *single*, every other a *cluster*.
    """
    return linked_groups(linked_pairs(points, max_distance), len(points))


def group_boxes(boxes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Tight box around all targets of each group.

    Parameters
    ----------
    boxes : ndarray, (N, 4), int32
        Target boxes, half-open xyxy.
    groups : ndarray, (N,), int
        Group of each target, 0..K-1, see `clusters`.

    Returns
    -------
    ndarray, (K, 4), int32
    """
    if len(boxes) == 0:
        return boxes.copy()
    order = np.argsort(groups, kind="stable")
    first = np.flatnonzero(np.diff(groups[order], prepend=-1))
    low = np.minimum.reduceat(boxes[order, :2], first)
    high = np.maximum.reduceat(boxes[order, 2:], first)
    return np.concatenate([low, high], axis=1)


def group_density(annotations: Annotations, groups: np.ndarray) -> np.ndarray:
    """Density of each group, D = N A_t / A_c (Eq. 4).

    N is the number of its targets, A_t the sum of their mask areas, and A_c the area of the tight
    box around its masks; the paper leaves A_c open, this reading gives its published numbers.

    Parameters
    ----------
    annotations : Annotations
    groups : ndarray, (N,), int
        Group of each target, 0..K-1, see `clusters`.

    Returns
    -------
    ndarray, (K,), float64
        Above 0, without unit.
    """
    boxes = group_boxes(annotations.boxes, groups).astype(np.float64)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    target_area = np.bincount(groups, annotations.areas, minlength=len(boxes))
    return np.bincount(groups, minlength=len(boxes)) * target_area / area


def normalised_density(density: np.ndarray) -> np.ndarray:
    """Scale densities to [0, 1] by the least and the greatest of them.

    As in the paper, over all groups of a data set, clusters and singles together. Made of two
    extremes, it moves a lot between equally good data sets: report it, do not judge by it.

    Parameters
    ----------
    density : ndarray, (K,), float64
        `group_density` of every group.

    Returns
    -------
    ndarray, (K,), float64
        All zero if the densities are equal; empty if there is none.
    """
    span = np.ptp(density) if len(density) else 0.0
    return (density - density.min()) / span if span > 0 else np.zeros(len(density))


def nearest_gap(annotations: Annotations) -> np.ndarray:
    """Pixels between each box and the nearest box of a linked target, (N,) int.

    The gap of two boxes is the larger of their gaps in x and y, 0 where they touch or overlap.
    -1 for a target without links, a single.
    """
    pairs = linked_pairs(annotations.points)
    one, two = annotations.boxes[pairs[:, 0]], annotations.boxes[pairs[:, 1]]
    apart = np.maximum(one[:, :2] - two[:, 2:], two[:, :2] - one[:, 2:]).max(axis=1, initial=0)
    gaps = np.full(len(annotations), np.iinfo(np.int32).max)
    np.minimum.at(gaps, pairs, apart[:, None])
    return np.where(gaps == np.iinfo(np.int32).max, -1, gaps)


def cluster_columns(annotations: Annotations) -> dict[str, np.ndarray]:
    """What is known of each target as one of its group.

    Returns
    -------
    dict of str to ndarray, (N,)
        ``group``, int, see `clusters`; ``group_targets``, int, how many targets are in it, 1 for a
        single; ``density``, float64, that of the group, see `group_density`; ``gap``, int, see
        `nearest_gap`.
    """
    groups = clusters(annotations.points)
    return {
        "group": groups,
        "group_targets": np.bincount(groups)[groups],
        "density": group_density(annotations, groups)[groups],
        "gap": nearest_gap(annotations),
    }


def nearest_distance(points: np.ndarray) -> np.ndarray:
    """Distance of each point to the nearest other one, (N,) float64, px; -1 for one alone."""
    if len(points) < 2:
        return np.full(len(points), -1.0)
    if len(points) <= FEW:
        others = np.where(np.eye(len(points), dtype=bool), np.inf, _distances(points))
        return others.min(axis=1)
    distance: np.ndarray = _tree(points).query(points, k=2)[0][:, 1]
    return distance

"""Recall by kind of target: by its size, by the density of its cluster, by its nearest gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

SIDES = (1, 3, 4, 5, 6, 9, 13)
DENSITIES = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0)
GAPS = (0, 1, 2, 3, 4, 5)
CONFIDENCE_Z = 1.96


@dataclass(frozen=True)
class Bin:
    """Targets of one kind.

    Parameters
    ----------
    label : str
    n : int
        Targets.
    by_iou, by_centroid : int
        Those that were found, by the IoU of boxes and by the distance of centroids.
    """

    label: str
    n: int
    by_iou: int
    by_centroid: int


@dataclass(frozen=True)
class Breakdown:
    """The targets of a dataset divided into kinds.

    Parameters
    ----------
    name : "size", "density" or "gap"
    bins : tuple of Bin
        Some may have no target.
    """

    name: str
    bins: tuple[Bin, ...]

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain values for JSON."""
        return [asdict(b) for b in self.bins]


def breakdowns(rows: np.ndarray) -> tuple[Breakdown, Breakdown, Breakdown]:
    """Divide the rows of `evaluate.TARGET`.

    Size is the longer side of the box. Density (Eq. 4) and gap are those of targets in clusters,
    linked by centroids less than 10 px apart; singles are a kind of their own.
    """
    single = rows["group_targets"] == 1
    dense, linked = (np.where(single, -1, rows[column]) for column in ("density", "gap"))
    return (
        Breakdown("size", _bins(rows, rows["side"], SIDES, whole=True)),
        Breakdown("density", _bins(rows, dense, (-1, *DENSITIES), whole=False)),
        Breakdown("gap", _bins(rows, linked, (-1, *GAPS), whole=True)),
    )


def interval(found: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of Wilson of a share found / n; (0, 1) for n = 0.

    It takes targets as independent, which those of an image are not quite: it is a least width.
    """
    z2 = CONFIDENCE_Z**2
    middle = (found + z2 / 2) / (n + z2)
    known = np.maximum(n, 1)
    spread = found * (n - found) / known + z2 / 4
    half = CONFIDENCE_Z * np.sqrt(spread) / (n + z2)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def _bins(
    rows: np.ndarray, values: np.ndarray, edges: Sequence[float], *, whole: bool
) -> tuple[Bin, ...]:
    index = np.searchsorted(edges, values, side="right") - 1
    counts = [np.bincount(index[m], minlength=len(edges)).tolist() for m in _masks(rows)]
    labels = _labels(edges, whole=whole)
    return tuple(Bin(*row) for row in zip(labels, *counts, strict=True))


def _masks(rows: np.ndarray) -> tuple[np.ndarray, ...]:
    return np.ones(len(rows), bool), rows["by_iou"], rows["by_centroid"]


def _labels(edges: Sequence[float], *, whole: bool) -> list[str]:
    labels = ["single"] if edges[0] < 0 else []
    edges = edges[len(labels) :]
    for low, high in pairwise(edges):
        last = high - 1 if whole else high
        labels.append(f"{low:g}" if low == last else f"{low:g}–{last:g}")
    return [*labels, f"≥ {edges[-1]:g}"]

"""What shapes drawn in tools become: run lengths of masks, polygons of ellipses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from densesirst_gen.datasets.findings import Findings

OTHER_KIND = "shapes are of a kind without area or place, left out"
BROKEN = "shapes are broken, left out"
SIDES = 32
"""Corners of the polygon that a circle becomes."""
Size = tuple[int, int]


def placed(region: np.ndarray, left: int, top: int, size: Size) -> dict[str, Any]:
    """COCO's run lengths of a mask from its part at a corner; what sticks out is cut off."""
    mask = np.zeros(size, np.bool_)
    y0, x0 = max(top, 0), max(left, 0)
    part = region[y0 - top : size[0] - top, x0 - left : size[1] - left]
    mask[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(edges, prepend=0, append=flat.size).tolist()
    return {"size": list(size), "counts": counts}


def turned(corners: Sequence[float], degrees: float) -> list[float]:
    """A polygon turned about the middle of its box, clockwise in the picture as CVAT does."""
    points = np.asarray(corners, float).reshape(-1, 2)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return ((points - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle).ravel().tolist()


def nothing_read(found: Findings) -> str:
    """Why no shape at all could be read; empty if all could."""
    return "; ".join(found.line(k) for k in (OTHER_KIND, BROKEN) if found.count(k))


def ring(x: float, y: float, rx: float, ry: float) -> list[float]:
    """The polygon of an ellipse."""
    angles = [2 * math.pi * k / SIDES for k in range(SIDES)]
    return [v for a in angles for v in (x + rx * math.cos(a), y + ry * math.sin(a))]

"""Are an image's colours a scale? Then all of them lie on one curve through red, green and blue.

A gray level that was painted by a colormap can have only its colours: jet, ironbow, inferno or any
other. Brightness is not the level then, and may go up and down with it. Gray with a tint is no
such case: its colours lie on a straight line, near to gray or through black, and its brightness
is in proportion to the level.
"""

from __future__ import annotations

import numpy as np
import scipy

from densesirst_gen.files.images.colormaps import VIVID, as_bytes, distance_to, tables
from densesirst_gen.files.images.raster import CodecError

VIVID_FROM = 48
"""Largest less smallest channel: 5 % of the pixels have that much, or the image is tinted gray."""
FEW_LEVELS = 16
"""Range of a channel below which an image is of one colour, and tells nothing."""
THICK = 8
"""Levels from a curve within which colours lie on it, JPEG's errors included."""
NEAR_NAMED = 20
"""Levels from a known colormap: after JPEG at quality 75 up to 17, photographs are 37 away."""
BENT = 1.6
"""How much farther from one straight line than from the curve they lie, at least."""
SHARE = 0.95
CELL = 8
N_LOOKED_AT, N_NODES, N_COLOURS = 20_000, 300, 500


def check_no_false_colour(colours: np.ndarray) -> None:
    """CodecError if the colours (H, W, 3) are those of a colormap."""
    found = false_colour(colours)
    if found:
        raise CodecError(
            f"false colour, not brightness: {found}; --colormap NAME turns it back into gray "
            "levels (`brightness` reads the colours as they are)"
        )


def false_colour(colours: np.ndarray) -> str:
    """What tells that an image is painted by a colormap, in words; empty if nothing does.

    Parameters
    ----------
    colours : ndarray, (H, W, 3), uint8 or uint16
    """
    levels = as_bytes(colours)
    spread = levels.max(axis=2) - levels.min(axis=2)
    if np.quantile(spread, SHARE) < VIVID_FROM:
        return ""
    looked = _even_pixels(levels)
    if np.ptp(np.quantile(looked, (0.02, 0.98), axis=0), axis=0).max() < FEW_LEVELS:
        return ""
    named = _nearest_named(looked)
    if named:
        return f"its colours are those of {named}"
    return "its colours lie on one curve" if _on_bent_curve(looked) else ""


def _even_pixels(levels: np.ndarray) -> np.ndarray:
    """Colours (n, 3) where neighbours differ little: JPEG blurs colours at edges."""
    signed = levels.astype(np.int16)
    step = np.zeros(levels.shape[:2], np.int16)
    right = np.abs(np.diff(signed, axis=1)).max(axis=2)
    below = np.abs(np.diff(signed, axis=0)).max(axis=2)
    for part, size in ((step[:, :-1], right), (step[:, 1:], right)):
        np.maximum(part, size, out=part)
    for part, size in ((step[:-1], below), (step[1:], below)):
        np.maximum(part, size, out=part)
    even = levels[step <= max(float(np.quantile(step, 0.3)), 6)]
    return even[:: max(1, len(even) // N_LOOKED_AT)].astype(np.float64)


def _nearest_named(looked: np.ndarray) -> str:
    """The colormap on which nearly all of the colours lie, and no line of a tint."""
    few = looked[:: max(1, len(looked) // N_COLOURS)]
    if _is_tint(few):
        return ""
    far = {
        name: min(float(np.quantile(distance_to(few, table), SHARE)) for table in tables(name))
        for name in VIVID
    }
    name = min(far, key=lambda each: far[each])
    return name if far[name] <= NEAR_NAMED else ""


def _is_tint(few: np.ndarray) -> bool:
    """Whether all colours are one colour, darker and brighter."""
    axis = np.linalg.svd(few, full_matrices=False)[2][0]
    off = np.linalg.norm(few - np.outer(few @ axis, axis), axis=1)
    return bool(np.quantile(off, SHARE) <= THICK / 2) and bool((np.abs(axis) > 0.05).all())


def _on_bent_curve(looked: np.ndarray) -> bool:
    few = looked[:: max(1, len(looked) // N_COLOURS)]
    curve = _curve_through(looked)
    if len(curve) < 6:
        return False
    off_curve = np.quantile(_distance_to_line(few, curve), SHARE)
    middle = few.mean(axis=0)
    axis = np.linalg.svd(few - middle, full_matrices=False)[2][0]
    off_line = np.quantile(
        np.linalg.norm(few - middle - np.outer((few - middle) @ axis, axis), axis=1), SHARE
    )
    return bool(off_curve <= THICK and off_line >= max(THICK, BENT * off_curve))


def _curve_through(looked: np.ndarray) -> np.ndarray:
    """The longest way (n, 3) through the tree that joins the colours, in cells of 8 levels."""
    cells, where, counts = np.unique(
        looked.astype(int) // CELL, axis=0, return_inverse=True, return_counts=True
    )
    sums = [np.bincount(where.ravel(), looked[:, k], len(cells)) for k in range(3)]
    nodes = (np.stack(sums, axis=1) / counts[:, None])[np.argsort(-counts)[:N_NODES]]
    tree = scipy.sparse.csgraph.minimum_spanning_tree(
        scipy.spatial.distance.cdist(nodes, nodes) + 1e-9
    )
    start = int(np.argmax(scipy.sparse.csgraph.dijkstra(tree, directed=False, indices=0)))
    far, before = scipy.sparse.csgraph.dijkstra(
        tree, directed=False, indices=start, return_predecessors=True
    )
    way = [int(np.argmax(far))]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return nodes[way]


def _distance_to_line(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """From each point (n, 3) to the nearest of a line through (m, 3)."""
    steps = np.diff(line, axis=0)
    from_start = points[:, None] - line[:-1]
    along = (from_start * steps).sum(axis=2) / ((steps**2).sum(axis=1) + 1e-9)
    nearest = line[:-1] + along.clip(0, 1)[..., None] * steps
    return np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1)

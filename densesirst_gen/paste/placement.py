"""Where things may go, exactly: no random retries, no clamping, fewer rather than wrong.

`free_positions` knows every legal corner of a box; `choose_windows` draws the windows of an image
from them; `place` puts the patches of each cluster into its window one after the other, each on one
of the corners that are still free. Randomness comes in as uniform numbers in [0, 1). `place` uses
only names that numpy and torch share (``xp``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np


def free_positions(blocked: np.ndarray, height: int, width: int) -> np.ndarray:
    """Top-left corners at which a box holds no blocked pixel.

    Parameters
    ----------
    blocked : ndarray, (H, W), bool
    height, width : int
        Of the box, pixels, at least 1.

    Returns
    -------
    ndarray, (H - height + 1, W - width + 1), bool
        Exact; a side is 0 if the box is larger than the image.
    """
    rows = max(blocked.shape[0] - height + 1, 0)
    cols = max(blocked.shape[1] - width + 1, 0)
    if rows == 0 or cols == 0:
        return np.zeros((rows, cols), bool)
    return ~_any_ahead(_any_ahead(blocked, height, 0), width, 1)


def _any_ahead(blocked: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Whether a pixel or one of the `length` - 1 after it is blocked, by doubling the reach."""
    reach = 1
    while reach < length:
        step = min(reach, length - reach)
        ahead, here = [slice(None)] * 2, [slice(None)] * 2
        ahead[axis], here[axis] = slice(step, None), slice(None, -step)
        blocked = blocked[tuple(here)] | blocked[tuple(ahead)]
        reach += step
    return blocked


def choose_windows(
    free: np.ndarray,
    uniforms: np.ndarray,
    side: int,
    image: np.ndarray,
) -> np.ndarray:
    """Draw disjoint square windows, each uniformly among the corners that are still free.

    Parameters
    ----------
    free : ndarray, (H', W'), bool
        Free corners of a `side` x `side` window.
    uniforms : ndarray, (K, C), in [0, 1)
        For each of K windows, C candidates of which the smoothest is taken (least standard
        deviation of the image inside it); C = 1 is a plain draw.
    side : int
        Of the window, pixels.
    image : ndarray, (H, W)
        Looked at only if C > 1.

    Returns
    -------
    ndarray, (K' <= K, 2), int64
        (row, col) of the corners; fewer than K when no free window is left.
    """
    free, windows = free.copy(), []
    counts = _row_counts(free)
    for draw in uniforms:
        ends = counts.cumsum()
        if len(ends) == 0 or ends[-1] == 0:
            break
        ranks = (draw * ends[-1]).astype(np.int64)
        row, col = _smoothest([_kth_free(free, ends, rank) for rank in ranks], side, image)
        windows.append((row, col))
        near = slice(max(row - side + 1, 0), row + side)
        free[near, max(col - side + 1, 0) : col + side] = False
        counts[near] = _row_counts(free[near])
    return np.array(windows, np.int64).reshape(-1, 2)


def _row_counts(free: np.ndarray) -> np.ndarray:
    return np.bitwise_count(np.packbits(free, axis=1)).sum(axis=1, dtype=np.int64)


def _kth_free(free: np.ndarray, ends: np.ndarray, rank: int) -> tuple[int, int]:
    """Corner number `rank` in raster order; `ends` are the counts up to and with each row."""
    row = int(ends.searchsorted(rank, side="right"))
    within = rank - (ends[row - 1] if row else 0)
    return row, int(free[row].nonzero()[0][within])


def _smoothest(corners: list[tuple[int, int]], side: int, image: np.ndarray) -> tuple[int, int]:
    if len(corners) == 1:
        return corners[0]
    return min(corners, key=lambda rc: float(image[rc[0] :, rc[1] :][:side, :side].std()))


@lru_cache(maxsize=32)
def placement_tables(
    window: int, patch: int, gap: int, margin: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One-dimensional geometry of boxes in a window, as matrices for `place`.

    Parameters
    ----------
    window : int
        Side R of the window, pixels.
    patch, gap : int
        Largest patch side S and largest gap, pixels.
    margin : int
        Free pixels along the window's border.

    Returns
    -------
    touches : ndarray, (S + 1, gap + 1, R, R), float32
        [s, g, r, p] is 1 if a patch of side s at r, widened by g on both sides, covers pixel p.
    legal : ndarray, (S + 1, R), bool
        [s, r]: a patch of side s at r keeps the margin.
    puts : ndarray, (R + 1, S, R), float32
        [r, i, p] is 1 if pixel i of a patch at r is pixel p of the window; [R] is all zero.
    """
    r = np.arange(window)
    s = np.arange(patch + 1)[:, None, None, None]
    g = np.arange(gap + 1)[:, None, None]
    touches = (r >= r[:, None] - g) & (r < r[:, None] + s + g)
    legal = (r >= margin) & (r + s[:, 0, 0] <= window - margin)
    puts = np.arange(window + 1)[:, None, None] + np.arange(patch)[:, None] == r
    puts[window] = False
    return touches.astype(np.float32), legal, puts.astype(np.float32)


def place(
    masks: Any,
    sizes: Any,
    gaps: Any,
    uniforms: Any,
    tables: tuple[Any, Any, Any],
    attempts: int,
    xp: Any = np,
) -> tuple[Any, Any]:
    """Place the patches of clusters in their windows; with numpy, the reference that tests compare.

    In order, all clusters at once.

    A patch's box, widened by its gap, must not touch the mask of an earlier patch. With m of M
    corners free, "up to A random tries" would succeed with probability ``1 - (1 - m / M) ** A`` and
    then be uniform on the m: two uniform numbers give exactly that, without the tries. The first,
    u, says whether: ``m > M * (1 - (1 - u) ** (1 / A))``.

    Parameters
    ----------
    masks : array, (K, n, S, S), float32
        1 where a patch is target.
    sizes : array, (K, n, 2), int64
        Height and width of each patch, 1..S; 0 for a patch that is not to be placed.
    gaps : array, (K, n), int64
    uniforms : array, (K, n, 2), float64, in [0, 1)
        Success and position.
    tables : tuple of array
        Of `placement_tables`, as arrays of `xp`.
    attempts : int
        A above.
    xp : module
        numpy or torch.

    Returns
    -------
    rows, cols : array, (K, n), int64
        Corners in the window; -1 where nothing fits.
    """
    touches, legal, puts = tables
    n_corners = puts.shape[2] ** 2
    masks, sizes, gaps, uniforms = (a.swapaxes(0, 1) for a in (masks, sizes, gaps, uniforms))
    tall, wide = touches[sizes[..., 0], gaps], touches[sizes[..., 1], gaps].swapaxes(2, 3)
    legal_rows = legal[sizes[..., 0]] & (sizes[..., :1] > 0)
    legal_corners = legal_rows[..., :, None] & legal[sizes[..., 1]][..., None, :]
    least = legal_corners.sum(axis=(2, 3)) * (1 - (1 - uniforms[..., 0]) ** (1 / attempts))
    occupied = xp.zeros_like(tall[0])
    corners = []
    for k in range(len(masks)):
        is_free = legal_corners[k] & (tall[k] @ occupied @ wide[k] < 0.5)
        counts = is_free.reshape(-1, n_corners).cumsum(axis=1)
        n_free = counts[:, -1]
        rank = xp.where(n_free > least[k], n_free * uniforms[k, :, 1], n_corners)
        corner = (counts <= rank[:, None]).sum(axis=1)
        corners.append(corner)
        down, right = puts[corner // puts.shape[2]], puts[corner % puts.shape[2]]
        occupied = occupied + down.swapaxes(1, 2) @ masks[k] @ right
    flat = xp.stack(corners, axis=1)
    fits = flat < n_corners
    return (
        xp.where(fits, flat // puts.shape[2], -1),
        xp.where(fits, flat % puts.shape[2], -1),
    )

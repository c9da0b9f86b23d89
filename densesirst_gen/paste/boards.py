"""A window as one whole number, a bit for each pixel: made equal to `placement.place`, faster.

Bit ``r * R + c`` is pixel (r, c) of a window of side R. Where a patch may lie is then a handful of
shifts of that number, instead of matrices: a third of the time for the few patches of one image.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def place_on_boards(
    masks: np.ndarray,
    sizes: np.ndarray,
    gaps: np.ndarray,
    uniforms: np.ndarray,
    window: int,
    margin: int,
    attempts: int,
) -> tuple[np.ndarray, np.ndarray]:
    """`densesirst_gen.paste.placement.place`, to the last bit.

    Parameters
    ----------
    masks : ndarray, (K, n, S, S), bool
        Where a patch is target.
    sizes, gaps, uniforms, attempts
        As there.
    window, margin : int
        Of `densesirst_gen.paste.placement.placement_tables`.

    Returns
    -------
    rows, cols : ndarray, (K, n), int64
        Corners in the window; -1 where nothing fits.
    """
    least = 1 - (1 - uniforms[..., 0]) ** (1 / attempts)
    corners = np.full(gaps.shape, -1)
    columns = (sizes.tolist(), gaps.tolist(), least.tolist(), uniforms[..., 1].tolist())
    for k, cluster in enumerate(zip(_boards(masks, window), *columns, strict=True)):
        occupied = 0
        for i, (board, size, gap, share, draw) in enumerate(zip(*cluster, strict=True)):
            height, width = size
            legal = _legal(window, margin, height, width)
            if not legal:
                continue
            free = legal & ~_near(occupied, window, height, width, gap) if occupied else legal
            n_free = free.bit_count()
            if n_free > legal.bit_count() * share:
                corners[k, i] = corner = _kth_bit(free, int(n_free * draw))
                occupied |= board << corner
    placed = corners >= 0
    return np.where(placed, corners // window, -1), np.where(placed, corners % window, -1)


def _boards(masks: np.ndarray, window: int) -> list[list[int]]:
    """Each mask as a board, its corner at bit 0."""
    n_clusters, n, side, _ = masks.shape
    wide = np.zeros((n_clusters, n, side, window), np.bool_)
    wide[..., : min(side, window)] = masks[..., : min(side, window)]
    packed = np.packbits(wide.reshape(n_clusters, n, -1), axis=-1, bitorder="little")
    return [[int.from_bytes(one.tobytes(), "little") for one in cluster] for cluster in packed]


@lru_cache(maxsize=4096)
def _legal(window: int, margin: int, height: int, width: int) -> int:
    """Corners of a patch that keeps the margin; none for a patch without size."""
    if height == 0 or width == 0:
        return 0
    row = _ones(window - 2 * margin - width + 1) << margin
    rows = range(margin, window - margin - height + 1)
    return sum(row << (r * window) for r in rows)


def _near(occupied: int, window: int, height: int, width: int, gap: int) -> int:
    """Corners at which a patch, widened by its gap, would touch an occupied pixel."""
    ahead, behind = (height - 1 + gap) * window, gap * window
    near = _smeared(occupied, ahead, behind, window, _ones(window * window), None)
    return _smeared(near, width - 1 + gap, gap, 1, -1, window)


def _smeared(board: int, ahead: int, behind: int, step: int, inside: int, wrap: int | None) -> int:
    """Every bit, up to `ahead` before its place and `behind` after it, in steps of `step`."""
    for reach, sign in ((ahead, 1), (behind, -1)):
        done = 0
        while done < reach:
            shift = done + step if 2 * done + step < reach else reach - done
            moved = board >> shift if sign > 0 else (board << shift) & inside
            board |= moved if wrap is None else moved & _unwrapped(wrap, sign * shift)
            done += shift
    return board


@lru_cache(maxsize=1024)
def _unwrapped(window: int, shift: int) -> int:
    """Pixels that a shift along the rows does not bring in from another row."""
    row = _ones(window - abs(shift))
    row = row if shift > 0 else row << -shift
    return sum(row << (r * window) for r in range(window))


def _ones(n: int) -> int:
    return (1 << max(n, 0)) - 1


def _kth_bit(board: int, rank: int) -> int:
    """Place of the bit that has `rank` bits below it, by halving."""
    place, half = 0, 1 << (board.bit_length() - 1).bit_length()
    while half := half >> 1:
        low = board & ((1 << half) - 1)
        below = low.bit_count()
        if rank < below:
            board = low
        else:
            board >>= half
            rank -= below
            place += half
    return place

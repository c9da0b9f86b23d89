"""The pixels of many windows at once: gathered, filtered and reduced without a loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Pixels:
    """P pixels that belong to N windows, sorted by window.

    A window may have no pixel, and one pixel may belong to several windows. Every reduction gives
    one float64 for each window, and `empty` (one number, or one for each window) where a window
    has no pixel.

    Parameters
    ----------
    n : int
        Number of windows.
    owner : ndarray, (P,), int
        Window of each pixel, ascending.
    rows, cols : ndarray, (P,), int
        Where the pixel is in the image.
    """

    n: int
    owner: np.ndarray
    rows: np.ndarray
    cols: np.ndarray

    def of(self, plane: np.ndarray) -> np.ndarray:
        """Values (P,) of an (H, W) array at the pixels."""
        values: np.ndarray = plane[self.rows, self.cols]
        return values

    def where(self, keep: np.ndarray) -> Pixels:
        """The pixels for which `keep`, (P,) bool, is True."""
        return Pixels(self.n, self.owner[keep], self.rows[keep], self.cols[keep])

    def counts(self) -> np.ndarray:
        """Number of pixels of each window, (N,) int."""
        return np.bincount(self.owner, minlength=self.n)

    def mean(self, values: np.ndarray, empty: float | np.ndarray = 0.0) -> np.ndarray:
        """Mean of `values`, (P,), in each window."""
        counts = self.counts()
        total = np.bincount(self.owner, values, self.n)
        return np.where(counts > 0, total / np.maximum(counts, 1), empty)

    def std(self, values: np.ndarray, empty: float | np.ndarray = 0.0) -> np.ndarray:
        """Population standard deviation of `values`, (P,), in each window."""
        away = values - self.mean(values)[self.owner]
        return np.where(self.counts() > 0, np.sqrt(self.mean(away**2)), empty)

    def max(self, values: np.ndarray, empty: float | np.ndarray = 0.0) -> np.ndarray:
        """Greatest of `values`, (P,), in each window."""
        result = np.full(self.n, empty, np.float64)
        if len(values):
            first = np.flatnonzero(np.diff(self.owner, prepend=-1))
            result[self.owner[first]] = np.maximum.reduceat(values, first)
        return result

    def median(self, values: np.ndarray, empty: float | np.ndarray = 0.0) -> np.ndarray:
        """Median of `values`, (P,), in each window."""
        counts = self.counts()
        some = counts > 0
        ordered = values[np.lexsort((values, self.owner))]
        first, count = (np.cumsum(counts) - counts)[some], counts[some]
        result = np.full(self.n, empty, np.float64)
        result[some] = (ordered[first + (count - 1) // 2] + ordered[first + count // 2]) / 2
        return result


def box_pixels(boxes: np.ndarray, shape: tuple[int, int], pad: int = 0) -> Pixels:
    """All pixels of each box, padded and cut to the image.

    Parameters
    ----------
    boxes : ndarray, (N, 4), int
        Half-open xyxy.
    shape : tuple of int
        (H, W) of the image.
    pad : int
        px added on each side.
    """
    height, width = shape
    low = np.maximum(boxes[:, :2].astype(np.int64) - pad, 0)
    high = np.minimum(boxes[:, 2:].astype(np.int64) + pad, (width, height))
    wide, tall = (high - low).T
    counts = wide * tall
    owner = np.repeat(np.arange(len(boxes)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows, cols = np.divmod(place, wide[owner])
    return Pixels(len(boxes), owner, rows + low[owner, 1], cols + low[owner, 0])


def target_pixels(labels: np.ndarray, boxes: np.ndarray) -> Pixels:
    """The mask pixels of each target; row k of `boxes` is label k + 1."""
    pixels = box_pixels(boxes, (labels.shape[0], labels.shape[1]))
    return pixels.where(pixels.of(labels) == pixels.owner + 1)


def ring_pixels(labels: np.ndarray, boxes: np.ndarray) -> Pixels:
    """The pixels that touch a target's mask, corners included, and belong to no target."""
    height, width = labels.shape
    own = target_pixels(labels, boxes)
    rows, cols = around(own)
    owner = np.broadcast_to(own.owner[:, None], rows.shape)
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    place = np.unique((owner[inside] * height + rows[inside]) * width + cols[inside])
    owner_rows, cols = np.divmod(place, width)
    owner, rows = np.divmod(owner_rows, height)
    ring = Pixels(len(boxes), owner, rows, cols)
    return ring.where(ring.of(labels) == 0)


def around(pixels: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns, each (P, 8), of the eight neighbours; they may lie outside the image."""
    d_row, d_col = np.divmod(np.delete(np.arange(9), 4), 3)
    return pixels.rows[:, None] + d_row - 1, pixels.cols[:, None] + d_col - 1

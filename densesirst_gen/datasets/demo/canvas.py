"""A picture in the making, and how to cover parts of it, for the demo scenes.

Whatever is painted states its exact share of each pixel; so the open share of a pixel is known
exactly, and with it the sky.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from densesirst_gen.scene.windows import box_pixels

COVERED = 1 / 3  # from this share of its area on, a pixel belongs to what stands before the sky

Segment = tuple[float, float, float, float, float]  # x0, y0, x1, y1, width


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture in the making.

    Parameters
    ----------
    radiance : ndarray, (H, W), float64
        Gray levels, before optics and sensor.
    open : ndarray, (H, W), float64
        Share of each pixel through which the sky is seen, 0 to 1.
    horizon : float
        Row of the horizon.
    warmth : float
        Gray level of the typical ground.
    """

    radiance: np.ndarray
    open: np.ndarray
    horizon: float
    warmth: float

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.radiance.shape[0], self.radiance.shape[1]

    @property
    def sky(self) -> np.ndarray:
        """(H, W), bool: less than a third of the pixel is covered."""
        return self.open > 1 - COVERED

    def paint(self, cover: np.ndarray, radiance: np.ndarray | float) -> Canvas:
        """Lay `radiance` over the picture where `cover` (0 to 1) says so."""
        mixed = self.radiance + cover * (radiance - self.radiance)
        return replace(self, radiance=mixed, open=self.open * (1 - cover))


def strokes(shape: tuple[int, int], segments: Iterable[Segment]) -> np.ndarray:
    """Coverage of round-capped line segments, each drawn in its own window.

    Returns
    -------
    ndarray, (H, W), float64
        0 to 1; all zero for no segments.
    """
    cover = np.zeros(shape)
    lines = np.array(list(segments), np.float64).reshape(-1, 5)
    window = box_pixels(_windows(shape, lines), shape)
    x0, y0, x1, y1, width = lines[window.owner].T
    x, y = window.cols - x0, window.rows - y0
    dx, dy = x1 - x0, y1 - y0
    t = np.clip((x * dx + y * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
    distance = np.sqrt((x - t * dx) ** 2 + (y - t * dy) ** 2)
    np.maximum.at(cover, (window.rows, window.cols), np.clip(width / 2 + 0.5 - distance, 0, 1))
    return cover


def _windows(shape: tuple[int, int], lines: np.ndarray) -> np.ndarray:
    """(N, 4) int, half-open xyxy: around each segment, cut to the picture."""
    ends, reach = lines[:, :4].reshape(-1, 2, 2), lines[:, 4:] / 2 + 1
    low, high = ends.min(axis=1) - reach, ends.max(axis=1) + reach
    boxes = np.concatenate([low.astype(np.int64), high.astype(np.int64) + 1], axis=1)
    return boxes.clip(0, np.array(shape[::-1] * 2))


def below(shape: tuple[int, int], ridge: np.ndarray | float) -> np.ndarray:
    """Coverage of all that lies below a ridge line, given as a row for each column."""
    return np.clip(np.arange(shape[0])[:, None] - ridge + 0.5, 0, 1) * np.ones(shape[1])


def fade(shape: tuple[int, int], ridge: np.ndarray | float, reach: float) -> np.ndarray:
    """1 on a ridge line and above it, 1/e at `reach` pixels below, and so on."""
    depth = np.arange(shape[0])[:, None] - ridge
    return np.exp(-np.maximum(depth, 0) / reach) * np.ones(shape[1])

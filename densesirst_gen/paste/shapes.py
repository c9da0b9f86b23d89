"""A library at pasting size."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from densesirst_gen.paste.library import TargetLibrary


class Shapes(NamedTuple):
    """A library at pasting size.

    Parameters
    ----------
    shapes : ndarray, (K, P, P), float64
        Patches whose peak is 1; of a region of scenes, the mean.
    masks : ndarray, (K, P, P), float64
        1 where the target is.
    sizes : ndarray, (K, 2), int64
        Rows and columns in use, 1..P.
    peaks : ndarray, (K,), float64
        Gray levels that a shape's 1 stands for.
    """

    shapes: np.ndarray
    masks: np.ndarray
    sizes: np.ndarray
    peaks: np.ndarray


@lru_cache(maxsize=8)
def shapes_at(library: TargetLibrary, patch_px: int, resize: str, flatten: float) -> Shapes:
    """Bring every patch to its pasting size, once for a library.

    Parameters
    ----------
    library : TargetLibrary
    patch_px : int
        P, the largest side.
    resize : str
        ``stretch``: every patch becomes P x P. ``shrink``: what is larger is brought to P, keeping
        its aspect; smaller patches stay as they are.
    flatten : float
        Exponent on the shape (1: as it is, 0: flat).

    Returns
    -------
    Shapes
    """
    n = len(library)
    sizes = np.array([_pasting_size(size, patch_px, resize) for size in library.sizes]).reshape(
        n, 2
    )
    shapes, masks = np.zeros((2, n, patch_px, patch_px))
    peaks = np.empty(n)
    for k, (height, width) in enumerate(sizes):
        rows, cols = library.sizes[k]
        patch = _resized(library.patches[k, :rows, :cols], height, width)
        peaks[k] = library.peak_of(patch)
        shapes[k, :height, :width] = np.clip(patch / peaks[k], 0, None) ** flatten
        mask = _resized(library.masks[k, :rows, :cols].astype(np.float32), height, width)
        masks[k, :height, :width] = (mask >= 0.5) | (patch == patch.max())
    return Shapes(shapes, masks, sizes, peaks)


def _pasting_size(size: np.ndarray, patch_px: int, resize: str) -> tuple[int, int]:
    if resize == "stretch":
        return patch_px, patch_px
    scale = min(1.0, patch_px / max(size))
    return max(1, round(float(size[0]) * scale)), max(1, round(float(size[1]) * scale))


def _resized(patch: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, averaging over all source pixels when shrinking."""
    if patch.shape == (height, width):
        return patch.astype(np.float64)
    resized = Image.fromarray(patch).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float64)

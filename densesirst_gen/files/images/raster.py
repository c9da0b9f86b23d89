"""What a decoder makes of a file, before anyone asks whether it is an image or a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class CodecError(ValueError):
    """A file that does not hold the image that it should; the message names file and reason."""


@dataclass(frozen=True, eq=False)
class Raster:
    """Pixels as they lie in a file.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, 3), uint8, uint16 or float32
        Values, or colours in the order red, green, blue; those of a palette are expanded.
    notes : tuple of str
        What was decided in reading, such as "alpha ignored".
    indices : ndarray, (H, W), uint8, optional
        Of a palette image.
    nodata : float, optional
        The value that the file declares to mean that a pixel has none.
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()
    indices: np.ndarray | None = None
    nodata: float | None = None


def check_size(width: int, height: int, max_pixels: int) -> None:
    """CodecError for an image without pixels, or with more than allowed."""
    if width <= 0 or height <= 0:
        raise CodecError(f"{width} x {height} pixels: no image")
    if width * height > max_pixels:
        raise CodecError(f"{width} x {height} pixels, the limit is {max_pixels}")

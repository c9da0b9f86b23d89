"""Images that are nearly the same: by a hash of their gradients, then by their thumbnails."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

SIDE = 16
MOST_BITS = 20
"""Of 256 that may differ."""
LEAST_CORRELATION = 0.97
BLOCK = 256


def fingerprint(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What an image looks like, whatever its size, depth and contrast.

    Parameters
    ----------
    image : ndarray, (H, W)

    Returns
    -------
    bits : ndarray, (32,), uint8
        Whether it gets brighter to the right, in 16 x 16 places.
    thumbnail : ndarray, (256,), float32
        16 x 16 means, of mean 0 and length 1; zero for an image of one value.
    """
    size = (SIDE + 1, SIDE)
    small = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    thumbnail = small[:, :SIDE].ravel() - small[:, :SIDE].mean()
    length = float(np.linalg.norm(thumbnail))
    return bits, (thumbnail / length if length else thumbnail).astype(np.float32)


def near_pairs(
    bits: np.ndarray, thumbnails: np.ndarray, of_bits: np.ndarray, of_thumbnails: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Pairs of images, one of each set, that are nearly the same.

    Parameters
    ----------
    bits, thumbnails : ndarray, (N, 32) and (N, 256)
        Rows of `fingerprint`.
    of_bits, of_thumbnails : ndarray, (M, 32) and (M, 256)

    Yields
    ------
    (int, int)
        Row of the one set, row of the other.
    """
    for start in range(0, len(bits), BLOCK):
        block = slice(start, start + BLOCK)
        correlation = thumbnails[block] @ of_thumbnails.T
        rows, cols = np.nonzero(correlation >= LEAST_CORRELATION)
        differ = np.bitwise_count(bits[block][rows] ^ of_bits[cols]).sum(axis=1)
        for row, col in zip(rows[differ <= MOST_BITS], cols[differ <= MOST_BITS], strict=True):
            yield start + int(row), int(col)

"""Images in whole numbers: sizes and sums that are the same on every machine.

Single operations on numbers (+, -, *, /, square root, rounding) give the same everywhere (IEEE
754); sums of rounded numbers do not, nor do logarithms and exponentials. So only whole numbers are
added, below 2^53 in float64, and tables of exponentials are made by the `decimal` module.
"""

from __future__ import annotations

import cv2
import numpy as np


def whole(values: np.ndarray, unit: int) -> np.ndarray:
    """Values 0 to 1 as whole numbers 0 to `unit`, at most 2^24; float32."""
    return np.rint(np.clip(values, 0, 1) * np.float32(unit))


def resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image at another size: averaged when it shrinks, interpolated when it grows.

    Parameters
    ----------
    image : ndarray, (H, W), float32
        Whole numbers, 0 to 2^24.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray, float32
        Whole numbers: rounded.
    """
    height, width = image.shape
    if shape == (height, width):
        return image
    if height >= shape[0] and width >= shape[1]:
        sums, area = _area_sums(image, shape), height * width
    else:
        sums, area = _interpolated(image.astype(np.float64), shape), 4 * shape[0] * shape[1]
    return np.floor((sums + area // 2) / area).astype(np.float32)


def box_sums(image: np.ndarray, side: int) -> np.ndarray:
    """Sums over the square around each pixel, mirrored at the border.

    Parameters
    ----------
    image : ndarray, (H, W), float64
        Whole numbers of which a square's sum stays below 2^53.
    side : int
        Odd.
    """
    return cv2.boxFilter(image, cv2.CV_64F, (side, side), normalize=False)


def halved(image: np.ndarray) -> np.ndarray:
    """(ceil(H / 2), ceil(W / 2)) sums of 2x2 whole numbers; an odd border is doubled."""
    bottom, right = (side % 2 for side in image.shape)
    even = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    rows = even[::2] + even[1::2]
    return rows[:, ::2] + rows[:, 1::2]


def doubled(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """At twice the size, cut to a shape: the weights are sixteenths, so nothing is rounded.

    Parameters
    ----------
    image : ndarray, (h, w), float32
        Whole numbers below 2^20.
    shape : tuple of int
        The last row and column may be left out.
    """
    height, width = image.shape
    twice = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    return twice[: shape[0], : shape[1]]


def _area_sums(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(rows, cols), float64: H W times the mean over each cell; parts of pixels count as such.

    The sum over everything above and left of a point is linear between pixels in both directions.
    """
    sums = cv2.integral(image, sdepth=cv2.CV_64F)
    rows = np.diff(_between(sums, 0, *_places(image.shape[0], shape[0])), axis=0)
    columns = _between(rows, 1, *_places(image.shape[1], shape[1]))
    return np.diff(columns, axis=1)


def _places(size: int, cells: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Where the borders of cells lie: index, remainder, and what it is a remainder of."""
    place = np.arange(cells + 1) * size
    return place // cells, place % cells, cells


def _interpolated(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(rows, cols), float64: 4 rows cols times the values between the centres of pixels."""
    rows = _between(image, 0, *_centres(image.shape[0], shape[0]))
    return _between(rows, 1, *_centres(image.shape[1], shape[1]))


def _centres(size: int, cells: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Where the centres of cells lie between the centres of pixels, as `_places`."""
    place = np.clip((2 * np.arange(cells) + 1) * size - cells, 0, 2 * cells * (size - 1))
    return place // (2 * cells), place % (2 * cells), 2 * cells


def _between(
    values: np.ndarray, axis: int, index: np.ndarray, rest: np.ndarray, of: int
) -> np.ndarray:
    """`of` times the values at index + rest / of along an axis."""
    after = np.minimum(index + 1, values.shape[axis] - 1)
    part = rest.reshape(-1, 1) if axis == 0 else rest
    here, there = values.take(index, axis), values.take(after, axis)
    here *= of - part
    there *= part
    here += there
    return here

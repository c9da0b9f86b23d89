"""How the release pasted a target, to the last pixel: the Gaussian of the public code.

A patch is 5x5: floor(lambda T G) is added to the gray image and cut at 255. T is a whole image
brought to 5x5, G a turned Gaussian on linspace(-1, 1), normalised by its minimum and maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE = 5
N_PIXELS = SIDE * SIDE
THRESHOLD = 25 / 255
"""A pixel belongs to the mask where lambda G is above."""
LOW = np.array([0.5, 0.3, 0.3, -0.2, -0.2])
HIGH = np.array([1.0, 0.6, 0.6, 0.0, 0.0])
"""Bounds of lambda, sigma_x, sigma_y, mu_x, mu_y."""
X, Y = (a.ravel() for a in np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE)))
BITS = 1 << np.arange(N_PIXELS)
FINENESS = 65535


@dataclass(frozen=True)
class Paste:
    """One pasted patch.

    Parameters
    ----------
    donor : str
        Name of the image whose 5x5 pixels are T.
    steps : tuple of int
        lambda, sigma_x, sigma_y, mu_x, mu_y in 65535ths of their range.
    theta : int
        Whole degrees, -90 to 89.
    row, col : int
        Corner of the patch.
    """

    donor: str
    steps: tuple[int, ...]
    theta: int
    row: int
    col: int

    @property
    def values(self) -> np.ndarray:
        """lambda, sigma_x, sigma_y, mu_x, mu_y."""
        return values_of(np.array(self.steps))

    def gains(self) -> np.ndarray:
        """lambda G, (25,)."""
        gain, *shape = self.values
        return gain * gaussian(*shape, self.theta)

    @property
    def window(self) -> tuple[slice, slice]:
        """The pixels of the patch."""
        return slice(self.row, self.row + SIDE), slice(self.col, self.col + SIDE)


def values_of(steps: np.ndarray) -> np.ndarray:
    """Steps to numbers, along the last axis."""
    return LOW + (HIGH - LOW) * steps / FINENESS


def steps_of(values: np.ndarray) -> np.ndarray:
    """Numbers to the nearest steps."""
    steps = np.rint((values - LOW) / (HIGH - LOW) * FINENESS)
    return steps.clip(0, FINENESS).astype(int)


def gaussian(sigma_x: float, sigma_y: float, mu_x: float, mu_y: float, theta: int) -> np.ndarray:
    """The public code's matrix, (25,): float64, 0 to 1."""
    turn = np.radians(theta)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    along, across = rotation @ np.stack([X - mu_x, Y - mu_y])
    g = np.exp(-(along**2 / (2.0 * sigma_x**2) + across**2 / (2.0 * sigma_y**2)))
    g -= g.min()
    g /= g.max()
    return g


def gaussians(values: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """lambda G of many, (n, 25), theta in radians."""
    gain, sigma_x, sigma_y, mu_x, mu_y = (column[:, None] for column in values.T)
    cos, sin = np.cos(theta)[:, None], np.sin(theta)[:, None]
    along = cos * (X - mu_x) - sin * (Y - mu_y)
    across = sin * (X - mu_x) + cos * (Y - mu_y)
    g = np.exp(-(along**2 / (2 * sigma_x**2) + across**2 / (2 * sigma_y**2)))
    g -= g.min(1, keepdims=True)
    return gain * g / g.max(1, keepdims=True)


def rises(paste: Paste, donor: np.ndarray) -> np.ndarray:
    """What is added, (5, 5), before the cut at 255; ``donor`` (25,)."""
    return np.floor(donor * paste.gains()).astype(int).reshape(SIDE, SIDE)


def mask_of(paste: Paste) -> np.ndarray:
    """The label that it leaves, bool (5, 5)."""
    return (255 * paste.gains() > 25).reshape(SIDE, SIDE)


def paste_all(
    image: np.ndarray, pastes: list[Paste], donors: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask with the patches pasted, each over the earlier ones.

    Every patch is the original image plus its rise: where patches meet, the last one stands.
    """
    pasted, mask = image.copy(), np.zeros(image.shape, bool)
    for paste in pastes:
        place = paste.window
        pasted[place] = np.minimum(
            255, image[place].astype(int) + rises(paste, donors[paste.donor])
        )
        mask[place] |= mask_of(paste)
    return pasted, mask

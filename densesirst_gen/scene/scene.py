"""A scene: an infrared image, the labels of its targets, and where its sky is.

Conventions, for the whole package, stated here once:

* Arrays are (row, col), the origin is the top-left pixel.
* Boxes are ``xyxy``, half-open, in pixel edges: a target that covers columns 3, 4 and 5 has
  ``x0 = 3`` and ``x1 = 6``.
* Points are ``(x, y)`` in pixel indices: the centre of the top-left pixel is ``(0, 0)``, so the
  centre of a box is ``((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2)``.
* Targets are 8-connected. In a label image 0 is background and ``k`` is the ``k``-th target.
* Sky is ``True`` in memory and 255 in files.
* Angles are radians in Python, degrees on the command line and in files.
* Images are gray. Of a colour image the method looks at each pixel's brightest channel, and pastes
  the same into all.
* Gray levels of the method are stated for 8 bits. One such *gray level* is
  ``(white - black) / 255`` of a scene's own values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

IMAGE_DTYPES = (np.uint8, np.uint16, np.float32)
SENSOR_BITS = (8, 10, 12, 14, 16)


class SceneError(ValueError):
    """A scene that breaks its own conventions; the message names scene, value and rule."""


@dataclass(frozen=True, eq=False)
class Scene:
    """An image with its instance labels and its sky.

    Parameters
    ----------
    name : str
        Identifier, unique in its dataset; a relative POSIX path without suffix.
    image : ndarray, (H, W), uint8, uint16 or float32
        Of either byte order and any strides; kept in that of the machine.
        Gray image. uint16 holds 10 to 16 bits, float32 radiometric values.
    labels : ndarray, (H, W), int32
        0 background, k the k-th target. No target: all zero.
    sky : ndarray, (H, W), bool, optional
        True where the sky is; None if it is not annotated.
    span : tuple of float, optional
        (black, white): the values that the sensor can give. None: from the image, see `levels`.
    void : ndarray, (H, W), bool, optional
        True where the image holds no data: not measured, not pasted on, kept as it is. None: all
        pixels are data.
    reach : float
        How much of black to white the images of the data set fill, above 0 to 1: the range in which
        levels of pastes are drawn (`densesirst_gen.paste.config`, ``level="scaled"``).

    Raises
    ------
    SceneError
        If the dtypes or shapes do not fit, a float image has values that are not finite where it
        has data, or the image is empty or holds no data at all.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray
    sky: np.ndarray | None = None
    span: tuple[float, float] | None = None
    void: np.ndarray | None = None
    reach: float = 1.0

    def __post_init__(self) -> None:
        if not self.image.dtype.isnative:
            native = self.image.astype(self.image.dtype.newbyteorder("="))
            object.__setattr__(self, "image", native)
        image, labels, sky = self.image, self.labels, self.sky
        if image.ndim != 2 or image.size == 0:
            raise SceneError(f"scene {self.name}: image must be (H, W), got shape {image.shape}")
        if image.dtype not in IMAGE_DTYPES:
            raise SceneError(
                f"scene {self.name}: image must be uint8, uint16 or float32, got {image.dtype}"
            )
        if labels.shape != image.shape or labels.dtype != np.int32:
            raise SceneError(
                f"scene {self.name}: labels must be int32 of shape {image.shape}, "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        if sky is not None and (sky.shape != image.shape or sky.dtype != np.bool_):
            raise SceneError(
                f"scene {self.name}: sky mask is {sky.dtype} of shape {sky.shape}, "
                f"image is {image.shape}"
            )
        self._check_data()

    def _check_data(self) -> None:
        image, void = self.image, self.void
        if void is not None and (void.shape != image.shape or void.dtype != np.bool_):
            raise SceneError(f"scene {self.name}: void is {void.dtype} of shape {void.shape}")
        if void is not None and void.all():
            raise SceneError(f"scene {self.name}: no pixel of the image holds data")
        if image.dtype == np.float32 and not np.isfinite(self.data).all():
            rows, columns = np.nonzero(~np.isfinite(image) & (True if void is None else ~void))
            raise SceneError(
                f"scene {self.name}: {len(rows)} image values are NaN or infinite, the first in "
                f"row {rows[0]}, column {columns[0]}; where that means no data, --nodata nan (or "
                "inf) says so"
            )
        if not 0 < self.reach <= 1:
            raise SceneError(f"scene {self.name}: reach must be above 0 to 1, got {self.reach!r}")

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def data(self) -> np.ndarray:
        """The image, or where it has pixels without data the others, (K,)."""
        return self.image if self.void is None else self.image[~self.void]

    def with_data(self, mask: np.ndarray) -> np.ndarray:
        """(H, W), bool: the pixels of a mask that hold data."""
        return mask if self.void is None else mask & ~self.void

    @cached_property
    def filled(self) -> np.ndarray:
        """(H, W), the image with the median of its data where it holds none."""
        if self.void is None:
            return self.image
        filled = self.image.copy()
        filled[self.void] = np.median(self.data).astype(filled.dtype)
        return filled

    @cached_property
    def levels(self) -> tuple[float, float]:
        """(black, white), the values that the sensor can give.

        `span` if it was given, as it is for the images of a data set that are not 8 bits deep
        (`densesirst_gen.datasets.span`). Else by the image alone: (0, 255) for uint8; for uint16
        zero and the largest value of the smallest of 8, 10, 12, 14 and 16 bits that holds it; for
        float32 (0, 1) if it lies within, otherwise its extremes.
        """
        if self.span is not None:
            return self.span
        if self.image.dtype == np.uint8:
            return 0.0, 255.0
        peak = float(self.data.max())
        if self.image.dtype == np.uint16:
            return 0.0, next(float(2**b - 1) for b in SENSOR_BITS if peak < 2**b)
        black = float(self.data.min())
        if 0 <= black < peak <= 1:
            return 0.0, 1.0
        return black, peak if peak > black else black + 1.0

    @cached_property
    def step(self) -> float:
        """The smallest difference between two values of the image; 1 for uint8 and flat images.

        That of the sensor, also where its counts were multiplied before they were written. Of
        float32 no less than what it can tell apart.
        """
        if self.image.dtype == np.uint8:
            return 1.0
        values = np.unique(self.data).astype(np.float64)
        if len(values) < 2:
            return 1.0
        step = float(np.diff(values).min())
        exact = self.image.dtype != np.float32
        return step if exact else max(step, float(np.spacing(np.float32(np.abs(values).max()))))

    def gray(self, dtype: type = np.float64) -> np.ndarray:
        """(H, W), `filled` in gray levels: 0 black, 255 white; what lies beyond is not cut."""
        return gray_levels(self.filled.astype(dtype), self.levels)

    @property
    def n_targets(self) -> int:
        """Number of targets, the largest label."""
        return int(self.labels.max())


def gray_levels(values: Any, span: tuple[float, float]) -> Any:
    """Values of a sensor -> gray levels.

    Parameters
    ----------
    values : array, float
    span : tuple of float
        (black, white): 0 and 255. With (0, white - black), differences of values.
    """
    black, white = span
    return (values - black) * (255 / (white - black))


def is_void(image: np.ndarray, nodata: Sequence[float]) -> np.ndarray | None:
    """Where an image holds one of the values that mean no data; None if nowhere.

    Parameters
    ----------
    image : ndarray, (H, W)
    nodata : sequence of float
        As float32 where the image is; NaN finds NaN.
    """
    if not nodata:
        return None
    values = np.asarray(nodata, np.float64)
    with np.errstate(over="ignore"):
        values = values.astype(np.float32) if image.dtype == np.float32 else values
    void = np.isin(image, values)
    if np.isnan(values).any():
        void |= np.isnan(image)
    return void if void.any() else None


def gray_step(black: Any, white: Any) -> Any:
    """How much of a sensor's own values one gray level is; floats, or arrays of them."""
    return (white - black) / 255

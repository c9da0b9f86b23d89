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

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

IMAGE_DTYPES = (np.uint8, np.uint16, np.float32)
SENSOR_BITS = (10, 12, 14, 16)


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

    Raises
    ------
    SceneError
        If the dtypes or shapes do not fit, a float image has values that are not finite,
        or the image is empty.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray
    sky: np.ndarray | None = None
    span: tuple[float, float] | None = None

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
        if image.dtype == np.float32 and not np.isfinite(image).all():
            n_bad = int((~np.isfinite(image)).sum())
            raise SceneError(f"scene {self.name}: {n_bad} image values are NaN or infinite")

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.shape[0], self.image.shape[1]

    @cached_property
    def levels(self) -> tuple[float, float]:
        """(black, white), the values that the sensor can give.

        `span` if it was given; (0, 255) for uint8; for uint16 zero and the largest value of the
        smallest of 10, 12, 14 and 16 bits that holds the image; for float32 the extremes of the
        image.
        """
        if self.span is not None:
            return self.span
        if self.image.dtype == np.uint8:
            return 0.0, 255.0
        peak = float(self.image.max())
        if self.image.dtype == np.uint16:
            return 0.0, next(float(2**b - 1) for b in SENSOR_BITS if peak < 2**b)
        black = float(self.image.min())
        return black, peak if peak > black else black + 1.0

    def gray(self, dtype: type = np.float64) -> np.ndarray:
        """(H, W), the image in gray levels: 0 black, 255 white; what lies beyond is not cut."""
        return gray_levels(self.image.astype(dtype), self.levels)

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


def gray_step(black: Any, white: Any) -> Any:
    """How much of a sensor's own values one gray level is; floats, or arrays of them."""
    return (white - black) / 255

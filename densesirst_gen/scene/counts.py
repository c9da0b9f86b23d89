"""What the counts of a camera mean: black and white, how much of it is used, and what is no data.

A single image does not tell: whether 4,090 is nearly white of 12 bits or a quarter of 14 is said by
its neighbours. So images that belong together are looked at together, and no single pixel decides:

* each image is smoothed by a median of 3 x 3 pixels first, so that dead pixels are gone;
* *low* is the least of the images' 0.1 % quantiles, *high* the greatest of their 99.9 % quantiles,
  *peak* the greatest value;
* 8-bit images have black 0 and white 255. Whole counts from 0 on have black 0, and as white that
  of the smallest of 8, 10, 12, 14 and 16 bits that holds the peak, if they fill a quarter of it;
  fractions within 0..1 likewise have 0 and 1. All others, a narrow band of counts, degrees,
  radiance, have low and peak, each one gray level further out, so that nothing of them counts as
  clipped;
* *reach* is how much of black to white lies between low and high, and 1 from nine tenths on.

So for counts v and a + b v the same share of the scene's own range is the same share of reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from densesirst_gen.scene.scene import SENSOR_BITS, is_void

NARROW = 0.25
"""Share of black to white below which a depth is not believed."""
FULL = 0.9
"""Share from which on the data fill black to white."""
MOST_SAMPLED = 1 << 18
"""Pixels of an image from which quantiles are taken."""
ABSENT = (-9999.0, -32768.0)
ABSENT_IF_MANY = (0.0, -273.15, -999.0)
"""Floats that may be measured, so that a few pixels of them tell nothing."""
MANY = 9
HUGE = 1e30
"""Floats beyond it mean no data in every format of geodata."""


@dataclass(frozen=True)
class Counts:
    """What the values of images mean.

    Parameters
    ----------
    span : tuple of float
        (black, white).
    reach : float
        Share of it that the images fill, above 0 to 1; see the module.
    nodata : tuple of float
        Values that mean no data.
    basis : str
        Where the span is from: ``given``, ``8 bits`` and the like, or ``their own range``.
    """

    span: tuple[float, float]
    reach: float = 1.0
    nodata: tuple[float, ...] = ()
    basis: str = "given"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN as text."""
        return {
            "span": list(self.span),
            "reach": self.reach,
            "nodata": [v if np.isfinite(v) else str(v) for v in self.nodata],
            "basis": self.basis,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Counts:
        """The counts that `to_dict` gave. ValueError for what are none."""
        try:
            black, white = map(float, values["span"])
            reach = float(values["reach"])
            nodata = tuple(map(float, values["nodata"]))
        except (TypeError, KeyError) as error:
            raise ValueError(f"no counts of a camera ({error})") from error
        if not (np.isfinite([black, white]).all() and black < white and 0 < reach <= 1):
            raise ValueError(f"no counts of a camera: span {black}, {white}, reach {reach}")
        return cls((black, white), reach, nodata, str(values.get("basis", "given"))[:40])

    def text(self) -> str:
        """Such as "0 to 16,383 (14 bits)"."""
        parts = [f"{self.span[0]:,.6g} to {self.span[1]:,.6g} ({self.basis})"]
        if self.nodata:
            parts.append(f"no data where {' or '.join(f'{v:g}' for v in self.nodata)}")
        return ", ".join(parts)


class Look(NamedTuple):
    """What one image says.

    Parameters
    ----------
    kind : str
        Its dtype.
    low, high, peak : float
        See the module.
    whole : bool
        Whether all its values are whole numbers from 0 on.
    nodata : tuple of float
        Values in it that mean no data.
    """

    kind: str
    low: float
    high: float
    peak: float
    whole: bool
    nodata: tuple[float, ...]


def look(image: np.ndarray, nodata: Sequence[float] | None = None) -> Look | None:
    """What one image says of its camera; None if it holds no data at all.

    Parameters
    ----------
    image : ndarray, (H, W), uint8, uint16 or float32
    nodata : sequence of float, optional
        Values that mean no data. None: those that plainly do, see `absent_values`.
    """
    absent = absent_values(image) if nodata is None else tuple(nodata)
    void = is_void(image, absent)
    if image.dtype == np.float32:
        odd = ~np.isfinite(image)
        void = odd if void is None else void | odd
    if void is not None and void.all():
        return None
    data = image if void is None else image[~void]
    smooth = _smoothed(image, void, data)
    smooth = smooth[:: -(-smooth.size // MOST_SAMPLED)]
    low, high = (float(v) for v in np.quantile(smooth, (0.001, 0.999), method="nearest"))
    whole = image.dtype != np.float32 or bool((data >= 0).all() and (data % 1 == 0).all())
    return Look(image.dtype.name, low, high, float(smooth.max()), whole, absent)


def _smoothed(image: np.ndarray, void: np.ndarray | None, data: np.ndarray) -> np.ndarray:
    """(K,) pixels with data, the median of 3 x 3 around each."""
    if void is None:
        return cv2.medianBlur(np.ascontiguousarray(image), 3).ravel()
    filled = image.copy()
    filled[void] = np.median(data).astype(image.dtype)
    smooth: np.ndarray = cv2.medianBlur(filled, 3)[~void]
    return smooth


def absent_values(image: np.ndarray) -> tuple[float, ...]:
    """Values of an image that plainly mean no data.

    Of float32 those beyond +-1e30, -9999 and -32768 where they lie apart, and 0, -273.15 and -999
    where they lie apart and are more than a few pixels, as 0 and 65535 of uint16. Apart: further
    from all other values than these are from each other, outliers left out. Of uint8 none.

    Parameters
    ----------
    image : ndarray, (H, W)
    """
    if image.dtype == np.float32:
        finite = image[np.isfinite(image)]
        huge = np.unique(finite[np.abs(finite) > HUGE])
        finite = finite[np.abs(finite) <= HUGE]
        known = [v for v in ABSENT if _lies_apart(finite, v, 1)]
        known += [v for v in ABSENT_IF_MANY if _lies_apart(finite, v, MANY)]
        return (*map(float, huge), *known)
    if image.dtype == np.uint16:
        return tuple(v for v in (0.0, 65535.0) if _lies_apart(image, v, MANY))
    return ()


def _lies_apart(values: np.ndarray, value: float, least: int) -> bool:
    here = values == value
    n = np.count_nonzero(here)
    others = values[~here]
    if n < least or not others.size:
        return False
    low, high = (float(v) for v in np.quantile(others, (0.001, 0.999), method="nearest"))
    gap = max(low - value, value - high)
    return gap > max(high - low, 0)


def counts_of(looks: Iterable[Look], span: tuple[float, float] | None = None) -> Counts:
    """What images of one dtype say together.

    Parameters
    ----------
    looks : iterable of Look
        At least one.
    span : tuple of float, optional
        (black, white), where it is known.
    """
    looks = list(looks)
    low, high = min(k.low for k in looks), max(k.high for k in looks)
    peak = max(k.peak for k in looks)
    nodata = tuple(dict.fromkeys(v for k in looks for v in k.nodata))
    whole = all(k.whole for k in looks)
    if peak == low and looks[0].kind == "uint8":
        return Counts((0.0, 255.0), 1.0, nodata, "8 bits")
    found, basis = _span(looks[0].kind, low, peak, whole) if span is None else (span, "given")
    share = (high - low) / (found[1] - found[0])
    reach = min(1.0, max(share, 1 / 255) / FULL)
    return Counts(found, round(reach, 6) if reach < 1 else 1.0, nodata, basis)


def _span(kind: str, low: float, peak: float, whole: bool) -> tuple[tuple[float, float], str]:
    if kind == "uint8":
        return (0.0, 255.0), "8 bits"
    for white, basis in _candidates(low, peak, whole):
        if peak - low >= NARROW * white:
            return (0.0, white), basis
    width = peak - low if peak > low else 1.0
    return (low - width / 255, peak + width / 255), "their own range"


def _candidates(low: float, peak: float, whole: bool) -> list[tuple[float, str]]:
    """The smallest depth that holds the images, as (white, name); none where none may be."""
    if whole:
        fitting = [bits for bits in SENSOR_BITS if peak < 2**bits and low >= 0]
        return [(float(2**bits - 1), f"{bits} bits") for bits in fitting[:1]]
    return [(1.0, "fractions")] if low >= 0 and peak <= 1 else []

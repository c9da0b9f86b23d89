"""Values of an image that lie apart on many pixels: a border, an overlay, saturation, no data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from densesirst_gen.scene.counts import MANY, MOST_SAMPLED, Look, look
from densesirst_gen.scene.scene import is_void

LEAST_SHARE, LARGEST_TARGET = 0.01, 100
"""Of the pixels, and px of one piece: more than small targets have that are all of one value."""
FEWEST = 50
"""Pixels of one value that are looked at."""
MANY_IMAGES = 4
LINE_SHARE = 0.5
"""Of the pixels of a line, that lie apart where it holds no picture."""


class Aloof(NamedTuple):
    """What lies apart in an image, and what the rest of it is.

    Parameters
    ----------
    where : str
        For messages: "what is 16,383 (2.0% of the pixels)", or "the first row".
    values : tuple of float
        The smallest, the largest, or both, if it is they that lie apart; else none.
    rest : Look
        What the image says without it.
    is_large : bool
        Whether it is more than small targets may be that are all of one value.
    pixels : bytes
        Where it is, a bit for each pixel; empty for rows.
    """

    where: str
    values: tuple[float, ...]
    rest: Look
    is_large: bool = True
    pixels: bytes = b""


def aloof(image: np.ndarray, nodata: Sequence[float] = ()) -> Aloof | None:
    """What lies apart: the smallest or the largest value on many pixels, or the first or last row.

    Apart: further from all other values than these are from each other, 1 % at either end left out.

    Parameters
    ----------
    image : ndarray, (H, W), uint8, uint16 or float32
    nodata : sequence of float
        Values that mean no data. Pixels that are not finite are none either.
    """
    void = ~np.isfinite(image)
    absent = is_void(image, nodata)
    void = void if absent is None else void | absent
    values = image[~void]
    return _of_ends(image, values, nodata) or _of_rows(image, void, nodata) if values.size else None


def _of_ends(image: np.ndarray, values: np.ndarray, nodata: Sequence[float]) -> Aloof | None:
    ends = {float(values.min()), float(values.max())}
    often = sorted(v for v in ends if np.count_nonzero(values == v) >= FEWEST)
    others = _thin(values[~np.isin(values, often)]) if often else values[:0]
    found = tuple(v for v in often if _lies_apart(others, v))
    rest = look(image, (*nodata, *found)) if found else None
    if rest is None:
        return None
    here = [image == v for v in found]
    parts = (
        f"what is {v:,.6g} ({h.mean():.1%} of the pixels)" for v, h in zip(found, here, strict=True)
    )
    is_large = any(map(_is_large, here))
    pixels = np.packbits(np.logical_or.reduce(here)).tobytes()
    return Aloof(" and ".join(parts), found, rest, is_large, pixels)


def _of_rows(image: np.ndarray, void: np.ndarray, nodata: Sequence[float]) -> Aloof | None:
    """A row that holds numbers and no picture, as some cameras write them."""
    rows = {"the first row": 0, "the last row": len(image) - 1}
    if len(image) < MANY:
        return None
    inner = _thin(image[1:-1][~void[1:-1]])
    found = [name for name, row in rows.items() if _is_strange(image[row][~void[row]], inner)]
    rest = look(image[1:-1], nodata) if found else None
    return None if rest is None else Aloof(" and ".join(found), (), rest)


def _is_strange(line: np.ndarray, inner: np.ndarray) -> bool:
    if not line.size or not inner.size:
        return False
    low, high = _core(inner)
    gaps = np.maximum(low - line.astype(np.float64), line.astype(np.float64) - high)
    return high > low and float((gaps > high - low).mean()) >= LINE_SHARE


def _is_large(here: np.ndarray) -> bool:
    """Whether it is more of the image, or one piece is larger, than targets are."""
    if here.mean() >= LEAST_SHARE:
        return True
    areas = cv2.connectedComponentsWithStats(here.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return bool(areas.max(initial=0) > LARGEST_TARGET)


def in_one_place(found: Sequence[Aloof]) -> bool:
    """Whether much of what lies apart is at the same pixels in all images, as overlays are.

    Parameters
    ----------
    found : sequence of Aloof
        Of several images; of a few, targets may be in one place by chance.
    """
    if len(found) < MANY_IMAGES or len({len(one.pixels) for one in found}) > 1:
        return False
    rows = np.frombuffer(b"".join(one.pixels for one in found), np.uint8).reshape(len(found), -1)
    common = np.bitwise_and.reduce(rows, axis=0)
    return int(np.unpackbits(common).sum()) >= FEWEST


def _lies_apart(others: np.ndarray, value: float) -> bool:
    if not others.size:
        return False
    low, high = _core(others)
    return high > low and max(low - value, value - high) > high - low


def _core(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, (0.01, 0.99), method="nearest")
    return float(low), float(high)


def _thin(values: np.ndarray) -> np.ndarray:
    return values[:: max(1, -(-values.size // MOST_SAMPLED))]

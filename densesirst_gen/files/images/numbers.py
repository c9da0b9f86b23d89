"""Numbers of any type as uint8, uint16 or float32, with every value kept or the file refused."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from densesirst_gen.files.images.raster import CodecError

LARGEST = float(np.finfo(np.float32).max)
DOUBLES = float(np.finfo(np.float64).max)
FINEST = 2**-8
"""Of a range of doubles: what float32 must tell apart, about a gray level."""


class Plain(NamedTuple):
    """Values (H, W) as uint8, uint16 or float32, what means none of them, and what was decided."""

    values: np.ndarray
    nodata: float | None = None
    notes: tuple[str, ...] = ()


def plain(values: np.ndarray, nodata: float | None = None) -> Plain:
    """Numbers of any type in one of the three that images have.

    uint8, uint16 and float32 stay. Truth becomes 0 and 255; signed bytes and float16 become
    float32, and so does int16 with values below 0; other integers become uint16.

    Parameters
    ----------
    values : ndarray
    nodata : float, optional
        What is said to mean that a pixel has no value.

    Raises
    ------
    CodecError
        If there is no such type for the values: integers that do not fit 16 bits, doubles out of
        the range or finer than the precision of float32, complex numbers and others.
    """
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return Plain(values.astype(np.uint8) * np.uint8(255))
    if kind == "u" and size <= 2:
        return Plain(values.astype(values.dtype.newbyteorder("="), copy=False), nodata)
    if kind == "i" and (size == 1 or (size == 2 and values.min() < 0)):
        return Plain(values.astype(np.float32), nodata, (f"int{8 * size} read as float32",))
    if kind in "ui":
        signed = ("int16 read as uint16",) if (kind, size) == ("i", 2) else ()
        return Plain(_as_uint16(values), nodata, signed)
    if kind == "f" and size <= 4:
        return Plain(values.astype(np.float32, copy=False), nodata)
    if kind == "f" and size == 8:
        return _from_doubles(values, nodata)
    raise CodecError(f"{8 * size}-bit {type_name(values.dtype)}: not supported")


def type_name(dtype: np.dtype) -> str:
    """Such as "complex"; for messages."""
    names = {"u": "unsigned", "i": "signed", "f": "float", "c": "complex", "b": "bool"}
    return names.get(dtype.kind, str(dtype))


def _as_uint16(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    if low < 0 or high > 65535:
        bits = 8 * values.dtype.itemsize
        raise CodecError(f"{bits}-bit values {low} to {high} do not fit 16 bits")
    return values.astype(np.uint16)


def _from_doubles(values: np.ndarray, nodata: float | None) -> Plain:
    """float32, where it tells them apart; what means no value may lie beyond its range."""
    void = np.abs(values) == DOUBLES
    void |= ~np.isfinite(values)
    if nodata is not None:
        void |= values == nodata
    rest = values[~void]
    if rest.size and np.abs(rest).max() > LARGEST:
        raise CodecError(f"64-bit floats {rest.min():g} to {rest.max():g} do not fit 32 bits")
    step = FINEST * float(np.ptp(rest)) if rest.size else 0
    if step and np.abs(rest - rest.astype(np.float32)).max() > step:
        raise CodecError(f"64-bit floats {rest.min()!r} to {rest.max()!r} are too fine for 32 bits")
    cut = np.where(np.isfinite(values), values.clip(-LARGEST, LARGEST), values)
    own = None if nodata is None else float(np.float32(np.clip(nodata, -LARGEST, LARGEST)))
    return Plain(cut.astype(np.float32), own, ("float64 read as float32",))

"""Images that are hardly more than their numbers: NPY, deep PGM and PPM, and FITS."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from os import PathLike
from typing import Any

import numpy as np

from densesirst_gen.files.images.numbers import plain, type_name
from densesirst_gen.files.images.raster import CodecError, Raster, check_size
from densesirst_gen.files.regular import open_regular

PNM_HEAD = re.compile(rb"P([2356])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")
HEAD_BYTES = 4096


def read_npy(data: bytes, max_pixels: int) -> Raster:
    """An array (H, W), (H, W, 1), or colours (H, W, 3) and (H, W, 4) of uint8 or uint16.

    Raises
    ------
    CodecError
        For other shapes and types, or if the file is cut.
    """
    shape, _, dtype, at = _npy_head(data)
    named = _npy_name(shape, dtype)
    if not _is_image(shape, dtype):
        raise CodecError(f"{named}: not supported, only (H, W) numbers and (H, W, 3) colours")
    check_size(shape[1], shape[0], max_pixels)
    if len(data) - at < int(np.prod(shape)) * dtype.itemsize:
        raise CodecError("truncated: the data end before the array does")
    array = np.load(BytesIO(data), allow_pickle=False)
    if array.ndim == 3 and shape[2] == 1:
        array = array[..., 0]
    notes = ("alpha ignored",) if array.ndim == 3 and shape[2] == 4 else ()
    found = plain(array[..., :3] if array.ndim == 3 else array)
    return Raster(np.ascontiguousarray(found.values), (*notes, *found.notes))


def npy_head(data: bytes) -> tuple[int, int, str]:
    """H, W and depth by the head of an NPY file."""
    shape, _, dtype, _ = _npy_head(data)
    if not _is_image(shape, dtype):
        raise CodecError(f"{_npy_name(shape, dtype)}: no image")
    depth = "float" if dtype.kind == "f" else f"{8 * dtype.itemsize} bit"
    return shape[0], shape[1], depth


def is_npy_image(path: str | PathLike[str]) -> bool:
    """Whether an NPY file holds what may be an image, by its head."""
    try:
        with open_regular(path) as file:
            shape, _, dtype, _ = _npy_head(file.read(HEAD_BYTES))
    except (OSError, CodecError):
        return False
    return _is_image(shape, dtype)


def _npy_head(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, type, and where the numbers begin."""
    file = BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        return *read(file), file.tell()
    except (ValueError, KeyError) as error:
        raise CodecError(f"an NPY file that is damaged: {error}") from error


def _is_image(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    colours = len(shape) == 3 and shape[2] in (3, 4) and dtype.kind == "u" and dtype.itemsize <= 2
    gray = len(shape) == 2 or (len(shape) == 3 and shape[2] == 1)
    return min(shape, default=0) > 0 and dtype.kind in "buif" and (gray or colours)


def _npy_name(shape: tuple[int, ...], dtype: np.dtype) -> str:
    return f"NPY, {8 * dtype.itemsize}-bit {type_name(dtype)}, shape {shape}"


def read_deep_pnm(data: bytes, max_pixels: int) -> Raster | None:
    """A PGM or PPM of more than 8 bits, its counts as they lie; None for others, for Pillow.

    Raises
    ------
    CodecError
        If it is cut.
    """
    head = PNM_HEAD.match(data)
    if not head or int(head[4]) <= 255:
        return None
    form, width, height, white = (int(part) for part in head.groups())
    if white > 65535:
        raise CodecError(f"PNM with white at {white}: more than 16 bits")
    check_size(width, height, max_pixels)
    shape = (height, width, 3) if form in (3, 6) else (height, width)
    n, rest = int(np.prod(shape)), data[head.end() :]
    values = (
        _words(rest, n)
        if form < 4
        else np.frombuffer(rest[: 2 * n], ">u2", len(rest[: 2 * n]) // 2)
    )
    if len(values) < n:
        raise CodecError(f"truncated: {len(values)} of {n} values")
    if values.max() > white:
        raise CodecError(f"PNM with {values.max()} above its white at {white}")
    return Raster(values.reshape(shape).astype(np.uint16))


def _words(text: bytes, n: int) -> np.ndarray:
    try:
        return np.array(text.split()[:n], np.int64)
    except ValueError as error:
        raise CodecError(f"PNM in text that is no numbers ({error})") from error


def read_fits(data: bytes, max_pixels: int) -> Raster:
    """The first image of a FITS file, scaled as its head says; needs the extra ``fits``.

    Rows lie as in the file.

    Raises
    ------
    CodecError
        Without astropy, or if there is no image of two axes.
    """
    with _first_hdu(data) as hdu:
        height, width = _fits_shape(hdu.header)
        check_size(width, height, max_pixels)
        try:
            array = np.asarray(hdu.data)
        except (OSError, TypeError, ValueError) as error:
            raise CodecError(f"truncated or damaged FITS data: {error}") from error
        array = array.astype(array.dtype.newbyteorder("=")).reshape(height, width)
    found = plain(array)
    return Raster(found.values, found.notes)


def fits_head(data: bytes) -> tuple[int, int, str]:
    """H, W and depth of the first image of a FITS file."""
    with _first_hdu(data) as hdu:
        bits = int(hdu.header["BITPIX"])
        return *_fits_shape(hdu.header), "float" if bits < 0 else f"{bits} bit"


@contextmanager
def _first_hdu(data: bytes) -> Iterator[Any]:
    try:
        from astropy.io import fits
    except ImportError as error:
        raise CodecError("a FITS image: install densesirst_gen[fits] to read it") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(BytesIO(data), memmap=False) as file:
            images = [hdu for hdu in file if hdu.is_image and hdu.header.get("NAXIS", 0) > 0]
            if not images:
                raise CodecError("FITS without an image")
            yield images[0]


def _fits_shape(header: Any) -> tuple[int, int]:
    """(H, W); further axes may be of length 1."""
    axes = [int(header[f"NAXIS{k}"]) for k in range(1, header["NAXIS"] + 1)]
    if len(axes) < 2 or any(n != 1 for n in axes[2:]):
        size = " x ".join(map(str, axes))
        raise CodecError(f"FITS, {size}: not supported, only images of two axes")
    return axes[1], axes[0]

"""The strips or tiles of a TIFF image, unpacked: every type, byte order, layout and predictor.

tifffile reads the directory. Deflate is unpacked by zlib, and what else treats pixels as bytes
(LZW, PackBits, LZMA, Zstandard) by Pillow's libtiff, which gets each part as a plain gray image.
A part that is shorter than it must be is an error, here and not later.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from densesirst_gen.files.images.raster import CodecError

NONE, DEFLATE = 1, (8, 32946)
BY_LIBTIFF = {5: "LZW", 32773: "PackBits", 34925: "LZMA", 50000: "Zstandard"}
BYTE_CODECS = {NONE, *DEFLATE, *BY_LIBTIFF}
HORIZONTAL, FLOATING = 2, 3
SEPARATE = 2
MIRRORED = bytes(int(f"{k:08b}"[::-1], 2) for k in range(256))
KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}


def read_parts(page: Any, data: bytes, byte_order: str) -> np.ndarray:
    """The samples of a page.

    Parameters
    ----------
    page : tifffile.TiffPage
        Of a compression in `BYTE_CODECS`, of samples of 1 to 16, 32 or 64 bits.
    data : bytes
        The file.
    byte_order : str
        ``<`` or ``>``.

    Returns
    -------
    ndarray, (H, W, channels)
        Of the type that the file says; of 1 to 7 bits uint8, of 9 to 15 uint16.

    Raises
    ------
    CodecError
        If a part is missing or cut.
    """
    height, width, n = page.imagelength, page.imagewidth, page.samplesperpixel
    rows, columns = _part_shape(page)
    planes = n if page.planarconfig == SEPARATE else 1
    tops = range(0, height, rows)
    lefts = range(0, width, columns)
    places = [(p, y, x) for p in range(planes) for y in tops for x in lefts]
    if len(page.dataoffsets) < len(places):
        raise CodecError(f"truncated: {len(page.dataoffsets)} of {len(places)} strips or tiles")
    dtype = sample_type(page)
    samples = np.empty((height, width, n), dtype)
    for (plane, top, left), packed in zip(places, _packed(page, data), strict=False):
        n_rows = rows if page.is_tiled else min(rows, height - top)
        part = _unpacked(page, packed, (n_rows, columns, n // planes), dtype, byte_order)
        part = part[: height - top, : width - left]
        channels = slice(plane, plane + 1) if planes > 1 else slice(None)
        samples[top : top + len(part), left : left + part.shape[1], channels] = part
    return samples


def sample_type(page: Any) -> np.dtype:
    """Of samples in memory."""
    bits = page.bitspersample
    size = 1 if bits <= 8 else 2 if bits <= 16 else bits // 8
    return np.dtype(f"{KINDS[page.sampleformat]}{size}")


def _part_shape(page: Any) -> tuple[int, int]:
    """Rows and columns of a strip or a tile."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return max(1, min(int(page.rowsperstrip), page.imagelength)), page.imagewidth


def _packed(page: Any, data: bytes) -> Iterator[bytes]:
    counts = page.databytecounts or [len(data) - at for at in page.dataoffsets]
    for at, size in zip(page.dataoffsets, counts, strict=False):
        if size == 0 or at + size > len(data):
            raise CodecError("truncated: the data end before the image does")
        part = data[at : at + size]
        yield part.translate(MIRRORED) if page.fillorder == 2 else part


def _unpacked(
    page: Any, packed: bytes, shape: tuple[int, int, int], dtype: np.dtype, byte_order: str
) -> np.ndarray:
    rows, columns, n = shape
    stride = (columns * n * page.bitspersample + 7) // 8
    plain = _plain_bytes(page.compression, packed, rows, stride)
    lines = np.frombuffer(plain, np.uint8, rows * stride).reshape(rows, stride)
    if page.predictor == FLOATING:
        return _from_float_differences(lines, shape, dtype)
    if page.bitspersample in (8, 16, 32, 64):
        values = lines.view(np.dtype(f"{byte_order}{dtype.str[1:]}")).reshape(shape).astype(dtype)
    else:
        values = _from_bits(lines, columns * n, page.bitspersample).reshape(shape).astype(dtype)
    return _summed(values, page.bitspersample) if page.predictor == HORIZONTAL else values


def _plain_bytes(compression: int, packed: bytes, rows: int, stride: int) -> bytes:
    if compression in BY_LIBTIFF:
        return _by_libtiff(compression, packed, rows, stride)
    plain = _inflated(packed, rows * stride) if compression in DEFLATE else packed
    if len(plain) < rows * stride:
        raise CodecError(f"truncated: {len(plain)} of {rows * stride} bytes of a strip or tile")
    return plain


def _inflated(packed: bytes, n_bytes: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(packed, n_bytes)
        unpacker.decompress(unpacker.unconsumed_tail, 1)  # to the checksum
    except zlib.error as error:
        raise CodecError(f"broken data: {error}") from error
    return plain


def _by_libtiff(compression: int, packed: bytes, rows: int, stride: int) -> bytes:
    values = (stride, rows, 8, compression, 1, 8 + 2 + 9 * 12 + 4, 1, rows, len(packed))
    tags = (256, 257, 258, 259, 262, 273, 277, 278, 279)
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in zip(tags, values, strict=True)
    )
    file = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + packed
    try:
        with Image.open(BytesIO(file), formats=("TIFF",)) as image:
            return image.tobytes()
    except OSError as error:
        raise CodecError(f"truncated or broken {BY_LIBTIFF[compression]} data") from error


def _from_bits(lines: np.ndarray, n: int, bits: int) -> np.ndarray:
    """Samples of `bits` bits, the highest first, each row from a byte on."""
    single = np.unpackbits(lines, axis=1, count=n * bits).reshape(len(lines), n, bits)
    values = np.zeros((len(lines), n), np.uint16)
    for k in range(bits):
        values <<= 1
        values |= single[..., k]
    return values


def _summed(values: np.ndarray, bits: int) -> np.ndarray:
    """The inverse of differences along the rows, with the overflow of the file's own type."""
    unsigned = values.view(f"u{values.itemsize}")
    sums = np.cumsum(unsigned, axis=1, dtype=unsigned.dtype)
    if bits < 8 * values.itemsize:
        sums &= np.array(2**bits - 1, sums.dtype)
    return sums.view(values.dtype)


def _from_float_differences(
    lines: np.ndarray, shape: tuple[int, int, int], dtype: np.dtype
) -> np.ndarray:
    """Adobe's predictor 3: in a row the highest bytes of all samples come first, as differences."""
    rows, columns, n = shape
    steps = lines.reshape(rows, columns * dtype.itemsize, n)
    planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, columns * n)
    values = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))
    return values.reshape(shape).astype(dtype)

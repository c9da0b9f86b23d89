"""What of a TIFF of JPEGs Pillow would decide for us: its orientation, and whether it is whole."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from io import BytesIO

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from densesirst_gen.files.images.jpeg import is_whole

ORIENTATION = 0x0112
SHORT = 3
XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))[0-9]')
JPEG, TABLES = 7, 347
STRIPS, TILES = (273, 279), (324, 325)


def unrotated(data: bytes) -> bytes:
    """The file with its first image said to be upright, so that decoders leave it as it lies.

    Parameters
    ----------
    data : bytes
        Of a TIFF or BigTIFF; others are given back as they are.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return data
    changed = bytearray(XMP_ORIENTATION.sub(rb"\g<1>1", data))
    for at, size in _entries(data, order):
        if data[at : at + 2] == struct.pack(f"{order}H", ORIENTATION):
            count, value = ("I", "H2x") if size == 12 else ("Q", "H6x")
            changed[at : at + size] = struct.pack(
                f"{order}HH{count}{value}", ORIENTATION, SHORT, 1, 1
            )
    return bytes(changed)


def _entries(data: bytes, order: str) -> Iterator[tuple[int, int]]:
    """Place and length of the entries of the first directory, as far as they are there."""
    wide = data[2:4] == struct.pack(f"{order}H", 43)
    offset, number, size = ("Q", "Q", 20) if wide else ("I", "H", 12)
    try:
        (start,) = struct.unpack_from(f"{order}{offset}", data, 8 if wide else 4)
        (count,) = struct.unpack_from(f"{order}{number}", data, start)
    except struct.error:
        return
    first = start + struct.calcsize(number)
    yield from ((at, size) for at in range(first, min(first + count * size, len(data)), size))


def has_whole_jpegs(image: TiffImageFile, data: bytes) -> bool:
    """Whether the JPEGs that a TIFF is made of, if it is, are whole; see `jpeg.is_whole`."""
    tags = image.tag_v2
    if tags.get(259) != JPEG:
        return True
    kind = TILES if TILES[0] in tags else STRIPS
    tables = bytes(tags.get(TABLES, b"\xff\xd8\xff\xd9"))
    places = zip(*(tags.get(tag, ()) for tag in kind), strict=False)
    return all(_is_whole(tables[:-2] + data[at + 2 : at + size]) for at, size in places)


def _is_whole(stream: bytes) -> bool:
    try:
        with Image.open(BytesIO(stream), formats=("JPEG",)) as image:
            return is_whole(stream, image.tobytes())
    except (OSError, SyntaxError, ValueError):
        return False

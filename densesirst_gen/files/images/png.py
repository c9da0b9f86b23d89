"""Does a PNG hold all of its rows? Where its data end in order, decoders make the others black."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
MOST = 1032
"""Bytes that a byte of deflate can stand for."""
PIECE = 1 << 20
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
PASSES = ((0, 0, 1, 1),), (*ADAM7, (0, 1, 1, 2))
"""First column and row, and steps from one to the next, of plain and of interlaced images."""


def may_have_all_rows(data: bytes) -> bool:
    """Whether a PNG's data are long enough for its pixels; quick, to ask before decoding."""
    return _n_bytes(data) <= MOST * sum(map(len, _pixel_data(data)))


def is_interlaced(data: bytes) -> bool:
    """Whether the rows of a PNG come in seven passes, the last row not the last of all."""
    return data[28] == 1


def has_all_rows(data: bytes) -> bool:
    """Whether the pixels of a PNG, or of what calls itself one, are as many as its header says."""
    needed, unpacker = _n_bytes(data), zlib.decompressobj()
    try:
        for piece in _pixel_data(data):
            while piece and needed > 0:
                needed -= len(unpacker.decompress(piece, PIECE))
                piece = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return needed <= 0


def _n_bytes(data: bytes) -> int:
    """What the pixels take before compression, each row with a byte for its filter."""
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    bits = data[24] * CHANNELS.get(data[25], 1)
    total = 0
    for left, top, across, down in PASSES[is_interlaced(data)]:
        columns, rows = -((left - width) // across), -((top - height) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return total


def _pixel_data(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            yield data[at + 8 : at + 8 + length]
        at += 12 + length

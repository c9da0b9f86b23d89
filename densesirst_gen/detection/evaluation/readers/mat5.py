"""Numeric matrices of MATLAB files of version 5 (``save -v6``, ``-v7``), every length checked.

SciPy's reader trusts the lengths in a file, and some damaged files end the whole process in it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator

import numpy as np

HEADER = 128
MAX_BYTES, MAX_VALUES = 1_000_000_000, 100_000_000
MATRIX, COMPRESSED = 14, 15
STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
CLASSES = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
LOGICAL, COMPLEX = 0x200, 0x800
Element = tuple[int, bytes]


def is_mat5(content: bytes) -> bool:
    """Whether the content is that of such a file."""
    return len(content) >= HEADER and content[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def matrices(content: bytes) -> dict[str, np.ndarray]:
    """The real full matrices of numbers or truth values, in the types that MATLAB has them in.

    Other variables (text, cells, structures, sparse or complex matrices) are passed over.

    Parameters
    ----------
    content : bytes
        See `is_mat5`.

    Raises
    ------
    ValueError
        If a length doesn't fit, or there are more than 100 million values.
    """
    order = "<" if content[126:128] == b"IM" else ">"
    found: dict[str, np.ndarray] = {}
    for kind, data in _elements(content[HEADER:], order, pads=False):
        if kind == COMPRESSED:
            kind, data = next(_elements(_inflated(data), order), (0, b""))
        if kind == MATRIX:
            named = _matrix(data, order)
            found |= {} if named is None else dict([named])
    return found


def _elements(data: bytes, order: str, *, pads: bool = True) -> Iterator[Element]:
    """(type, content) of the elements in a row; compressed ones are not padded to 8 bytes."""
    at = 0
    while at < len(data):
        if len(data) < at + 8:
            raise ValueError("an element is cut off")
        kind, n_bytes = (int(v) for v in np.frombuffer(data, f"{order}u4", 2, at))
        start = at + 8
        if kind >> 16:  # up to four bytes, within the tag
            kind, n_bytes, start = kind & 0xFFFF, kind >> 16, at + 4
            if n_bytes > 4:
                raise ValueError(f"a short element has {n_bytes} bytes")
        if start + n_bytes > len(data):
            raise ValueError("an element is longer than the file")
        yield kind, data[start : start + n_bytes]
        end = max(start + n_bytes, at + 8)
        at = end + (-end % 8 if pads or kind != COMPRESSED else 0)


def _inflated(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof:
        raise ValueError(f"a variable is cut off, or larger than {MAX_BYTES} bytes")
    return content


def _matrix(data: bytes, order: str) -> tuple[str, np.ndarray] | None:
    """Name and values; None if it is of another kind, or has no name."""
    parts = _elements(data, order)
    try:
        flags, shape, name = (next(parts) for _ in range(3))
    except StopIteration as error:
        raise ValueError("a variable lacks its parts") from error
    if len(flags[1]) != 8 or len(shape[1]) % 4:
        raise ValueError("a variable has other flags or sizes")
    bits = int(np.frombuffer(flags[1], f"{order}u4", 1)[0])
    sizes = np.frombuffer(shape[1], f"{order}i4").tolist()
    of_class = CLASSES.get(bits & 0xFF)
    if of_class is None or bits & COMPLEX or not name[1]:
        return None
    values = _values(next(parts, (0, b"")), sizes, order)
    values = values.astype(np.bool_ if bits & LOGICAL else f"={of_class}")
    return name[1].decode("latin-1"), values


def _values(part: Element, sizes: list[int], order: str) -> np.ndarray:
    kind, data = part
    stored = STORED.get(kind)
    if stored is None or min(sizes, default=0) < 0 or math.prod(sizes) > MAX_VALUES:
        raise ValueError(f"values of type {kind} and sizes {sizes}")
    flat = np.frombuffer(data, f"{order}{stored}") if len(data) % int(stored[1]) == 0 else None
    if flat is None or len(flat) != math.prod(sizes):
        raise ValueError(f"{len(data)} bytes are not {sizes} values")
    return flat.reshape(sizes, order="F")

"""A segmentation of COCO as a few bytes, and back, exactly as it stands in its file."""

from __future__ import annotations

import marshal
from array import array
from typing import Any

CODE, RING, OTHER = b"crm"
CODE_KEYS = {"size", "counts"}
NUMBERS = {float: "fd", int: "hq"}
"""How numbers of a kind are kept: in the first way that holds all of them exactly."""


def pack(segmentation: Any, size: tuple[int, int]) -> bytes:
    """Pack what JSON can hold.

    Parameters
    ----------
    segmentation : list, dict or other
    size : (int, int)
        (H, W) of its image.
    """
    if type(segmentation) is dict and _is_code(segmentation, size):
        return bytes([CODE]) + segmentation["counts"].encode("ascii")
    if type(segmentation) is list and len(segmentation) == 1 and (ring := _ring(segmentation[0])):
        return bytes([RING]) + ring
    return bytes([OTHER]) + marshal.dumps(segmentation)


def unpack(packed: bytes, size: tuple[int, int]) -> Any:
    """What `pack` was given, with the same size."""
    kind, rest = packed[0], packed[1:]
    if kind == CODE:
        return {"size": list(size), "counts": rest.decode("ascii")}
    if kind == RING:
        return [array(chr(rest[0]), rest[1:]).tolist()]
    return marshal.loads(rest)


def _is_code(segmentation: dict[str, Any], size: tuple[int, int]) -> bool:
    """Whether it is the text of run lengths of an image of this size, and nothing else."""
    if segmentation.keys() != CODE_KEYS:
        return False
    counts, stated = segmentation["counts"], segmentation["size"]
    is_plain = type(counts) is str and counts.isascii() and type(stated) is list
    return is_plain and stated == list(size) and set(map(type, stated)) == {int}


def _ring(polygon: Any) -> bytes:
    """The numbers of a polygon behind how they are kept; empty if they are of several kinds."""
    kinds = set(map(type, polygon)) if type(polygon) is list else set()
    for code in NUMBERS.get(kinds.pop(), "") if len(kinds) == 1 else "":
        try:
            packed = array(code, polygon)
        except OverflowError:
            continue
        if packed.tolist() == polygon:
            return code.encode("ascii") + packed.tobytes()
    return b""

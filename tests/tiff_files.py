"""A TIFF writer of its own, byte by byte, for what others cannot write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

CODES = {"none": 1, "lzw": 5, "deflate": 8, "old deflate": 32946, "packbits": 32773}
FORMATS = {"u": 1, "i": 2, "f": 3, "c": 6}
Tags = dict[int, tuple[str, Sequence[int]]]


def tiff_bytes(
    array: np.ndarray,
    *,
    order: str = "<",
    compression: str = "none",
    predictor: int = 1,
    bits: int | None = None,
    photometric: int | None = None,
    planar: bool = False,
    rows: int | None = None,
    tile: tuple[int, int] | None = None,
    big: bool = False,
    fill_order: int = 1,
    alpha: int | None = None,
    more: Tags | None = None,
    text: dict[int, str] | None = None,
) -> bytes:
    """A TIFF of one image.

    Parameters
    ----------
    array : ndarray, (H, W) or (H, W, C)
    bits : int, optional
        Of a packed sample; None: those of the dtype.
    rows : int, optional
        Of a strip; None: all.
    tile : (rows, columns), optional
        In place of strips.
    alpha : int, optional
        What the last channel is: 0 not said, 1 premultiplied, 2 straight.
    """
    image = array.reshape(*array.shape[:2], -1)
    height, width, n = image.shape
    planes = [image[..., k : k + 1] for k in range(n)] if planar else [image]
    size = tile or (rows or height, width)
    parts = [_part(p, order, compression, predictor, bits) for p in _parts(planes, size, tile)]
    if fill_order == 2:
        parts = [bytes(int(f"{b:08b}"[::-1], 2) for b in part) for part in parts]
    kind = photometric if photometric is not None else 2 if n >= 3 else 1
    tags: Tags = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits or 8 * array.itemsize] * n),
        259: ("H", [CODES[compression]]),
        262: ("H", [kind]),
        266: ("H", [fill_order]),
        277: ("H", [n]),
        284: ("H", [2 if planar else 1]),
        317: ("H", [predictor]),
        339: ("H", [FORMATS[array.dtype.kind]] * n),
    }
    if tile:
        tags |= {322: ("I", [tile[1]]), 323: ("I", [tile[0]])}
    else:
        tags |= {278: ("I", [size[0]])}
    if alpha is not None:
        tags |= {338: ("H", [alpha])}
    return _file(tags | (more or {}), parts, bool(tile), order, big, text or {})


def _parts(
    planes: Iterable[np.ndarray], size: tuple[int, int], tile: tuple[int, int] | None
) -> Iterable[np.ndarray]:
    for plane in planes:
        height, width = plane.shape[:2]
        for top in range(0, height, size[0]):
            for left in range(0, width, size[1]):
                part = plane[top : top + size[0], left : left + size[1]]
                if tile:
                    missing = (size[0] - part.shape[0], size[1] - part.shape[1])
                    part = np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
                yield part


def _part(
    part: np.ndarray, order: str, compression: str, predictor: int, bits: int | None
) -> bytes:
    if predictor == 3:
        return _packed(_float_differences(part), compression)
    if predictor == 2:
        whole = part.view(f"u{part.itemsize}")
        part = np.concatenate([whole[:, :1], whole[:, 1:] - whole[:, :-1]], axis=1)
    if bits and bits != 8 * part.itemsize:
        flat = part.reshape(len(part), -1).astype(np.int64)[..., None]
        single = (flat >> np.arange(bits - 1, -1, -1)) & 1
        return _packed(
            np.packbits(single.reshape(len(part), -1).astype(np.uint8), axis=1).tobytes(),
            compression,
        )
    return _packed(part.astype(part.dtype.newbyteorder(order)).tobytes(), compression)


def _float_differences(part: np.ndarray) -> bytes:
    rows, columns, n = part.shape
    big = np.ascontiguousarray(part.astype(part.dtype.newbyteorder(">")))
    each = big.view(np.uint8).reshape(rows, columns * n, part.itemsize)
    lines = each.transpose(0, 2, 1).reshape(rows, -1)
    return np.concatenate([lines[:, :n], lines[:, n:] - lines[:, :-n]], axis=1).tobytes()


def _packed(data: bytes, compression: str) -> bytes:
    if compression in ("deflate", "old deflate"):
        return zlib.compress(data)
    if compression == "packbits":
        parts = (data[i : i + 128] for i in range(0, len(data), 128))
        return b"".join(bytes([len(part) - 1]) + part for part in parts)
    return _lzw(data) if compression == "lzw" else data


def _lzw(data: bytes) -> bytes:
    codes: list[int] = []
    for i in range(0, len(data), 200):
        codes += [256, *data[i : i + 200]]
    single = np.array([*codes, 257])[:, None] >> np.arange(8, -1, -1) & 1
    return np.packbits(single.ravel().astype(np.uint8)).tobytes()


def _file(
    tags: Tags, parts: list[bytes], tiled: bool, order: str, big: bool, text: dict[int, str]
) -> bytes:
    head = (b"II" if order == "<" else b"MM") + struct.pack(
        order + ("HHHQ" if big else "HI"), *((43, 8, 0, 16) if big else (42, 8))
    )
    values = dict(tags)
    places = {True: (324, 325), False: (273, 279)}[tiled]
    values |= {tag: ("I", [0] * len(parts)) for tag in places}
    n_bytes = len(_directory(values, text, order, big, len(head)))
    starts = np.cumsum([len(head) + n_bytes, *map(len, parts)])[:-1].tolist()
    values |= {places[0]: ("I", starts), places[1]: ("I", [len(part) for part in parts])}
    return head + _directory(values, text, order, big, len(head)) + b"".join(parts)


def _directory(tags: Tags, text: dict[int, str], order: str, big: bool, start: int) -> bytes:
    room, size = (8, 20) if big else (4, 12)
    fields = {tag: (3 if form == "H" else 4, len(v), struct.pack(f"{order}{len(v)}{form}", *v))
              for tag, (form, v) in tags.items()}  # fmt: skip
    fields |= {tag: (2, len(t) + 1, t.encode() + b"\0") for tag, t in text.items()}
    head = struct.pack(order + ("Q" if big else "H"), len(fields))
    after = start + len(head) + size * len(fields) + room
    entries = tail = b""
    for tag, (kind, count, data) in sorted(fields.items()):
        value = data.ljust(room, b"\0")
        if len(data) > room:
            value = struct.pack(order + ("Q" if big else "I"), after + len(tail))
            tail += data + bytes(len(data) % 2)
        entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, count) + value
    return head + entries + bytes(room) + tail

"""Does a JPEG hold all of its image? Where the data end early, decoders fill up and say nothing.

Of a whole image every pixel is decoded before its end marker. So bytes put in front of that marker
change nothing, while an image that ends early takes them for its missing part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

END, SCAN, RESTARTS = 0xD9, 0xDA, 0xDD
FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
APP1 = 0xE1
KINDS_OF_FRAME = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    0xF7: "JPEG-LS",
}
ARITHMETIC = {*range(0xC9, 0xD0)}
"""Codes of frames whose last zeros may be left out."""
MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
N_COEFFICIENTS = 64

_NOISE = bytes((167 * k * k + 29 * k) % 251 for k in range(1, 64))
FILLINGS = tuple(
    b"".join(_NOISE + bytes([0xFF, 0xD0 + (first + k) % 8]) for k in range(8)) + _NOISE
    for first in (0, 4)
)
"""What no image goes on with, between restart markers, which a decoder may be waiting for.

There are eight, and it does without the one it waits for if one of the next two comes instead.
"""


def is_whole(data: bytes, pixels: bytes) -> bool:
    """Whether all of a JPEG's image is in it.

    Data that are wrong in the middle are not noticed: JPEG has no checksums.

    Parameters
    ----------
    data : bytes
        A JPEG that was decoded without an error.
    pixels : bytes
        What Pillow made of it, as of ``tobytes``.
    """
    segments = list(_segments(data))
    if any(code in ARITHMETIC for code, _, _ in segments):
        return True
    if not _has_all_scans(segments):
        return False
    end = next((at for code, at, _ in segments if code == END), len(data))
    fillings = FILLINGS if any(code == RESTARTS for code, _, _ in segments) else FILLINGS[:1]
    return all(_pixels(data[:end] + filling + data[end:]) == pixels for filling in fillings)


def _pixels(data: bytes) -> bytes | None:
    try:
        with Image.open(BytesIO(data), formats=("JPEG",)) as image:
            return image.tobytes()
    except (OSError, SyntaxError, ValueError):
        return None


Segment = tuple[int, int, bytes]


def _segments(data: bytes) -> Iterator[Segment]:
    """Code, place and content of the markers, to the end of the first image."""
    at = 2
    while found := MARKER.search(data, at):
        at, code = found.start(), data[found.start() + 1]
        length = 0 if code == END else int.from_bytes(data[at + 2 : at + 4])
        yield code, at, data[at + 4 : at + 2 + length]
        if code == END:
            return
        at += 2 + max(2, length)


def _has_all_scans(segments: list[Segment]) -> bool:
    """Whether each coefficient of each component comes to its last bit."""
    missing: set[tuple[int, int]] = set()
    for code, _, content in segments:
        if code in FRAMES:
            ids = content[6::3]
            missing = {(part, k) for part in ids for k in range(N_COEFFICIENTS)}
        if code == SCAN and content:
            ids, (first, last, bits) = content[1 : 1 + 2 * content[0] : 2], content[-3:]
            if not bits & 15:
                missing -= {(part, k) for part in ids for k in range(first, last + 1)}
    return not missing


def is_flir(data: bytes) -> bool:
    """Whether a JPEG carries a raw frame of FLIR's besides its picture."""
    return any(code == APP1 and content.startswith(b"FLIR\0") for code, _, content in _heads(data))


def described(data: bytes) -> str:
    """Kind, bits and channels of a JPEG: "JPEG, lossless, 12 bit, 1 channel"; empty if broken."""
    for code, _, content in _heads(data):
        if code in FRAMES and len(content) > 5:
            n = content[5]
            ways = KINDS_OF_FRAME.get(code, f"frame of kind {code - 0xC0}")
            return f"JPEG, {ways}, {content[0]} bit, {n} channel{'s' * (n != 1)}"
    return ""


def _heads(data: bytes) -> Iterator[Segment]:
    """The segments before the pixels."""
    for segment in _segments(data):
        if segment[0] == SCAN:
            return
        yield segment

"""TIFF by tifffile: what a file is, in words, and the values of its image.

tifffile reads the directories, `densesirst_gen.files.images.tiff_parts` the samples. Images whose
compression knows more than bytes (JPEG, fax) are left to Pillow.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np

from densesirst_gen.files.images.numbers import plain
from densesirst_gen.files.images.raster import CodecError, Raster, check_size
from densesirst_gen.files.images.tiff_parts import BYTE_CODECS, read_parts
from densesirst_gen.files.images.tiff_stack import note_on_others, pages_of

SEPARATE = 2
GUESSED = re.compile(r'\{"shape": \[[34], \d+, \d+\]\}')
"""What tifffile writes of arrays of 3 or 4 planes of whose meaning it was told nothing."""
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE = range(4)
COLOURS = {0: "white is zero", 1: "gray", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK"}
COLOURS |= {6: "YCbCr", 8: "CIELab", 9: "ICCLab", 32803: "colour filter array"}
TYPES = {1: "unsigned", 2: "signed", 3: "float", 4: "untyped", 5: "complex", 6: "complex"}
DEPTHS = {
    1: (1, 2, 4, *range(8, 17), 32, 64),
    2: (8, 16, 32, 64),
    3: (16, 32, 64),
    4: (8, 16, 32),
}
FAX, JPEGS, WEBP = (2, 3, 4, 32771), (6, 7), 50001
PREMULTIPLIED, STRAIGHT = 1, 2
ORIENTATION, XMP, GDAL_NODATA = 274, 700, 42113
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')

logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_tiff(data: bytes, max_pixels: int) -> Raster | None:
    """The image of a TIFF or BigTIFF; None if it is one for Pillow.

    Raises
    ------
    CodecError
        If the file is damaged, cut or too large, holds several frames, or is of a kind that is not
        read; it is named for what it is.
    """
    with _first_page(data) as (page, byte_order, notes):
        check_size(page.imagewidth, page.imagelength, max_pixels)
        _check_depth_of_stack(page)
        if page.compression not in BYTE_CODECS:
            _check_for_pillow(page)
            return None
        _check_readable(page)
        samples = read_parts(page, data, byte_order)
        _check_guessed_colours(page, samples)
        raster = _raster(page, samples)
        notes += _orientation_notes(page)
    return Raster(raster.pixels, (*notes, *raster.notes), raster.indices, raster.nodata)


def tiff_size(data: bytes) -> tuple[int, int]:
    """(H, W) of the first image, nothing decoded."""
    with _first_page(data) as (page, _, _):
        return page.imagelength, page.imagewidth


def tiff_depth(data: bytes) -> str:
    """Bits and type of the first image: "14 bit", "float"."""
    with _first_page(data) as (page, _, _):
        return "float" if page.sampleformat == 3 else f"{page.bitspersample} bit"


def tiff_nodata(data: bytes) -> float | None:
    """What GDAL's tag says to mean "no value here"; None without the tag."""
    with _first_page(data) as (page, _, _):
        return _nodata(page)


def tiff_notes(data: bytes) -> list[str]:
    """What Pillow does not tell of an image that it decodes."""
    with _first_page(data) as (page, _, notes):
        white = ["white is zero: inverted"] if page.photometric == WHITE_IS_ZERO else []
        return [*notes, *_orientation_notes(page), *white]


def described(page: Any) -> str:
    """Such as "TIFF, 64-bit complex, 1 channel"."""
    n, bits = page.samplesperpixel, page.bitspersample
    kind = TYPES.get(page.sampleformat, f"type {page.sampleformat}")
    words = ["TIFF", f"{bits}-bit {kind}"]
    if page.photometric > RGB or n > 1:
        words.append(COLOURS.get(page.photometric, f"colours of kind {page.photometric}"))
    words.append(f"{n} channel{'s' * (n != 1)}")
    if page.compression not in BYTE_CODECS:
        words.append(f"compression {getattr(page.compression, 'name', page.compression)}")
    return ", ".join(words)


@contextmanager
def _first_page(data: bytes) -> Iterator[tuple[Any, str, list[str]]]:
    """The first page, its byte order, and a note on others; CodecError for a stack of frames."""
    from tifffile import TiffFile, TiffFileError

    try:
        with TiffFile(BytesIO(data), _multifile=False) as file:
            page, notes = file.pages.first, note_on_others(pages_of(file))
            if 262 not in page.tags:
                page.photometric = RGB if page.samplesperpixel >= 3 else BLACK_IS_ZERO
            yield page, file.byteorder, notes
    except TiffFileError as error:
        raise CodecError(f"a TIFF that is damaged: {error}") from error


def _check_depth_of_stack(page: Any) -> None:
    if page.imagedepth > 1:
        raise CodecError(f"{described(page)}, {page.imagedepth} layers deep: not supported")


def _check_for_pillow(page: Any) -> None:
    """Compressions of images, not bytes: of bytes of gray and colour, and of black and white."""
    known = page.compression in (*FAX, *JPEGS, WEBP)
    if not known or page.bitspersample not in (1, 8) or page.sampleformat not in (1, 4):
        raise CodecError(f"{described(page)}: not supported")


def _check_readable(page: Any) -> None:
    colour, n = page.photometric, page.samplesperpixel
    bits, kind = page.bitspersample, page.sampleformat
    known = isinstance(bits, int) and bits in DEPTHS.get(kind, ())
    needed = 3 if colour == RGB else 1
    extra = tuple(page.extrasamples)
    is_alpha = bool(extra) and extra[0] in (PREMULTIPLIED, STRAIGHT)
    fits = n == needed or (n == needed + 1 and (is_alpha or colour == RGB))
    deep_colours = colour == RGB and (kind not in (1, 4) or not 8 <= bits <= 16)
    deep_palette = colour == PALETTE and (kind != 1 or bits > 8 or page.colormap is None)
    if not known or not fits or colour > PALETTE or deep_colours or deep_palette:
        raise CodecError(f"{described(page)}: not supported")
    if page.predictor not in (1, 2, 3) or (page.predictor == 3 and kind != 3):
        raise CodecError(f"{described(page)}, predictor {page.predictor}: not supported")


def _check_guessed_colours(page: Any, samples: np.ndarray) -> None:
    """CodecError for 3 or 4 planes that tifffile took for colours unasked; they may be frames."""
    planes = page.photometric == RGB and page.planarconfig == SEPARATE
    if planes and GUESSED.match(page.description or "") and (samples != samples[..., :1]).any():
        raise CodecError(
            f"{described(page)}, {samples.shape[2]} planes of which tifffile can't tell whether "
            "they are colours or frames: write frames with photometric='minisblack', colours with "
            "the channels last"
        )


def _raster(page: Any, samples: np.ndarray) -> Raster:
    """What the samples mean."""
    notes: list[str] = []
    n = 3 if page.photometric == RGB else 1
    if samples.shape[2] > n:
        samples, notes = _without_alpha(page, samples[..., :n], samples[..., n])
    values = samples if n == 3 else samples[..., 0]
    if page.photometric == PALETTE:
        colours = (np.asarray(page.colormap).reshape(3, -1).T >> 8).astype(np.uint8)
        return Raster(colours[values], tuple(notes), values)
    nodata = _nodata(page)
    if page.photometric == WHITE_IS_ZERO:
        values, nodata = _inverted(page, values, nodata)
        notes.append("white is zero: inverted")
    if page.bitspersample < 8:
        values = values * np.uint8(255 // (2**page.bitspersample - 1))
    found = plain(values, nodata)
    return Raster(np.ascontiguousarray(found.values), (*notes, *found.notes), nodata=found.nodata)


def _inverted(page: Any, values: np.ndarray, nodata: float | None) -> tuple[Any, float | None]:
    """Values from black on: the largest and the smallest of the type change places."""
    if values.dtype.kind == "f":
        raise CodecError(f"{described(page)}, white is zero: floats have no black to count from")
    ends = 2**page.bitspersample - 1 if values.dtype.kind == "u" else -1
    return (values.dtype.type(ends) - values), None if nodata is None else ends - nodata


def _without_alpha(
    page: Any, values: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """The values as they were before they were multiplied by an alpha channel, if they were."""
    if not page.extrasamples or page.extrasamples[0] != PREMULTIPLIED:
        return values, ["alpha ignored"]
    white = 1.0 if values.dtype.kind == "f" else float(2**page.bitspersample - 1)
    if (alpha == white).all():
        return values, ["alpha ignored"]
    if (alpha <= 0).any():
        raise CodecError(f"{described(page)}: premultiplied alpha of 0, the values there are lost")
    restored = values / (alpha[..., None] / white)
    if values.dtype.kind != "f":
        restored = np.rint(restored).clip(0, white)
    return restored.astype(values.dtype), ["premultiplied alpha undone"]


def _nodata(page: Any) -> float | None:
    tag = page.tags.get(GDAL_NODATA)
    try:
        return None if tag is None else float(str(tag.value).strip("\0 "))
    except ValueError:
        return None


def _orientation_notes(page: Any) -> list[str]:
    tag, xmp = page.tags.get(ORIENTATION), page.tags.get(XMP)
    value = int(tag.value) if tag is not None else 1
    if value == 1 and xmp is not None and (said := XMP_ORIENTATION.search(bytes(xmp.value))):
        value = int(said[1])
    return [f"orientation {value} not applied"] if value != 1 else []

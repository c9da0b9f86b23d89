"""Bytes of an image file to arrays and back: the one module that knows image codecs.

Reading is strict. What a file is, its first bytes say (`kinds`). TIFF is read by tifffile (`tiff`),
NPY, FITS and deep PGM by `arrays`, all others by Pillow (`by_pillow`). A file has to be whole;
pixels keep their bit depth, nothing is rotated or rescaled, whatever the format, and what was
decided about a file is told in notes. Writing is lossless.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from densesirst_gen.files.images.arrays import (
    fits_head,
    is_npy_image,
    npy_head,
    read_deep_pnm,
    read_fits,
    read_npy,
)
from densesirst_gen.files.images.by_pillow import identify, is_untold, read_by_pillow
from densesirst_gen.files.images.colormaps import BRIGHTNESS, inverted
from densesirst_gen.files.images.false_colour import check_no_false_colour
from densesirst_gen.files.images.frames import image_bytes, open_image
from densesirst_gen.files.images.kinds import kind_of, not_read
from densesirst_gen.files.images.mask_rule import mask_of
from densesirst_gen.files.images.raster import CodecError, Raster
from densesirst_gen.files.images.tiff import read_tiff, tiff_depth, tiff_nodata, tiff_size
from densesirst_gen.files.regular import NotRegularError

__all__ = [
    "BRIGHTNESS",
    "FORMATS",
    "MAX_PIXELS",
    "OFTEN_BESIDE",
    "TRUE_COLOUR",
    "CodecError",
    "Decoded",
    "Head",
    "encode_palette_png",
    "encode_png",
    "encode_tiff",
    "is_image_file",
    "nodata_of",
    "png_text",
    "read_head",
    "read_image",
    "read_mask",
    "read_size",
    "with_png_text",
]
MAX_PIXELS = 100_000_000
FORMATS = {
    ".png": "PNG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".pgm": "PPM",
    ".ppm": "PPM",
    ".pnm": "PPM",
    ".npy": "NPY",
    ".fits": "FITS",
    ".fit": "FITS",
}
OFTEN_BESIDE = (".webp", ".pgm", ".ppm", ".pnm", ".npy", ".fits", ".fit")
"""Suffixes of files that often are copies of an image, or something else, beside the image."""
PNG_HEADER = 33
"""Bytes of a PNG's signature and first chunk, IHDR."""
PNG_PALETTE = 3

# BT.601 in 15 bits, cut and not rounded: what OpenCV (libpng) makes of a colour PNG when it is
# asked for gray, and so how the gray images of DenseSIRST were made.
GRAY_WEIGHTS = (9797, 19234, 3737)
GRAY_SHIFT = 15
TRUE_COLOUR = "true colour"
DEPTHS = {"1": "1 bit", "I;16": "16 bit", "I;16B": "16 bit", "I": "32 bit", "F": "float"}


@dataclass(frozen=True, eq=False)
class Decoded:
    """The pixels of a file, and what a careful reader should know about how they were read.

    Parameters
    ----------
    array : ndarray, (H, W)
        Gray image or mask.
    notes : tuple of str
        Such as "alpha ignored"; empty for a plain gray file.
    nodata : float, optional
        What the file itself says to mean that a pixel has no value, in the values of `array`.
    """

    array: np.ndarray
    notes: tuple[str, ...] = ()
    nodata: float | None = None


@dataclass(frozen=True)
class Head:
    """What the head of an image file says.

    Parameters
    ----------
    height, width : int
    depth : str
        Such as "8 bit" or "float".
    is_plain : bool
        Whether it is gray by its head, of 8 or 16 bits, with nothing to note in reading.
    """

    height: int
    width: int
    depth: str
    is_plain: bool


def read_image(
    path: str | PathLike[str], *, colormap: str | None = None, max_pixels: int = MAX_PIXELS
) -> Decoded:
    """Decode a gray image.

    Colour becomes gray by BT.601, palettes are expanded first, alpha is ignored. Values of 16 bits
    are never reduced to 8, and integers of other types and doubles come out as uint16 or float32,
    without loss or not at all.

    Parameters
    ----------
    path : path
        PNG, BMP, TIFF, JPEG, WebP, PGM or PPM, NPY, or FITS (with the extra ``fits``), known by
        content.
    colormap : str, optional
        What images in colour are painted with, see `files.images.colormaps`: it is turned
        back into gray levels of 8 bits. ``brightness``: nothing, whatever they look like. None:
        brightness counts, and colours that all lie on one curve, as those of a colormap do, are
        refused.
    max_pixels : int
        Larger images are refused before they are decoded. Above 179 million pixels Pillow's own
        limit, ``PIL.Image.MAX_IMAGE_PIXELS``, has to be raised as well.

    Returns
    -------
    Decoded
        Array (H, W), uint8, uint16 or float32.

    Raises
    ------
    CodecError
        If the file is missing, empty, truncated, corrupt, too large, in false colour, of a kind
        that is not read, or holds several frames.
    """
    return _read(Path(path), max_pixels, partial(_gray, colormap=colormap))


def read_mask(
    path: str | PathLike[str],
    *,
    threshold: int = 127,
    sparse: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> Decoded:
    """Decode a mask.

    What is on: in a palette mask whose index 0 is black, every index but 0 and the void of Pascal
    VOC; in all others, also by a palette of gray levels, what is above `threshold`, in colours that
    of the largest channel. A mask in which nothing is above it holds numbers and no
    gray levels, such as {0, 1}, classes or instances: there every value but 0 is on, and of
    fractions up to 1 what is above 0.5. Notes tell whatever is not plainly black and white.

    Parameters
    ----------
    path : path
        As for `read_image`.
    threshold : int
        The largest value that is background.
    sparse : bool
        A mask of small targets: more than half of it white means that it is inverted, an error.
    max_pixels : int
        As for `read_image`.

    Returns
    -------
    Decoded
        Array (H, W), bool.

    Raises
    ------
    CodecError
        As `read_image`, or for an inverted mask, or values that are negative or no numbers.
    """
    return _read(Path(path), max_pixels, partial(_mask, threshold=threshold, sparse=sparse))


def read_size(path: str | PathLike[str]) -> tuple[int, int]:
    """(H, W) of an image file, as `read_image` gives it; nothing is decoded.

    Raises
    ------
    CodecError
        If the file is missing, or no image.
    """
    head = read_head(path)
    return head.height, head.width


@contextmanager
def _named(path: str | PathLike[str]) -> Iterator[None]:
    """Whatever goes wrong with a file is a CodecError with its name."""
    try:
        yield
    except Exception as error:  # on hostile bytes decoders raise anything
        raise CodecError(f"{path}: {error}") from error


def read_head(path: str | PathLike[str]) -> Head:
    """What the head of an image file says; nothing is decoded.

    Raises
    ------
    CodecError
        If the file is missing, or no image.
    """
    with _named(path):
        data = _read_bytes(Path(path))
        return _head(data, kind_of(data))


def is_image_file(path: Path) -> bool:
    """Whether a file may be an image, by its suffix; of arrays also by their shape."""
    suffix = path.suffix.lower()
    return suffix in FORMATS and (suffix != ".npy" or is_npy_image(path))


def nodata_of(path: str | PathLike[str]) -> float | None:
    """The value that a file declares to mean "no value here": GDAL's tag of a TIFF; else None.

    As it stands in the file; `Decoded.nodata` has it in the values of the array.

    Raises
    ------
    CodecError
        If the file is missing, or no image.
    """
    with _named(path):
        data = _read_bytes(Path(path))
        return tiff_nodata(data) if kind_of(data) == "TIFF" else None


def encode_png(array: np.ndarray, *, bilevel: bool = False) -> bytes:
    """Encode a gray image or mask as PNG.

    Parameters
    ----------
    array : ndarray, (H, W), uint8 or uint16
    bilevel : bool
        One bit for a pixel: off where it is 0, on elsewhere.

    Raises
    ------
    CodecError
        If the array has another shape or dtype, or is empty.
    """
    if array.ndim != 2 or array.size == 0 or array.dtype not in (np.uint8, np.uint16):
        raise CodecError(f"PNG takes (H, W) uint8 or uint16, got {array.dtype} {array.shape}")
    options = [cv2.IMWRITE_PNG_BILEVEL, 1] if bilevel else []
    done, data = cv2.imencode(".png", np.ascontiguousarray(array), options)
    if not done:
        raise CodecError(f"OpenCV could not encode a PNG of shape {array.shape}")
    return data.tobytes()


def encode_palette_png(
    indices: np.ndarray, palette: Sequence[tuple[int, int, int]], *, bits: int = 8
) -> bytes:
    """Encode a palette image as PNG.

    Parameters
    ----------
    indices : ndarray, (H, W), uint8 or bool
    palette : sequence of (red, green, blue)
        The colour of each index.
    bits : int
        1 or 8 for a pixel.

    Raises
    ------
    CodecError
        If an index has no colour, or the palette does not fit into `bits`.

    Notes
    -----
    OpenCV's PNG of the indices, which is the same in all its versions, with the header of a
    palette image: Pillow's differ from version to version.
    """
    if bits not in (1, 8) or len(palette) > 2**bits or indices.max() >= len(palette):
        raise CodecError(
            f"palette PNG: indices to {indices.max()}, {len(palette)} colours, {bits} bits"
        )
    levels = indices.astype(np.uint8) * (1 if bits == 8 else 255)
    png = encode_png(levels, bilevel=bits == 1)
    size = png[PNG_HEADER - 17 : PNG_HEADER - 9]
    header = png_chunk(b"IHDR", size + bytes([bits, PNG_PALETTE, 0, 0, 0]))
    colours = png_chunk(b"PLTE", bytes(level for colour in palette for level in colour))
    return png[: PNG_HEADER - 25] + header + colours + png[PNG_HEADER:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG: length, kind, body, checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_png_text(png: bytes, key: str, value: str) -> bytes:
    """The PNG with a remark in it, for `png_text`; both Latin-1."""
    chunk = png_chunk(b"tEXt", key.encode("latin-1") + b"\0" + value.encode("latin-1"))
    return png[:PNG_HEADER] + chunk + png[PNG_HEADER:]


def png_text(path: str | PathLike[str]) -> dict[str, str]:
    """The remarks in an image file; none if the format has none.

    Raises
    ------
    CodecError
        If the file is no image.
    """
    try:
        with open_image(path) as file, Image.open(file) as image:
            return {str(k): v for k, v in image.info.items() if isinstance(v, str)}
    except Exception as error:  # on hostile bytes decoders raise anything
        raise CodecError(f"{path}: {error}") from error


def encode_tiff(array: np.ndarray) -> bytes:
    """Encode a radiometric image as uncompressed TIFF.

    Parameters
    ----------
    array : ndarray, (H, W), float32

    Raises
    ------
    CodecError
        If the array has another shape or dtype, or is empty.
    """
    if array.ndim != 2 or array.size == 0 or array.dtype != np.float32:
        raise CodecError(f"float TIFF takes (H, W) float32, got {array.dtype} {array.shape}")
    return _saved(Image.fromarray(np.ascontiguousarray(array)), "TIFF")


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _read(path: Path, max_pixels: int, meaning: Callable[[Raster], Decoded]) -> Decoded:
    with _named(path):
        data = _read_bytes(path)
        kind = kind_of(data)
        raster = _raster(data, kind, max_pixels)
        decoded = meaning(raster)
    other = kind != FORMATS.get(path.suffix.lower(), kind)
    notes = (f"holds {kind} data",) if other else ()
    return Decoded(decoded.array, (*notes, *raster.notes, *decoded.notes), raster.nodata)


def _read_bytes(path: Path) -> bytes:
    try:
        data = image_bytes(path)
    except NotRegularError as error:
        raise CodecError("not a regular file") from error
    except FileNotFoundError as error:
        raise CodecError("no such file") from error
    if not data:
        raise CodecError("the file is empty")
    return data


def _raster(data: bytes, kind: str, max_pixels: int) -> Raster:
    if not kind:
        raise CodecError(not_read(data))
    own = {"TIFF": read_tiff, "NPY": read_npy, "FITS": read_fits, "PPM": read_deep_pnm}
    raster = own[kind](data, max_pixels) if kind in own else None
    return read_by_pillow(data, kind, max_pixels) if raster is None else raster


def _head(data: bytes, kind: str) -> Head:
    if not kind:
        raise CodecError(not_read(data))
    if kind in ("NPY", "FITS"):
        height, width, depth = (npy_head if kind == "NPY" else fits_head)(data)
        return Head(height, width, depth, False)
    if kind == "TIFF":
        return Head(*tiff_size(data), tiff_depth(data), False)
    image = identify(data, kind)
    is_plain = image.mode in ("L", "I;16") and kind in ("PNG", "BMP")
    is_plain = is_plain and getattr(image, "n_frames", 1) == 1 and is_untold(image)
    return Head(image.height, image.width, DEPTHS.get(image.mode, "8 bit"), is_plain)


def _gray(raster: Raster, colormap: str | None) -> Decoded:
    """One channel: the gray values, what all colour channels share, or BT.601."""
    pixels = raster.pixels
    if pixels.ndim == 2:
        return Decoded(pixels)
    if (pixels == pixels[..., :1]).all():
        return Decoded(np.ascontiguousarray(pixels[..., 0]))
    if colormap not in (None, BRIGHTNESS):
        return Decoded(inverted(pixels, colormap), (f"false colour, {colormap} inverted",))
    if colormap is None:
        check_no_false_colour(pixels)
    red, green, blue = (pixels[..., i] * np.uint32(w) for i, w in enumerate(GRAY_WEIGHTS))
    gray = (red + green + blue) >> GRAY_SHIFT
    return Decoded(gray.astype(pixels.dtype), (TRUE_COLOUR,))


def _mask(raster: Raster, *, threshold: int, sparse: bool) -> Decoded:
    return Decoded(*mask_of(raster, threshold=threshold, sparse=sparse))

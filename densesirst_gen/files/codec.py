"""Bytes of an image file to arrays and back: the one module that knows image codecs.

Reading is strict. Pillow decodes, because it raises where OpenCV returns half an image, and a JPEG
has to be whole (`densesirst_gen.files.jpeg`); pixels keep their bit depth, nothing is rotated or
rescaled, whatever the format, and what was decided about a file is told in notes. Writing is
lossless.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from densesirst_gen.files.jpeg import is_whole
from densesirst_gen.files.png import has_all_rows, is_interlaced, may_have_all_rows
from densesirst_gen.files.regular import NotRegularError, open_regular, read_bytes
from densesirst_gen.files.tiff import ORIENTATION, has_whole_jpegs, unrotated

MAX_PIXELS = 100_000_000
FORMATS = {
    ".png": "PNG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
}
PNG_HEADER = 33
"""Bytes of a PNG's signature and first chunk, IHDR."""
PLAIN_MODES = {  # of Pillow, and the mode without bit packing, alpha or palette
    **dict.fromkeys(("1", "L", "LA"), "L"),
    **dict.fromkeys(("P", "PA", "RGB", "RGBA"), "RGB"),
    **{mode: mode for mode in ("I", "I;16", "I;16B", "I;16L", "F")},
}

# BT.601 in 15 bits, cut and not rounded: what OpenCV (libpng) makes of a colour PNG when it is
# asked for gray, and so how the gray images of DenseSIRST were made.
GRAY_WEIGHTS = (9797, 19234, 3737)
GRAY_SHIFT = 15


class CodecError(ValueError):
    """A file that does not hold the image that it should; the message names file and reason."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """The pixels of a file, and what a careful reader should know about how they were read.

    Parameters
    ----------
    array : ndarray, (H, W)
        Gray image or mask.
    notes : tuple of str
        Such as "alpha ignored"; empty for a plain gray file.
    """

    array: np.ndarray
    notes: tuple[str, ...] = ()


def read_image(path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode a gray image.

    Colour becomes gray by BT.601, palettes are expanded first, alpha is ignored. 16-bit values are
    never reduced to 8 bits.

    Parameters
    ----------
    path : path
        PNG, BMP, TIFF or JPEG, known by content.
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
        If the file is missing, empty, truncated, corrupt, too large, or of an unsupported mode.
    """
    return _decode(Path(path), max_pixels, _gray)


def read_mask(
    path: str | PathLike[str],
    *,
    threshold: int = 127,
    sparse: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> Decoded:
    """Decode a mask.

    What is on: in a palette mask, every index but 0; in all others what is above `threshold`, in
    colours that of the largest channel. A mask in which nothing is above it holds numbers and no
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
    return _decode(Path(path), max_pixels, partial(_mask, threshold=threshold, sparse=sparse))


def read_size(path: str | PathLike[str]) -> tuple[int, int]:
    """(H, W) of an image file, as `read_image` gives it; nothing is decoded.

    Raises
    ------
    CodecError
        If the file is missing, or no image.
    """
    try:
        image = _identify(_read_bytes(Path(path)))
        return image.height, image.width
    except Exception as error:  # on hostile bytes decoders raise anything
        raise CodecError(f"{path}: {error}") from error


def encode_png(array: np.ndarray) -> bytes:
    """Encode a gray image or mask as PNG.

    Parameters
    ----------
    array : ndarray, (H, W), uint8 or uint16

    Raises
    ------
    CodecError
        If the array has another shape or dtype, or is empty.
    """
    if array.ndim != 2 or array.size == 0 or array.dtype not in (np.uint8, np.uint16):
        raise CodecError(f"PNG takes (H, W) uint8 or uint16, got {array.dtype} {array.shape}")
    done, data = cv2.imencode(".png", np.ascontiguousarray(array))
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
        1, 2, 4 or 8 for a pixel.

    Raises
    ------
    CodecError
        If an index has no colour, or the palette does not fit into `bits`.
    """
    if indices.max() >= len(palette) or len(palette) > 2**bits:
        raise CodecError(
            f"palette PNG: indices to {indices.max()}, {len(palette)} colours, {bits} bits"
        )
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette([level for colour in palette for level in colour])
    return _saved(image, "PNG", bits=bits, compress_level=1)


def with_png_text(png: bytes, key: str, value: str) -> bytes:
    """The PNG with a remark in it, for `png_text`; both Latin-1."""
    body = b"tEXt" + key.encode("latin-1") + b"\0" + value.encode("latin-1")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:PNG_HEADER] + chunk + png[PNG_HEADER:]


def png_text(path: str | PathLike[str]) -> dict[str, str]:
    """The remarks in an image file; none if the format has none.

    Raises
    ------
    CodecError
        If the file is no image.
    """
    try:
        with open_regular(path) as file, Image.open(file) as image:
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


def _decode(
    path: Path, max_pixels: int, interpret: Callable[[ImageFile, np.ndarray | None], Decoded]
) -> Decoded:
    try:
        data = _read_bytes(path)
        image = _identify(data)
        if image.width * image.height > max_pixels:
            raise CodecError(f"{image.width} x {image.height} pixels, the limit is {max_pixels}")
        if image.format == "PNG":
            _identify(data).verify()  # the checksums, which decoding passes over
        _check_rows(image, data)
        deep = _deep_colours(image, unrotated(data))
        notes = _container_notes(path, image, data)
        _check_whole(image, data)
        decoded = interpret(image, deep)
    except Exception as error:  # on hostile bytes decoders raise anything
        raise CodecError(f"{path}: {error}") from error
    return Decoded(decoded.array, (*notes, *decoded.notes))


def _read_bytes(path: Path) -> bytes:
    try:
        data = read_bytes(path)
    except NotRegularError as error:
        raise CodecError("not a regular file") from error
    except FileNotFoundError as error:
        raise CodecError("no such file") from error
    if not data:
        raise CodecError("the file is empty")
    return data


def _identify(data: bytes) -> ImageFile:
    """The image, upright or not, as it lies in the file."""
    try:
        return Image.open(BytesIO(unrotated(data)), formats=sorted(set(FORMATS.values())))
    except UnidentifiedImageError:
        head = data[:200].lstrip().lower()
        if head.startswith(b"version https://git-lfs"):
            raise CodecError("a Git-LFS pointer, not an image: run `git lfs pull`") from None
        if head.startswith((b"<!doctype html", b"<html")):
            raise CodecError("looks like an HTML page, not an image") from None
        raise CodecError("not a PNG, BMP, TIFF or JPEG image") from None


def _check_rows(image: ImageFile, data: bytes) -> None:
    """CodecError, before decoding, if the file can't have as many rows as it says."""
    if image.format == "PNG" and not may_have_all_rows(data):
        raise CodecError(f"truncated: too few data for {image.width} x {image.height} pixels")
    ends = [tile[1][3] if tile[0] == "raw" and tile[1] else image.height for tile in image.tile]
    if ends and max(ends) < image.height:
        raise CodecError(f"truncated: {max(ends)} of {image.height} rows")


def _check_whole(image: ImageFile, data: bytes) -> None:
    """CodecError if a file ends early in a way that its decoder fills up without an error."""
    if isinstance(image, TiffImageFile):
        whole = has_whole_jpegs(image, data)
    elif image.format == "PNG":
        last = image.crop((0, image.height - 1, image.width, image.height)).tobytes()
        filled = any(last) and not is_interlaced(data)
        whole = filled or has_all_rows(data)
    else:
        whole = not data.startswith(b"\xff\xd8") or is_whole(data, image.tobytes())
    if not whole:
        raise CodecError("truncated: the data end before the image does")


def _deep_colours(image: ImageFile, data: bytes) -> np.ndarray | None:
    """(H, W, 3) uint16 of a file with 16-bit colours, of which Pillow keeps 8 bits; else None."""
    if image.getbands()[:3] != ("R", "G", "B") or ";16" not in repr(image.tile):
        return None
    colours = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if colours is None or colours.dtype != np.uint16:
        raise CodecError("16-bit colours that OpenCV cannot decode")
    return colours[..., 2::-1]


def _container_notes(path: Path, image: ImageFile, data: bytes) -> list[str]:
    notes = []
    if image.format != FORMATS.get(path.suffix.lower(), image.format):
        notes.append(f"holds {image.format} data")
    if (pages := getattr(image, "n_frames", 1)) > 1:
        notes.append(f"first of {pages} pages")
    if (orientation := _orientation(image, data)) != 1:
        notes.append(f"orientation {orientation} not applied")
    if "A" in image.getbands() or "transparency" in image.info:
        notes.append("alpha ignored")
    return notes


def _orientation(image: ImageFile, data: bytes) -> int:
    try:
        if isinstance(image, TiffImageFile):  # as its file says, not as it was read
            image = Image.open(BytesIO(data), formats=("TIFF",))
        return image.getexif().get(ORIENTATION, 1)
    except SyntaxError:  # broken EXIF does no harm to pixels
        return 1


def _gray(image: ImageFile, deep: np.ndarray | None) -> Decoded:
    """One channel: the gray values, what all colour channels share, or BT.601."""
    pixels = _pixels(image) if deep is None else deep
    if pixels.ndim == 2:
        return Decoded(pixels)
    if (pixels == pixels[..., :1]).all():
        return Decoded(np.ascontiguousarray(pixels[..., 0]))
    red, green, blue = (pixels[..., i] * np.uint32(w) for i, w in enumerate(GRAY_WEIGHTS))
    gray = (red + green + blue) >> GRAY_SHIFT
    return Decoded(gray.astype(pixels.dtype), ("true colour",))


def _pixels(image: ImageFile) -> np.ndarray:
    """(H, W) values or (H, W, 3) colours, in the bit depth of the file."""
    if image.mode not in PLAIN_MODES:
        raise CodecError(f"mode {image.mode} is not supported, only gray, RGB and palette")
    image.info.pop("transparency", None)  # or Pillow warns
    array = np.array(image.convert(PLAIN_MODES[image.mode]))
    return _as_uint16(array) if image.mode.startswith("I") else array


def _as_uint16(array: np.ndarray) -> np.ndarray:
    if array.min() < 0 or array.max() > 65535:
        raise CodecError(f"32-bit values {array.min()} to {array.max()} do not fit 16 bits")
    return array.astype(np.uint16)


def _mask(image: ImageFile, deep: np.ndarray | None, *, threshold: int, sparse: bool) -> Decoded:
    if image.mode == "P":
        decoded = Decoded(np.asarray(image) > 0)
    else:
        decoded = _on(_brightest(image, deep), threshold)
    share = np.count_nonzero(decoded.array) / decoded.array.size
    if sparse and share > 0.5:
        raise CodecError(f"{share:.0%} of the target mask is white: is it inverted?")
    return decoded


def _brightest(image: ImageFile, deep: np.ndarray | None) -> Decoded:
    """The values, or the largest of red, green and blue."""
    pixels = _pixels(image) if deep is None else deep
    if pixels.ndim == 2:
        return Decoded(pixels)
    coloured = (pixels != pixels[..., :1]).any()
    note = "colours, the largest of red, green and blue counts"
    return Decoded(pixels.max(axis=2), (note,) if coloured else ())


def _on(values: Decoded, threshold: int) -> Decoded:
    peak = values.array.max()
    if not (values.array >= 0).all():
        raise CodecError("a mask must have values from 0 on, some are negative or not numbers")
    decided = _by_number if peak <= threshold else _by_level
    decoded = decided(values.array, threshold)
    return Decoded(decoded.array, (*values.notes, *decoded.notes))


def _by_number(values: np.ndarray, threshold: int) -> Decoded:
    """Masks in which nothing is above the threshold: what is not 0 is on."""
    peak, on = values.max(), values != 0
    if peak == 0:
        return Decoded(on)
    if peak == 1 and (values[on] == 1).all():
        return Decoded(on, ("values {0, 1} read as {0, 255}",))
    if (values % 1 != 0).any():
        if peak > 1:
            raise CodecError(f"fractions up to {peak:g} are neither mask nor probabilities")
        return Decoded(values > 0.5, (f"fractions up to {peak:g}, on is what is above 0.5",))
    n_on = np.count_nonzero(on)
    return Decoded(on, (f"largest value {peak:g}, so all but 0 is on: {n_on} pixels",))


def _by_level(values: np.ndarray, threshold: int) -> Decoded:
    """Masks of gray levels: what is above the threshold is on."""
    mask = values > threshold
    soft = (values != 0) & (values != values.max())
    if not soft.any():
        return Decoded(mask)
    n_soft, n_kept = np.count_nonzero(soft), np.count_nonzero(soft & mask)
    return Decoded(mask, (f"{n_soft} soft values, {n_kept} of them above {threshold}",))

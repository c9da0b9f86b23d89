"""Images by Pillow: PNG, BMP, JPEG, WebP, PNM, and TIFF of JPEG or fax data.

Pillow raises where OpenCV returns half an image. What it does not tell is asked of the file:
whether a JPEG (`jpeg` beside this) or a PNG (`png`) holds all of its image.
"""

from __future__ import annotations

import re
import struct
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from densesirst_gen.files.images.arrays import PNM_HEAD
from densesirst_gen.files.images.jpeg import described, is_flir, is_whole
from densesirst_gen.files.images.numbers import plain
from densesirst_gen.files.images.png import has_all_rows, is_interlaced, may_have_all_rows
from densesirst_gen.files.images.raster import CodecError, Raster, check_size
from densesirst_gen.files.images.tiff import tiff_notes
from densesirst_gen.files.images.tiff_jpeg import ORIENTATION, has_whole_jpegs, unrotated

PILLOW = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
PLAIN_MODES = {  # of Pillow, and the mode without bit packing, alpha or palette
    **dict.fromkeys(("1", "L", "LA"), "L"),
    **dict.fromkeys(("P", "PA", "RGB", "RGBA"), "RGB"),
    **{mode: mode for mode in ("I", "I;16", "I;16B", "I;16L", "F")},
}
FLIR = "FLIR radiometric JPEG: its picture is read, its raw frame is not"
OF_565 = 8
"""Steps of 8 bits within which red, green and blue of 5, 6 and 5 bits can be told to differ."""


def read_by_pillow(data: bytes, kind: str, max_pixels: int) -> Raster:
    """Decode an image that Pillow knows.

    Parameters
    ----------
    data : bytes
    kind : str
        Of `PILLOW`.
    max_pixels : int

    Raises
    ------
    CodecError, OSError, SyntaxError, ValueError
        If it is cut, broken, too large, or of an unsupported mode.
    """
    image = identify(data, kind)
    check_size(image.width, image.height, max_pixels)
    if image.format == "PNG":
        identify(data, kind).verify()  # the checksums, which decoding passes over
    _check_rows(image, data)
    deep = _deep_colours(image, data)
    notes = _notes(image, data)
    _check_whole(image, data)
    indices = np.asarray(image) if image.mode == "P" else None
    pixels = _pixels(image, _is_565(image)) if deep is None else deep
    return Raster(pixels, tuple(notes), indices)


def identify(data: bytes, kind: str) -> ImageFile:
    """The image, upright or not, as it lies in the file; nothing is decoded."""
    try:
        return Image.open(BytesIO(unrotated(data)), formats=(kind,))
    except UnidentifiedImageError:
        what = described(data) if kind == "JPEG" else ""
        raise CodecError(
            f"{what}: not supported" if what else f"cannot identify the {kind}: its head is broken"
        ) from None
    except OSError as error:
        raise CodecError(f"{kind}, {error}: not supported") from error


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
    elif image.format == "WEBP":
        whole = len(data) >= 8 + struct.unpack_from("<I", data, 4)[0]
    else:
        whole = image.format != "JPEG" or is_whole(data, image.tobytes())
    if not whole:
        raise CodecError("truncated: the data end before the image does")


def _deep_colours(image: ImageFile, data: bytes) -> np.ndarray | None:
    """(H, W, 3) uint16 of a PNG with 16-bit colours, of which Pillow keeps 8 bits; else None."""
    if image.format != "PNG" or not re.search(r"RGBA?;16", repr(image.tile)):
        return None
    colours = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if colours is None or colours.dtype != np.uint16:
        raise CodecError("16-bit colours that OpenCV cannot decode")
    return colours[..., 2::-1]


def _is_565(image: ImageFile) -> bool:
    return image.format == "BMP" and "BGR;16" in repr(image.tile)


def _notes(image: ImageFile, data: bytes) -> list[str]:
    notes = [FLIR] if image.format == "JPEG" and is_flir(data) else []
    if image.format == "TIFF":
        notes += tiff_notes(data)
    elif (pages := getattr(image, "n_frames", 1)) > 1:
        notes.append(f"first of {pages} pages")
    if image.format != "TIFF" and (orientation := _orientation(image)) != 1:
        notes.append(f"orientation {orientation} not applied")
    if "A" in image.getbands() or "transparency" in image.info:
        notes.append("alpha ignored")
    head = PNM_HEAD.match(data) if image.format == "PPM" else None
    if head and int(head[4]) < 255:
        notes.append(f"white at {int(head[4])} read as 255")
    return notes


def is_untold(image: ImageFile) -> bool:
    """Whether there is nothing to note of its turn and its alpha, by its head."""
    return "transparency" not in image.info and _orientation(image) == 1


def _orientation(image: ImageFile) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except SyntaxError:  # broken EXIF does no harm to pixels
        return 1


def _pixels(image: ImageFile, is_565: bool) -> np.ndarray:
    """(H, W) values or (H, W, 3) colours, in the bit depth of the file."""
    if image.mode not in PLAIN_MODES:
        raise CodecError(
            f"{image.format}, mode {image.mode}, {len(image.getbands())} channels: not supported, "
            "only gray, RGB and palette"
        )
    image.info.pop("transparency", None)  # or Pillow warns
    array = np.array(image.convert(PLAIN_MODES[image.mode]))
    if is_565:
        return _gray_of_565(array)
    return plain(array).values if image.mode.startswith("I") else array


def _gray_of_565(colours: np.ndarray) -> np.ndarray:
    """Gray, where red and blue are equal and green, a bit finer, is as near as it can be."""
    red, green, blue = (colours[..., k].astype(np.int16) for k in range(3))
    is_gray = (red == blue).all() and (np.abs(green - red) < OF_565).all()
    return np.ascontiguousarray(colours[..., 0]) if is_gray else colours

"""What is fuzzed of what others make: images, labels, lists, what annotation tools write.

For each reader valid files, the call, and the errors that it may raise.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import tifffile
from PIL import Image

from densesirst_gen.datasets import DatasetError, read_coco, read_split
from densesirst_gen.datasets.coco.written import coco_image, coco_text
from densesirst_gen.datasets.grammar.voc import read_voc, write_voc
from densesirst_gen.files.images.codec import CodecError, encode_png, png_text, read_mask, read_size
from densesirst_gen.files.images.codec import read_image as read_image_file
from densesirst_gen.files.images.frames import frames_in
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene, SceneError
from densesirst_gen.sky import tools

SHAPE = (20, 24)


@dataclass(frozen=True)
class Reader:
    """What is fuzzed.

    Parameters
    ----------
    seeds : callable
        Gives valid inputs, the same each time.
    read : callable
        Reads one input: (an empty folder, where the first call may leave things for the later ones,
        the input).
    allowed : tuple of exception types
        What `read` may raise at a bad input.
    is_text : bool
        Whether numbers and JSON are changed besides bytes.
    seal : callable
        Puts checksums right again, so that damage gets past them.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[Path, bytes], object]
    allowed: tuple[type[Exception], ...]
    is_text: bool = False
    seal: Callable[[bytes], bytes] | None = None


# ---------------------------------------------------------------- readers: one small function each

GRAY = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint8).reshape(SHAPE)
LABELS = np.zeros(SHAPE, np.int32)
LABELS[3:5, 4:8] = 1
LABELS[9, 9] = 2
SKY = np.arange(SHAPE[0])[:, None] < np.full(SHAPE[1], 8)


def written(folder: Path, name: str, data: bytes) -> Path:
    """A file with this content, whatever it held."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def picture(folder: Path) -> Path:
    """The folder, with the image that label files speak of."""
    if not (folder / "images/a.png").exists():
        written(folder, "images/a.png", encode_png(GRAY))
    return folder / "images"


def read_image(folder: Path, data: bytes) -> None:
    """An image file, in every way that it is read."""
    path, failure = written(folder, "a.png", data), None
    for read in (read_size, png_text, read_image_file, partial(read_mask, sparse=False)):
        try:
            read(path)
        except CodecError as error:
            failure = error
    if failure:
        raise failure


def read_split_file(folder: Path, data: bytes) -> None:
    """A split file, its names as they are and strictly."""
    path = written(folder, "s.txt", data)
    read_split(path, ["a", "b", "sub/c"], strict=False)
    read_split(path, ["a", "b", "sub/c"])


def read_stack(at: Path, data: bytes) -> object:
    """All frames, or the file as one image."""
    path = written(at, "a.tif", data)
    for frame in frames_in(path) or (path,):
        read_image_file(frame)
    return None


def read_coco_file(folder: Path, data: bytes) -> None:
    """A COCO file and the scenes that it tells of."""
    images = picture(folder)
    for scene in read_coco(written(folder, "annotations.json", data), images).scenes:
        scene.load()


def read_long_coco(at: Path, data: bytes) -> object:
    """As a file that is not held in memory."""
    with patch("densesirst_gen.datasets.coco.reader.LONG_BYTES", 0):
        return read_coco_file(at, data)


def read_sky_cvat(folder: Path, data: bytes) -> None:
    """Sky masks of CVAT."""
    list(tools.read_sky_cvat(written(folder, "sky.xml", data), picture(folder)))


def read_sky_labelme(folder: Path, data: bytes) -> None:
    """Sky masks of labelme."""
    list(tools.read_sky_labelme(written(folder, "images/a.json", data), picture(folder)))


def read_sky_coco(folder: Path, data: bytes) -> None:
    """Sky masks of a COCO file."""
    list(tools.read_sky_coco(written(folder, "sky.json", data), picture(folder)))


# ---------------------------------------------------------------- seeds


def saved(kind: str, *arrays: np.ndarray, **options: Any) -> bytes:
    """The first array as a file, the others as its further pages."""
    buffer = BytesIO()
    first, *rest = (Image.fromarray(array) for array in arrays)
    pages = {"save_all": True, "append_images": rest} if rest else {}
    first.save(buffer, kind, **pages, **options)
    return buffer.getvalue()


def orientation() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


COLOURS = np.dstack([GRAY, GRAY[::-1], GRAY[:, ::-1]])
DEEP = GRAY.astype(np.uint16) * 200
WARM = GRAY.astype(np.float32) / 7 + 273


def png_seeds() -> list[bytes]:
    plain = [GRAY, COLOURS, DEEP, GRAY > 99, np.dstack([COLOURS, GRAY])]
    exif = saved("PNG", GRAY, exif=orientation())
    return [*(saved("PNG", array) for array in plain), exif, palette("PNG")]


def palette(kind: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(GRAY).convert("P").save(buffer, kind)
    return buffer.getvalue()


def jpeg_seeds() -> list[bytes]:
    options: list[dict[str, Any]] = [{}, {"progressive": True}, {"restart_marker_rows": 1}]
    return [
        *(saved("JPEG", array, **option) for array in (GRAY, COLOURS) for option in options),
        saved("JPEG", GRAY, exif=orientation()),
    ]


def tiff_seeds() -> list[bytes]:
    packed = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    return [
        *(saved("TIFF", array) for array in (GRAY, COLOURS, DEEP, WARM, GRAY > 99)),
        *(saved("TIFF", GRAY, compression=compression) for compression in packed),
        saved("TIFF", GRAY, DEEP),
        saved("TIFF", GRAY, exif=orientation()),
        saved("TIFF", GRAY, big_tiff=True),
    ]


def stack_seeds() -> list[bytes]:
    """Pages alike: plain, packed, of BigTIFF, and what ImageJ writes behind one page."""
    deep = np.stack([DEEP, DEEP + 1, DEEP + 2])
    options: list[dict[str, Any]] = [
        {"photometric": "minisblack"},
        {"photometric": "minisblack", "compression": "deflate"},
        {"photometric": "minisblack", "bigtiff": True, "byteorder": ">"},
        {"imagej": True, "metadata": {"axes": "TYX"}},
    ]
    return [stack(deep, **option) for option in options]


def stack(frames: np.ndarray, **options: Any) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, frames, **options)
    return buffer.getvalue()


def bmp_seeds() -> list[bytes]:
    return [*(saved("BMP", array) for array in (GRAY, COLOURS, GRAY > 99)), palette("BMP")]


def voc_seeds() -> list[bytes]:
    boxes = annotate(LABELS).boxes
    return [write_voc("a", SHAPE, boxes), write_voc("a", SHAPE, boxes[:0], dialect="devkit")]


def coco_seeds() -> list[bytes]:
    scene = Scene("a", GRAY, LABELS)
    image, targets = coco_image(scene, annotate(LABELS), 0, "a.png")
    runs = [{"image": image, "annotations": targets}]
    triangle = targets[0] | {"segmentation": [[1.0, 1.0, 9.0, 2.0, 5.0, 8.0]]}
    counts = targets[0] | {"segmentation": {"size": list(SHAPE), "counts": [30, 5, 445]}}
    drawn = [{"image": image, "annotations": [triangle, counts | {"iscrowd": 1}]}]
    return [b"".join(coco_text(lambda e=e: e, {})) for e in (runs, drawn)]


def split_seeds() -> list[bytes]:
    return [b"a\nb\n", b"\xef\xbb\xbfa.png\r\n\r\nsub/c.png\r\n", b" a \n"]


def sky_seeds(tool: str) -> Callable[[], list[bytes]]:
    """What a tool is given, and what a person draws there."""

    def made() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            out, masks = Path(folder, "out"), [tools.SkyMask("a.png", SKY)]
            if tool == "labelme":
                tools.write_sky_labelme(masks, out, out)
                out = out / "a.json"
            else:
                write = {"cvat": tools.write_sky_cvat, "coco": tools.write_sky_coco}[tool]
                write(masks, out)
            return [out.read_bytes(), *DRAWN.get(tool, [])]

    return made


DRAWN = {
    "cvat": [
        b'<annotations><image id="0" name="a.png" width="24" height="20">'
        b'<polygon label="sky" points="0,0;24,0;24,5.5;0,9"/>'
        b'<box label="not-sky" xtl="3" ytl="2" xbr="5.5" ybr="8" rotation="0.0"/>'
        b"</image></annotations>"
    ],
    "labelme": [
        b'{"imagePath": "a.png", "imageHeight": 20, "imageWidth": 24, "shapes": ['
        b'{"label": "sky", "shape_type": "polygon", "points": [[0, 0], [24, 0], [24, 5.5]]},'
        b'{"label": "not-sky", "shape_type": "rectangle", "points": [[1, 1], [4, 4.5]]}]}'
    ],
}


def sealed_png(data: bytes) -> bytes:
    """The PNG with the checksums that its chunks should have."""
    sealed, at = bytearray(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if end + 4 > len(data):
            break
        struct.pack_into(">I", sealed, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(sealed)


BAD_DATA = (DatasetError,)
BAD_SCENE = (DatasetError, CodecError, SceneError)

INPUTS: dict[str, Reader] = {
    "png": Reader(png_seeds, read_image, (CodecError,), seal=sealed_png),
    "jpeg": Reader(jpeg_seeds, read_image, (CodecError,)),
    "tiff": Reader(tiff_seeds, read_image, (CodecError,)),
    "stack": Reader(stack_seeds, read_stack, (CodecError,)),
    "bmp": Reader(bmp_seeds, read_image, (CodecError,)),
    "voc": Reader(
        voc_seeds, lambda at, data: read_voc(written(at, "a.xml", data)), BAD_DATA, is_text=True
    ),
    "coco": Reader(coco_seeds, read_coco_file, BAD_SCENE, is_text=True),
    "coco-long": Reader(coco_seeds, read_long_coco, BAD_SCENE, is_text=True),
    "split": Reader(split_seeds, read_split_file, BAD_DATA, is_text=True),
    "sky-cvat": Reader(sky_seeds("cvat"), read_sky_cvat, BAD_DATA, is_text=True),
    "sky-labelme": Reader(sky_seeds("labelme"), read_sky_labelme, BAD_DATA, is_text=True),
    "sky-coco": Reader(sky_seeds("coco"), read_sky_coco, BAD_DATA, is_text=True),
}

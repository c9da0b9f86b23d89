"""labelme: a JSON file for each image, the sky as a shape of type ``mask``, a PNG in its box."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from glob import escape
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from densesirst_gen.datasets.coco.reader import read_json
from densesirst_gen.datasets.paths import DatasetError, path_to_write
from densesirst_gen.files.atomic import write_atomically
from densesirst_gen.files.images.codec import FORMATS, encode_png, read_size
from densesirst_gen.sky.tools.masks import (
    SkyMask,
    checked_size,
    each_once,
    labelled_region,
    merge_regions,
    place_patch,
    polygon_region,
    rectangle_region,
    refuse_existing,
    sky_box,
)
from densesirst_gen.sky.tools.reading import ToolReading

VERSION = "5.3.0"  # the first labelme with shapes of type mask

Record = dict[str, Any]


def write_sky_labelme(
    masks: Iterable[SkyMask],
    out: str | PathLike[str],
    images: str | PathLike[str],
    *,
    overwrite: bool = False,
) -> None:
    """Write sky masks for labelme 5.3 and later: ``labelme IMAGES --output OUT``.

    One file ``NAME.json`` for each image, with one shape for all its sky, holes and all; an image
    without sky is ``not-sky`` all over. Nothing is lost.

    Parameters
    ----------
    masks : iterable of SkyMask
    out : path
        Folder of the files; that of the images will do.
    images : path
        Folder that `SkyMask.image` is relative to: labelme finds an image from its own file.
    overwrite : bool
        Whether files may be replaced.

    Raises
    ------
    RefusedError
        At a file that exists; those before it are written.
    DatasetError
        If two masks are for the same image, or a path leaves `out`.
    """
    for mask in each_once(masks):
        path = path_to_write(Path(out), f"{mask.name}.json")
        refuse_existing(path, overwrite)
        image = os.path.relpath(Path(images).resolve() / mask.image, path.parent.resolve())
        text = json.dumps(_document(mask, Path(image).as_posix()), ensure_ascii=False, indent=2)
        write_atomically(path, f"{text}\n".encode())


def _document(mask: SkyMask, image: str) -> Record:
    height, width = mask.size
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [_shape(*labelled_region(mask))],
        "imagePath": image,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _shape(label: str, sky: np.ndarray) -> Record:
    """The points are the first and the last pixel of the box."""
    left, top, width, height = sky_box(sky)
    patch = sky[top : top + height, left : left + width]
    return {
        "label": label,
        "points": [[left, top], [left + width - 1, top + height - 1]],
        "group_id": None,
        "description": "",
        "shape_type": "mask",
        "flags": {},
        "mask": b64encode(encode_png(patch.astype(np.uint8))).decode(),
    }


def read_sky_labelme(
    path: str | PathLike[str], images: str | PathLike[str], reading: ToolReading | None = None
) -> Iterator[SkyMask]:
    """Read sky masks from the files of labelme, as written here or drawn by people.

    Masks, polygons and rectangles labelled ``sky`` are united, those labelled ``not-sky`` taken
    away; a file without such shapes says of no sky, and is not `SkyMask.annotated`. A pixel belongs
    to a polygon if its centre lies in it. Corners at width - 1 and height - 1 are brought to the
    edge of the image where labelme was not able to draw there (up to 5.x).

    Parameters
    ----------
    path : path
        A JSON file, or a folder: all JSON files below it are read.
    images : path
        Folder that `SkyMask.image` shall be relative to.
    reading : ToolReading, optional

    Yields
    ------
    SkyMask
        In the order of the paths.

    Raises
    ------
    DatasetError
        Before the first mask if there is no file, one is not of labelme, all have other labels
        only, or one names an image that is not there or that another one names; at a mask if a
        shape is malformed or of a kind that has no area.
    """
    path, images, reading = Path(path), Path(images), reading or ToolReading()
    paths = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not paths:
        raise DatasetError(f"{path}: no JSON files of labelme")
    names, labels = [], []
    for file in paths:
        document = _load(file)
        names.append(_image_name(file, document, images, reading))
        labels += [(file.name, str(shape.get("label"))) for shape in document["shapes"]]
    places = reading.places(path, names, images)
    reading.check_labels(paths[0] if len(paths) == 1 else path, labels)
    found = zip(paths, places, strict=True)
    return (_read_file(file, place, images, reading) for file, place in found)


def _load(path: Path) -> Record:
    document = read_json(path)
    keys = {"shapes", "imagePath"}
    if not isinstance(document, dict) or not keys <= document.keys():
        raise DatasetError(f"{path}: not a file of labelme, which has {', '.join(sorted(keys))}")
    shapes = document["shapes"]
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise DatasetError(f"{path}: shapes must be a list of records")
    return document


def _image_name(path: Path, document: Record, images: Path, reading: ToolReading) -> str:
    """The path of its image relative to `images`, POSIX; by its end or its file's name if stale."""
    image = str(document["imagePath"]).replace("\\", "/")
    if "\0" in image:
        raise DatasetError(f"{path}: its image {image!r} is not in {images}")
    place = Path(os.path.normpath(path.parent.resolve() / image))
    if not place.is_relative_to(images.resolve()):
        if found := reading.stale(image, path.stem, images):
            return found
        raise DatasetError(f"{path}: its image {image!r} is not in {images}")
    named = place.relative_to(images.resolve())
    if not place.is_file() and (found := reading.stale(image, path.stem, images)):
        return found
    own = [p for p in images.glob(f"**/{escape(path.stem)}.*") if p.suffix.lower() in FORMATS]
    if named.stem != path.stem and own:
        raise DatasetError(
            f"{path}: its imagePath is {image!r}, but {path.stem} is an image, too: is it a copy?"
        )
    return named.as_posix()


def _read_file(path: Path, image: str, images: Path, reading: ToolReading) -> SkyMask:
    document = _load(path)
    try:
        size = _size(document, images / image)
        clamped = size if _clamps(document) else None
        shapes = [(reading.role(str(s["label"])), s) for s in document["shapes"]]
        regions = [(role, _region(s, size, clamped)) for role, s in shapes if role]
        return SkyMask(image, merge_regions(regions, size), annotated=bool(regions))
    except KeyError as error:
        raise DatasetError(f"{path}: a shape without {error}") from error
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{path}: {error}") from error


def _size(document: Record, image: Path) -> tuple[int, int]:
    """As the file says; labelme before 4 does not, then the image's own."""
    if document.get("imageHeight") is None or document.get("imageWidth") is None:
        return read_size(image)
    return checked_size(document["imageHeight"], document["imageWidth"])


def _clamps(document: Record) -> bool:
    """Whether the labelme that wrote it can't draw beyond width - 1 and height - 1: up to 5.x."""
    major = str(document.get("version") or "0").split(".")[0]
    return major.isdecimal() and int(major) < 6


def _reaching(points: Any, size: tuple[int, int] | None) -> list[tuple[float, float]]:
    """Corners; those clamped at the last pixel are brought to the edge of the image."""
    corners = [(float(x), float(y)) for x, y in points]
    if size is None:
        return corners
    height, width = size
    return [(width if x == width - 1 else x, height if y == height - 1 else y) for x, y in corners]


def _region(shape: Record, size: tuple[int, int], clamped: tuple[int, int] | None) -> np.ndarray:
    kind = shape.get("shape_type") or "polygon"
    if kind == "mask":
        return _mask_region(shape, size)
    if kind == "polygon":
        return polygon_region(_reaching(shape["points"], clamped), size)
    if kind == "rectangle":
        corners = _reaching(shape["points"], clamped)
        if len(corners) != 2:  # other programs write all four, turned or not
            return polygon_region(corners, size)
        return rectangle_region((*corners[0], *corners[1]), size)
    raise ValueError(f"shape_type {kind!r} cannot be read: draw a mask, a polygon or a rectangle")


def _mask_region(shape: Record, size: tuple[int, int]) -> np.ndarray:
    first, last = np.array(shape["points"], np.float64).reshape(2, 2).round().astype(np.int64)
    patch = _decoded(shape["mask"], size)
    height, width = patch.shape
    said = (last - first + 1).tolist()
    if max(abs(said[0] - width), abs(said[1] - height)) > 1:  # of halves, one is rounded up
        raise ValueError(f"a mask of {width} x {height} pixels, its points say {said}")
    return place_patch(patch, int(first[0]), int(first[1]), size)


def _decoded(text: str, size: tuple[int, int]) -> np.ndarray:
    """A mask, (H, W) bool, from a PNG in base64 that is not larger than the image."""
    try:
        png = Image.open(BytesIO(b64decode(text)), formats=("PNG",))
        if png.height > size[0] or png.width > size[1]:
            raise ValueError(f"{png.width} x {png.height} pixels, larger than its image")
        patch = np.asarray(png) != 0
    except Exception as error:  # on hostile bytes decoders raise anything
        raise ValueError(f"mask is not a PNG in base64: {error}") from error
    if patch.ndim != 2:
        raise ValueError("mask is a PNG in colours, not in gray")
    return patch

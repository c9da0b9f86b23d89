"""labelme: a JSON file for each image, the sky as a shape of type ``mask``, a PNG in its box."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from densesirst_gen.datasets.coco_reader import read_json
from densesirst_gen.datasets.paths import DatasetError, path_to_write
from densesirst_gen.files.atomic import write_atomically
from densesirst_gen.files.codec import encode_png
from densesirst_gen.sky.tools.masks import (
    SKY,
    SkyMask,
    check_images,
    check_labels,
    checked_size,
    each_once,
    merge_regions,
    place_patch,
    polygon_region,
    rectangle_region,
    refuse_existing,
    sky_box,
)

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

    One file ``NAME.json`` for each image, with one shape for all its sky, holes and all; none for
    an image without sky. Nothing is lost.

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
        "shapes": [_shape(mask.sky)] if mask.sky.any() else [],
        "imagePath": image,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _shape(sky: np.ndarray) -> Record:
    """The points are the first and the last pixel of the box."""
    left, top, width, height = sky_box(sky)
    patch = sky[top : top + height, left : left + width]
    return {
        "label": SKY,
        "points": [[left, top], [left + width - 1, top + height - 1]],
        "group_id": None,
        "description": "",
        "shape_type": "mask",
        "flags": {},
        "mask": b64encode(encode_png(patch.astype(np.uint8))).decode(),
    }


def read_sky_labelme(path: str | PathLike[str], images: str | PathLike[str]) -> Iterator[SkyMask]:
    """Read sky masks from the files of labelme, as written here or drawn by people.

    Masks, polygons and rectangles labelled ``sky`` are united, those labelled ``not-sky`` taken
    away; a file without shapes says that there is no sky. A pixel belongs to a polygon if its
    centre lies in it.

    Parameters
    ----------
    path : path
        A JSON file, or a folder: all JSON files below it are read.
    images : path
        Folder that `SkyMask.image` shall be relative to.

    Yields
    ------
    SkyMask
        In the order of the paths.

    Raises
    ------
    DatasetError
        Before the first mask if there is no file, one is not of labelme, has other labels, or names
        an image that is not there or that another one names; at a mask if a shape is malformed or
        of a kind that has no area.
    """
    path, images = Path(path), Path(images)
    paths = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not paths:
        raise DatasetError(f"{path}: no JSON files of labelme")
    names = [_image_name(file, _load(file), images) for file in paths]
    check_images(path, names, images)
    return (_read_file(file, name) for file, name in zip(paths, names, strict=True))


def _load(path: Path) -> Record:
    document = read_json(path)
    keys = {"shapes", "imagePath", "imageHeight", "imageWidth"}
    if not isinstance(document, dict) or not keys <= document.keys():
        raise DatasetError(f"{path}: not a file of labelme, which has {', '.join(sorted(keys))}")
    shapes = document["shapes"]
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise DatasetError(f"{path}: shapes must be a list of records")
    check_labels(path, (str(shape.get("label")) for shape in shapes))
    return document


def _image_name(path: Path, document: Record, images: Path) -> str:
    """The path of its image relative to `images`, POSIX."""
    image = str(document["imagePath"]).replace("\\", "/")
    place = Path(os.path.normpath(path.parent.resolve() / image))
    if "\0" in image or not place.is_relative_to(images.resolve()):
        raise DatasetError(f"{path}: its image {image!r} is not in {images}")
    return place.relative_to(images.resolve()).as_posix()


def _read_file(path: Path, image: str) -> SkyMask:
    document = _load(path)
    try:
        size = checked_size(document["imageHeight"], document["imageWidth"])
        regions = ((s["label"], _region(s, size)) for s in document["shapes"])
        return SkyMask(image, merge_regions(regions, size))
    except KeyError as error:
        raise DatasetError(f"{path}: a shape without {error}") from error
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{path}: {error}") from error


def _region(shape: Record, size: tuple[int, int]) -> np.ndarray:
    kind = shape.get("shape_type") or "polygon"
    if kind == "mask":
        return _mask_region(shape, size)
    if kind == "polygon":
        return polygon_region(shape["points"], size)
    if kind == "rectangle":
        (x0, y0), (x1, y1) = shape["points"]
        return rectangle_region((x0, y0, x1, y1), size)
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

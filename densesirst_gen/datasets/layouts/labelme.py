"""Targets drawn in labelme: polygons and masks, boxes, points."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from densesirst_gen.datasets.coco.reader import read_json
from densesirst_gen.datasets.dataset import Dataset
from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.found.inventory import Inventory, counted
from densesirst_gen.datasets.grammar.tool_shapes import (
    BROKEN,
    OTHER_KIND,
    Size,
    nothing_read,
    placed,
    ring,
)
from densesirst_gen.datasets.layouts.shapes import (
    Labels,
    Shape,
    dataset_of,
    label_files,
    misnamed,
    rectangle,
    size_of,
)
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.files.images.codec import MAX_PIXELS

EXPECTS = "images, and a file of labelme beside each, or in another folder"


def matches(inventory: Inventory) -> bool:
    """Whether there are images and such files."""
    return bool(inventory.images) and bool(inventory.labels.get("labelme"))


def labelme_shapes(document: Mapping[str, Any], size: Size, where: str, found: Findings) -> Any:
    """The shapes of a file of labelme, (H, W) being known."""
    shapes = []
    records = document.get("shapes")
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise DatasetError(f"{where}: shapes must be a list of records")
    for record in records:
        try:
            shape = _labelme_shape(record, size)
        except Exception as error:  # on hostile bytes decoders raise anything
            found.add(BROKEN, f"{where}: {error}")
            continue
        if shape is None:
            found.add(OTHER_KIND, f"{record.get('shape_type')} in {where}")
        else:
            shapes.append(shape)
    return shapes


def _labelme_shape(record: Mapping[str, Any], size: Size) -> Shape | None:
    label, kind = str(record.get("label") or "target"), record.get("shape_type") or "polygon"
    points = [(float(x), float(y)) for x, y in record["points"]]
    flat = [value for point in points for value in point]
    if kind == "rectangle" and len(points) == 2:
        return Shape(label, rectangle(flat))
    if kind in ("polygon", "rectangle", "rotation") and len(points) >= 3:
        return Shape(label, segmentation=[flat])
    if kind == "circle" and len(points) == 2:
        radius = math.dist(*points)
        return Shape(label, segmentation=[ring(*points[0], radius, radius)])
    if kind == "point" and points:
        return Shape(label, point=points[0])
    if kind == "mask":
        png = Image.open(BytesIO(b64decode(record["mask"])), formats=("PNG",))
        if png.width * png.height > MAX_PIXELS:
            raise ValueError("a mask larger than any image")
        left, top = (round(value) for value in points[0])
        return Shape(label, segmentation=placed(np.asarray(png) != 0, left, top, size))
    return None


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The images with what their files of labelme say; images without one are not annotated."""
    images, files, note = label_files(inventory, "labelme")
    if not images:
        raise DatasetError(f"{inventory.root}: no images in the labelme layout")
    found = Findings()
    labels = Labels(images, {}, {}, [])
    shapes: dict[str, list[Shape]] = {}
    said: dict[str, str] = {}
    for name, path in sorted(files.items()):
        document = read_json(path)
        if not isinstance(document, dict):
            raise DatasetError(f"{path}: not a file of labelme")
        size = _labelme_size(document)
        if size:
            labels.sizes[name] = size
        said[name] = str(document.get("imagePath") or "")
        where = inventory.relative(path)
        shapes[name] = labelme_shapes(document, size_of(labels, name), where, found)
    if not any(shapes.values()) and (why := nothing_read(found)):
        raise DatasetError(f"{inventory.root}: no shape of labelme can be read: {why}")
    remarks = [f"labelme: {line}" for line in found.lines()] + [note] * bool(note)
    remarks.append(f"labelme: labels read, {counted(files.values(), inventory.root)}")
    remarks += misnamed(said, images)
    made = Labels(images, shapes, labels.sizes, remarks)
    return dataset_of(inventory, "labelme", made, given)


def _labelme_size(document: Mapping[str, Any]) -> Size | None:
    values = document.get("imageHeight"), document.get("imageWidth")
    height, width = (v if isinstance(v, int) and v > 0 else 0 for v in values)
    return (height, width) if 0 < height * width <= MAX_PIXELS else None

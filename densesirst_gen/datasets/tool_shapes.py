"""Targets as labelme and CVAT write them: polygons and masks, boxes, points."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from densesirst_gen.datasets.coco_reader import read_json
from densesirst_gen.datasets.dataset import Dataset
from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.inventory import Inventory, counted
from densesirst_gen.datasets.names import SceneNames
from densesirst_gen.datasets.pairing import pair
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.datasets.shapes import (
    Labels,
    Shape,
    dataset_of,
    label_files,
    rectangle,
    size_of,
)
from densesirst_gen.datasets.voc import parse_xml

MAX_BYTES = 1_000_000_000
MAX_PIXELS = 100_000_000
OTHER_KIND = "shapes are of a kind without area or place, left out"
BROKEN = "shapes are broken, left out"
NOT_DONE = "images have no shapes, not annotated yet, no statement that there is no target"
SIDES = 32
"""Corners of the polygon that a circle becomes."""

Size = tuple[int, int]


def placed(region: np.ndarray, left: int, top: int, size: Size) -> dict[str, Any]:
    """COCO's run lengths of a mask from its part at a corner; what sticks out is cut off."""
    mask = np.zeros(size, np.bool_)
    y0, x0 = max(top, 0), max(left, 0)
    part = region[y0 - top : size[0] - top, x0 - left : size[1] - left]
    mask[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(edges, prepend=0, append=flat.size).tolist()
    return {"size": list(size), "counts": counts}


def ring(x: float, y: float, rx: float, ry: float) -> list[float]:
    """The polygon of an ellipse."""
    angles = [2 * math.pi * k / SIDES for k in range(SIDES)]
    return [v for a in angles for v in (x + rx * math.cos(a), y + ry * math.sin(a))]


# ---- labelme


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


def read_labelme(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The images with what their files of labelme say; images without one are not annotated."""
    images, files, note = label_files(inventory, "labelme")
    if not images:
        raise DatasetError(f"{inventory.root}: no images in the labelme layout")
    found = Findings()
    labels = Labels(images, {}, {}, [])
    shapes: dict[str, list[Shape]] = {}
    for name, path in sorted(files.items()):
        document = read_json(path)
        if not isinstance(document, dict):
            raise DatasetError(f"{path}: not a file of labelme")
        size = _labelme_size(document)
        if size:
            labels.sizes[name] = size
        where = inventory.relative(path)
        shapes[name] = labelme_shapes(document, size_of(labels, name), where, found)
    remarks = [f"labelme: {line}" for line in found.lines()] + [note] * bool(note)
    remarks.append(f"labelme: labels read, {counted(files.values(), inventory.root)}")
    made = Labels(images, shapes, labels.sizes, remarks)
    return dataset_of(inventory, "labelme", made, given)


def _labelme_size(document: Mapping[str, Any]) -> Size | None:
    values = document.get("imageHeight"), document.get("imageWidth")
    height, width = (v if isinstance(v, int) and v > 0 else 0 for v in values)
    return (height, width) if 0 < height * width <= MAX_PIXELS else None


# ---- CVAT


def read_cvat(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The images with what the files "CVAT for images" say; those without shapes are not done."""
    root, files = inventory.root, inventory.labels.get("CVAT", [])
    images = pair(Inventory(root, tuple(inventory.images))).images
    if not images:
        raise DatasetError(f"{root}: no images in the cvat layout")
    names, found = SceneNames(images), Findings()
    labels = Labels(images, {}, {}, [])
    shapes: dict[str, list[Shape]] = {}
    lost: list[str] = []
    for file in sorted(files):
        for entry in _cvat_images(file):
            name = names.find(entry.get("name", ""))
            if name is None:
                lost.append(entry.get("name", ""))
            elif len(entry):
                labels.sizes[name] = _cvat_size(file, entry)
                shapes.setdefault(name, []).extend(cvat_shapes(entry, labels.sizes[name], found))
            else:
                found.add(NOT_DONE, name)
    if not shapes:
        raise DatasetError(f"{files[0] if files else root}: no image of the dataset has shapes")
    remarks = [f"cvat: {line}" for line in found.lines()]
    if lost:
        remarks.append(f"cvat: {len(lost)} images are not there or in doubt: {examples(lost)}")
    remarks.append(f"cvat: labels read, {counted(files, root)}")
    made = Labels(images, shapes, labels.sizes, remarks)
    return dataset_of(inventory, "cvat", made, given)


def _cvat_images(file: Path) -> list[Any]:
    tree = parse_xml(file, MAX_BYTES)
    if tree.find("track") is not None:
        raise DatasetError(f'{file}: a "CVAT for video"; export it as "CVAT for images 1.1"')
    return list(tree.findall("image"))


def _cvat_size(file: Path, entry: Any) -> Size:
    try:
        height, width = int(entry.attrib["height"]), int(entry.attrib["width"])
    except (KeyError, ValueError) as error:
        raise DatasetError(f"{file}: image {entry.get('name')} has no size ({error})") from error
    if not 0 < height * width <= MAX_PIXELS:
        raise DatasetError(f"{file}: image {entry.get('name')} is {width} x {height}")
    return height, width


def cvat_shapes(entry: Any, size: Size, found: Findings) -> list[Shape]:
    """The shapes of an image in a file of CVAT."""
    shapes: list[Shape] = []
    for element in entry:
        where = f"{element.tag} in {entry.get('name')}"
        try:
            made = _cvat_shape(element, size)
        except (KeyError, ValueError) as error:
            found.add(BROKEN, f"{where}: {error}")
            continue
        if made:
            shapes.extend(made)
        else:
            found.add(OTHER_KIND, where)
    return shapes


def _cvat_shape(element: Any, size: Size) -> Sequence[Shape]:
    label = element.get("label") or "target"
    if element.tag == "box" and not float(element.get("rotation", 0)):
        corners = [float(element.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
        return [Shape(label, rectangle(corners))]
    if element.tag in ("polygon", "points"):
        pairs = [pair.split(",") for pair in element.attrib["points"].split(";")]
        points = [(float(x), float(y)) for x, y in pairs]
        if element.tag == "points":
            return [Shape(label, point=point) for point in points]
        return [Shape(label, segmentation=[[v for point in points for v in point]])]
    if element.tag == "ellipse" and not float(element.get("rotation", 0)):
        values = [float(element.attrib[key]) for key in ("cx", "cy", "rx", "ry")]
        return [Shape(label, segmentation=[ring(*values)])]
    if element.tag == "mask":
        return [Shape(label, segmentation=_cvat_mask(element, size))]
    return []


def _cvat_mask(element: Any, size: Size) -> dict[str, Any]:
    left, top, width, height = (int(element.attrib[k]) for k in ("left", "top", "width", "height"))
    runs = [int(run) for run in element.attrib["rle"].split(",")]
    if min(width, height) < 1 or width * height > MAX_PIXELS or sum(runs) != width * height:
        raise ValueError(f"runs of {sum(runs)} pixels, its box is {width} x {height}")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return placed(values.reshape(height, width), left, top, size)

"""Targets drawn in CVAT, "CVAT for images": polygons and masks, boxes, points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.datasets.dataset import Dataset
from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.found.inventory import Inventory, counted
from densesirst_gen.datasets.found.pairing import pair
from densesirst_gen.datasets.grammar.tool_shapes import (
    BROKEN,
    OTHER_KIND,
    Size,
    nothing_read,
    placed,
    ring,
    turned,
)
from densesirst_gen.datasets.grammar.voc import parse_xml
from densesirst_gen.datasets.layouts.shapes import (
    Labels,
    Shape,
    dataset_of,
    rectangle,
)
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.files.images.codec import MAX_PIXELS

EXPECTS = 'images, and an export "CVAT for images 1.1"'
MAX_BYTES = 1_000_000_000
NOT_DONE = "images have no shapes, not annotated yet, no statement that there is no target"


def matches(inventory: Inventory) -> bool:
    """Whether there are images and such files."""
    return bool(inventory.images) and bool(inventory.labels.get("CVAT"))


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
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
    if not any(shapes.values()) and (why := nothing_read(found)):
        raise DatasetError(f"{files[0]}: no shape can be read: {why}")
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
    angle = float(element.get("rotation", 0))
    if element.tag == "box":
        x0, y0, x1, y1 = (float(element.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        if angle:
            return [Shape(label, segmentation=[turned((x0, y0, x1, y0, x1, y1, x0, y1), angle)])]
        return [Shape(label, rectangle((x0, y0, x1, y1)))]
    if element.tag in ("polygon", "points"):
        pairs = [pair.split(",") for pair in element.attrib["points"].split(";")]
        points = [(float(x), float(y)) for x, y in pairs]
        if element.tag == "points":
            return [Shape(label, point=point) for point in points]
        return [Shape(label, segmentation=[[v for point in points for v in point]])]
    if element.tag == "ellipse":
        values = [float(element.attrib[key]) for key in ("cx", "cy", "rx", "ry")]
        outline = ring(*values)
        return [Shape(label, segmentation=[turned(outline, angle) if angle else outline])]
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

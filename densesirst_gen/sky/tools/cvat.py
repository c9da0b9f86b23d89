"""CVAT for images 1.1: one XML file, the sky of an image as the runs of a ``<mask>``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from densesirst_gen.datasets.grammar.segmentation import segment_labels
from densesirst_gen.datasets.grammar.voc import parse_xml
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.files.atomic import write_atomically
from densesirst_gen.sky.tools.masks import (
    NOT_SKY,
    SKY,
    SkyMask,
    checked_size,
    each_once,
    labelled_region,
    place_patch,
    polygon_region,
    rectangle_region,
    refuse_existing,
    sky_box,
    stacked_regions,
)
from densesirst_gen.sky.tools.reading import ToolReading

MAX_BYTES = 1_000_000_000
BOX_CORNERS = ("xtl", "ytl", "xbr", "ybr")
MASK_BOX = ("left", "top", "width", "height")


def write_sky_cvat(
    masks: Iterable[SkyMask], out: str | PathLike[str], *, overwrite: bool = False
) -> None:
    """Write sky masks for "Upload annotations, CVAT 1.1" of a task with the same images.

    Every image is listed; one without sky is ``not-sky`` all over. Runs go along the rows of the
    box around the sky, the first is not sky. Nothing is lost.

    Parameters
    ----------
    masks : iterable of SkyMask
    out : path
        The XML file. It appears when it is complete.
    overwrite : bool
        Whether it may replace a file.

    Raises
    ------
    RefusedError
        If the file exists.
    DatasetError
        If two masks are for the same image.
    """
    out = Path(out)
    refuse_existing(out, overwrite)
    lines = [tostring(_image(i, mask)) for i, mask in enumerate(each_once(masks))]
    head = b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    parts = [tostring(_meta(len(lines))), *lines, b"</annotations>\n"]
    write_atomically(out, head + b"\n".join(parts))


def _meta(n_images: int) -> Element:
    meta = Element("meta")
    task = SubElement(meta, "task")
    for key, text in (("name", "sky"), ("size", str(n_images)), ("mode", "annotation")):
        SubElement(task, key).text = text
    labels = SubElement(task, "labels")
    for label in (SKY, NOT_SKY):
        SubElement(SubElement(labels, "label"), "name").text = label
    return meta


def _image(number: int, mask: SkyMask) -> Element:
    height, width = mask.size
    entry = {"id": number, "name": mask.image, "width": width, "height": height}
    image = Element("image", {key: str(value) for key, value in entry.items()})
    label, region = labelled_region(mask)
    left, top, width, height = sky_box(region)
    runs = _row_runs(region[top : top + height, left : left + width])
    box = dict(zip(MASK_BOX, map(str, (left, top, width, height)), strict=True))
    rle = ", ".join(map(str, runs))
    shape = {"label": label, "source": "manual", "occluded": "0", "rle": rle, **box}
    SubElement(image, "mask", shape | {"z_order": "0"})
    return image


def _row_runs(patch: np.ndarray) -> list[int]:
    """Lengths of the runs along the rows, of False and True in turn."""
    flat = patch.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    runs: list[int] = np.diff(edges, prepend=0, append=flat.size).tolist()
    return runs


def read_sky_cvat(
    path: str | PathLike[str], images: str | PathLike[str], reading: ToolReading | None = None
) -> Iterator[SkyMask]:
    """Read sky masks from "CVAT for images 1.1", as written here or drawn by people.

    Masks, polygons and boxes labelled ``sky`` are united, those labelled ``not-sky`` taken away,
    unless they lie below (``z_order``); an image without such shapes has no sky, and is not
    `SkyMask.annotated`. A pixel belongs to a polygon if its centre lies in it.

    Parameters
    ----------
    path : path
        The XML file, at most 1 GB.
    images : path
        Folder that the names of the images are relative to.
    reading : ToolReading, optional

    Yields
    ------
    SkyMask
        In the order of the file.

    Raises
    ------
    DatasetError
        Before the first mask if the file is not such XML, has other labels only, or names images
        twice or that are not there; at a mask if a shape is malformed or of a kind that has no
        area.
    """
    path, reading = Path(path), reading or ToolReading()
    root = parse_xml(path, MAX_BYTES)
    if root.tag != "annotations" or root.find("track") is not None:
        raise DatasetError(f'{path}: not an export "CVAT for images 1.1"')
    entries = root.findall("image")
    names = [entry.get("name", "") for entry in entries]
    labels = (
        (entry.get("name", ""), shape.get("label", "")) for entry in entries for shape in entry
    )
    places = reading.places(path, names, Path(images))
    reading.check_labels(path, labels)
    found = zip(entries, places, strict=True)
    return (_read_image(path, entry, place, reading) for entry, place in found)


def _read_image(path: Path, entry: Any, place: str, reading: ToolReading) -> SkyMask:
    try:
        size = checked_size(int(entry.attrib["height"]), int(entry.attrib["width"]))
        shapes = [(reading.role(shape.attrib["label"]), shape) for shape in entry]
        regions = [
            (float(shape.get("z_order", 0)), role, _region(shape, size))
            for role, shape in shapes
            if role
        ]
        return SkyMask(place, stacked_regions(regions, size), annotated=bool(regions))
    except KeyError as error:
        raise DatasetError(f"{path}: image {entry.get('name')}: no attribute {error}") from error
    except ValueError as error:
        raise DatasetError(f"{path}: image {entry.get('name')}: {error}") from error


def _region(shape: Any, size: tuple[int, int]) -> np.ndarray:
    if float(shape.get("rotation", 0)):
        raise ValueError(f"a turned {shape.tag} cannot be read, draw a polygon")
    if shape.tag == "mask":
        return _mask_region(shape, size)
    if shape.tag == "polygon":
        pairs = shape.attrib["points"].split(";")
        return polygon_region([[float(x) for x in pair.split(",")] for pair in pairs], size)
    if shape.tag == "box":
        return rectangle_region([float(shape.attrib[corner]) for corner in BOX_CORNERS], size)
    raise ValueError(f"{shape.tag!r} has no area: draw a mask, a polygon or a box")


def _mask_region(shape: Any, size: tuple[int, int]) -> np.ndarray:
    """CVAT's runs along rows are COCO's runs down the columns of the transposed mask."""
    left, top, width, height = (int(shape.attrib[key]) for key in MASK_BOX)
    checked_size(height, width)
    runs = [int(run) for run in shape.attrib["rle"].split(",")]
    labels, _ = segment_labels([{"size": [width, height], "counts": runs}], (width, height))
    return place_patch(labels.T > 0, left, top, size)

"""COCO instance annotations: the records that are written. `coco_reader` reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from densesirst_gen.datasets.grammar.segmentation import box_segmentation
from densesirst_gen.scene.annotate import Annotations, masks_to_rle, points_on_masks
from densesirst_gen.scene.scene import Scene

CATEGORY_ID = 1
MAX_DIGITS = 16
"""Shorter numbers are exact in every program that reads JSON."""

Record = dict[str, Any]


def coco_image(
    scene: Scene, annotations: Annotations, image_id: int, file_name: str
) -> tuple[Record, list[Record]]:
    """The COCO records of one scene.

    Parameters
    ----------
    scene : Scene
    annotations : Annotations
        Of the labels of the scene.
    image_id : int
    file_name : str
        Relative POSIX path of the image.

    Returns
    -------
    image : dict
    annotations : list of dict
        One for each label, without ``id``, which the document gives them. ``bbox`` is float xywh,
        ``area`` counts the pixels of the mask, ``attributes.point`` lies on it.
    """
    height, width = scene.shape
    image = {"id": image_id, "file_name": file_name, "width": width, "height": height}
    corners = annotations.boxes.astype(np.float64)
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    points = points_on_masks(scene.labels, annotations)
    codes = masks_to_rle(scene.labels, annotations)
    rows = zip(boxes.tolist(), annotations.areas.tolist(), points.tolist(), codes, strict=True)
    return image, [
        {
            "image_id": image_id,
            "category_id": CATEGORY_ID,
            "bbox": box,
            "area": area,
            "iscrowd": 0,
            "segmentation": code,
            "attributes": {"point": point},
        }
        for box, area, point, code in rows
    ]


def coco_boxes(
    boxes: np.ndarray,
    ignored: Sequence[Sequence[float]],
    shape: tuple[int, int],
) -> list[Record]:
    """COCO records of targets of which only boxes are known, and of regions that are not judged.

    Parameters
    ----------
    boxes : ndarray, (N, 4)
        Half-open, xyxy, of targets: records without a segmentation.
    ignored : sequence of (x0, y0, x1, y1)
        Regions: ``iscrowd`` 1, with the filled box as their mask.
    shape : (int, int)
        (H, W) of the image.
    """
    targets = [_box_record(box, 0) for box in np.asarray(boxes, np.float64).tolist()]
    regions = []
    for box in ignored:
        x0, y0, x1, y1 = (round(value) for value in box)
        inside = (max(x0, 0), max(y0, 0), min(x1, shape[1]), min(y1, shape[0]))
        record = _box_record(box, 1)
        if inside[0] < inside[2] and inside[1] < inside[3]:
            record["segmentation"] = box_segmentation(inside, shape)
        regions.append(record)
    return targets + regions


def _box_record(box: Sequence[float], crowd: int) -> Record:
    x0, y0, x1, y1 = box
    bbox = [x0, y0, x1 - x0, y1 - y0]
    area = bbox[2] * bbox[3]
    return {"category_id": CATEGORY_ID, "bbox": bbox, "area": area, "iscrowd": crowd}


def coco_text(
    entries: Callable[[], Iterable[Mapping[str, Any]]],
    info: Mapping[str, Any],
    *,
    category: str | Sequence[str] = "Target",
    ids: Sequence[int] | None = None,
) -> Iterator[bytes]:
    """A COCO document in pieces, so that it never has to be in memory as a whole.

    Parameters
    ----------
    entries : callable
        Gives the records of all images, the same each time that it is called: ``image`` and
        ``annotations`` as from `coco_image`, whatever their ids.
    info : mapping
        What to say about the dataset.
    category : str or sequence of str
        Numbered from `CATEGORY_ID` on.
    ids : sequence of int, optional
        Of the images, in their order; by default as `image_ids` says.

    Yields
    ------
    bytes
        JSON; annotations are numbered from 1 in their order.
    """
    ids = image_ids(entry["image"]["file_name"] for entry in entries()) if ids is None else ids
    names = [category] if isinstance(category, str) else category
    categories = [
        {"id": number, "name": name, "supercategory": ""}
        for number, name in enumerate(names, CATEGORY_ID)
    ]
    head = json.dumps({"info": dict(info), "licenses": [], "categories": categories})
    yield head[:-1].encode()
    yield b', "images": ['
    numbered = zip(ids, entries(), strict=True)
    yield from _json_lines({**entry["image"], "id": i} for i, entry in numbered)
    yield b'], "annotations": ['
    yield from _json_lines(_numbered_annotations(zip(ids, entries(), strict=True)))
    yield b"]}\n"


def image_ids(file_names: Iterable[str]) -> list[int]:
    """Ids for images: the numbers that their names are, so that YOLO's ids are the same.

    Parameters
    ----------
    file_names : iterable of str

    Returns
    -------
    list of int
        From 1 on if one of the names, without folder and suffix, is no whole number of at most 15
        digits, or two are the same number.
    """
    stems = [PurePosixPath(name).stem for name in file_names]
    if all(stem.isascii() and stem.isdecimal() and len(stem) < MAX_DIGITS for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(stems) + 1))


def _numbered_annotations(
    entries: Iterable[tuple[int, Mapping[str, Any]]],
) -> Iterator[Record]:
    number = count(1)
    for image_id, entry in entries:
        for annotation in entry["annotations"]:
            yield {"id": next(number), **annotation, "image_id": image_id}


def _json_lines(records: Iterable[Record]) -> Iterator[bytes]:
    """Elements of a JSON array, one a line."""
    for i, record in enumerate(records):
        yield (",\n" if i else "\n").encode() + json.dumps(record, allow_nan=False).encode()

"""Sky masks as a COCO file: a category ``sky``, run-length codes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.datasets.coco.ids import by_id
from densesirst_gen.datasets.coco.reader import read_json
from densesirst_gen.datasets.coco.written import CATEGORY_ID, coco_text
from densesirst_gen.datasets.grammar.segmentation import segment_labels
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.files.atomic import atomic_file
from densesirst_gen.sky.tools.masks import (
    NOT_SKY,
    SKY,
    SkyMask,
    checked_size,
    each_once,
    labelled_region,
    merge_regions,
    refuse_existing,
    sky_box,
)
from densesirst_gen.sky.tools.reading import ToolReading

Record = dict[str, Any]


def write_sky_coco(
    masks: Iterable[SkyMask], out: str | PathLike[str], *, overwrite: bool = False
) -> None:
    """Write sky masks as a COCO file, one annotation for all the sky of an image.

    Every image is listed; one without sky is ``not-sky`` all over. Nothing is lost.

    Parameters
    ----------
    masks : iterable of SkyMask
    out : path
        The JSON file. It appears when it is complete.
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
    entries = [_entry(mask) for mask in each_once(masks)]
    with atomic_file(out) as file:
        file.writelines(
            coco_text(lambda: entries, {"description": "sky masks"}, category=(SKY, NOT_SKY))
        )


def _entry(mask: SkyMask) -> Record:
    height, width = mask.size
    image = {"id": 0, "file_name": mask.image, "width": width, "height": height}
    return {"image": image, "annotations": [_annotation(*labelled_region(mask))]}


def _annotation(label: str, sky: np.ndarray) -> Record:
    from pycocotools import mask as coco_mask

    code = coco_mask.encode(np.asfortranarray(sky, np.uint8))
    return {
        "category_id": CATEGORY_ID + (label == NOT_SKY),
        "bbox": [float(value) for value in sky_box(sky)],
        "area": int(np.count_nonzero(sky)),
        "iscrowd": 0,
        "segmentation": {"size": list(sky.shape), "counts": code["counts"].decode("ascii")},
    }


def read_sky_coco(
    path: str | PathLike[str], images: str | PathLike[str], reading: ToolReading | None = None
) -> Iterator[SkyMask]:
    """Read sky masks from a COCO file, as written here or drawn by people.

    Annotations of the category ``sky`` are united, those of ``not-sky`` taken away, whether
    ``iscrowd`` or not; an image without such annotations has no sky, and is not
    `SkyMask.annotated`. Polygons become pixels by the rule of pycocotools.

    Parameters
    ----------
    path : path
        The JSON file, at most 1 GB.
    images : path
        Folder that ``file_name`` is relative to.
    reading : ToolReading, optional

    Yields
    ------
    SkyMask
        In the order of the file.

    Raises
    ------
    DatasetError
        Before the first mask if the file is not COCO, has annotations of other categories only or
        of no image, or names images twice or that are not there; at a mask if a segmentation is
        malformed.
    """
    path, reading = Path(path), reading or ToolReading()
    document = read_json(path)
    try:
        records = by_id(document["images"], "image")
        shapes = _shapes(path, document, records, reading)
        names = [record["file_name"] for record in records.values()]
        places = dict(zip(records, reading.places(path, names, Path(images)), strict=True))
    except KeyError as error:
        raise DatasetError(f"{path}: not a COCO document, it lacks {error}") from error
    except (TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: not a COCO document ({error})") from error
    return (_read_image(path, record, places[key], shapes[key]) for key, record in records.items())


def _shapes(
    path: Path, document: Record, images: Record, reading: ToolReading
) -> dict[Any, list[tuple[str, Any]]]:
    """Role and segmentation of the annotations of each image that say something of the sky."""
    categories = {key: c["name"] for key, c in by_id(document["categories"], "category").items()}
    shapes = defaultdict(list)
    labels = []
    for key, annotation in by_id(document["annotations"], "annotation").items():
        image, category = annotation["image_id"], annotation["category_id"]
        if image not in images or category not in categories:
            raise DatasetError(f"{path}: annotation {key}: its image or category is not there")
        labels.append((str(images[image]["file_name"]), categories[category]))
        if not (role := reading.role(categories[category])):
            continue
        if not annotation.get("segmentation"):
            raise DatasetError(f"{path}: annotation {key}: a box without segmentation")
        shapes[image].append((role, annotation["segmentation"]))
    reading.check_labels(path, labels)
    return shapes


def _read_image(path: Path, record: Record, place: str, shapes: list[tuple[str, Any]]) -> SkyMask:
    try:
        size = checked_size(record["height"], record["width"])
        regions = ((label, _region(segmentation, size)) for label, segmentation in shapes)
        return SkyMask(place, merge_regions(regions, size), annotated=bool(shapes))
    except KeyError as error:
        raise DatasetError(f"{path}: image {record['file_name']}: no {error}") from error
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{path}: image {record['file_name']}: {error}") from error


def _region(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    return segment_labels([segmentation], size)[0] > 0

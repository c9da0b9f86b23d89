"""Boxes in a JSON file: a list of COCO results, or a COCO document whose annotations have scores.

The image of a result is its ``file_name``, if it has one; else that of its ``image_id`` in the
document's own ``images``; else what `image_ids` makes of the ``image_id``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.readers.results import Image, Results, Values

MAX_BYTES = 1_000_000_000

__all__ = ["MAX_BYTES", "PredictionError", "image_names", "read_document", "read_results"]


def read_results(path: Path) -> Results:
    """The boxes of each image.

    Parameters
    ----------
    path : Path
        JSON, at most 1 GB.

    Returns
    -------
    Results
        An image that the document lists and has no results for is among the listed ones.

    Raises
    ------
    PredictionError
        If it is no such file, or a record lacks something.
    """
    document = read_document(path)
    is_list = isinstance(document, list)
    records = document if is_list else document.get("annotations")
    if not isinstance(records, list):
        raise PredictionError(f"{path}: neither a list of COCO results nor a COCO document")
    rows = [_row(path, number, record) for number, record in enumerate(records)]
    own = None if is_list else document.get("images")
    files = {} if own is None else image_names(path, own)
    named = [(_named(image, files), values) for image, values in rows]
    listed = tuple(Image(key, file_name) for key, file_name in files.items())
    categories = _categories(records)
    known = tuple(key for key in categories if is_list and key != str(None))
    return Results(named, listed, notes=tuple(_category_notes(categories)), categories=known)


def read_document(path: Path) -> Any:
    """A list or an object of a JSON file; PredictionError if it holds anything else."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise PredictionError(f"{path}: not a file of at most {MAX_BYTES} bytes")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise PredictionError(f"{path}: not JSON ({error})") from error
    if not isinstance(document, list | dict):
        raise PredictionError(f"{path}: neither a list of COCO results nor a COCO document")
    return document


def image_names(source: Path, images: Any) -> dict[str | int, str]:
    """Image id -> file name, of the ``images`` of a COCO document."""
    try:
        return {image["id"]: str(image["file_name"]) for image in images}
    except (KeyError, TypeError) as error:
        raise PredictionError(f"{source}: images need id and file_name ({error!r})") from error


def _row(path: Path, number: int, record: Mapping[str, Any]) -> tuple[Image, Values]:
    try:
        image_id, (x, y, width, height) = record["image_id"], map(float, record["bbox"])
        row = (x, y, x + width, y + height, float(record["score"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        rule = "a result needs image_id, bbox [x, y, width, height] and score"
        raise PredictionError(f"{path}: record {number}: {rule} ({error!r})") from error
    if isinstance(image_id, float) and image_id.is_integer():
        image_id = int(image_id)
    if not isinstance(image_id, str | int):
        raise PredictionError(f"{path}: record {number}: image_id {image_id!r}, name or number")
    if not np.isfinite(row).all() or width < 0 or height < 0:
        raise PredictionError(f"{path}: record {number}: bbox {record['bbox']}, score {row[4]}")
    file_name = record.get("file_name")
    return Image(image_id, file_name if isinstance(file_name, str) and file_name else None), row


def _named(image: Image, files: Mapping[str | int, str]) -> Image:
    if image.file_name is not None:
        return image
    return Image(image.id, files.get(image.id))


def _categories(records: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({str(record.get("category_id")) for record in records})


def _category_notes(found: list[str]) -> list[str]:
    if len(found) < 2:
        return []
    return [f"results of {len(found)} categories ({', '.join(found[:5])}) are scored as one"]

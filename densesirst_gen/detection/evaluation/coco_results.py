"""Boxes in a JSON file: a list of COCO results, or a COCO document whose annotations have scores.

A text ``image_id`` is the scene's name or the file name of its image, with or without folder and
suffix. A number is the ``id`` of an image: of the document itself, if that has ``images``, else of
the dataset's own COCO file (in other layouts ``annotations.json``, which builds have).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from densesirst_gen.datasets import Dataset
from densesirst_gen.detection.metrics import FoundBoxes

MAX_BYTES = 1_000_000_000


class PredictionError(ValueError):
    """Predictions that cannot be scored; the message names the file and the rule."""


def read_results(path: Path, dataset: Dataset, known: set[str]) -> dict[str, FoundBoxes]:
    """The boxes of each image.

    Parameters
    ----------
    path : Path
        JSON, at most 1 GB.
    dataset : Dataset
    known : set of str
        Names of its scenes.

    Returns
    -------
    dict of str to FoundBoxes
        By scene; by what the file calls it, where that is none of the known ones. An image that
        the document lists and has no results for is there, without boxes.

    Raises
    ------
    PredictionError
        If it is no such file, a record lacks something, or its image cannot be told.
    """
    document = _read_json(path)
    is_list = isinstance(document, list)
    records = document if is_list else document.get("annotations")
    if not isinstance(records, list):
        raise PredictionError(f"{path}: neither a list of COCO results nor a COCO document")
    rows = [_row(path, number, record) for number, record in enumerate(records)]
    own = None if is_list else document.get("images")
    files = _file_names(path, dataset, own, [image_id for image_id, _ in rows])
    boxes: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for file_name in files.values() if own else ():
        boxes[_scene(file_name, known)] = []
    for image_id, row in rows:
        boxes[_scene(files.get(image_id, image_id), known)].append(row)
    return {name: _found(rows) for name, rows in boxes.items()}


def _read_json(path: Path) -> Any:
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise PredictionError(f"{path}: not a file of at most {MAX_BYTES} bytes")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise PredictionError(f"{path}: not JSON ({error})") from error
    if not isinstance(document, list | dict):
        raise PredictionError(f"{path}: neither a list of COCO results nor a COCO document")
    return document


def _row(path: Path, number: int, record: Mapping[str, Any]) -> tuple[str | int, tuple[float, ...]]:
    """Image id, and x0, y0, x1, y1, score, of a result."""
    try:
        image_id, (x, y, width, height) = record["image_id"], map(float, record["bbox"])
        row = (x, y, x + width, y + height, float(record["score"]))
    except (KeyError, TypeError, ValueError) as error:
        rule = "a result needs image_id, bbox [x, y, width, height] and score"
        raise PredictionError(f"{path}: record {number}: {rule} ({error!r})") from error
    if not isinstance(image_id, str | int):
        raise PredictionError(f"{path}: record {number}: image_id {image_id!r}, name or number")
    if not np.isfinite(row).all() or width < 0 or height < 0:
        raise PredictionError(f"{path}: record {number}: bbox {record['bbox']}, score {row[4]}")
    return image_id, row


def _file_names(
    path: Path, dataset: Dataset, own: list[Any] | None, image_ids: list[str | int]
) -> dict[str | int, str]:
    """Image id -> file name, as far as there are images to look it up in."""
    if own is not None:
        return _by_id(path, own)
    if not any(isinstance(image_id, int) for image_id in image_ids):
        return {}
    source = dataset.annotations or dataset.root / "annotations.json"
    if not source.is_file():
        raise PredictionError(
            f"{path}: image ids are numbers, and there is no COCO file {source} that says what "
            "they mean; use scene names as image_id"
        )
    document = _read_json(source)
    return _by_id(source, document.get("images") if isinstance(document, dict) else None)


def _by_id(source: Path, images: Any) -> dict[str | int, str]:
    try:
        return {image["id"]: str(image["file_name"]) for image in images}
    except (KeyError, TypeError) as error:
        raise PredictionError(f"{source}: images need id and file_name ({error!r})") from error


def _scene(image: str | int, known: set[str]) -> str:
    """The scene of a file name; a number that was not found is no name."""
    if isinstance(image, int):
        return f"image_id {image}"
    bare = PurePosixPath(image).with_suffix("").as_posix()
    choices = (image, bare, PurePosixPath(image).name, PurePosixPath(bare).name)
    return next((name for name in choices if name in known), image)


def _found(rows: list[tuple[float, ...]]) -> FoundBoxes:
    table = np.array(rows, np.float64).reshape(-1, 5)
    return FoundBoxes(table[:, :4], table[:, 4])

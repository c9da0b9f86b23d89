"""Boxes in a CSV file whose header says what is what."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.readers.lines import numbers
from densesirst_gen.detection.evaluation.readers.results import Image, Results, Values, is_box

Four = tuple[float, float, float, float]

FILE_NAMES = ("file_name", "filename", "file", "image_name", "image_path", "path", "image", "img")
IDS = ("image_id", "imageid", "img_id", "name", "id")
SCORES = ("score", "scores", "conf", "confidence", "prob", "probability")
CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)
SIZES = (
    ("x", "y", "w", "h"),
    ("x", "y", "width", "height"),
    ("left", "top", "width", "height"),
    ("xmin", "ymin", "width", "height"),
    ("bbox_x", "bbox_y", "bbox_w", "bbox_h"),
    ("bbox_left", "bbox_top", "bbox_width", "bbox_height"),
)
CENTRES = (
    ("cx", "cy", "w", "h"),
    ("cx", "cy", "width", "height"),
    ("xc", "yc", "w", "h"),
    ("x_center", "y_center", "width", "height"),
    ("xcenter", "ycenter", "width", "height"),
)
RULE = "an image (image, file_name, image_id), a box (x1 y1 x2 y2, x y w h, cx cy w h) and a score"
FRACTIONS = "all numbers of boxes are at most 1, they are read as fractions of the image"


@dataclass(frozen=True)
class _Columns:
    """Where in a row things stand."""

    image: int
    is_file_name: bool
    box: tuple[int, ...]
    corners: Callable[[Four], Four]
    score: int


def read_table(path: Path) -> Results:
    """The boxes of a CSV file, separated by commas, semicolons or tabs.

    Boxes are corners, corner and size, or centre and size, as the header says; in fractions of the
    image if none of their numbers is above 1.

    Raises
    ------
    PredictionError
        If the header lacks a column, or a row is broken.
    """
    header, rows = _read(path)
    columns = _columns(path, header)
    found = [_row(path, k, row, columns) for k, row in enumerate(rows, 1)]
    corners = np.array([values[:4] for _, values in found]).reshape(-1, 4)
    if not found or corners.max() > 1:
        return Results(found)
    return Results(found, in_fractions=True, notes=(FRACTIONS,))


def _read(path: Path) -> tuple[dict[str, int], list[list[str]]]:
    """Column by name in lower case, and the rows."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PredictionError(f"{path}: not a readable UTF-8 text ({error})") from error
    head = lines[0] if lines else ""
    rows = [row for row in csv.reader(lines, delimiter=max(",;\t", key=head.count)) if any(row)]
    names = rows[0] if rows else []
    return {name.strip().lower(): k for k, name in enumerate(names) if name.strip()}, rows[1:]


def _columns(path: Path, header: Mapping[str, int]) -> _Columns:
    image = next((name for name in (*FILE_NAMES, *IDS) if name in header), None)
    score = next((name for name in SCORES if name in header), None)
    kinds = ((CORNERS, _same), (SIZES, _from_size), (CENTRES, _from_centre))
    boxes = [(box, make) for choices, make in kinds for box in choices if header.keys() >= {*box}]
    if image is None or score is None or not boxes:
        raise PredictionError(f"{path}: the header '{', '.join(header)}' lacks one of {RULE}")
    box, make = boxes[0]
    where = tuple(header[name] for name in box)
    return _Columns(header[image], image in FILE_NAMES, where, make, header[score])


def _row(path: Path, number: int, row: list[str], columns: _Columns) -> tuple[Image, Values]:
    wanted = (*columns.box, columns.score)
    if len(row) <= max(*wanted, columns.image):
        raise PredictionError(f"{path}: line {number + 1}: {len(row)} columns, fewer than above")
    a, b, c, d, score = numbers(path, number, [row[k] for k in wanted])
    values = (*columns.corners((a, b, c, d)), score)
    if not is_box(values):
        raise PredictionError(f"{path}: line {number + 1}: box {[a, b, c, d]}, corners swapped")
    name = row[columns.image].strip()
    return (Image("", name) if columns.is_file_name else Image(name)), values


def _same(box: Four) -> Four:
    return box


def _from_size(box: Four) -> Four:
    x, y, width, height = box
    return x, y, x + width, y + height


def _from_centre(box: Four) -> Four:
    x, y, width, height = box
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2

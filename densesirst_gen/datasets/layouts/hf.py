"""Image folders of Hugging Face datasets: ``metadata.jsonl`` with a line for each image.

So are the samples of a WebDataset, unpacked: ``a.png`` and ``a.json`` with the line of ``a.png``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from densesirst_gen.datasets.coco.scene import CocoSceneFile
from densesirst_gen.datasets.dataset import Dataset, SceneFile, Splits
from densesirst_gen.datasets.found.inventory import Inventory, counted, relative_path
from densesirst_gen.datasets.grammar.object_rows import objects_of
from densesirst_gen.datasets.layouts.shapes import Labels, Shape, dataset_of
from densesirst_gen.datasets.paths import DatasetError, safe_join, unique
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.files.regular import open_regular

EXPECTS = "metadata.jsonl of Hugging Face, a line with file_name and objects for each image"
MAX_BYTES = 64_000_000
"""Of a line."""


@dataclass(frozen=True, eq=False)
class Row:
    """A line of a file.

    Parameters
    ----------
    folder : Path
        That its paths are relative to.
    said : mapping
    where : str
        File and line, for messages.
    """

    folder: Path
    said: Mapping[str, Any]
    where: str

    @property
    def image(self) -> Path:
        """The image that the line is about."""
        return self.folder / self.said["file_name"]

    @property
    def sky(self) -> Path | None:
        """Its sky mask, if it names one."""
        name = self.said.get("sky_file_name")
        return self.folder / name if isinstance(name, str) else None


def matches(inventory: Inventory) -> bool:
    """Whether there are files with lines of objects."""
    return bool(inventory.labels.get("HF"))


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The images that the lines name, with their objects."""
    files = inventory.labels.get("HF", [])
    if not files:
        raise DatasetError(f"{inventory.root}: no metadata.jsonl that tells of objects")
    found = [row for file in files for row in _rows(file, inventory)]
    rows = _named(found, inventory.root)
    shapes = {name: _shapes(row) for name, row in rows.items()}
    remarks = [f"hf: labels read, {counted(files, inventory.root)}"]
    sizes = {name: size for name, row in rows.items() if (size := _size(row.said)) != (0, 0)}
    labels = Labels({name: row.image for name, row in rows.items()}, shapes, sizes, remarks)
    made = dataset_of(inventory, "hf", labels, given, _splits(rows))
    return replace(made, scenes=tuple(_with_row(scene, rows[scene.name]) for scene in made.scenes))


def _rows(file: Path, inventory: Inventory) -> Iterator[Row]:
    where = inventory.relative(file)
    with open_regular(file) as lines:
        texts = enumerate(lines, 1) if file.suffix.lower() == ".jsonl" else [(1, lines.read())]
        for number, text in texts:
            if text.strip():
                yield _row(text, file, f"{where}, line {number}")


def _row(text: bytes, file: Path, where: str) -> Row:
    try:
        said = json.loads(text) if len(text) <= MAX_BYTES else None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not JSON ({error})") from error
    if not isinstance(said, dict) or not isinstance(said.get("file_name"), str):
        raise DatasetError(f"{where}: it has no file_name of an image")
    for column in ("file_name", "sky_file_name"):
        name = said.get(column)
        if isinstance(name, str) and not safe_join(file.parent, name).is_file():
            raise DatasetError(f"{where}: {column} {name} is not there")
    return Row(file.parent, said, where)


def _named(rows: list[Row], root: Path) -> dict[str, Row]:
    """By the names that all of them state, else by the paths of the images."""
    names = [row.said.get("name") for row in rows]
    texts = [name for name in names if isinstance(name, str) and name]
    if len(set(texts)) == len(rows):
        for name in texts:
            safe_join(root, name)
        return dict(zip(texts, rows, strict=True))
    pairs = [(Path(relative_path(row.image, root)).with_suffix("").as_posix(), row) for row in rows]
    unique((name, row.image) for name, row in pairs)
    return dict(pairs)


def _size(said: Mapping[str, Any]) -> tuple[int, int]:
    height, width = said.get("height"), said.get("width")
    is_whole = isinstance(height, int) and isinstance(width, int)
    return (int(height), int(width)) if is_whole and height and width else (0, 0)


def _shapes(row: Row) -> list[Shape]:
    try:
        return [_shape(one, _size(row.said)) for one in objects_of(row.said)]
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{row.where}: {error}") from error


def _shape(one: Mapping[str, Any], size: tuple[int, int]) -> Shape:
    category = next((one[key] for key in ("categories", "category", "label") if key in one), 0)
    is_named = isinstance(category, str) and category
    x, y, width, height = (float(value) for value in one["bbox"]) if "bbox" in one else [0.0] * 4
    box = (x, y, x + width, y + height) if "bbox" in one else None
    code = one.get("segmentation")
    if isinstance(code, str):
        code = {"size": list(size), "counts": code}
    name = category if is_named else f"class {category}"
    return Shape(str(name), box, code, is_crowd=bool(one.get("iscrowd")))


def _splits(rows: Mapping[str, Row]) -> Splits:
    """The lists that lines say their image is in; else those of the folder are found."""
    splits: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name, row in rows.items():
        lists, places = (row.said.get(key) for key in ("splits", "places_in_splits"))
        for k, split in enumerate(lists if isinstance(lists, list) else []):
            place = places[k] if isinstance(places, list) and k < len(places) else 0
            splits[str(split)].append((place if isinstance(place, int) else 0, name))
    return {split: tuple(name for _, name in sorted(found)) for split, found in splits.items()}


def _with_row(scene: SceneFile, row: Row) -> SceneFile:
    """With its sky, and the id that the line states."""
    number = row.said.get("image_id")
    if isinstance(scene, CocoSceneFile) and isinstance(number, int):
        scene = replace(scene, image_id=number)
    return replace(scene, sky=row.sky)

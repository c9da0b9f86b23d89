"""Labels that lie beside images, of whatever tool: shapes by image, read as a dataset.

The shapes are made to records of COCO, so that one place chooses categories, checks masks and says
what is odd.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from densesirst_gen.datasets.coco.annotation import POINT, Rules
from densesirst_gen.datasets.coco.found import Targets
from densesirst_gen.datasets.coco.ids import Ids, Record
from densesirst_gen.datasets.coco.image_list import CocoImage
from densesirst_gen.datasets.coco.reader import scene_of, with_splits
from densesirst_gen.datasets.coco.targets import read_targets
from densesirst_gen.datasets.dataset import Dataset, SceneFile, check_names
from densesirst_gen.datasets.found.inventory import Group, Inventory, counted
from densesirst_gen.datasets.found.left_over import unread
from densesirst_gen.datasets.found.pairing import pair
from densesirst_gen.datasets.found.split import splits_of
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.read_as import ReadAs
from densesirst_gen.files.images.codec import CodecError, read_size

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shape:
    """One thing that somebody marked in an image.

    Parameters
    ----------
    category : str
    box : (x0, y0, x1, y1), optional
        px, half-open.
    segmentation : list or dict, optional
        Of COCO: polygons in pixel edges, or run lengths.
    point : (x, y), optional
        In pixel edges.
    is_crowd : bool
        Whether it is a region that is not judged.
    """

    category: str
    box: Box | None = None
    segmentation: Any = None
    point: tuple[float, float] | None = None
    is_crowd: bool = False


@dataclass(frozen=True, eq=False)
class Labels:
    """What the labels of some tool say.

    Parameters
    ----------
    images : dict of str to Path
        All images, by scene name.
    shapes : dict of str to list of Shape
        Of the images that are annotated, also where there is nothing in them.
    sizes : dict of str to (int, int)
        (H, W), where it is known without opening the image.
    remarks : list of str
    """

    images: Mapping[str, Path]
    shapes: Mapping[str, Sequence[Shape]]
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def label_files(inventory: Inventory, kind: str) -> tuple[dict[str, Path], dict[str, Path], str]:
    """Images by scene name, the label file of each that has one, and a note on those of none.

    Label files are put to images as masks are, see `pair`.

    Parameters
    ----------
    inventory : Inventory
    kind : str
        One of `inventory.LABELS`.
    """
    folders: dict[str, dict[str, Path]] = {}
    for path in inventory.labels.get(kind, []):
        where = inventory.relative(path.parent)
        folders.setdefault("" if where == "." else where, {})[path.stem] = path
    marked = tuple(Group(folder, files, "", True) for folder, files in folders.items())
    found = pair(Inventory(inventory.root, (*inventory.images, *marked)))
    if found.images and not found.masks:
        raise DatasetError(
            f"{inventory.root}: none of the label files ({kind}, "
            f"{counted(inventory.labels[kind], inventory.root)}) is named like an image "
            f"({examples(found.images)})"
        )
    lost = found.orphans
    note = f"label files without an image: {counted(lost, inventory.root)}" if lost else ""
    return found.images, found.masks, note


def misnamed(said: Mapping[str, str], images: Collection[str]) -> list[str]:
    """A note on label files that lie beside one image and say that they are of another.

    Parameters
    ----------
    said : mapping of str to str
        Scene name -> the file name or path of an image, as its label file says.
    images : collection of str
        The scenes of the dataset.
    """
    known = SceneNames(images)
    others = {name: known.find(path) or name for name, path in said.items()}
    wrong = [f"that of {name} says {other}" for name, other in others.items() if other != name]
    if not wrong:
        return []
    return [
        f"{len(wrong)} label files are called like one image and say another, read by their names: "
        f"{examples(wrong)}"
    ]


def size_of(labels: Labels, name: str) -> tuple[int, int]:
    """(H, W) of an image; (0, 0) if it can't be read, which is told when it is loaded."""
    if name not in labels.sizes:
        try:
            labels.sizes[name] = read_size(labels.images[name])
        except (CodecError, OSError):
            labels.sizes[name] = (0, 0)
    return labels.sizes[name]


def dataset_of(
    inventory: Inventory,
    layout: str,
    labels: Labels,
    given: ReadAs,
    splits: Mapping[str, tuple[str, ...]] | None = None,
) -> Dataset:
    """The dataset of images and shapes.

    Parameters
    ----------
    inventory : Inventory
    layout : str
    labels : Labels
    given : ReadAs
    splits : mapping of str to tuple of str, optional
        Those that the labels tell of; None or empty: by lists, else by folders.

    Raises
    ------
    DatasetError
        If it can't be told which categories are targets, or most shapes are broken.
    """
    if not labels.images:
        raise DatasetError(f"{inventory.root}: no images in the {layout} layout")
    check_names(labels.images)
    rules = Rules(given.category or None, given.masks_from)
    try:
        document = _document(labels.shapes)
        ids = Ids(labels.shapes)
        targets, notes = read_targets(document, _Sized(labels), ids, rules)
    except (DatasetError, TypeError, ValueError, OverflowError) as error:
        raise DatasetError(f"{inventory.root}: {layout} labels: {error}") from error
    scenes = tuple(
        _scene(name, ids.rows.get(name), labels, targets) for name in sorted(labels.images)
    )
    undone = [name for name in sorted(labels.images) if name not in labels.shapes]
    remarks = [*labels.remarks, *(f"{layout}: {note}" for note in notes), *unread(inventory)]
    if undone:
        remarks.append(
            f"{len(undone)} images have no {layout} labels, not annotated: {examples(undone)}"
        )
    found = dict(splits or {}) or splits_of(inventory, dict(labels.images))
    made = Dataset(inventory.root, layout, scenes, remarks=tuple(remarks))
    return with_splits(made, found)


class _Sized:
    """The images with labels, by their number."""

    def __init__(self, labels: Labels) -> None:
        self._labels, self._names = labels, list(labels.shapes)

    def name(self, row: int) -> str:
        return self._names[row]

    def size(self, row: int) -> tuple[int, int]:
        return size_of(self._labels, self._names[row])


def _scene(name: str, row: int | None, labels: Labels, targets: Targets) -> SceneFile:
    path = labels.images[name]
    if row is None:
        return SceneFile(name, path)
    image = CocoImage(name, path, size_of(labels, name))
    return scene_of(name, image, targets.of(row, image.size))


def _document(shapes: Mapping[str, Sequence[Shape]]) -> Record:
    """As COCO has it; categories are their own ids."""
    names = {shape.category for found in shapes.values() for shape in found}
    rows = [
        {"id": f"{k} of {name}", "image_id": name, **_record(shape)}
        for name, found in shapes.items()
        for k, shape in enumerate(found, 1)
    ]
    return {
        "categories": [{"id": name, "name": name} for name in sorted(names)],
        "annotations": rows,
    }


def _record(shape: Shape) -> Record:
    record: Record = {
        "category_id": shape.category,
        "segmentation": shape.segmentation,
        "iscrowd": int(shape.is_crowd),
    }
    box = shape.box
    if shape.point is not None:
        x, y = shape.point
        record[POINT] = (x - 0.5, y - 0.5)
        box = (float(int(x)), float(int(y)), float(int(x)) + 1, float(int(y)) + 1)
    if box is not None:
        record["bbox"] = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
    return record


def rectangle(corners: Iterable[float]) -> Box:
    """xyxy of two corners in any order."""
    x0, y0, x1, y1 = corners
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)

"""A COCO file beside its images, read as a dataset."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from densesirst_gen.datasets.dataset import Dataset, SceneFile, check_names
from densesirst_gen.datasets.inventory import Inventory
from densesirst_gen.datasets.paths import DatasetError, examples, safe_join, unique
from densesirst_gen.datasets.segmentation import segment_labels
from densesirst_gen.scene.scene import SceneError

EXPECTS = "one JSON file of COCO's grammar, under any name"
MAX_BYTES = 1_000_000_000

Record = dict[str, Any]


@dataclass(frozen=True)
class CocoSceneFile(SceneFile):
    """A scene whose targets come from a COCO file, in the order of that file.

    Parameters
    ----------
    size : (int, int)
        (H, W) by the COCO file.
    segmentations : tuple
        Of the targets, as they stand in the file.
    n_crowds : int
        Regions marked ``iscrowd``, which are no targets.
    """

    size: tuple[int, int] = (0, 0)
    segmentations: tuple[Any, ...] = field(default=(), hash=False)
    n_crowds: int = 0

    @property
    def has_labels(self) -> bool:
        """Every image of the file is annotated."""
        return True

    def has_targets(self) -> bool:
        """Whether there is a segmentation."""
        return bool(self.segmentations)

    def _read_labels(self, shape: tuple[int, ...], notes: list[str]) -> np.ndarray:
        if shape != self.size:
            raise SceneError(
                f"scene {self.name}: the COCO file says {self.size}, {self.image.name} is {shape}"
            )
        try:
            labels, n_hidden = segment_labels(self.segmentations, self.size)
        except (ValueError, TypeError) as error:
            raise SceneError(f"scene {self.name}: {error}") from error
        if n_hidden:
            notes.append(f"coco: {n_hidden} targets have no pixel of their own, left out")
        if self.n_crowds:
            notes.append(f"coco: {self.n_crowds} iscrowd regions, left out")
        return labels


def matches(inventory: Inventory) -> bool:
    """Whether a path is a JSON file, or a folder with a file named like COCO annotations."""
    root = inventory.root
    return (root.is_file() and root.suffix == ".json") or bool(inventory.labels.get("COCO"))


def read(inventory: Inventory) -> Dataset:
    """The dataset of the one COCO file in a folder, or of the file itself."""
    root = inventory.root
    if root.is_file():
        return read_coco(root)
    files = inventory.labels.get("COCO", [])
    if len(files) != 1:
        raise DatasetError(
            f"{root}: {len(files)} COCO files ({examples(f.name for f in files)}), name one of them"
        )
    return read_coco(files[0])


def read_coco(path: str | PathLike[str], images: str | PathLike[str] | None = None) -> Dataset:
    """Read a COCO file; masks are decoded when a scene is loaded.

    Parameters
    ----------
    path : path
        JSON, at most 1 GB.
    images : path, optional
        Folder that ``file_name`` is relative to. None: ``images/`` beside the file (or beside its
        folder ``annotations/``), or that folder itself.

    Raises
    ------
    DatasetError
        If the file is not a COCO document, ids come twice or lead nowhere, an annotation has no
        segmentation, or image files are missing or outside the folder.
    """
    path = Path(path)
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    bases = [root / "images", root] if images is None else [Path(images)]
    document = read_json(path)
    try:
        scenes = _scenes(document, bases)
    except KeyError as error:
        raise DatasetError(f"{path}: not a COCO document, it lacks {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise DatasetError(f"{path}: {error}") from error
    return Dataset(root, "coco", scenes, annotations=path)


def read_json(path: Path) -> Any:
    """What a JSON file holds; DatasetError, naming it, if it can't be read."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise DatasetError(f"{path}: not a file of at most {MAX_BYTES} bytes")
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not JSON ({error})") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _scenes(document: Record, bases: list[Path]) -> tuple[SceneFile, ...]:
    images = by_id(document["images"], "image")
    targets, crowds = _segmentations(document, images)
    pairs = {key: _image_file(bases, image["file_name"]) for key, image in images.items()}
    check_names(unique(pairs.values()))
    scenes = [
        CocoSceneFile(
            *pairs[key],
            size=(image["height"], image["width"]),
            segmentations=tuple(targets[key]),
            n_crowds=crowds[key],
        )
        for key, image in images.items()
    ]
    return tuple(sorted(scenes, key=lambda scene: scene.name))


def _segmentations(
    document: Record, images: dict[Any, Record]
) -> tuple[dict[Any, list[Any]], Counter[Any]]:
    """The targets of each image, and how many crowd regions it has."""
    categories = by_id(document["categories"], "category")
    targets, crowds = defaultdict(list), Counter[Any]()
    for key, annotation in by_id(document["annotations"], "annotation").items():
        image = annotation["image_id"]
        if image not in images or annotation["category_id"] not in categories:
            raise DatasetError(f"annotation {key}: its image or its category is not in the file")
        if annotation.get("iscrowd"):
            crowds[image] += 1
        elif not annotation.get("segmentation"):
            raise DatasetError(f"annotation {key}: a box without segmentation")
        else:
            targets[image].append(annotation["segmentation"])
    return targets, crowds


def by_id(records: Iterable[Record], what: str) -> dict[Any, Record]:
    """Records by their id; DatasetError if two have the same."""
    found: dict[Any, Record] = {}
    for record in records:
        if found.setdefault(record["id"], record) is not record:
            raise DatasetError(f"{what} id {record['id']!r} comes twice")
    return found


def _image_file(bases: list[Path], file_name: str) -> tuple[str, Path]:
    """Scene name and path of an image."""
    paths = [safe_join(base, file_name) for base in bases]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise DatasetError(f"image {file_name} is not in {' or '.join(map(str, bases))}")
    return PurePosixPath(file_name).with_suffix("").as_posix(), path

"""A COCO file beside its images, read as a dataset."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import cache, partial
from os import PathLike
from pathlib import Path
from typing import Any

from densesirst_gen.datasets.coco.annotation import Rules
from densesirst_gen.datasets.coco.found import ImageTargets, Targets
from densesirst_gen.datasets.coco.ids import Ids, Record, each_once, ids_of
from densesirst_gen.datasets.coco.image_list import CocoImage, CocoImages
from densesirst_gen.datasets.coco.images import read_images
from densesirst_gen.datasets.coco.json_arrays import Records, Unusual, open_arrays
from densesirst_gen.datasets.coco.parts import files_by_part, joined
from densesirst_gen.datasets.coco.scene import BoxSceneFile, CocoSceneFile
from densesirst_gen.datasets.coco.targets import annotated_images, read_targets
from densesirst_gen.datasets.dataset import Dataset, SceneFile, Splits, cut_splits
from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.found.inventory import Inventory, relative_path
from densesirst_gen.datasets.found.split import splits_of
from densesirst_gen.datasets.lazy import LazyTuple
from densesirst_gen.datasets.parts.part_tables import part_of_record
from densesirst_gen.datasets.parts.splits import folder_splits
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.files.regular import read_bytes

EXPECTS = "one JSON file of COCO's grammar, under any name"
MAX_BYTES = 1_000_000_000
LONG_BYTES = 16_000_000
"""A file of more is not held in memory."""
ARRAYS = ("images", "annotations")


def matches(inventory: Inventory) -> bool:
    """Whether a path is a JSON file, or a folder with a file named like COCO annotations."""
    root = inventory.root
    return (root.is_file() and root.suffix == ".json") or bool(inventory.labels.get("COCO"))


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The dataset of the COCO file in a folder, of one for each part, or of the file itself."""
    root = inventory.root
    options: dict[str, Any] = {
        "images": given.images and given.found(root, given.images),
        "category": given.category or None,
        "masks_from": given.masks_from,
    }
    if root.is_file():
        found = read_coco(root, **options)
        place = cache(partial(relative_path, root=found.root))
        places = {scene.name: place(scene.image.parent) for scene in found.scenes}
        return replace(found, splits=found.splits or folder_splits(places))
    files = inventory.labels.get("COCO", [])
    if (whole := root / "annotations.json") in files and _are_parts(root, whole, files):
        files = [whole]
    if len(files) == 1:
        found = read_coco(files[0], **options)
        return with_splits(found, _parts(inventory, found))
    parts = files_by_part(root, files)
    if len(parts) < 2:
        names = examples(inventory.relative(file) for file in files)
        raise DatasetError(f"{root}: {len(files)} COCO files ({names}), name one of them")
    read_parts = {part: read_coco(file, **options) for part, file in parts.items()}
    return joined(root, {part: (parts[part], found) for part, found in read_parts.items()})


def _are_parts(root: Path, whole: Path, files: Iterable[Path]) -> bool:
    """Whether all other files are ``annotations/instances_PART.json``, as `convert` writes them."""
    place = root / "annotations"
    others = [file for file in files if file != whole]
    return all(file.parent == place and file.stem.startswith("instances_") for file in others)


def with_splits(dataset: Dataset, splits: Splits) -> Dataset:
    """The dataset with its splits; what has no scene is absent."""
    names = {scene.name for scene in dataset.scenes}
    listed = {name for members in splits.values() for name in members}
    present = cut_splits(splits, names)
    return replace(dataset, splits=present, absent=tuple(sorted(listed - names)))


def _parts(inventory: Inventory, found: Dataset) -> Splits:
    """By lists beside the file, else by what its images say, else as of other folders."""
    images = {scene.name: scene.image for scene in found.scenes}
    return splits_of(inventory, images, found.splits)


def read_coco(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    category: str | Iterable[str] | None = None,
    masks_from: str | None = None,
    crowd: str = "ignore",
) -> Dataset:
    """Read a COCO file, and check it against itself; masks are drawn when a scene is loaded.

    Targets of a scene are numbered in the order of the file. What can't be told apart in a mask is
    one target: annotations that touch, corners included. Pieces of one that lie apart are a target
    each. What is odd but can be read is in the `notes` of the dataset, with a count and an example.

    Parameters
    ----------
    path : path
        JSON, at most 1 GB. Of more than 16 MB in UTF-8 no records are kept, and each scene is made
        when it is asked for: then `Dataset.scenes` is no tuple, but like one.
    images : path, optional
        Folder that ``file_name`` is relative to. None: ``images/`` beside the file (or beside its
        folder ``annotations/``), or that folder itself. A name that is not there is looked for by
        the end of its path, see `ImageFinder.find`.
    category : str or iterable of str, optional
        Categories that are targets, in any case. None: the only one that has annotations and is not
        called like sky or ground, or the only one of several that is called target.
    masks_from : "boxes", optional
        Take the filled box of annotations that have no mask. None: they are regions to ignore; but
        if most have none, or polygons that are their boxes, all are boxes, see `BoxSceneFile`.
    crowd : "ignore" or "targets"
        What ``iscrowd`` means: regions that are neither target nor background, see
        `SceneFile.ignored`, or a target like others.

    Raises
    ------
    DatasetError
        If the file is not a COCO document, ids lead nowhere, it can't be told which categories are
        targets, images are missing, outside the folder or ambiguous, or most annotations are crowd
        or broken, or have masks that contradict their own ``bbox`` or ``area``.
    """
    path = Path(path)
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    bases = [root / "images", root] if images is None else [Path(images)]
    rules = Rules(category, masks_from, crowd)
    document = _document(path)
    try:
        scenes, splits, notes = _scenes(document, bases, path.stem, rules)
    except KeyError as error:
        raise DatasetError(f"{path}: not a COCO document, it lacks {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise DatasetError(f"{path}: {error}") from error
    return Dataset(root, "coco", scenes, splits, annotations=path, remarks=tuple(notes))


def _document(path: Path) -> Any:
    """What a JSON file holds; of a long one the records of images and annotations are not kept."""
    if path.is_file() and LONG_BYTES < path.stat().st_size <= MAX_BYTES:
        with suppress(Unusual):
            return open_arrays(path, ARRAYS)
    return read_json(path, constants=True)


def read_json(path: Path, *, constants: bool = False) -> Any:
    """What a JSON file holds; DatasetError, naming it, if it can't be read.

    Parameters
    ----------
    path : Path
    constants : bool
        Whether NaN and Infinity, which are not JSON, are read as numbers.
    """
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise DatasetError(f"{path}: not a file of at most {MAX_BYTES} bytes")
    try:
        return json.loads(read_bytes(path), parse_constant=float if constants else _refuse)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not JSON ({error})") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _scenes(
    document: Record, bases: list[Path], stem: str, rules: Rules
) -> tuple[Sequence[SceneFile], Splits, list[str]]:
    """The scenes by name, the parts that the file says, and the notes."""
    records = {name: _records(document, name) for name in (*ARRAYS, "categories")}
    if not records["images"]:
        raise DatasetError("it lists no images")
    ids, findings = ids_of(records["images"], "image"), Findings()
    annotated = annotated_images(records["annotations"], ids)
    hint = stem.rpartition("_")[2]
    images = read_images(records["images"], ids, bases, annotated, hint, findings)
    targets, notes = read_targets(records, images, ids, rules)
    lines = [*findings.lines(len(records["images"])), *notes]
    scenes = LazyTuple(partial(_scene, images, targets), len(images.by_name))
    is_long = isinstance(records["annotations"], Records)
    splits = _splits(records["images"], ids, images)
    return scenes if is_long else tuple(scenes), splits, [f"coco: {line}" for line in lines]


def _scene(images: CocoImages, targets: Targets, k: int) -> CocoSceneFile:
    """The scene of the k-th name."""
    row = images.by_name[k]
    image = images[row]
    return scene_of(images.keys[row], image, targets.of(row, image.size))


def _splits(records: Iterable[Record], ids: Ids, images: CocoImages) -> Splits:
    """What the records of images say of their parts."""
    said = [part_of_record(record) for record in each_once(records, ids)]
    rows: dict[str, list[int]] = {}
    for row in images.by_name if any(said) else ():
        if part := said[row]:
            rows.setdefault(part, []).append(row)
    return {part: tuple(map(images.name, of_part)) for part, of_part in rows.items()}


def _records(document: Any, name: str) -> Collection[Record]:
    found = document[name]
    if isinstance(found, Records):
        return found
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise DatasetError(f"not a COCO document, {name} is no list of records")
    return found


def scene_of(key: Any, image: CocoImage, targets: ImageTargets) -> CocoSceneFile:
    """The scene of an image and of what is known of its targets."""
    scene = CocoSceneFile(
        image.name,
        image.path,
        ignored=tuple(targets.ignored),
        size=image.size,
        segmentations=tuple(targets.segmentations),
        image_id=key,
    )
    if not targets.boxes and not targets.points:
        return scene
    values = {f.name: getattr(scene, f.name) for f in fields(scene)}
    return BoxSceneFile(**values, boxes=tuple(targets.boxes), points=tuple(targets.points))

"""Layouts of datasets on disk: one module each, with `matches` and `read`, and writers beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Protocol

from densesirst_gen.datasets.coco import reader as coco_reader
from densesirst_gen.datasets.coco.reader import read_coco
from densesirst_gen.datasets.dataset import Dataset, SceneFile, with_colormap, with_sky, with_span
from densesirst_gen.datasets.found.beside_release import beside_release
from densesirst_gen.datasets.found.inventory import Inventory, counted, take_inventory
from densesirst_gen.datasets.found.left_over import unread
from densesirst_gen.datasets.found.pairing import several_sets
from densesirst_gen.datasets.found.unread_labels import unread_labels
from densesirst_gen.datasets.layouts import (
    cvat,
    devkit,
    folders,
    hf,
    labelme,
    plain,
    sirst,
    voc_boxes,
    yolo,
)
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.parts.splits import held_back_twice, read_split, strange_lists
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs, directed
from densesirst_gen.datasets.said import with_lists, without
from densesirst_gen.datasets.span import with_counts, with_span_table
from densesirst_gen.scene.counts import Counts

__all__ = [
    "LAYOUTS",
    "Dataset",
    "DatasetError",
    "ReadAs",
    "SceneFile",
    "detect_layout",
    "read_coco",
    "read_dataset",
    "read_split",
]


class Layout(Protocol):
    """What a module must have to be a layout."""

    EXPECTS: str

    def matches(self, inventory: Inventory) -> bool:
        """Whether a folder has this layout."""

    def read(self, inventory: Inventory, given: ReadAs = ...) -> Dataset:
        """Read it."""


# The first that matches is taken: from the most to the least particular.
LAYOUTS: dict[str, Layout] = {
    "devkit": devkit,
    "sirst": sirst,
    "hf": hf,
    "folders": folders,
    "coco": coco_reader,
    "yolo": yolo,
    "voc": voc_boxes,
    "labelme": labelme,
    "cvat": cvat,
    "plain": plain,
}

WITH_LABELS = ("hf", "coco", "yolo", "voc", "labelme", "cvat")
"""Layouts whose labels are no masks: they have categories, and may be boxes or points."""


def read_dataset(
    root: str | PathLike[str],
    *,
    layout: str | None = None,
    sky_dir: str | PathLike[str] | None = None,
    span: tuple[float, float] | None = None,
    nodata: Sequence[float] | None = None,
    span_table: str | PathLike[str] | None = None,
    counts: Mapping[str, Counts] | None = None,
    images: str | PathLike[str] | None = None,
    masks: str | PathLike[str] | None = None,
    split_files: Mapping[str, str | PathLike[str]] | None = None,
    category: str | Iterable[str] | None = None,
    masks_from: str | None = None,
    ignore: str | Iterable[str] = (),
    read_as: ReadAs | None = None,
    colormap: str | None = None,
) -> Dataset:
    """Find the scenes of a dataset, and what the values of its images mean.

    No more than 32 images are decoded.

    Parameters
    ----------
    root : path
        Folder of the dataset, or a COCO file.
    layout : str, optional
        A key of `LAYOUTS`. None: recognised.
    sky_dir : path, optional
        Folder of sky masks, ``NAME_pixels0.png`` or ``NAME.png``, in place of those of the layout.
    span : tuple of float, optional
        (black, white) of images that are not 8 bits deep. None: found, see
        `densesirst_gen.scene.counts`.
    nodata : sequence of float, optional
        Values that mean no data. None: what plainly does.
    span_table : path, optional
        A span for each camera, see `densesirst_gen.datasets.span.with_span_table`.
    counts : mapping of str to Counts, optional
        What the values mean, by dtype, where it is known: then no image is decoded.
    images, masks : path, optional
        Folders of them, relative to `root` or to where the program runs. None: recognised.
    split_files : mapping of str to path, optional
        Split -> list of its scenes, in place of all lists that are found.
    category : str or iterable of str, optional
        Categories of labels that are targets. None: the only one, or the one called target.
    masks_from : "boxes" or "points", optional
        Make masks of them, where nobody drew any: a filled box, or one pixel.
    ignore : str or iterable of str
        Globs of files and folders that are passed over, by path or by name.
    read_as : ReadAs, optional
        The last six and the layout in one, in their place.
    colormap : str, optional
        What images in colour are painted with, such as ``jet`` or ``ironbow``: they are turned back
        into gray levels. None: such images are refused. See `files.codec.read_image`.

    Raises
    ------
    DatasetError
        If no layout fits, the files do not fit together, or there is no such colormap.
    """
    root = Path(root)
    given = read_as or ReadAs.of(layout, images, masks, split_files, category, masks_from, ignore)
    if given.layout is not None and given.layout not in LAYOUTS:
        raise DatasetError(f"unknown layout {given.layout!r}, known are {', '.join(LAYOUTS)}")
    inventory = take_inventory(root, given.ignore) if root.is_dir() else Inventory(root)
    name = given.layout or _recognised(directed(inventory, given), given)
    _check_used(name, given)
    if name not in WITH_LABELS or given.masks:
        inventory = directed(inventory, given)
    dataset = LAYOUTS[name].read(inventory, given)
    dataset = with_lists(without(dataset, given.ignore), given)
    dataset = dataset if sky_dir is None else with_sky(dataset, Path(sky_dir))
    remarks = (*dataset.remarks, *_not_read(name, inventory, dataset), *held_back_twice(dataset))
    dataset = replace(dataset, remarks=remarks, read_as=given.to_dict(root))
    dataset = dataset if colormap is None else with_colormap(dataset, colormap)
    dataset = dataset if span is None else with_span(dataset, span)
    if span_table is not None:
        dataset = with_span_table(dataset, Path(span_table))
    return with_counts(dataset, nodata=nodata, known=counts)


def _not_read(layout: str, inventory: Inventory, dataset: Dataset) -> list[str]:
    """Notes on labels of other kinds than the layout reads, and on what may be labels."""
    if layout in ("devkit", "sirst"):
        return beside_release(inventory)
    known = SceneNames([scene.name for scene in dataset.scenes])
    unknown = unread_labels(inventory, known)
    unlisted = _unlisted(layout, inventory, dataset)
    return [*_other_labels(layout, inventory), *unlisted, *unknown, *_strange(inventory, known)]


def _unlisted(layout: str, inventory: Inventory, dataset: Dataset) -> list[str]:
    """A note on images that the file with the labels does not list."""
    if layout not in ("coco", "hf"):
        return []
    images = {path for group in inventory.images for path in group.files.values()}
    if len(images) > len(dataset.scenes):
        images -= {scene.image for scene in dataset.scenes}
        return [f"images that no label file lists: {counted(images, inventory.root)}"]
    return []


def _strange(inventory: Inventory, known: SceneNames) -> list[str]:
    found = strange_lists(inventory.lists, known)
    told = counted(found, inventory.root) if found else ""
    return [f"lists passed over, no line of them is a scene: {told}"] * bool(found)


def _other_labels(layout: str, inventory: Inventory) -> list[str]:
    if layout not in WITH_LABELS:
        return []
    return [
        f"labels passed over, {layout} is read: {kind}, {counted(paths, inventory.root)}"
        for kind, paths in inventory.labels.items()
        if kind.lower() != layout
    ]


def _check_used(layout: str, given: ReadAs) -> None:
    """DatasetError if something is said that a layout knows nothing of."""
    if layout not in WITH_LABELS and (given.category or given.masks_from):
        option = "category" if given.category else "masks_from"
        raise DatasetError(
            f"{option} is for labels that are no masks ({', '.join(WITH_LABELS)}), the layout is "
            f"{layout}"
        )
    if layout in ("devkit", "sirst", *WITH_LABELS) and given.masks:
        raise DatasetError(f"masks={given.masks} is for the layout folders, the layout is {layout}")
    if layout in ("devkit", "sirst") and given.images:
        raise DatasetError(f"images={given.images} is not for the layout {layout}")


def detect_layout(root: str | PathLike[str]) -> str:
    """The first of `LAYOUTS` that fits a folder.

    Raises
    ------
    DatasetError
        If none does; it says what was looked for and what is there.
    """
    root = Path(root)
    return _recognised(take_inventory(root) if root.is_dir() else Inventory(root))


def _recognised(inventory: Inventory, given: ReadAs = AS_FOUND) -> str:
    if not (given.images or given.masks) and len(sets := several_sets(inventory)) > 1:
        raise DatasetError(
            f"{inventory.root}: {len(sets)} datasets lie below ({examples(sets)}), name one of them"
        )
    if given.masks:
        return "folders"
    for name, layout in LAYOUTS.items():
        if given.images and name in ("devkit", "sirst"):
            continue
        if layout.matches(inventory):
            return name
    raise DatasetError(_unknown(inventory))


def _unknown(inventory: Inventory) -> str:
    """Why no layout fits: what was looked for, and what is there."""
    root = inventory.root
    if not root.is_dir():
        return f"{root}: no such folder"
    if inventory.images and (beside := plain.labels_beside(inventory)):
        return (
            f"{root}: images with labels that are not read ({'; '.join(beside)}). The nearest "
            "layout is plain, a folder of images without labels: --layout plain takes it so, and "
            "what is a target in the images then has no label"
        )
    if inventory.groups and not inventory.images:
        files = [path for group in inventory.groups for path in group.files.values()]
        others = "".join(f"; {note}" for note in unread(inventory))
        return (
            f"{root}: nothing but masks, images of two values: {counted(files, root)}{others}; "
            "where are the images? --layout plain takes these for images"
        )
    wanted = "".join(f"\n  {name}: {layout.EXPECTS}" for name, layout in LAYOUTS.items())
    found = examples(sorted(path.name for path in root.iterdir())) or "nothing"
    left = "".join(f"\n{note}" for note in unread(inventory))
    return f"{root}: no known layout. Looked for{wanted}\nFound: {found}{left}"

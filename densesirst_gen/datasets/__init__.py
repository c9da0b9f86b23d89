"""Layouts of datasets on disk: one module each, with `matches` and `read`, and writers beside."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Protocol

from densesirst_gen.datasets import coco_reader, devkit, folders, plain, sirst
from densesirst_gen.datasets.coco_reader import read_coco
from densesirst_gen.datasets.dataset import Dataset, SceneFile, with_colormap, with_sky, with_span
from densesirst_gen.datasets.inventory import Inventory, counted, take_inventory
from densesirst_gen.datasets.pairing import several_sets
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.splits import read_split

__all__ = [
    "LAYOUTS",
    "Dataset",
    "DatasetError",
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

    def read(self, inventory: Inventory) -> Dataset:
        """Read it."""


# The first that matches is taken: from the most to the least particular.
LAYOUTS: dict[str, Layout] = {
    "devkit": devkit,
    "sirst": sirst,
    "folders": folders,
    "coco": coco_reader,
    "plain": plain,
}


def read_dataset(
    root: str | PathLike[str],
    *,
    layout: str | None = None,
    sky_dir: str | PathLike[str] | None = None,
    span: tuple[float, float] | None = None,
    colormap: str | None = None,
) -> Dataset:
    """Find the scenes of a dataset; nothing is decoded.

    Parameters
    ----------
    root : path
        Folder of the dataset, or a COCO file.
    layout : str, optional
        A key of `LAYOUTS`. None: recognised.
    sky_dir : path, optional
        Folder of sky masks, ``NAME_pixels0.png`` or ``NAME.png``, in place of those of the layout.
    span : tuple of float, optional
        (black, white) of images that are not 8 bits deep. None: from each, see `Scene.levels`.
    colormap : str, optional
        What images in colour are painted with, such as ``jet`` or ``ironbow``: they are turned back
        into gray levels. None: such images are refused. See `files.codec.read_image`.

    Raises
    ------
    DatasetError
        If no layout fits, the files do not fit together, or there is no such colormap.
    """
    root = Path(root)
    if layout is not None and layout not in LAYOUTS:
        raise DatasetError(f"unknown layout {layout!r}, known are {', '.join(LAYOUTS)}")
    inventory = take_inventory(root) if root.is_dir() else Inventory(root)
    dataset = LAYOUTS[layout or _recognised(inventory)].read(inventory)
    dataset = dataset if sky_dir is None else with_sky(dataset, Path(sky_dir))
    dataset = dataset if colormap is None else with_colormap(dataset, colormap)
    return dataset if span is None else with_span(dataset, span)


def detect_layout(root: str | PathLike[str]) -> str:
    """The first of `LAYOUTS` that fits a folder.

    Raises
    ------
    DatasetError
        If none does; it says what was looked for and what is there.
    """
    root = Path(root)
    return _recognised(take_inventory(root) if root.is_dir() else Inventory(root))


def _recognised(inventory: Inventory) -> str:
    if len(sets := several_sets(inventory)) > 1:
        raise DatasetError(
            f"{inventory.root}: {len(sets)} datasets lie below ({examples(sets)}), name one of them"
        )
    for name, layout in LAYOUTS.items():
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
        return (
            f"{root}: nothing but masks, images of two values: {counted(files, root)}; where are "
            "the images? --layout plain takes these for images"
        )
    wanted = "".join(f"\n  {name}: {layout.EXPECTS}" for name, layout in LAYOUTS.items())
    found = examples(sorted(path.name for path in root.iterdir())) or "nothing"
    unread = "".join(f"\n{note}" for note in folders.unread(inventory))
    return f"{root}: no known layout. Looked for{wanted}\nFound: {found}{unread}"

"""A folder of images without annotations, such as backgrounds of one's own."""

from __future__ import annotations

from densesirst_gen.datasets.dataset import Dataset, make_dataset
from densesirst_gen.datasets.found.inventory import MASK_WORD, Inventory, counted
from densesirst_gen.datasets.found.left_over import unread
from densesirst_gen.datasets.found.split import splits_of
from densesirst_gen.datasets.in_frames import in_frames
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs

EXPECTS = "images in any subfolder, and nothing that could be labels of them"


def matches(inventory: Inventory) -> bool:
    """Whether there are images, and nothing that could be labels of them."""
    return bool(inventory.images) and not labels_beside(inventory)


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """Every image below the folder, named by its path; masks are none, unless all look like one."""
    images = {
        f"{group.folder}/{stem}" if group.folder else stem: path
        for group in inventory.images or inventory.groups
        for stem, path in group.files.items()
    }
    if not images:
        raise DatasetError(f"{inventory.root}: no images in the plain layout")
    beside = [f"labels passed over: {found}" for found in labels_beside(inventory)]
    remarks = (*beside, *unread(inventory))
    splits = splits_of(inventory, in_frames(images))
    return make_dataset(inventory.root, "plain", images, splits=splits, remarks=remarks)


def labels_beside(inventory: Inventory) -> list[str]:
    """What could be labels of the images, each with a count and an example."""
    root = inventory.root
    found = [f"{kind}, {counted(paths, root)}" for kind, paths in inventory.labels.items()]
    found += [
        f"masks in {group.label}, {counted(group.files.values(), root)}"
        for group in inventory.groups
        if group.is_mask
    ]
    found += [
        f"{suffix} files, {counted(named, root)}"
        for suffix, paths in inventory.others.items()
        if (named := [p for p in paths if MASK_WORD.search(inventory.relative(p))])
    ]
    return found

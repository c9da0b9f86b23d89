"""Images and their masks in folders of any name, as people and the public IRSTD datasets have them.

``images/`` + ``masks/`` (BasicIRSTD, DNANet, NUDT-SIRST), ``IRSTD1k_Img/`` + ``IRSTD1k_Label/``,
``Ver_image/`` + ``Ver_lable/`` (UIU-Net), ``1_1.png`` + ``1_2.png`` (MDvsFA), ``train_images/`` +
``train_masks/`` (IRSAM), or any of these inside ``train/``, ``val/``, ``test/`` (SIRST-Aug). What
is a mask is told by what it holds. Lists of names are splits, and so are folders called like parts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from densesirst_gen.datasets.dataset import Dataset, Splits, make_dataset
from densesirst_gen.datasets.in_frames import in_frames
from densesirst_gen.datasets.inventory import ARCHIVES, Inventory, counted, relative_path
from densesirst_gen.datasets.mask_classes import check_one_class, check_ties
from densesirst_gen.datasets.pairing import Pairing, pair
from densesirst_gen.datasets.part_tables import part_tables
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.datasets.split_words import part_of
from densesirst_gen.datasets.splits import (
    find_splits,
    folder_splits,
    name_splits,
    with_held_folders,
)
from densesirst_gen.files.codec import CodecError, read_mask
from densesirst_gen.scene.annotate import label_mask

EXPECTS = "images and their masks in folders of any names, or side by side"
N_LOOKED_AT = 8


def matches(inventory: Inventory) -> bool:
    """Whether there are images, and masks that belong to them."""
    return bool(inventory.images) and bool(inventory.masks)


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The pairs of image and mask, with the lists or the folders of parts as splits."""
    root, pairing = inventory.root, pair(inventory)
    if inventory.masks and not pairing.masks:
        masks = [str(path) for group in inventory.masks for path in group.files.values()]
        raise DatasetError(
            f"{root}: none of {len(masks)} masks ({examples(masks)}) "
            f"is named like an image ({examples(pairing.images)})"
        )
    check_ties(root, pairing.ties)
    check_one_class(inventory, pairing.masks.values())
    splits = splits_of(inventory, in_frames(pairing.images))
    remarks = (*_unpaired(inventory, pairing), *_points(pairing), *left_over(inventory))
    return make_dataset(
        root,
        "folders",
        pairing.images,
        paired=pairing.masks,
        paired_skies=pairing.skies,
        splits=splits,
        remarks=remarks,
    )


def splits_of(inventory: Inventory, images: dict[str, Path]) -> Splits:
    """By the lists of names, else by tables of parts, by folders, or by the images' own names."""
    root = inventory.root
    lists = find_splits(root, inventory.lists, images)
    if not any(map(part_of, lists)):
        lists = part_tables(root, (*inventory.lists, *inventory.texts), images) or lists
    parents = {name: relative_path(path.parent, root) for name, path in images.items()}
    if lists:
        splits = {split: names for split, (_, names) in lists.items()}
        return with_held_folders(splits, parents)
    return folder_splits(parents) or name_splits(images)


def _unpaired(inventory: Inventory, pairing: Pairing) -> list[str]:
    notes = []
    if pairing.orphans:
        notes.append(f"masks without an image: {counted(pairing.orphans, inventory.root)}")
    if pairing.doubles:
        notes.append(
            f"images in {examples(pairing.doubles)} have the masks of nearer ones and are passed "
            "over; --images says otherwise"
        )
    if pairing.rivals:
        notes.append(f"masks in {examples(pairing.rivals)} are passed over for nearer ones")
    return notes


def _points(pairing: Pairing) -> list[str]:
    """A note if the masks are points: of a sample every target is one pixel."""
    paths = list(in_frames(pairing.masks).values())
    areas: list[int] = []
    for path in paths[:: max(1, len(paths) // N_LOOKED_AT)][:N_LOOKED_AT]:
        try:
            labels = label_mask(read_mask(path).array)
        except CodecError:
            continue
        areas += np.bincount(labels.ravel())[1:].tolist()
    if not areas or max(areas) > 1:
        return []
    where = sorted({path.parent.name for path in paths})
    return [
        f"masks in {examples(where)} are point labels: of {len(areas)} targets looked at every one "
        "is one pixel"
    ]


def left_over(inventory: Inventory) -> list[str]:
    """Notes on what lies under a root and is not read."""
    root = inventory.root
    notes = [
        f"labels passed over, masks are read: {kind}, {counted(paths, root)}"
        for kind, paths in inventory.labels.items()
    ]
    return notes + unread(inventory)


def unread(inventory: Inventory) -> list[str]:
    """Notes on files in formats that are not read, and on folders that were not entered."""
    root = inventory.root
    notes = [
        f"not read, {suffix} files: {counted(paths, root)}"
        + (" (unpack it first)" if suffix in ARCHIVES else "")
        for suffix, paths in inventory.others.items()
    ]
    alike = [path for group in inventory.images for path in group.like_masks]
    if alike:
        notes.append(
            f"images of two values, as masks are: {counted(alike, root)} of those looked at"
        )
    if inventory.skipped:
        notes.append(f"not entered: {examples(sorted(set(inventory.skipped)))}")
    return notes

"""Images and their masks in folders of any name, as people and the public IRSTD datasets have them.

``images/`` + ``masks/`` (BasicIRSTD, DNANet, NUDT-SIRST), ``IRSTD1k_Img/`` + ``IRSTD1k_Label/``,
``Ver_image/`` + ``Ver_lable/`` (UIU-Net), ``1_1.png`` + ``1_2.png`` (MDvsFA), ``train_images/`` +
``train_masks/`` (IRSAM), or any of these inside ``train/``, ``val/``, ``test/`` (SIRST-Aug). What
is a mask is told by what it holds. Lists of names are splits, and so are folders called like parts.
"""

from __future__ import annotations

import numpy as np

from densesirst_gen.datasets.dataset import Dataset, make_dataset
from densesirst_gen.datasets.found.inventory import Inventory, counted
from densesirst_gen.datasets.found.left_over import left_over
from densesirst_gen.datasets.found.mask_classes import check_one_class, check_ties
from densesirst_gen.datasets.found.pairing import Pairing, pair
from densesirst_gen.datasets.found.split import splits_of
from densesirst_gen.datasets.in_frames import in_frames
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.files.images.codec import CodecError, read_mask
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

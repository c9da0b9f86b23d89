"""SIRST as released, v1 and v2.

v2 has its images in ``mixed/`` and again in ``images/{targets,backgrounds}/``; v1 has them in
``images/``. The mask of ``NAME.png`` is ``NAME_pixels0.png``; images without a target have a black
mask or none.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from densesirst_gen.datasets.dataset import Dataset, make_dataset
from densesirst_gen.datasets.found.inventory import Inventory
from densesirst_gen.datasets.in_frames import in_frames
from densesirst_gen.datasets.parts.splits import read_splits
from densesirst_gen.datasets.paths import list_images, unique
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs

EXPECTS = (
    "mixed/ or images/{targets,backgrounds}/ with annotations/masks/; images/, masks/, idx_427/"
)
SIRST_V1 = "Misc_*"
"""What the images of v1 are called, in v2 too: the frames of the released DenseSIRST."""
IMAGE_FOLDERS = (("mixed",), ("images/targets", "images/backgrounds"), ("images",))


def matches(inventory: Inventory) -> bool:
    """Whether a folder looks like SIRST v2 or v1."""
    root = inventory.root
    is_v2 = (root / "annotations/masks").is_dir()
    is_v1 = (root / "masks").is_dir() and (root / "idx_427").is_dir()
    return (is_v2 or is_v1) and bool(_images(root))


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The scenes of SIRST, each image once; DatasetError if names come twice."""
    root = inventory.root
    images = _images(root)
    masks = list_images(root, "annotations/masks") or list_images(root, "masks")
    files = chain(root.glob("splits/*.txt"), root.glob("idx_427/*.txt"))
    splits = read_splits(root, files, in_frames(images))
    return make_dataset(root, "sirst", images, masks=[masks], splits=splits)


def _images(root: Path) -> dict[str, Path]:
    """Of the first set of folders that has any."""
    for folders in IMAGE_FOLDERS:
        found = unique(chain(*(list_images(root, folder).items() for folder in folders)))
        if found:
            return found
    return {}

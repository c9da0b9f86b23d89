"""A folder of images without annotations, such as backgrounds of one's own."""

from __future__ import annotations

import re
from pathlib import Path

from densesirst_gen.datasets.dataset import Dataset, make_dataset
from densesirst_gen.datasets.paths import list_images

EXPECTS = "images in any subfolder, and no names that look like masks"
LOOKS_LIKE_MASK = re.compile(r"mask|label|annot|_pixels0|(^|/)gt/", re.IGNORECASE)


def matches(root: Path) -> bool:
    """Whether there are images, and nothing that looks like masks among them."""
    names = list_images(root, nested=True)
    return bool(names) and not any(LOOKS_LIKE_MASK.search(name) for name in names)


def read(root: Path) -> Dataset:
    """Every image below the folder, without masks, named by its path."""
    return make_dataset(root, "plain", list_images(root, nested=True))

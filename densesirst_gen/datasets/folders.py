"""Folders of images beside folders of masks, as the public IRSTD datasets have them.

``images/`` + ``masks/`` (BasicIRSTD, DNANet, NUDT-SIRST), ``IRSTD1k_Img/`` + ``IRSTD1k_Label/``, or
either inside ``train/``, ``trainval/``, ``val/``, ``test/`` (SIRST-Aug, AGPCNet). Subsets become
splits, and part of the name: ``train/a``.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from densesirst_gen.datasets.dataset import Dataset, Splits, make_dataset
from densesirst_gen.datasets.paths import list_images
from densesirst_gen.datasets.splits import read_splits

EXPECTS = "images/ and masks/, IRSTD1k_Img/ and IRSTD1k_Label/, or either inside train/, test/"
PAIRS = (("images", "masks"), ("IRSTD1k_Img", "IRSTD1k_Label"))
SUBSETS = ("train", "trainval", "val", "test")
LISTS = ("img_idx/*.txt", "[0-9]*_[0-9]*/*.txt", "splits/*.txt")


def matches(root: Path) -> bool:
    """Whether a folder, or one of its subsets, has images and masks side by side."""
    return any(_pair(folder) for folder in (root, *(root / subset for subset in SUBSETS)))


def read(root: Path) -> Dataset:
    """The pairs of image and mask, with the lists or the subsets as splits."""
    if _pair(root):
        images, masks = _paths(root, "")
        return make_dataset(root, "folders", images, masks=[masks], splits=_lists(root, images))
    subsets = {subset: _paths(root, f"{subset}/") for subset in SUBSETS}
    splits = {subset: tuple(images) for subset, (images, _) in subsets.items() if images}
    images = dict(chain(*(images.items() for images, _ in subsets.values())))
    masks = dict(chain(*(masks.items() for _, masks in subsets.values())))
    return make_dataset(root, "folders", images, masks=[masks], splits=splits)


def _pair(folder: Path) -> tuple[str, ...]:
    """The names of the image and the mask folder in `folder`, empty if it lacks one."""
    here = (pair for pair in PAIRS if all((folder / name).is_dir() for name in pair))
    return next(here, ())


def _paths(root: Path, prefix: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """Images and masks below a prefix such as ``train/``, which becomes part of the names."""
    found = [
        {prefix + name: path for name, path in list_images(root, prefix + folder).items()}
        for folder in _pair(root / prefix)
    ]
    return (found[0], found[1]) if found else ({}, {})


def _lists(root: Path, images: dict[str, Path]) -> Splits:
    """Splits of the first kind of list that is there; ``train_NAME.txt`` counts as train."""
    by_name = [root / f"{subset}.txt" for subset in SUBSETS if (root / f"{subset}.txt").is_file()]
    files = next(filter(None, (sorted(root.glob(pattern)) for pattern in LISTS)), by_name)
    splits = read_splits(root, files, images)
    short = {_short(stem): names for stem, names in splits.items()}
    return short if len(short) == len(splits) else splits


def _short(stem: str) -> str:
    head = stem.split("_")[0]
    return head if head in SUBSETS else stem

"""The parts of what was found: by lists, by tables, by folders, by names."""

from __future__ import annotations

from pathlib import Path

from densesirst_gen.datasets.dataset import Splits
from densesirst_gen.datasets.found.inventory import Inventory, relative_path
from densesirst_gen.datasets.parts.part_tables import part_tables
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.parts.splits import (
    find_splits,
    folder_splits,
    name_splits,
    with_held_folders,
)


def splits_of(inventory: Inventory, images: dict[str, Path], said: Splits | None = None) -> Splits:
    """By the lists of names, else as `said`, by tables of parts, by folders, or by names."""
    root = inventory.root
    lists = find_splits(root, inventory.lists, images)
    if not any(map(part_of, lists)):
        if said:
            return said
        lists = part_tables(root, (*inventory.lists, *inventory.texts), images) or lists
    parents = {name: relative_path(path.parent, root) for name, path in images.items()}
    if lists:
        splits = {split: names for split, (_, names) in lists.items()}
        return with_held_folders(splits, parents)
    return folder_splits(parents) or name_splits(images)

"""What was found and is not read, in notes."""

from __future__ import annotations

from densesirst_gen.datasets.found.inventory import ARCHIVES, Inventory, counted
from densesirst_gen.datasets.paths import examples


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

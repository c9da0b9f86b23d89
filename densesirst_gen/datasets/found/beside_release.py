"""What lies in the folder of a release, SIRST or DenseSIRST, and is no part of it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from densesirst_gen.datasets.found.inventory import Inventory, counted
from densesirst_gen.datasets.parts.split_words import part_of

OWN_FOLDERS = {"splits", "idx_427", "annotations", "sirst", "skyseg"}
OWN_FILES = {"annotations.json"}


def beside_release(inventory: Inventory) -> list[str]:
    """Notes on lists of parts and on labels that are passed over for those of the release."""
    lists = [path for path in inventory.lists if part_of(path.stem)]
    found = {"lists": lists} | {f"labels, {kind}": p for kind, p in inventory.labels.items()}
    strange = {k: [p for p in paths if not _is_own(p, inventory)] for k, paths in found.items()}
    return [
        f"passed over for those of the release: {kind}, {counted(paths, inventory.root)}"
        for kind, paths in strange.items()
        if paths
    ]


def _is_own(path: Path, inventory: Inventory) -> bool:
    *folders, name = PurePosixPath(inventory.relative(path)).parts
    return name in OWN_FILES or not OWN_FOLDERS.isdisjoint(map(str.casefold, folders))

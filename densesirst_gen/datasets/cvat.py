"""Targets drawn in CVAT, as a layout; see `tool_shapes`."""

from __future__ import annotations

from densesirst_gen.datasets.dataset import Dataset
from densesirst_gen.datasets.inventory import Inventory
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.datasets.tool_shapes import read_cvat

EXPECTS = 'images, and an export "CVAT for images 1.1"'


def matches(inventory: Inventory) -> bool:
    """Whether there are images and such files."""
    return bool(inventory.images) and bool(inventory.labels.get("CVAT"))


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """See `read_cvat`."""
    return read_cvat(inventory, given)

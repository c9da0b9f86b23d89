"""Targets drawn in labelme, as a layout; see `tool_shapes`."""

from __future__ import annotations

from densesirst_gen.datasets.dataset import Dataset
from densesirst_gen.datasets.inventory import Inventory
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.datasets.tool_shapes import read_labelme

EXPECTS = "images, and a file of labelme beside each, or in another folder"


def matches(inventory: Inventory) -> bool:
    """Whether there are images and such files."""
    return bool(inventory.images) and bool(inventory.labels.get("labelme"))


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """See `read_labelme`."""
    return read_labelme(inventory, given)

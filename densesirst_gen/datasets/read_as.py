"""What a user says of a dataset where it can't be guessed: which folders, lists, labels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, Self

from densesirst_gen.datasets.found.inventory import Group, Inventory, take_inventory
from densesirst_gen.datasets.paths import DatasetError

MASKS_FROM = ("boxes", "points")


@dataclass(frozen=True)
class ReadAs:
    """How a dataset is to be read; what is not said is recognised.

    Parameters
    ----------
    layout : str, optional
        A key of `densesirst_gen.datasets.LAYOUTS`.
    images, masks : Path, optional
        Folders of them, relative to the dataset, or to where the program runs.
    split_files : tuple of (str, Path)
        Split -> its list of scenes; they take the place of all that are found.
    category : tuple of str
        Categories of labels that are targets.
    masks_from : "boxes" or "points", optional
        Make masks of them, where nobody drew any: a filled box, or one pixel.
    ignore : tuple of str
        Globs of files and folders that are passed over, by path or by name.
    """

    layout: str | None = None
    images: Path | None = None
    masks: Path | None = None
    split_files: tuple[tuple[str, Path], ...] = ()
    category: tuple[str, ...] = ()
    masks_from: str | None = None
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.masks_from not in (None, *MASKS_FROM):
            raise DatasetError(f"masks_from must be boxes or points, got {self.masks_from!r}")

    @classmethod
    def of(
        cls,
        layout: str | None = None,
        images: str | PathLike[str] | None = None,
        masks: str | PathLike[str] | None = None,
        split_files: Mapping[str, str | PathLike[str]] | None = None,
        category: str | Iterable[str] | None = None,
        masks_from: str | None = None,
        ignore: str | Iterable[str] = (),
    ) -> Self:
        """From what people write: one or several, text or paths."""
        return cls(
            layout,
            None if images is None else Path(images),
            None if masks is None else Path(masks),
            tuple((split, Path(path)) for split, path in (split_files or {}).items()),
            _texts(category or ()),
            masks_from,
            _texts(ignore),
        )

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return self != ReadAs()

    def to_dict(self, root: Path) -> dict[str, Any]:
        """What is said but the layout, as plain values; files by their place in the dataset."""
        values: dict[str, Any] = {}
        for name in (f.name for f in fields(self) if f.name != "layout"):
            value = getattr(self, name)
            if isinstance(value, Path):
                value = _place(root, value)
            elif name == "split_files":
                value = {split: _place(root, path) for split, path in value}
            elif isinstance(value, tuple):
                value = list(value)
            if value:
                values[name] = value
        return values

    def found(self, root: Path, path: Path) -> Path:
        """A file or folder that was named; DatasetError if it is not there."""
        places = (root / path, path.expanduser())
        for place in places:
            if place.exists():
                return place
        raise DatasetError(f"{path}: not there, neither in {root} nor by itself")


AS_FOUND = ReadAs()
"""Nothing is said."""


def _texts(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _place(root: Path, path: Path) -> str:
    """Relative to the dataset; of what lies elsewhere the name alone, as it may be private."""
    full = root / path if (root / path).exists() else path
    here = Path(os.path.abspath(full))
    base = Path(os.path.abspath(root))
    return here.relative_to(base).as_posix() if here.is_relative_to(base) else here.name


def directed(inventory: Inventory, given: ReadAs) -> Inventory:
    """The inventory with images and masks where the user says that they are.

    Raises
    ------
    DatasetError
        If a folder is not there or has no images.
    """
    groups = list(inventory.groups)
    for path, is_mask in ((given.images, False), (given.masks, True)):
        if path is None:
            continue
        folder = given.found(inventory.root, path)
        if is_mask is False:
            groups = [group for group in groups if group.is_mask]
        else:
            groups = [group for group in groups if not group.is_mask]
        groups = [g for g in groups if not _lies_in(g, folder)] + _below(inventory, folder, is_mask)
    return replace(inventory, groups=tuple(groups))


def _below(inventory: Inventory, folder: Path, is_mask: bool) -> list[Group]:
    """The images of a folder, all of one kind."""
    base = os.path.relpath(folder.resolve(), inventory.root.resolve())
    found = take_inventory(folder).groups
    if not found:
        raise DatasetError(f"{folder}: no images in it")
    merged: dict[str, dict[str, Path]] = {}
    for group in found:
        merged.setdefault(group.folder, {}).update(group.files)
    where = "" if base == "." else Path(base).as_posix()
    return [
        Group(f"{where}/{inner}".strip("/") if inner else where, files, "", is_mask)
        for inner, files in merged.items()
    ]


def _lies_in(group: Group, folder: Path) -> bool:
    inside = folder.resolve()
    return any(path.resolve().is_relative_to(inside) for path in list(group.files.values())[:1])

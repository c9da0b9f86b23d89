"""The images of a COCO file in little memory: a record is made when it is asked for."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from densesirst_gen.datasets.packed import Pieces, column


@dataclass(frozen=True, eq=False)
class CocoImage:
    """An image record.

    Parameters
    ----------
    name : str
        Of the scene: the path of the file below the folder of images, without suffix.
    path : Path
    size : (int, int)
        (H, W); (0, 0) if neither the record nor the file tells it.
    """

    name: str
    path: Path
    size: tuple[int, int]


class CocoImages:
    """The images of a COCO file by the row of their record, see `Ids.rows`.

    Parameters
    ----------
    bases : sequence of Path
        Folders that the files lie in.
    """

    def __init__(self, bases: Sequence[Path]) -> None:
        self._bases, self._folders = list(bases), list(map(str, bases))
        self._files, self._base, self._suffix = Pieces(), array("i"), array("i")
        self._sizes = array("q")
        self.keys: Sequence[Any] = ()
        self.by_name: Sequence[int] = ()
        """Rows of the images that are scenes, in the order of their names."""

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> CocoImage:
        return CocoImage(self.name(row), self.path(row), self.size(row))

    def append(self, base: Path, relative: str, suffix: int) -> None:
        """The file of the next row: path below one of the folders, and how long its suffix is."""
        self._files.append(relative.encode("utf-8", "surrogatepass"))
        self._base.append(self._bases.index(base))
        self._suffix.append(suffix)
        self._sizes.extend((0, 0))

    def set_size(self, row: int, size: tuple[int, int]) -> None:
        """(H, W) of an image."""
        self._sizes[2 * row], self._sizes[2 * row + 1] = size

    def set_keys(self, keys: Iterable[Any]) -> None:
        """The ids of all rows."""
        self.keys = column(keys)

    def name(self, row: int) -> str:
        """Of the scene."""
        relative = self._relative(row)
        return relative[: len(relative) - self._suffix[row]]

    def path(self, row: int) -> Path:
        """Of the file."""
        return self._bases[self._base[row]] / self._relative(row)

    def file(self, row: int) -> str:
        """The path as text."""
        return os.path.join(self._folders[self._base[row]], self._relative(row))

    def _relative(self, row: int) -> str:
        return self._files[row].decode("utf-8", "surrogatepass")

    def size(self, row: int) -> tuple[int, int]:
        """(H, W); (0, 0) if it is not known."""
        return self._sizes[2 * row], self._sizes[2 * row + 1]

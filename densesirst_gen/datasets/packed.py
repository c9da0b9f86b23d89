"""Very many short things in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


class Pieces:
    """Byte strings, one behind the other."""

    def __init__(self) -> None:
        self._data, self._ends = bytearray(), array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, k: int) -> bytes:
        return bytes(self._data[self._ends[k] : self._ends[k + 1]])

    def append(self, piece: bytes) -> None:
        """Put one behind the others."""
        self._data += piece
        self._ends.append(len(self._data))


def column(values: Iterable[Any]) -> Sequence[Any]:
    """The values: 8 bytes each if all are whole numbers of 64 bits, else a list."""
    values = list(values)
    if all(type(value) is int for value in values):
        try:
            return array("q", values)
        except OverflowError:
            pass
    return values


def repeated(hashes: Sequence[int]) -> set[int]:
    """The values that come more than once; things of another hash are surely like no other."""
    values, counts = np.unique(np.asarray(hashes, np.int64), return_counts=True)
    return set(values[counts > 1].tolist())

"""Records of a COCO file by their ids, whatever type these have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from densesirst_gen.datasets.paths import DatasetError

Record = dict[str, Any]


def by_id(records: Iterable[Record], what: str) -> dict[Any, Record]:
    """Records by their id; DatasetError if two that differ have the same."""
    found: dict[Any, Record] = {}
    for record in records:
        if found.setdefault(record["id"], record) != record:
            raise DatasetError(f"{what} id {record['id']!r} comes twice")
    return found


class Ids:
    """The ids of some records, to be found by what other records call them.

    Parameters
    ----------
    keys : iterable of int, float or str
    """

    def __init__(self, keys: Iterable[Any]) -> None:
        self._keys = set(keys)
        self._texts: dict[str, Any] = {}
        for key in self._keys:
            other = self._texts.setdefault(_text(key), key)
            if other is not key:
                self._texts[_text(key)] = None

    def find(self, key: Any) -> Any:
        """The id itself, else the one id that is written alike ("7" and 7), else None."""
        return key if key in self._keys else self._texts.get(_text(key))


def _text(key: Any) -> str:
    is_whole = isinstance(key, float) and key.is_integer()
    return str(int(key) if is_whole else key).strip()

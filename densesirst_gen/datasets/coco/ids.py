"""Records of a COCO file by their ids, whatever type these have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
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
        In the order of the records; what comes again counts once.
    """

    def __init__(self, keys: Iterable[Any]) -> None:
        self.rows: dict[Any, int] = {}
        for key in keys:
            self.rows.setdefault(key, len(self.rows))

    def find(self, key: Any) -> Any:
        """The id itself, else the one id that is written alike ("7" and 7), else None."""
        return key if key in self.rows else self._texts.get(_text(key))

    @cached_property
    def _texts(self) -> dict[str, Any]:
        texts: dict[str, Any] = {}
        for key in self.rows:
            if texts.setdefault(_text(key), key) is not key:
                texts[_text(key)] = None
        return texts


def ids_of(records: Iterable[Record], what: str) -> Ids:
    """The ids of records, which are gone through twice; raises as `by_id` does."""
    ids, again = Ids(()), set()
    n, lacks = 0, None  # records with an id, and what is wrong with the one behind them
    try:
        for record in records:
            key, new = record["id"], len(ids.rows)
            if ids.rows.setdefault(key, new) != new:
                again.add(key)
            n += 1
    except (KeyError, TypeError) as error:
        lacks = error
    if again:
        by_id((r for r in islice(records, n) if r["id"] in again), what)
    if lacks is not None:
        raise lacks
    return ids


def each_once(records: Iterable[Record], ids: Ids) -> Iterator[Record]:
    """The first record of each id, in the order of `Ids.rows`."""
    row = 0
    for record in records:
        if ids.rows.get(record["id"], row) == row:  # NaN is found by nobody
            row += 1
            yield record


def _text(key: Any) -> str:
    is_whole = isinstance(key, float) and key.is_integer()
    return str(int(key) if is_whole else key).strip()

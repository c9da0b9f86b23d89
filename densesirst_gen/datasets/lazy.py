"""A tuple whose elements are made when they are asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

T = TypeVar("T")
U = TypeVar("U")


class LazyTuple(Sequence[T]):
    """Elements that are made each time that they are asked for; pickled it is a tuple.

    Parameters
    ----------
    make : callable
        k -> the k-th element, each time an equal one.
    n : int
    """

    def __init__(self, make: Callable[[int], T], n: int) -> None:
        self._make, self._n = make, n

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, k: int) -> T: ...
    @overload
    def __getitem__(self, k: slice) -> tuple[T, ...]: ...
    def __getitem__(self, k: int | slice) -> T | tuple[T, ...]:
        found = range(self._n)[k]
        return self._make(found) if isinstance(found, int) else tuple(map(self._make, found))

    def __iter__(self) -> Iterator[T]:
        return map(self._make, range(self._n))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (LazyTuple, tuple)):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)

    def changed(self, change: Callable[[T], U]) -> LazyTuple[U]:
        """Each as a function gives it, when it is asked for."""
        return LazyTuple(lambda k: change(self._make(k)), self._n)


def each(items: Sequence[T], change: Callable[[T], U]) -> Sequence[U]:
    """Elements as a function gives them: a tuple, lazy if `items` is."""
    return items.changed(change) if isinstance(items, LazyTuple) else tuple(map(change, items))


def kept(items: Sequence[T], wanted: Callable[[T], object]) -> Sequence[T]:
    """Elements of which a function says yes: a tuple, lazy if `items` is."""
    if not isinstance(items, LazyTuple):
        return tuple(filter(wanted, items))
    places = array("q", (k for k, item in enumerate(items) if wanted(item)))
    return LazyTuple(lambda k: items[places[k]], len(places))

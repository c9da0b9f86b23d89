"""A generator for each call of an augmentation, in one process or in many.

With an index, a call's numbers depend on (seed, epoch, index) and on nothing else. Without one they
come from a stream: (seed, epoch, process, how many calls before, which of the streams of this
process). There is no global state; two calls never share a generator, so threads need not wait for
each other.
"""

from __future__ import annotations

import itertools
import json
import operator
from collections.abc import Sequence
from multiprocessing import heap
from multiprocessing.context import get_spawning_popen
from multiprocessing.sharedctypes import RawValue
from numbers import Real
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from densesirst_gen.augment.processes import process_key
from densesirst_gen.paste.seeds import generator, name_key

Index = int | str | Sequence[int | str]


class SharedNumber:
    """A whole number that worker processes see change.

    A process that is forked or spawned with it shares it. Any other copy (pickle, deepcopy) is a
    number of its own, with the value of that moment.
    """

    def __init__(self, value: int = 0, cell: Any = None) -> None:
        self._cell = _shared_cell(value) if cell is None else cell

    @property
    def value(self) -> int:
        """The number now."""
        return int(self._cell.value)

    @value.setter
    def value(self, value: int) -> None:
        self._cell.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedNumber, (0, self._cell) if _is_being_spawned() else (self.value,)


class Place:
    """The place of a stream among those of its process; it is free again when the stream is gone.

    Parameters
    ----------
    key : tuple of int
        Empty for the first stream of a seed; (0, k) for the one after k others; (1, k) for the k-th
        that was loaded from a pickle.
    """

    def __init__(self, key: tuple[int, ...]) -> None:
        self.key = key


class _Places:
    """Those of one process."""

    def __init__(self) -> None:
        self._taken: WeakValueDictionary[tuple[int, tuple[int, ...]], Place] = WeakValueDictionary()
        self._n_loaded = 0
        self._lock = Lock()

    def free(self, seed: int) -> Place:
        """The first that no living stream of this seed has."""
        with self._lock:
            keys = ((0, k) if k else () for k in itertools.count())
            return self._take(seed, next(key for key in keys if (seed, key) not in self._taken))

    def loaded(self, seed: int) -> Place:
        """One that no stream has had."""
        with self._lock:
            self._n_loaded += 1
            return self._take(seed, (1, self._n_loaded))

    def inherited(self, seed: int, key: tuple[int, ...]) -> Place:
        """That of a stream in the process that has started this one."""
        with self._lock:
            if key and key[0] == 1:
                self._n_loaded = max(self._n_loaded, key[1])
            return self._take(seed, key)

    def _take(self, seed: int, key: tuple[int, ...]) -> Place:
        place = self._taken[seed, key] = Place(key)
        return place


_places = _Places()


def _shared_cell(value: int) -> Any:
    """Where there is no /dev/shm, or a full one, it is a file of the temporary folder."""
    try:
        return RawValue("q", value)
    except OSError:
        before = heap.Arena._dir_candidates  # type: ignore[attr-defined] # noqa: SLF001
    heap.Arena._dir_candidates = []  # type: ignore[attr-defined] # noqa: SLF001
    try:
        return RawValue("q", value)
    finally:
        heap.Arena._dir_candidates = before  # type: ignore[attr-defined] # noqa: SLF001


class CallStream:
    """Generators for the calls of one augmentation.

    Streams of one seed that are there at the same time differ: the first is as it would be alone.
    A deepcopy goes on as the original would, and so does a stream in a process that is started with
    it; one that is loaded from a pickle is a stream of its own.

    Parameters
    ----------
    seed : int
        At least 0.
    epoch : SharedNumber, optional
        Shared with the processes started with this stream; 0 if not given.
    n_calls : int
        Calls without an index so far, in this process.
    place : Place, optional
        Among the streams of this process; by default a free one.
    """

    def __init__(
        self,
        seed: int,
        epoch: SharedNumber | None = None,
        n_calls: int = 0,
        place: Place | None = None,
    ) -> None:
        self.seed = whole("seed", seed)
        self.epoch = epoch or SharedNumber()
        self._n_calls = n_calls
        self._place = place or _places.free(self.seed)
        self._lock = Lock()

    def rng(self, index: Index | None = None) -> np.random.Generator:
        """The generator of the next call, or of the call for `index`.

        Parameters
        ----------
        index : int, str, or a sequence of these, optional
            Of the sample: a whole number >= 0, or a name; or several of them, such as data set,
            number and repeat.
        """
        epoch = self.epoch.value
        if index is None:
            return generator(self.seed, (1, epoch, process_key(), self._next(), *self._place.key))
        return generator(self.seed, (0, epoch, _index_key(index)))

    def _next(self) -> int:
        with self._lock:
            self._n_calls += 1
            return self._n_calls

    def __deepcopy__(self, memo: dict[int, Any]) -> CallStream:
        return CallStream(self.seed, SharedNumber(self.epoch.value), self._n_calls, self._place)

    def __reduce__(self) -> tuple[Any, ...]:
        if _is_being_spawned():
            return _started, (self.seed, self.epoch, self._n_calls, self._place.key)
        return _unpickled, (self.seed, self.epoch)


def _is_being_spawned() -> bool:
    """Whether what is being pickled goes to a process that is being started."""
    return get_spawning_popen() is not None


def _started(seed: int, epoch: SharedNumber, n_calls: int, key: tuple[int, ...]) -> CallStream:
    return CallStream(seed, epoch, n_calls, _places.inherited(seed, key))


def _unpickled(seed: int, epoch: SharedNumber) -> CallStream:
    """A new stream: what is loaded twice, or in two tasks of a pool, does not draw alike."""
    return CallStream(seed, epoch, place=_places.loaded(seed))


def _index_key(index: Index) -> int:
    if isinstance(index, str):
        return name_key(index)
    if isinstance(index, tuple | list) and index:
        parts = [p if isinstance(p, str) else whole("index", p) for p in index]
        return name_key(json.dumps(parts))
    return whole("index", index)


def whole(name: str, value: Any) -> int:
    """`value` as an int; ValueError, with the argument's name, unless it is whole and >= 0."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number < 0 or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number >= 0, got {value!r}")
    return number


def is_share(value: Any) -> bool:
    """Whether it is a number in [0, 1]."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and 0 <= float(value) <= 1

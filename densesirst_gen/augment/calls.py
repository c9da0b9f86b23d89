"""A generator for each call of an augmentation, in one process or in many.

With an index, a call's numbers depend on (seed, epoch, index) and on nothing else. Without one they
come from a stream of the process: (seed, epoch, process, how many calls before). There is no global
state; two calls never share a generator, so threads need not wait for each other.
"""

from __future__ import annotations

import operator
import sys
from multiprocessing import current_process, heap
from multiprocessing.context import get_spawning_popen
from multiprocessing.sharedctypes import RawValue
from threading import Lock
from typing import Any

import numpy as np

from densesirst_gen.paste.seeds import generator, name_key

Index = int | str


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
        is_being_spawned = get_spawning_popen() is not None
        return SharedNumber, (0, self._cell) if is_being_spawned else (self.value,)


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

    Parameters
    ----------
    seed : int
        At least 0.
    epoch : SharedNumber, optional
        Shared with the processes started with this stream; 0 if not given.
    n_calls : int
        Calls without an index so far, in this process.
    """

    def __init__(self, seed: int, epoch: SharedNumber | None = None, n_calls: int = 0) -> None:
        self.seed = whole("seed", seed)
        self.epoch = epoch or SharedNumber()
        self._n_calls = n_calls
        self._lock = Lock()

    def rng(self, index: Index | None = None) -> np.random.Generator:
        """The generator of the next call, or of the call for `index`.

        Parameters
        ----------
        index : int or str, optional
            Of the sample: a whole number >= 0, or a name.
        """
        epoch = self.epoch.value
        if index is None:
            return generator(self.seed, (1, epoch, process_key(), self._next()))
        key = name_key(index) if isinstance(index, str) else whole("index", index)
        return generator(self.seed, (0, epoch, key))

    def _next(self) -> int:
        with self._lock:
            self._n_calls += 1
            return self._n_calls

    def __reduce__(self) -> tuple[Any, ...]:
        return CallStream, (self.seed, self.epoch, self._n_calls)


def process_key() -> int:
    """What tells the processes of one program apart; 0 in the main process.

    In a DataLoader worker it is the worker's seed, which PyTorch draws anew for each epoch (from
    its own seed); in another child process it is a hash of the process's name.
    """
    torch_data = sys.modules.get("torch.utils.data")
    worker = torch_data.get_worker_info() if torch_data else None
    if worker is not None:
        return int(worker.seed)
    name = current_process().name
    return 0 if name == "MainProcess" else name_key(name)


def whole(name: str, value: Any) -> int:
    """`value` as an int; ValueError, with the argument's name, unless it is whole and >= 0."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number < 0 or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number >= 0, got {value!r}")
    return number

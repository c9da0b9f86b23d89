"""Mapping a function over many items with processes.

Each process has one item at a time, so that it is known whose item was lost when one is killed:
that item is tried once more, in a fresh process and alone, after all others. A pool of the standard
library would lose all items at work, and knows not which of them was to blame.
"""

from __future__ import annotations

import multiprocessing
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, NamedTuple, TypeVar

from densesirst_gen.files.surroundings import Surroundings, surroundings
from densesirst_gen.files.worker import DONE, FAILED, READY, Worker, WorkerLost, end

Item = TypeVar("Item")
Result = TypeVar("Result")
Mapper = Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[Result]]
Progress = Callable[[Iterable[Any], int], Iterable[Any]]
"""Wraps results and their number, to show how far a work is."""

MOST_JOBS = 1024
MOST_IN_A_ROW = 8
"""Losses without a result in between, after which it is not the items' fault."""
PAUSE = 0.1
"""Seconds between two tries to start a process."""
N_NAMED = 3
LOST = "lost"
_NONE = object()


class WorkersError(RuntimeError):
    """Processes were killed again and again; the message says at what."""


@contextmanager
def workers(jobs: int, preload: Iterable[str] = ()) -> Iterator[Mapper[Any, Any]]:
    """A map over processes; results come as they are done, in any order.

    An item whose process is killed is tried once more; every other item gives one result whatever
    happens. The processes end with this block, and with this process.

    Parameters
    ----------
    jobs : int
        Number of processes; 1 works in this one, in order.
    preload : iterable of str
        Modules that the processes start with, so that each need not import them.

    Raises
    ------
    ValueError
        If `jobs` is not 1 to 1024.
    RuntimeError
        If this process is one that just imports its main module, which lacks a main guard.
    WorkersError
        In a process that may not have any itself. While results are taken: if a process was killed
        at the same item twice, after all other results; or if processes are killed as soon as they
        start.
    """
    if not 1 <= jobs <= MOST_JOBS:
        raise ValueError(f"jobs must be 1 to {MOST_JOBS}, got {jobs}")
    if jobs == 1:
        yield map
        return
    given = surroundings()
    if multiprocessing.current_process().daemon:
        raise WorkersError("a daemonic process can't start others: jobs must be 1 here")
    pool = _Pool(jobs, _context(preload), given)
    try:
        yield pool.map
    finally:
        pool.end()


def _context(preload: Iterable[str]) -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload, Worker.__module__, "cv2"])
    return context


class _Pool:
    """Processes, started as they are needed; some are at work, by their pipes."""

    def __init__(self, jobs: int, context: Any, given: Surroundings) -> None:
        self.jobs, self.context, self.given = jobs, context, given
        self.idle: list[Worker] = []
        self.busy: dict[Any, Worker] = {}
        self.n_in_a_row = 0

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        call, lost, again = pickle.dumps(function), list[_Loss](), list[_Loss]()
        try:
            yield from self._results(call, items, self.jobs, lost)
            if lost:
                self.end()
                yield from self._results(call, [loss.item for loss in lost], 1, again)
            if again:
                raise WorkersError(_text(again, "twice"))
        finally:
            self._drop(list(self.busy.values()))

    def _results(
        self, call: bytes, items: Iterable[Item], jobs: int, lost: list[_Loss]
    ) -> Iterator[Any]:
        source = iter(items)
        self._hand_out(call, source, jobs)
        while self.busy:
            answers = [self._answer_at(pipe, lost) for pipe in wait(list(self.busy))]
            self._hand_out(call, source, jobs)
            yield from (value for kind, value in answers if kind == DONE)
            for kind, value in answers:
                if kind == FAILED:
                    raise value

    def _hand_out(self, call: bytes, source: Iterator[Any], jobs: int) -> None:
        """Give work to as many processes as there may be."""
        while len(self.busy) < jobs and (item := next(source, _NONE)) is not _NONE:
            worker = self.idle.pop() if self.idle else self._fresh()
            self.busy[worker.pipe] = worker
            worker.give(call, item)

    def _fresh(self) -> Worker:
        """A new process; a second try is for a fork server that was killed just now."""
        try:
            return Worker(self.context, self.given)
        except (EOFError, OSError):
            time.sleep(PAUSE)
        try:
            return Worker(self.context, self.given)
        except (EOFError, OSError) as error:
            raise WorkersError(
                f"a worker process can't be started ({error}); fewer --jobs may help"
            ) from error

    def _answer_at(self, pipe: Any, lost: list[_Loss]) -> tuple[str, Any]:
        worker = self.busy[pipe]
        try:
            kind, value = worker.answer()
        except WorkerLost as loss:
            self._drop([worker])
            lost.append(_Loss(worker.item, str(loss)))
            self.n_in_a_row += 1
            if self.n_in_a_row > MOST_IN_A_ROW:
                raise WorkersError(_text(lost, "again and again")) from None
            return LOST, None
        if kind != READY:
            self.idle.append(self.busy.pop(pipe))
            self.n_in_a_row = 0
        return kind, value

    def _drop(self, gone: list[Worker]) -> None:
        for worker in gone:
            self.busy.pop(worker.pipe, None)
        end(gone)

    def end(self) -> None:
        """End all processes; new ones are started when there is work."""
        self._drop([*self.busy.values(), *self.idle])
        self.idle = []


class _Loss(NamedTuple):
    item: Any
    reason: str


def _text(lost: list[_Loss], times: str) -> str:
    names = ", ".join(_name(loss.item) for loss in lost[:N_NAMED])
    more = f" and {len(lost) - N_NAMED} more" if len(lost) > N_NAMED else ""
    return (
        f"{names}{more}: the process at work on it ended {times} ({lost[-1].reason}); "
        "fewer --jobs need less memory"
    )


def _name(item: Any) -> str:
    first = item[0] if isinstance(item, tuple) and item else item
    return str(getattr(first, "name", first))[:255]

"""Mapping a function over many items with processes, a bounded number of them in flight."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")
Mapper = Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[Result]]

IN_FLIGHT = 4
"""Tasks handed out for each process: enough to keep it busy, few enough to stop quickly."""


@contextmanager
def workers(jobs: int, preload: Iterable[str] = ()) -> Iterator[Mapper[Any, Any]]:
    """A map over processes; results come as they are done, in any order.

    Parameters
    ----------
    jobs : int
        Number of processes; 1 works in this one, in order.
    preload : iterable of str
        Modules that the processes start with, so that each need not import them.

    Raises
    ------
    ValueError
        If `jobs` is less than 1.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if jobs == 1:
        yield map
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    pool = ProcessPoolExecutor(jobs, context, initializer=_become_worker)
    try:
        yield lambda function, items: _unordered(pool, function, items, jobs * IN_FLIGHT)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _become_worker() -> None:
    """Leave interrupts to the parent, and the other cores to the other workers."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _unordered(
    pool: ProcessPoolExecutor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    in_flight: int,
) -> Iterator[Result]:
    source = iter(items)
    running: set[Future[Result]] = {pool.submit(function, x) for x in islice(source, in_flight)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        running |= {pool.submit(function, x) for x in islice(source, len(done))}
        for future in done:
            yield future.result()

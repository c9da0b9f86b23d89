"""A process that answers one call at a time, and does not outlive the process that started it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from densesirst_gen.files.stopping import held_back
from densesirst_gen.files.surroundings import Surroundings, Unpickler, hidden_surroundings

GRACE = 2.0
"""Seconds that a process gets to clear its half-written file away before it is killed."""
READY, DONE, FAILED = "ready", "done", "failed"


class WorkerLost(Exception):
    """The process ended without an answer; the message says how."""


class Worker:
    """The parent's side of one process.

    Parameters
    ----------
    context : multiprocessing context
    given : dict
        Of this process, see `densesirst_gen.files.surroundings`.
    """

    def __init__(self, context: Any, given: Surroundings) -> None:
        self.item: Any = None
        self.is_ready = False
        self._function = b""
        with held_back(), hidden_surroundings():
            _start_server(context)
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, given), daemon=True)
            self.process.start()
            theirs.close()

    def give(self, function: bytes, item: Any) -> None:
        """Let it call a pickled function with an item; it must not be at work.

        A process that has ended is told by `answer`.
        """
        self.item = item
        news, self._function = (b"" if function is self._function else function), function
        with suppress(OSError):
            self.pipe.send_bytes(pickle.dumps((news, item)))

    def answer(self) -> tuple[str, Any]:
        """READY once, at first; then DONE and the result, or FAILED and the exception.

        Raises
        ------
        WorkerLost
            If the process has ended.
        """
        try:
            kind, value = pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            raise WorkerLost(self._end()) from None
        self.is_ready = True
        return kind, value

    def _end(self) -> str:
        """How the process ended."""
        self.process.join(GRACE)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}"
        return f"{signal.Signals(-code).name}{', perhaps for want of memory' * (code == -9)}"


def end(workers: Sequence[Worker]) -> None:
    """End processes, at work or not, within bounded time."""
    with held_back():
        processes = [worker.process for worker in workers]
        deadline = time.monotonic() + GRACE
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join(GRACE)
        for worker in workers:
            worker.pipe.close()


def _start_server(context: Any) -> None:
    """Have a fork server that no signal of the terminal reaches, not even while it imports."""
    if context.get_start_method() != "forkserver":
        return
    resource_tracker.ensure_running()  # first, as it lifts the block of signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, given: Surroundings) -> None:
    """What the process does: answer until the parent closes the pipe."""
    _obey_the_parent_only()
    threading.Thread(target=_watch_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    function, unpickler = None, Unpickler(given)
    with suppress(EOFError, OSError):
        pipe.send_bytes(pickle.dumps((READY, None)))
        while True:
            request = pipe.recv_bytes()
            function, answer = _answer(function, request, unpickler)
            pipe.send_bytes(answer)


def _obey_the_parent_only() -> None:
    """Leave interrupts to the parent; end on SIGTERM, half-written files being cleared away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_now)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def _end_now(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + signal.SIGTERM)


def _watch_parent() -> None:
    """End with the parent, however it ended and whatever this process is at."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def _answer(function: Any, request: bytes, unpickler: Unpickler) -> tuple[Any, bytes]:
    """The function to keep, and the pickled answer."""
    try:
        news, item = unpickler.loads(request)
        function = unpickler.loads(news) if news else function
        return function, pickle.dumps((DONE, function(item)))
    except Exception as error:
        return function, _failure(error)


def _failure(error: Exception) -> bytes:
    """Pickled; an exception that can't travel goes as text."""
    error.add_note(f"in a worker process:\n{traceback.format_exc()}")
    try:
        answer = pickle.dumps((FAILED, error))
        pickle.loads(answer)
    except Exception:
        return pickle.dumps((FAILED, RuntimeError(f"{type(error).__name__}: {error}")))
    return answer

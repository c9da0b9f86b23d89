"""Ending by a signal: at once, whole, once, and in bounded time.

The first signal raises `Stopped` in the main thread, so that half-written files, locks and
processes are cleared away; those that follow change nothing. Should clearing away not come to its
end, the process ends without it. Nothing heavy is imported here: it comes before all else.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminal closed"}
SIGNALS = tuple(getattr(signal, name) for name in WORDS if hasattr(signal, name))
GRACE = 10.0
"""Seconds for clearing away."""
RETRY = 0.1
"""Seconds until the exception is raised again where something swallowed it."""


class Stopped(SystemExit):
    """The program was told to end; the exit code is 128 and the number of the signal."""


@dataclass
class _State:
    number: int = 0
    is_due: bool = False
    n_held: int = 0
    unraisable: Callable[[Any], Any] = sys.unraisablehook


_state = _State()


def stop_on_signals() -> None:
    """Raise `Stopped` in the main thread on the first signal; those ignored before stay ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _receive)
    sys.unraisablehook = _notice


def ignore_signals() -> None:
    """All is done: what comes now must not spoil the end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def stop_code() -> int:
    """The exit code due to the signal that came, 0 if none did."""
    return 128 + _state.number if _state.number else 0


def stop_word() -> str:
    """What happened, in a word for users."""
    return WORDS[signal.Signals(_state.number).name]


@contextmanager
def held_back() -> Iterator[None]:
    """A signal that comes during this block acts at its end; keep the block short."""
    _state.n_held += 1
    try:
        yield
    finally:
        _state.n_held -= 1
        _raise_if_due()


def _receive(number: int, _: object) -> None:
    if not _state.number:
        _state.number, _state.is_due = number, True
        with suppress(RuntimeError):  # no thread to be had
            _thread.start_new_thread(_see_to_it, ())  # takes no lock that this thread may hold
    _raise_if_due()


def _raise_if_due() -> None:
    if _state.is_due and not _state.n_held:
        _state.is_due = False
        raise Stopped(stop_code())


def _notice(unraisable: Any) -> None:
    """An exception raised where none can go on, such as in a finaliser, is raised again."""
    if isinstance(unraisable.exc_value, Stopped):
        _state.is_due = True
    elif not _state.number:
        _state.unraisable(unraisable)


def _see_to_it() -> None:
    end = time.monotonic() + GRACE
    while time.monotonic() < end:
        time.sleep(RETRY)
        if _state.is_due:
            _remind()
    os._exit(stop_code())


def _remind() -> None:
    """Let the handler run in the main thread, which may be waiting for something."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, _state.number)
    else:
        _thread.interrupt_main(signal.Signals(_state.number))

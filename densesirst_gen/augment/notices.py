"""What was assumed, told once in a process."""

from __future__ import annotations

import warnings
from threading import Lock

_told: set[str] = set()
_telling = Lock()


def tell_once(subject: str, text: str) -> None:
    """Warn of what was assumed, the first time that it is about this subject."""
    with _telling:
        is_new = subject not in _told
        _told.add(subject)
    if is_new:
        warnings.warn(f"{text}; said once", stacklevel=6)


def is_told(subject: str) -> bool:
    """Whether there was a warning about a subject."""
    return subject in _told

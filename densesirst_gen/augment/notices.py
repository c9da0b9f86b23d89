"""What was assumed or not done, told once in a process."""

from __future__ import annotations

import warnings
from threading import Lock

_told: set[str] = set()
_telling = Lock()


def tell_once(subject: str, text: str, *, more: str = "", depth: int = 6) -> None:
    """Warn of what was assumed or not done, the first time that it is about this subject.

    Parameters
    ----------
    subject, text : str
    more : str
        What follows on that it is said once.
    depth : int
        Calls between the warning and the line that it is shown for.
    """
    with _telling:
        is_new = subject not in _told
        _told.add(subject)
    if is_new:
        warnings.warn(f"{text}; said once{more}", stacklevel=depth)


def is_told(subject: str) -> bool:
    """Whether there was a warning about a subject."""
    return subject in _told

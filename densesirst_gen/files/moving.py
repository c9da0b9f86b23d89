"""Moving and deleting files that others may look at: viewers and virus scanners on Windows.

There a file that a program has open can't be replaced or deleted; most have it open for a moment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

N_TRIES = 8
PAUSE = 0.02
"""Seconds before the second try, doubled before each further one: 2.5 in all."""


def replace_file(source: Path, target: Path) -> None:
    """`os.replace`, tried a few times on Windows while another program holds a file."""
    _patiently(lambda: os.replace(source, target))


def delete_file(path: Path) -> None:
    """Delete a file, if it is there; tried as in `replace_file`."""
    _patiently(lambda: path.unlink(missing_ok=True))


def _patiently(act: Callable[[], None]) -> None:
    for number in range(N_TRIES - 1 if os.name == "nt" else 0):
        try:
            return act()
        except PermissionError:
            time.sleep(PAUSE * 2**number)
    return act()

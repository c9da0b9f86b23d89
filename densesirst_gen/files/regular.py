"""Opening files that somebody else made: regular ones only, so that no pipe or device ever hangs.

Symbolic links are followed; what counts is what they lead to.
"""

from __future__ import annotations

import os
import stat
from os import PathLike
from typing import IO

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotRegularError(OSError):
    """A path that leads to something else than a regular file; the message says to what."""


def open_regular(path: str | PathLike[str]) -> IO[bytes]:
    """Open a regular file for reading.

    Parameters
    ----------
    path : path
        May be a symbolic link.

    Raises
    ------
    NotRegularError
        If it is a folder, a pipe, a socket or a device; none of them is waited for or read.
    OSError
        If there is no such file, or it can't be opened.
    """
    check_regular(path, os.stat(path).st_mode)
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        check_regular(path, os.fstat(number).st_mode)  # it may have been another one a moment ago
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def check_regular(path: str | PathLike[str], mode: int) -> None:
    """NotRegularError if the ``st_mode`` of a path is not that of a regular file."""
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        raise NotRegularError(f"{path}: {kind}, not a regular file")


def read_bytes(path: str | PathLike[str]) -> bytes:
    """The content of a regular file; raises as `open_regular` does."""
    with open_regular(path) as file:
        return file.read()

"""A full disk: where, how much is missing, and how to go on."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from densesirst_gen.files.atomic import OutputError
from densesirst_gen.files.folder import BuildFolder

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def full_disk_told(folder: BuildFolder, n_scenes: int) -> Iterator[None]:
    """Turn the operating system's error into one that says how to go on.

    Parameters
    ----------
    folder : BuildFolder
    n_scenes : int
        That the build writes.

    Raises
    ------
    OutputError
        In place of an OSError of a full disk, quota or file size.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(folder.root).free
        raise OutputError(
            f"{error.filename or folder.root}: {error.strerror}, {free / 1e6:,.1f} MB are free"
            f"{_needed(folder, n_scenes)}. What is done is kept: make room, then --resume goes on"
        ) from error


def _needed(folder: BuildFolder, n_scenes: int) -> str:
    """What the scenes to come will take, if those that are done can tell."""
    n_done = n_bytes = 0
    with suppress(OSError, OutputError):
        for entry in folder.entries():
            n_done += 1
            n_bytes += sum(_size(folder.root / name) for name in entry.get("files", ()))
    if not n_bytes:
        return ""
    left = n_scenes - n_done
    return f", about {left * n_bytes / n_done / 1e6:,.1f} MB are needed for {left:,} more scenes"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0

"""A folder that is there as a whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.lock import locked


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write to; it gets its name when all is done, and is gone if that fails.

    It grows beside, in ``.OUT.part``, which one process at a time holds; what one that was killed
    has left there is cleared away by the next.

    Parameters
    ----------
    out : Path
        Must not exist, or be empty.

    Raises
    ------
    RefusedError
        If there is something, or another process is writing it.
    """
    check_new(out)
    beside = out.parent / f".{out.name[:100]}.part"
    if beside.is_symlink():
        raise RefusedError(f"{beside} is a link: nothing is written through it")
    try:
        with locked(beside), _empty(beside / "new") as part:
            yield part
            check_new(out)
            os.replace(part, out)
    finally:
        with suppress(OSError):
            beside.rmdir()


@contextmanager
def _empty(part: Path) -> Iterator[Path]:
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_new(out: Path) -> None:
    """RefusedError if there is a file, a link, or a folder that is not empty or that we are in."""
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise RefusedError(f"{out} is there already: name a new folder, nothing is overwritten")
    if out.exists() and os.path.samefile(out, os.curdir):
        raise RefusedError(f"{out} is the folder that the program runs in: name another")

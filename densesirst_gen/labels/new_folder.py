"""A folder that is there as a whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from densesirst_gen.files.atomic import RefusedError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write to; it gets its name when all is done, and is gone if that fails.

    Parameters
    ----------
    out : Path
        Must not exist, or be empty.

    Raises
    ------
    RefusedError
        If there is something.
    """
    check_new(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{out.name[:100]}.", suffix=".part", dir=out.parent))
    try:
        part.chmod(0o777 & ~_umask())
        yield part
        check_new(out)
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_new(out: Path) -> None:
    """RefusedError if there is a file, a link, or a folder that is not empty."""
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise RefusedError(f"{out} is there already: name a new folder, nothing is overwritten")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""The library a build pastes from: made once, and the same to the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from densesirst_gen.files.atomic import (
    PARTS,
    RefusedError,
    atomic_file,
    file_digest,
    write_atomically,
)
from densesirst_gen.files.folder import BuildFolder
from densesirst_gen.paste.library import TargetLibrary

LIBRARY = "library.npz"
NOTE = "library.sha256"


def provide_library(folder: BuildFolder, make: Callable[[], TargetLibrary]) -> Path:
    """The library's file, which the workers read; made only once for a build.

    Parameters
    ----------
    folder : BuildFolder
        Open.
    make : callable
        Gives the library.

    Raises
    ------
    RefusedError
        If the file is not the one that the build was begun with.
    """
    path, note = folder.root / LIBRARY, folder.state / NOTE
    if not note.exists() or not path.exists():
        content = make()
        with atomic_file(path, folder.root / PARTS) as file:
            content.write(file)
    if not note.exists():
        write_atomically(note, f"{file_digest(path)}\n".encode(), folder.root / PARTS)
    check_library(folder)
    return path


def check_library(folder: BuildFolder) -> None:
    """RefusedError if the library is not the one that the build was begun with."""
    path, note = folder.root / LIBRARY, folder.state / NOTE
    noted, found = note.read_bytes().strip().decode("ascii", "replace"), file_digest(path)
    if found != noted:
        raise RefusedError(
            f"{path} is not the library that {folder.root} was begun with: SHA-256 is "
            f"{found[:16]}..., was {noted[:16]}...; put that one back, or --overwrite builds anew"
        )

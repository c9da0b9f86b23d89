"""Files written whole or not at all, and digests of what is in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from densesirst_gen.files.moving import delete_file, replace_file
from densesirst_gen.files.part import new_part

PARTS = ".build/parts"


class OutputError(RuntimeError):
    """The output folder can't be used; the message says why and what to do."""


class RefusedError(OutputError):
    """Going on would overwrite or mix up what is there."""


@contextmanager
def atomic_file(path: Path, parts: Path | None = None) -> Iterator[IO[bytes]]:
    """Write elsewhere, then move into place: no reader ever sees half a file.

    Parameters
    ----------
    path : Path
        Its folder is made if it is missing.
    parts : Path, optional
        Folder on the same file system for the unfinished file; by default that of `path`.

    Raises
    ------
    OSError
        If it can't be written; it names `path`.
    """
    part = new_part(parts or path.parent)
    try:
        with naming(path), _open_new(part) as file:
            yield file
        try:
            replace_file(part, path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(part, path)
    except BaseException:
        delete_file(part)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of writing say which file: the operating system's own do not, of an open one."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _open_new(path: Path) -> IO[bytes]:
    try:
        return open(path, "xb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "xb")


def write_atomically(path: Path, content: bytes, parts: Path | None = None) -> None:
    """`atomic_file` for content that is at hand."""
    with atomic_file(path, parts) as file:
        file.write(content)


def write_files(root: Path, files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Write files of a build atomically.

    Parameters
    ----------
    root : Path
        Of the build.
    files : iterable of (str, bytes)
        Relative POSIX path and content.

    Returns
    -------
    dict of str to str
        Path -> SHA-256 of the content.
    """
    digests = {}
    for name, content in files:
        write_atomically(root / name, content, root / PARTS)
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def canonical_json(values: Any) -> str:
    """One line of JSON, keys sorted, no NaN: equal values, equal text."""
    return json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False)


def digest_of(values: Any) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()


def pixel_digest(array: np.ndarray) -> str:
    """SHA-256 of dtype, shape and values: the same for every encoding of the same pixels."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{little.dtype.str}{little.shape}".encode())
    digest.update(little.data)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; little of it is in memory at a time."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

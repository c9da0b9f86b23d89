"""Arrays out of an .npz file that anyone may have written: no pickles, and memory within limits."""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

MAX_BYTES = 1_000_000_000
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class NpzError(ValueError):
    """A file that does not hold the arrays asked for; the message says why, not where."""


def read_arrays(
    path: Path, kinds: Mapping[str, str], optional: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of a file, none of them bigger than the file says, all together at most 1 GB.

    Parameters
    ----------
    path : Path
    kinds : mapping of str to str
        Name of an array -> the ``dtype.kind`` that it may have, one letter each.
    optional : mapping of str to str
        Likewise for arrays that may be missing.

    Raises
    ------
    NpzError
        If it is no regular file, or no .npz with these arrays.
    OSError
        If it can't be opened.
    """
    if path.exists() and not path.is_file():
        raise NpzError("not a regular file")
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                there = {f"{name}.npy" for name in optional or ()} & set(archive.namelist())
                kinds = {**kinds, **{name[:-4]: (optional or {})[name[:-4]] for name in there}}
                members = {name: archive.getinfo(f"{name}.npy") for name in kinds}
                _check_size(members)
                for name, member in members.items():
                    _check_header(archive, name, member, kinds[name])
                return {name: _array(archive, member) for name, member in members.items()}
        except NpzError:
            raise
        except Exception as error:  # of damaged bytes, zipfile, zlib and numpy raise what they like
            raise NpzError(_in_short(error)) from error


def _check_size(members: Mapping[str, zipfile.ZipInfo]) -> None:
    n_bytes = sum(member.file_size for member in members.values())
    if n_bytes > MAX_BYTES:
        raise NpzError(f"its arrays need {n_bytes} bytes, at most {MAX_BYTES} are read")


def _check_header(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo, kind: str) -> None:
    """What it is to hold is looked at before memory is asked for."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise NpzError(f"{name} is of version {version} of the format")
        shape, _, dtype = HEADERS[version](file)
        n_bytes = file.tell() + math.prod(shape) * dtype.itemsize
    if dtype.hasobject or dtype.kind not in kind:
        raise NpzError(f"{name} is {dtype}")
    if n_bytes != member.file_size:
        raise NpzError(f"{name} of shape {shape} does not fill its place")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        array: np.ndarray = npy.read_array(file, allow_pickle=False)
    if array.dtype.kind == "U" and array.nbytes:
        points = array.reshape(-1).view(f"{array.dtype.byteorder}u4")
        if points.max() > sys.maxunicode:  # Python would end with a SystemError
            raise NpzError(f"{member.filename} holds what is no text")
    return array


def _in_short(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__

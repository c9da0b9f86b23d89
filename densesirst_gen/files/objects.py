"""Small JSON files of ours, read so that whatever stands in them ends in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from densesirst_gen.files.atomic import OutputError

MAX_BYTES = 1_000_000_000


def read_object(path: Path, meaning: str) -> dict[str, Any]:
    """The JSON object in a file.

    Parameters
    ----------
    path : Path
    meaning : str
        What it should be, for the message: "the recipe of a build".

    Raises
    ------
    OutputError
        If it is no regular file that can be read, larger than 1 GB, or not a JSON object in UTF-8.
    """
    check_regular(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES:,} bytes")
        return parsed_object(path.read_bytes())
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise OutputError(f"{path}: not {meaning} ({error})") from error


def check_regular(path: Path) -> None:
    """OutputError if there is something else than a file, such as a pipe that never ends."""
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: not a regular file")


def parsed_object(content: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8, without NaN. ValueError says why it is none."""
    try:
        values = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError(f"not an object, {type(values).__name__}")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")

"""The list of checksums in a folder of ours, as ``sha256sum`` writes and reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from densesirst_gen.files.atomic import OutputError, RefusedError
from densesirst_gen.files.names import is_inner
from densesirst_gen.files.objects import check_regular

CHECKSUMS = "files.sha256"
LINE = re.compile(r"([0-9a-f]{64})  (.+)\n", re.DOTALL)


def checksum_lines(digests: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """A line for each path and its SHA-256."""
    return (f"{digest}  {name}\n".encode() for name, digest in digests)


def read_checksums(path: Path) -> Iterator[tuple[str, str]]:
    """Path and SHA-256 of each line.

    Raises
    ------
    OutputError
        For a line that is none.
    RefusedError
        For a path that leads out of the folder.
    """
    check_regular(path)
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            found = LINE.fullmatch(line.decode("utf-8", "surrogateescape"))
            if found is None:
                raise OutputError(f"{path}, line {number}: not a SHA-256, two spaces and a path")
            if not is_inner(found[2]):
                raise RefusedError(f"{path}, line {number}: {found[2]!r} leads out of the folder")
            yield found[2], found[1]

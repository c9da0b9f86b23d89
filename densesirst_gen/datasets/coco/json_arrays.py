"""A JSON file of which long arrays of records are read record by record, and never as a whole.

What is unusual in a file, also what is wrong with it, is left to whoever reads it whole: it is
`Unusual` here.
"""

from __future__ import annotations

import json
import os
import re
from codecs import getincrementaldecoder
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from densesirst_gen.files.regular import open_regular

CHUNK = 1 << 18
"""Bytes that are read at least."""
SPACE = re.compile(r"[ \t\n\r]*")
NUMBER = re.compile(r"[-+.eE\d]")
CODECS = {"utf-8": 0, "utf-8-sig": 3}
"""Encodings that are read, and where their text begins."""

State = tuple[int, int, int]


class Unusual(ValueError):
    """A file is no object of plain members and arrays of records in UTF-8, or is damaged."""


class Records(Collection[dict[str, Any]]):
    """The records of an array in a file, in their order; each pass reads them anew.

    Parameters
    ----------
    path : Path
    state : tuple of int
        Of the file, so that it is noticed if it is another one in a later pass.
    start : int
        Byte at or before the array's bracket, nothing but blanks between.
    n : int
    """

    def __init__(self, path: Path, state: State, start: int, n: int) -> None:
        self._path, self._state, self._start, self._n = path, state, start, n

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with open_regular(self._path) as file:
            if _state(file) != self._state:
                raise ValueError("it was changed while it was read")
            yield from _Text(file, self._start).records()

    def __contains__(self, record: object) -> bool:
        return any(record == other for other in self)


def _state(file: IO[bytes]) -> State:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


def open_arrays(path: Path, arrays: Collection[str]) -> dict[str, Any]:
    """The object in a JSON file: the arrays of some of its members as `Records`.

    Parameters
    ----------
    path : Path
    arrays : collection of str
        Names of members that are arrays of records. NaN and Infinity are read as numbers.

    Raises
    ------
    Unusual
        If it is anything else.
    OSError
        If it can't be opened.
    """
    with open_regular(path) as file:
        codec = json.detect_encoding(file.read(4))
        if codec not in CODECS:
            raise Unusual(codec)
        try:
            return _members(path, _state(file), _Text(file, CODECS[codec]), arrays)
        except Unusual:
            raise
        except (ValueError, RecursionError) as error:
            raise Unusual(str(error)) from error


def _members(path: Path, state: State, text: _Text, arrays: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    text.take("{")
    mark = text.take("}") if text.peek() == "}" else ","
    while mark == ",":
        name = text.key()
        if name in arrays:
            start = text.byte
            found[name] = Records(path, state, start, sum(1 for _ in text.records()))
        else:
            found[name] = text.value()
        mark = text.take(",}")
    if text.peek():
        raise Unusual("more behind the object")
    return found


class _Text:
    """A part of the text of an open file, from a byte on, and a place in it."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        file.seek(start)
        self._file, self._start = file, start
        self._text, self._at = "", 0
        self._decode = getincrementaldecoder("utf-8")("surrogatepass").decode
        self._scan = json.JSONDecoder(parse_constant=float).raw_decode

    @property
    def byte(self) -> int:
        """Of the place, in the file."""
        return self._start + len(self._text[: self._at].encode("utf-8", "surrogatepass"))

    def peek(self) -> str:
        """The next letter that is no blank; empty at the end."""
        while True:
            blank = SPACE.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, marks: str) -> str:
        """The next letter, one of some."""
        mark = self.peek()
        if not mark or mark not in marks:
            raise Unusual(f"{mark!r} and not one of {marks!r}")
        self._at += 1
        return mark

    def key(self) -> str:
        """The name of a member, and its colon."""
        if self.peek() != '"':
            raise Unusual("no name of a member")
        name = self.value()
        self.take(":")
        return str(name)

    def value(self) -> Any:
        """The next value; a number is whole only if something else follows it."""
        self.peek()
        while True:
            try:
                value, end = self._scan(self._text, self._at)
            except json.JSONDecodeError:
                if not self._more():
                    raise
                continue
            goes_on = isinstance(value, int | float) and NUMBER.match(self._text, end)
            if (end < len(self._text) and not goes_on) or not self._more():
                self._at = end
                return value

    def records(self) -> Iterator[dict[str, Any]]:
        """The elements of an array of objects."""
        self.take("[")
        mark = self.take("]") if self.peek() == "]" else ","
        while mark == ",":
            if self.peek() != "{":
                raise Unusual("no record")
            yield self.value()
            mark = self.take(",]")

    def _more(self) -> bool:
        """Read on, twice as much if it did not help; forget what lies before."""
        data = self._file.read(max(CHUNK, 2 * len(self._text) - 2 * self._at))
        if not data:
            self._decode(b"", final=True)  # raises if a letter is cut off
            return False
        self._start = self.byte
        self._text = self._text[self._at :] + self._decode(data)
        self._at = 0
        return True

"""Scenes that lines of other people's lists name: by path, by tail, by folder."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from densesirst_gen.files.codec import FORMATS

COLUMNS = (re.compile(r"[,;\t]"), re.compile(r"\s+"))
IMAGE_SUFFIXES = (*FORMATS, ".webp", ".gif", ".xml", ".txt", ".json")


class SceneNames:
    """The scenes of a dataset, to be found by whatever names them.

    Parameters
    ----------
    names : collection of str
        POSIX paths without suffix.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.known = set(names)
        self._tails: dict[str, set[str]] = defaultdict(set)
        self._folders: dict[str, list[str]] = defaultdict(list)
        for name in sorted(names):
            parts = name.split("/")
            for k in range(len(parts)):
                self._tails[folded("/".join(parts[k:]))].add(name)
            for k in range(len(parts) - 1):
                for start in range(k + 1):
                    self._folders[folded("/".join(parts[start : k + 1]))].append(name)

    def find(self, line: str) -> tuple[str, ...]:
        """The scenes that a line names; empty if none, or if it may be any of several.

        A line is a name or a path, quoted or not, with or without suffix and further columns; any
        path that ends alike will do, where it is unique in any case and Unicode form. The path of a
        folder stands for all scenes in it.
        """
        for text in _readings(line):
            if found := self._by_path(text):
                return found
        return ()

    def _by_path(self, text: str) -> tuple[str, ...]:
        for name in dict.fromkeys((text, _without_suffix(text))):
            if name in self.known:
                return (name,)
        name = folded(_without_suffix(text))
        parts = [part for part in name.split("/") if part not in ("", ".")]
        for k in range(len(parts)):
            tail = "/".join(parts[k:])
            if len(found := self._tails.get(tail, ())) == 1:
                return tuple(found)
            if found:
                return ()
        return tuple(self._folders.get("/".join(parts), ()))


def folded(text: str) -> str:
    """One case and one Unicode form."""
    return unicodedata.normalize("NFC", text).casefold()


def _readings(line: str) -> Iterator[str]:
    """A line as one name, then its first column by commas or tabs, then by blanks."""
    whole = _plain(line)
    yield whole
    for column in COLUMNS:
        first = _plain(column.split(whole, maxsplit=1)[0])
        if first and first != whole:
            yield first


def _plain(text: str) -> str:
    return text.strip().strip("\"'").replace("\\", "/").strip()


def _without_suffix(text: str) -> str:
    suffix = PurePosixPath(text).suffix
    return text[: -len(suffix)] if suffix.lower() in IMAGE_SUFFIXES else text

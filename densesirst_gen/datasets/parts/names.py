"""Which scene other people mean by a name, a path, a number or a line of a list.

Folders in front, suffixes, case, Unicode form, backslashes and ``%20`` do not matter where the
scene is unique without them. A number means a scene if its name is that number.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import PurePosixPath
from urllib.parse import unquote

from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.files.images.codec import FORMATS

Parts = tuple[str, ...]

COLUMN = re.compile(r"[,;\t]")
STACK = re.compile(r"\.tiff?(?=/|$)", re.I)
"""Suffix of a file whose frames are scenes: ``clip.tif`` is the folder ``clip`` of them."""
MOST_WORDS = 8
"""Of a name in front of other columns."""
KIND = re.compile(r"^(images?|imgs?|jpegimages|pngimages|frames?|mixed|masks?|labels?)$")
"""Folders that tell images from masks; the names of scenes leave them out."""
SUFFIXES = {*FORMATS, ".webp", ".gif", ".npy", ".mat", ".txt", ".json", ".xml", ".csv"}


def is_called(name: str, pattern: str) -> bool:
    """Whether the name of a scene, or the last part of it, matches a pattern such as ``Misc_*``."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition("/")[2], pattern)


class SceneNames:
    """The scenes of a dataset, to be found by what others call them.

    Parameters
    ----------
    names : collection of str
        No two the same in all but case and Unicode form.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.names = set(names)
        self._by_last: dict[str, list[tuple[Parts, str]]] = defaultdict(list)
        self._by_number: dict[int, list[str]] = defaultdict(list)
        self._folders: dict[Parts, list[str]] = defaultdict(list)
        for name in sorted(self.names):
            parts = folded_parts(name)
            self._by_last[parts[-1]].append((parts, name))
            if (number := whole_number(parts[-1])) is not None:
                self._by_number[number].append(name)
            for start, stop in combinations(range(len(parts)), 2):
                self._folders[parts[start:stop]].append(name)

    def find(self, text: str) -> str | None:
        """The scene that a name or path means; None if there is none or there are several."""
        for reading in dict.fromkeys((text, without_suffixes(text), unquote(text))):
            if reading in self.names:
                return reading
        for reading in dict.fromkeys((text, unquote(text))):
            for end in dict.fromkeys((reading, without_suffixes(reading))):
                if found := self._by_parts(folded_parts(end)):
                    return found
        return None

    def listed(self, line: str) -> tuple[str, ...]:
        """The scenes that a line of a list means; empty if none, or if it may be any of several.

        A name or a path, quoted or not, and columns behind it do not matter, unless each of them
        names a scene: then the line is a list. The path of a folder, or of a stack of frames,
        stands for all scenes in it.
        """
        if line in self.names:  # also one that ends with a blank
            return (line,)
        if (exact := without_suffixes(_plain(line))) in self.names:
            return (exact,)
        return self._in_every_column(line) or self._in_first_column(line)

    def _in_every_column(self, line: str) -> tuple[str, ...]:
        """The scenes of a line in which all words name some, such as ``f0 f1 f2``."""
        words = [_plain(word) for word in re.split(r"[\s,;]+", _plain(line)) if _plain(word)]
        if len(words) < 2 or any(whole_number(word) is not None for word in words):
            return ()
        found = [self.find(word) for word in words]
        return tuple(dict.fromkeys(name for name in found if name)) if all(found) else ()

    def _in_first_column(self, line: str) -> tuple[str, ...]:
        for text in _columns(line):
            inner = "/".join(p for p in text.split("/") if not KIND.match(p.casefold()))
            outer = STACK.sub("", inner)
            for reading in dict.fromkeys((text, inner, outer)):
                if (name := self.find(reading)) is not None:
                    return (name,)
            for reading in dict.fromkeys((inner, outer)):
                if found := self._folders.get(folded_parts(reading)):
                    return tuple(found)
        return ()

    def listed_in(self, line: str, folders: Iterable[str]) -> tuple[str, ...]:
        """The scenes of a line that may mean several, by the first folder that tells which."""
        places = (self.listed(f"{folder}/{line.strip()}") for folder in folders)
        return next(filter(None, places), ())

    def folders_of(self, part: str) -> list[str]:
        """Folders of scenes that are called like a part: ``train``, ``trainset``."""
        steps = {step for folder in self._folders for step in folder}
        return sorted(step for step in steps if part and part_of(step) == part)

    def alike(self, line: str) -> list[str]:
        """The scenes whose last part is what a line says, if these are several."""
        last = folded_parts(without_suffixes(_plain(line)))[-1:]
        found = [name for _, name in self._by_last.get(last[0], [])] if last else []
        return found if len(found) > 1 else []

    def means(self, line: str) -> bool:
        """Whether a line of a list names a scene, or one of several."""
        return bool(self.listed(line) or self.alike(line))

    def owns(self, stem: str) -> bool:
        """Whether a file of this name belongs to a scene, or to a folder of scenes.

        ``train.txt`` beside a folder ``train/`` is a list of a part and belongs to none.
        """
        return bool(self.listed(stem)) and not (part_of(stem) and self.find(stem) is None)

    def numbered(self, number: int) -> str | None:
        """The one scene whose name, without folders, is this number."""
        found = self._by_number.get(number, [])
        return found[0] if len(found) == 1 else None

    def _by_parts(self, parts: Parts) -> str | None:
        """The longest name that the path ends with, or the only name that ends with the path."""
        alike = self._by_last.get(parts[-1], []) if parts else []
        inner = [(known, name) for known, name in alike if parts[-len(known) :] == known]
        if inner:
            return max(inner, key=lambda pair: len(pair[0]))[1]
        outer = [name for known, name in alike if known[-len(parts) :] == parts]
        return outer[0] if len(outer) == 1 else None


def _columns(line: str) -> Iterator[str]:
    """A line as one name, then its first column by commas or tabs, then by blanks.

    Names may hold blanks, so columns are taken away from the end, one after the other.
    """
    whole = _plain(line)
    yield whole
    first = _plain(COLUMN.split(whole, maxsplit=1)[0])
    if first and first != whole:
        yield first
    words = whole.split()
    for n in range(min(len(words) - 1, MOST_WORDS), 0, -1):
        yield _plain(" ".join(words[:n]))


def _plain(text: str) -> str:
    return text.strip().strip("\"'").replace("\\", "/").strip()


def folded_parts(text: str) -> Parts:
    """The parts of a path, in one case and one Unicode form."""
    plain = unicodedata.normalize("NFC", text.strip().replace("\\", "/")).casefold()
    return tuple(part for part in plain.split("/") if part not in ("", "."))


def without_suffixes(text: str) -> str:
    """A path without all suffixes of images, arrays and labels: ``f0.png.npy`` is ``f0``."""
    suffix = PurePosixPath(text).suffix
    while suffix.lower() in SUFFIXES and len(suffix) < len(text):
        text = text[: -len(suffix)]
        suffix = PurePosixPath(text).suffix
    return text


def whole_number(text: str) -> int | None:
    """The number that a text is, zeros in front or not; None if it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None

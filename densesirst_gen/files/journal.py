"""The journal of a build: a line for each thing that is done, each with its own checksum.

A line that the process died in writing has no end and is dropped. Any other that is not as it was
written is an error, for what it says of a scene would be taken for true.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from densesirst_gen.files.atomic import OutputError, atomic_file, file_digest, naming
from densesirst_gen.files.names import is_inner
from densesirst_gen.files.objects import check_regular, parsed_object

CHECK = "line_sha256"


class Journal:
    """A file of lines, each an object with a ``name`` and perhaps the ``files`` it stands for.

    Parameters
    ----------
    path : Path
        Need not exist: then it has no lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Add lines, each as soon as it comes; whatever ends it, all lines are whole."""
        self.path.parent.mkdir(exist_ok=True)
        check_regular(self.path)
        with open(self.path, "ab", buffering=0) as journal:
            for entry in entries:
                with naming(self.path):
                    _add(journal, journal_line(entry).encode())

    def drop_half_line(self) -> None:
        """Take away what has no end of line."""
        check_regular(self.path)
        if self.path.exists():
            with naming(self.path), open(self.path, "rb+") as journal:
                journal.truncate(sum(len(line) for line in journal if line.endswith(b"\n")))

    def entries(self) -> Iterator[dict[str, Any]]:
        """Lines in the order in which they were written. OutputError for one that is none."""
        return (entry for _, entry in self._placed())

    def sorted_entries(self) -> Iterator[dict[str, Any]]:
        """Lines by name, the last of each, one in memory at a time."""
        places = {entry["name"]: place for place, entry in self._placed()}
        return map(_entry, self._lines(place for _, place in sorted(places.items())))

    def done(
        self, root: Path, parts: Path, run: Callable[..., Iterable[tuple[int, bool]]] = map
    ) -> set[str]:
        """Names whose files are all there, as they were written; other lines are taken out.

        Every file is read again and compared with its SHA-256, as far as the line has one.

        Parameters
        ----------
        root, parts : Path
            Of the files; for what is not finished.
        run : callable
            Like `map`; results may come in any order.
        """
        places: dict[str, int] = {}
        checked = run(partial(_is_whole, root), self._finished(places))
        whole = {place for place, is_whole in checked if is_whole}
        kept = {name: place for name, place in places.items() if place in whole}
        if len(kept) < sum(1 for _ in self._placed()):
            with atomic_file(self.path, parts) as file:
                file.writelines(self._lines(kept.values()))
        return set(kept)

    def _finished(self, places: dict[str, int]) -> Iterator[tuple[int, Any]]:
        """Where a line stands and its files; not of errors. Notes the last place of each name."""
        for place, entry in self._placed():
            if "error" not in entry:
                places[entry["name"]] = place
                yield place, entry.get("files", ())

    def _placed(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Where each line begins, and what it says."""
        check_regular(self.path)
        if not self.path.exists():
            return
        place = 0
        with open(self.path, "rb") as journal:
            for number, line in enumerate(journal, 1):
                try:
                    entry = _entry(line)
                except ValueError as error:
                    raise OutputError(
                        f"{self.path}, line {number}: not as it was written ({error}); "
                        f"delete {self.path.parent.parent} to begin anew"
                    ) from error
                yield place, entry
                place += len(line)

    def _lines(self, places: Iterable[int]) -> Iterator[bytes]:
        if not self.path.exists():
            return
        with open(self.path, "rb") as journal:
            for place in places:
                journal.seek(place)
                yield journal.readline()


def journal_line(entry: Mapping[str, Any]) -> str:
    """One line of JSON that begins with the name and ends with the SHA-256 of what is before it."""
    ordered = {"name": entry["name"], **entry}
    text = json.dumps(ordered, ensure_ascii=False, allow_nan=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{text[:-1]}, "{CHECK}": "{digest}"}}\n'


def _entry(line: bytes) -> dict[str, Any]:
    """What a line says. ValueError says why it is none."""
    entry = parsed_object(line)
    check = entry.pop(CHECK, None)
    if not isinstance(entry.get("name"), str):
        raise ValueError("it has no name")
    if check is not None and line.decode() != journal_line(entry):
        raise ValueError("its checksum does not hold")
    if not _are_files(entry.get("files", ())):
        raise ValueError("its files are not paths in this folder")
    return entry


def _are_files(files: Any) -> bool:
    return isinstance(files, dict | list | tuple) and all(map(is_inner, files))


def _add(journal: IO[bytes], line: bytes) -> None:
    """Write a line, or nothing of it."""
    whole = journal.tell()
    try:
        while line:
            line = line[journal.write(line) :]
    except BaseException:
        with suppress(OSError):
            journal.truncate(whole)
        raise


def _is_whole(root: Path, item: tuple[int, Any]) -> tuple[int, bool]:
    """Whether the files of a line are as written; of a list it is only known that they were."""
    place, files = item
    digests = files if isinstance(files, dict) else dict.fromkeys(files)
    return place, all(is_intact(root / name, digest) for name, digest in digests.items())


def is_intact(path: Path, digest: str | None) -> bool:
    """Whether there is a file, no link, of this SHA-256 or, without one, of any."""
    try:
        there = path.is_file() and not path.is_symlink()
        return there and (digest is None or file_digest(path) == digest)
    except OSError:
        return False

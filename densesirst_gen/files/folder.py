"""A folder that is either complete, resumable, or refused: the write protocol.

While a build runs, its folder holds ``.build/`` (what is built, and a journal of what is done) and
``.lock``. Every file is written under ``.build/parts`` and then moved into its place. A scene
counts as done when its line stands in the journal. ``manifest.json`` is written last, then
``.build/`` goes: a folder without a manifest is not finished. After a crash of the process at any
instant the folder can be resumed. Loss of power is covered only as far as the operating system
orders its writes.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from densesirst_gen.files.atomic import (
    PARTS,
    OutputError,
    RefusedError,
    canonical_json,
    write_atomically,
)
from densesirst_gen.files.manifest import MANIFEST, SCHEMA, manifest_of

CHECKSUMS = "files.sha256"
AGGREGATES = (MANIFEST, CHECKSUMS, "annotations.json", "plans.jsonl", "library.npz", "README.md")


class BuildFolder:
    """The folder of one build while it runs.

    Parameters
    ----------
    root : Path
    recipe : mapping
        Everything that decides the content, as plain values. A build can only be resumed with an
        equal recipe.
    """

    def __init__(self, root: Path, recipe: Mapping[str, Any]) -> None:
        self.root, self.recipe = root, dict(recipe)
        self.state = root / ".build"
        self.journal = self.state / "journal.jsonl"

    def open(self, *, resume: bool, overwrite: bool) -> None:
        """Make the folder ready for writing.

        Raises
        ------
        RefusedError
            If it holds something that is not to be touched.
        OutputError
            If it can't be written to.
        """
        if resume and (self.root / MANIFEST).exists():
            self._check_recipe(self.manifest()["recipe"])
            return
        shutil.rmtree(self.root / PARTS, ignore_errors=True)
        if resume and (self.state / "recipe.json").exists():
            self._check_recipe(json.loads((self.state / "recipe.json").read_text()))
            self._drop_half_line()
            return
        if overwrite:
            clear_build(self.root)
        elif _is_in_use(self.root):
            raise RefusedError(
                f"{self.root} is not empty: --resume goes on with an interrupted build, "
                "--overwrite replaces an earlier one"
            )
        recipe = canonical_json(self.recipe).encode()
        write_atomically(self.state / "recipe.json", recipe, self.root / PARTS)

    def _check_recipe(self, found: Mapping[str, Any]) -> None:
        wanted = json.loads(canonical_json(self.recipe))
        if found == wanted:
            return
        before, now = _flat(found), _flat(wanted)
        names = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
        changes = "; ".join(
            f"{k} was {_short(before.get(k))}, now {_short(now.get(k))}" for k in names
        )
        raise RefusedError(f"{self.root} was begun differently and can't be resumed: {changes}")

    def _drop_half_line(self) -> None:
        if not self.journal.exists():
            return
        content = self.journal.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            write_atomically(self.journal, whole, self.root / PARTS)

    @property
    def is_complete(self) -> bool:
        """Whether the manifest is there."""
        return (self.root / MANIFEST).exists()

    def manifest(self) -> dict[str, Any]:
        """What the manifest says."""
        values: dict[str, Any] = json.loads((self.root / MANIFEST).read_text(encoding="utf-8"))
        return values

    def entries(self) -> Iterator[dict[str, Any]]:
        """Lines of the journal in the order in which they were written."""
        if self.journal.exists():
            with open(self.journal, encoding="utf-8") as lines:
                for line in lines:
                    yield json.loads(line)

    def done(self) -> set[str]:
        """Names in the journal whose files are all in place; other lines are taken out."""
        kept: dict[str, dict[str, Any]] = {}
        for entry in self.entries():
            in_place = all((self.root / name).is_file() for name in entry.get("files", ()))
            if "error" not in entry and in_place:
                kept[entry["name"]] = entry
        lines = "".join(map(journal_line, kept.values()))
        write_atomically(self.journal, lines.encode(), self.root / PARTS)
        return set(kept)

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Add lines to the journal, each as soon as it comes."""
        self.state.mkdir(exist_ok=True)
        with open(self.journal, "a", encoding="utf-8") as journal:
            for entry in entries:
                journal.write(journal_line(entry))
                journal.flush()

    def sorted_entries(self) -> Iterator[dict[str, Any]]:
        """Lines of the journal by name, one in memory at a time."""
        if not self.journal.exists():
            return
        with open(self.journal, "rb") as journal:
            places, offset = [], 0
            for line in journal:
                places.append((_name_in(line), offset))
                offset += len(line)
            for _, offset in sorted(places):
                journal.seek(offset)
                yield json.loads(journal.readline())

    def abandon(self) -> None:
        """Take the traces of a build away that has not made anything yet."""
        if not self.journal.exists():
            shutil.rmtree(self.state, ignore_errors=True)

    def close(
        self, content: Mapping[str, Any], distributions: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Write the manifest, then take the traces of the build away.

        Parameters
        ----------
        content, distributions
            See `densesirst_gen.files.manifest.manifest_of`.

        Returns
        -------
        dict
            The manifest.
        """
        manifest = manifest_of(content, distributions)
        text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(self.root / MANIFEST, f"{text}\n".encode(), self.root / PARTS)
        shutil.rmtree(self.state)
        return manifest


def journal_line(entry: Mapping[str, Any]) -> str:
    """One line of JSON that begins with the name."""
    ordered = {"name": entry["name"], **entry}
    return json.dumps(ordered, ensure_ascii=False, allow_nan=False) + "\n"


def _name_in(line: bytes) -> str:
    name, _ = json.JSONDecoder().raw_decode(line.decode(), len('{"name": '))
    return str(name)


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, with names such as ``training.lr``."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, dict) and value
        flat |= _flat(value, f"{above}{name}.") if inner else {above + name: value}
    return flat


def _short(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_in_use(root: Path) -> bool:
    return root.exists() and any(entry.name != ".lock" for entry in root.iterdir())


def clear_build(root: Path) -> None:
    """Delete the files of an earlier build of ours, and nothing else.

    Raises
    ------
    RefusedError
        If the folder holds files but no build of ours.
    """
    if not _is_in_use(root):
        return
    if not is_ours(root):
        raise RefusedError(f"{root} holds no build of densesirst-gen: nothing is deleted there")
    folder = BuildFolder(root, {})
    names = {name for entry in folder.entries() for name in entry.get("files", ())}
    if (root / CHECKSUMS).exists():
        names |= {line[66:] for line in (root / CHECKSUMS).read_text("utf-8").splitlines()}
    paths = [root / name for name in (MANIFEST, *sorted(names), *AGGREGATES)]
    for path in paths:
        if not path.parent.resolve().is_relative_to(root.resolve()):
            raise RefusedError(f"{path} leads out of {root}: nothing is deleted")
    for path in paths:
        path.unlink(missing_ok=True)
    shutil.rmtree(folder.state, ignore_errors=True)
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def is_ours(root: Path) -> bool:
    """Whether the folder holds a finished or an interrupted build of this program."""
    if (root / ".build" / "recipe.json").is_file():
        return True
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("schema") == SCHEMA


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the folder for this process; a lock left by a dead process of this host is taken over.

    Raises
    ------
    RefusedError
        If another build holds it.
    OutputError
        If the folder can't be made or written to.
    """
    lock = root / ".lock"
    made = [p for p in (root, *root.parents) if not p.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        _take(lock)
    except FileExistsError as error:
        raise RefusedError(f"{root} exists and is not a folder") from error
    except OSError as error:
        raise OutputError(f"{root} can't be written to: {error.strerror}") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        for path in made:
            with suppress(OSError):
                path.rmdir()


def _take(lock: Path) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "nonce": secrets.token_hex(8)}
    try:
        with open(lock, "x", encoding="utf-8") as file:
            json.dump(holder, file)
    except FileExistsError:
        if not _is_stale(lock):
            raise RefusedError(
                f"another build is at work in {lock.parent} (if it is not, delete {lock})"
            ) from None
        lock.unlink(missing_ok=True)
        _take(lock)


def _is_stale(lock: Path) -> bool:
    try:
        holder = json.loads(lock.read_text(encoding="utf-8"))
        if holder["host"] != socket.gethostname():
            return False
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, KeyError):
        return False
    return False

"""A folder that is either complete, resumable, or refused: the write protocol.

While a build runs, its folder holds ``.build/`` (what is built, and a journal of what is done) and
``.lock``. Every file is written under ``.build/parts`` and then moved into its place. A scene
counts as done when its line stands in the journal and its files are as that line says.
``manifest.json`` is written last, then ``.build/`` goes: a folder without a manifest is not
finished. After a crash of the process at any instant the folder can be resumed. Loss of power is
covered only as far as the operating system orders its writes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from densesirst_gen.files.atomic import (
    PARTS,
    RefusedError,
    canonical_json,
    write_atomically,
)
from densesirst_gen.files.checksums import CHECKSUMS
from densesirst_gen.files.clear import JOURNAL, RECIPE, STATE, clear_build, is_in_use, is_ours
from densesirst_gen.files.journal import Journal, journal_line
from densesirst_gen.files.lock import locked
from densesirst_gen.files.manifest import MANIFEST, SCHEMA, creation_time, manifest_of, versions_of
from densesirst_gen.files.names import check_no_linked_folder
from densesirst_gen.files.objects import read_object
from densesirst_gen.files.stacks import STACKS, Stacks

__all__ = [
    "CHECKSUMS",
    "MANIFEST",
    "SCHEMA",
    "BuildFolder",
    "clear_build",
    "is_ours",
    "journal_line",
    "locked",
]


class BuildFolder:
    """The folder of one build while it runs.

    Parameters
    ----------
    root : Path
    recipe : mapping
        Everything that decides the content, as plain values. A build can only be resumed with an
        equal recipe.
    derived : collection of str
        Names in the recipe of what follows from the inputs: to be compared, by `check_derived`,
        when it is known that these are the same.
    """

    def __init__(
        self, root: Path, recipe: Mapping[str, Any], derived: Collection[str] = ()
    ) -> None:
        self.root, self.recipe, self._derived = root, dict(recipe), frozenset(derived)
        self._found: Any = None
        self.state = root / STATE
        self.journal = self.state / JOURNAL
        self._lines = Journal(self.journal)
        self._stacks = Stacks(self.state / STACKS)

    def open(self, *, resume: bool, overwrite: bool) -> None:
        """Make the folder ready for writing.

        Raises
        ------
        RefusedError
            If it holds something that is not to be touched.
        OutputError
            If it can't be written to, or what it resumes from is damaged.
        """
        creation_time()
        if resume and (self.root / MANIFEST).exists():
            self._check_recipe(self.manifest().get("recipe"), self.root / MANIFEST)
            shutil.rmtree(self.state, ignore_errors=True)
            return
        if resume and (self.state / RECIPE).exists():
            self._go_on()
            return
        if overwrite:
            clear_build(self.root)
        elif is_in_use(self.root):
            raise RefusedError(
                f"{self.root} is not empty: --resume goes on with an interrupted build, "
                "--overwrite replaces an earlier one"
            )
        self._drop_parts()
        recipe = canonical_json(self.recipe).encode()
        write_atomically(self.state / RECIPE, recipe, self.root / PARTS)

    def _go_on(self) -> None:
        path = self.state / RECIPE
        self._check_recipe(read_object(path, "the recipe of a build"), path)
        check_no_linked_folder(self.root)
        self._drop_parts()
        self._lines.drop_half_line()

    def _drop_parts(self) -> None:
        shutil.rmtree(self.root / PARTS, ignore_errors=True)

    def _check_recipe(self, found: Any, path: Path) -> None:
        if not isinstance(found, dict):
            raise RefusedError(f"{path}: it has no recipe, so nothing can be resumed")
        self._found = found
        self._compare(lambda name: name not in self._derived)

    def check_derived(self) -> None:
        """RefusedError if what follows from the inputs differs where a build is resumed."""
        if self._found is not None:
            self._compare(lambda name: name in self._derived)

    def _compare(self, concerns: Callable[[str], bool]) -> None:
        wanted = json.loads(canonical_json(self.recipe))
        both = [
            {k: v for k, v in values.items() if concerns(k)} for values in (self._found, wanted)
        ]
        if both[0] != both[1]:
            raise RefusedError(
                f"{self.root} was begun differently and can't be resumed: {_changes(*both)}"
            )

    @property
    def is_complete(self) -> bool:
        """Whether the manifest is there."""
        return (self.root / MANIFEST).exists()

    def manifest(self) -> dict[str, Any]:
        """What the manifest says. OutputError if it is damaged."""
        return read_object(self.root / MANIFEST, "a manifest")

    def entries(self) -> Iterator[dict[str, Any]]:
        """Lines of the journal in the order in which they were written."""
        return self._lines.entries()

    def done(self, run: Callable[..., Iterable[Any]] = map) -> set[str]:
        """Names in the journal whose files are all as written; see `Journal.done`."""
        return self._lines.done(self.root, self.root / PARTS, run)

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Add lines to the journal, each as soon as it comes."""
        self._lines.append(entries)

    def sorted_entries(self) -> Iterator[dict[str, Any]]:
        """Lines of the journal by name, one in memory at a time."""
        return self._lines.sorted_entries()

    def other_stacks(self, distributions: Iterable[str]) -> list[str]:
        """With which other versions it was begun or gone on with; those of now are noted."""
        return self._stacks.others(versions_of(distributions), self.root / PARTS)

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


def _changes(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    before, now = _flat(found), _flat(wanted)
    names = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
    return "; ".join(f"{k} was {_short(before.get(k))}, now {_short(now.get(k))}" for k in names)


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, with names such as ``training.lr``."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, dict) and value
        flat |= _flat(value, f"{above}{name}.") if inner else {above + name: value}
    return flat


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."

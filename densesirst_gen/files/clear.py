"""What may be deleted: the files of an earlier build of ours, and nothing else."""

from __future__ import annotations

import shutil
from fnmatch import fnmatchcase
from pathlib import Path

from densesirst_gen.files.atomic import PARTS, OutputError, RefusedError
from densesirst_gen.files.checksums import CHECKSUMS, read_checksums
from densesirst_gen.files.journal import Journal
from densesirst_gen.files.lock import LOCK
from densesirst_gen.files.manifest import MANIFEST, SCHEMA
from densesirst_gen.files.moving import delete_file
from densesirst_gen.files.names import check_no_linked_folder
from densesirst_gen.files.objects import read_object

STATE = ".build"
RECIPE = "recipe.json"
JOURNAL = "journal.jsonl"
CLUTTER = ("lost+found", ".DS_Store", "Thumbs.db", "desktop.ini", ".nfs*", "._*", ".fseventsd")
"""What operating systems and file systems put into folders by themselves."""
AGGREGATES = (MANIFEST, CHECKSUMS, "annotations.json", "plans.jsonl", "library.npz", "README.md")


def clear_build(root: Path) -> None:
    """Delete the files of an earlier build of ours, and nothing else.

    Raises
    ------
    RefusedError
        If the folder holds files but no build of ours, or what is listed as ours is a folder or
        leads out of it.
    OutputError
        If what is ours can't be told, because the journal or the list of checksums is damaged.
    """
    if not is_in_use(root):
        return
    if not is_ours(root):
        raise RefusedError(f"{root} holds no build of densesirst-gen: nothing is deleted there")
    paths = [root / name for name in (MANIFEST, *sorted(_listed(root)), *AGGREGATES)]
    for path in paths:
        if not path.parent.resolve().is_relative_to(root.resolve()):
            raise RefusedError(f"{path} leads out of {root}: nothing is deleted")
        if path.is_dir() and not path.is_symlink():
            raise RefusedError(f"{path} is a folder, not a file of ours: nothing is deleted")
    check_no_linked_folder(root)
    for path in paths:
        delete_file(path)
    shutil.rmtree(root / STATE, ignore_errors=True)
    _drop_empty_folders(root)


def _listed(root: Path) -> set[str]:
    journal = Journal(root / STATE / JOURNAL)
    if journal.path.exists():
        journal.drop_half_line()
    names = {name for entry in journal.entries() for name in entry.get("files", ())}
    if (root / CHECKSUMS).exists():
        names |= {name for name, _ in read_checksums(root / CHECKSUMS)}
    return names


def _drop_empty_folders(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        if is_clutter(path.name):
            continue
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def is_in_use(root: Path) -> bool:
    """Whether the folder holds anything but clutter and the traces of a build not yet begun."""
    if not root.exists():
        return False
    names = [entry.name for entry in root.iterdir() if not is_clutter(entry.name)]
    return any(name not in (LOCK, STATE) or not is_unborn(root) for name in names)


def is_clutter(name: str) -> bool:
    """Whether a system, and no person, has put a file or folder of this name there."""
    return any(fnmatchcase(name, pattern) for pattern in CLUTTER)


def is_unborn(root: Path) -> bool:
    """Whether a build was killed in its first step: unfinished files of ours, if anything."""
    ours = {root / STATE, root / PARTS, *(root / PARTS).glob(".*.part")}
    return not (root / STATE).is_symlink() and {*(root / STATE).rglob("*"), root / STATE} <= ours


def is_ours(root: Path) -> bool:
    """Whether the folder holds a finished or an interrupted build of this program."""
    if (root / STATE / RECIPE).is_file():
        return True
    try:
        return read_object(root / MANIFEST, "a manifest").get("schema") == SCHEMA
    except OutputError:
        return False

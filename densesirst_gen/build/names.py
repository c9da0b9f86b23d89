"""Names of the scenes that are written, checked before anything is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from densesirst_gen.build.recipe import copy_name
from densesirst_gen.datasets.dataset import check_names
from densesirst_gen.datasets.paths import MASK_SUFFIX, DatasetError, examples

ENDINGS = (".png", ".tif", ".xml", f"{MASK_SUFFIX}.png", f"{MASK_SUFFIX}.txt")
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{n}{k}" for n in ("COM", "LPT") for k in range(1, 10))}
FORBIDDEN = frozenset('<>:"|?*\\')
"""Letters, and names of devices, that no file of Windows has."""
NAME_BYTES, PATH_BYTES = 255, 4096
"""What file systems take where they don't say it themselves."""


def check_output_names(names: Sequence[str], copies: int) -> None:
    """See that no scene is written over another.

    Parameters
    ----------
    names : sequence of str
        Of the backgrounds.
    copies : int
        Made of each.

    Raises
    ------
    DatasetError
        If two scenes would have one name or names that differ by case or Unicode form only, or if
        one's file would be another's folder.
    """
    made: dict[str, str] = {}
    twice = []
    for name in names:
        for copy in range(copies):
            first = made.setdefault(copy_name(name, copy), name)
            if first != name:
                twice.append(f"{copy_name(name, copy)} of {first} and of {name}")
    if twice:
        raise DatasetError(
            f"{len(twice)} scenes would be written over others: {examples(twice)}; "
            "rename the backgrounds"
        )
    check_names(made)
    _check_folders(made)


def windows_note(names: Iterable[str]) -> str:
    """Which names Windows can't have; empty if it can have all.

    Raises
    ------
    DatasetError
        On Windows itself, if there is one.
    """
    bad = [name for name in names if any(map(_is_not_for_windows, PurePosixPath(name).parts))]
    if not bad:
        return ""
    told = f"{len(bad)} names that Windows can't have: {examples(bad)}"
    if os.name == "nt":
        raise DatasetError(f"{told}; rename the backgrounds")
    return told


def _is_not_for_windows(part: str) -> bool:
    """Reserved for a device, with a forbidden letter, or ending in a dot or blank as a folder."""
    stem = part.split(".")[0].rstrip().upper()
    return stem in DEVICES or part.endswith((".", " ")) or not FORBIDDEN.isdisjoint(part)


def _check_folders(names: Iterable[str]) -> None:
    folders = {str(parent): name for name in names for parent in PurePosixPath(name).parents}
    both = [
        f"{name} and {folders[name + ending]}"
        for name in names
        for ending in ENDINGS
        if name + ending in folders
    ]
    if both:
        raise DatasetError(f"a file of one scene would be the folder of another: {examples(both)}")


def unfit(name: str, out: Path | None) -> str:
    """Why the files of a scene can't be named so that they are found again; else empty.

    Parameters
    ----------
    name : str
    out : Path or None
        Folder of the dataset, whose file system is asked; None: as most are.
    """
    if any(part.startswith(".") for part in name.split("/")):
        return "its files would be hidden, and passed over by whoever reads the dataset"
    longest = [len(os.fsencode(part)) for part in f"{name}{max(ENDINGS, key=len)}".split("/")]
    most = _limit(out, "PC_NAME_MAX", NAME_BYTES)
    if max(longest) > most:
        return f"its files would have names of {max(longest)} bytes, at most {most} are possible"
    path = f"{(out or Path()).absolute()}/SkySeg/BinaryMask/{name}{max(ENDINGS, key=len)}"
    most = _limit(out, "PC_PATH_MAX", PATH_BYTES) - 1
    if len(os.fsencode(path)) > most:
        return f"its files would have paths of {len(os.fsencode(path))} bytes, at most {most}"
    return ""


def _limit(out: Path | None, name: str, otherwise: int) -> int:
    try:
        return os.pathconf(out, name) if out is not None else otherwise
    except (AttributeError, OSError, ValueError):
        return otherwise

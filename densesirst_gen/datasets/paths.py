"""Finding the files of a dataset.

A symbolic link that lies in the user's folder is followed, wherever it leads: people link data
sets. A name that stands inside a file never leads out of the folder, and nothing is written through
a link.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.codec import FORMATS

MASK_SUFFIX = "_pixels0"
N_EXAMPLES = 5


class DatasetError(ValueError):
    """A dataset that cannot be read as it is; the message names the file or folder and the rule."""


def safe_join(root: Path, name: str) -> Path:
    """Join a name found inside a file to the folder that it is relative to, for reading.

    Parameters
    ----------
    root : Path
    name : str
        Relative POSIX path.

    Returns
    -------
    Path
        ``root / name``; it need not exist.

    Raises
    ------
    DatasetError
        If the name is empty, absolute, has ``..``, a backslash, a drive or a NUL, or is too long.
    """
    parts = PurePosixPath(name).parts
    if not parts or parts[0].startswith("/") or ".." in parts or PureWindowsPath(name).drive:
        raise DatasetError(f"{root}: {name!r} is not a path inside the dataset")
    if "\\" in name or "\0" in name:
        raise DatasetError(f"{root}: {name!r} has a backslash or a NUL")
    try:
        os.path.lexists(root / name)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{root}: {name!r} is no file name ({error})") from error
    return root / name


def path_to_write(root: Path, name: str) -> Path:
    """`safe_join` for writing: no symbolic link is gone through.

    Raises
    ------
    DatasetError
        As `safe_join`.
    RefusedError
        If `root`, or a folder between it and the file, is a link. A link in the place of the file
        itself is replaced and not followed.
    """
    path = safe_join(root, name)
    between = [folder for folder in path.parents if folder.is_relative_to(root)]
    for folder in (root, *between):
        if folder.is_symlink():
            raise RefusedError(f"{folder} is a symbolic link: nothing is written through it")
    return path


def has_link(root: Path, path: Path) -> bool:
    """Whether a symbolic link is followed on the way from a folder to a file in it."""
    return path.is_symlink() or any(
        folder != root and folder.is_relative_to(root) and folder.is_symlink()
        for folder in path.parents
    )


def list_images(root: Path, folder: str = "", *, nested: bool = False) -> dict[str, Path]:
    """The image files of one folder of a dataset, by scene name.

    Hidden files and folders (``.DS_Store``, ``._a.png``) and files with other suffixes are passed
    over. Symbolic links are followed, to files and to folders.

    Parameters
    ----------
    root : Path
        The dataset.
    folder : str
        Relative to `root`. A folder that does not exist has no images.
    nested : bool
        Also look into subfolders.

    Returns
    -------
    dict of str to Path
        Keyed by the path below `folder` without suffix, POSIX; sorted.

    Raises
    ------
    DatasetError
        If two files differ by suffix only, are not regular files, or are links to nothing, or if
        links go round in a circle.
    """
    base = safe_join(root, folder) if folder else root
    pairs = []
    for path in sorted(_visible_files(base, nested)):
        if path.suffix.lower() in FORMATS:
            if not path.is_file():
                raise DatasetError(f"{path}: not a regular file, nor a link to one")
            pairs.append((path.relative_to(base).with_suffix("").as_posix(), path))
    return unique(pairs)


def _visible_files(base: Path, nested: bool) -> Iterator[Path]:
    """What is no folder and not hidden."""
    for place, folders, files in os.walk(base, followlinks=True):
        yield from (Path(place, name) for name in files if not name.startswith("."))
        folders[:] = [name for name in folders if nested and not name.startswith(".")]
        for name in folders:
            _check_no_circle(Path(place, name))


def _check_no_circle(folder: Path) -> None:
    """DatasetError if a folder is a link to one that it lies in."""
    if folder.is_symlink() and any(map(folder.samefile, folder.parents)):
        raise DatasetError(f"{folder}: a link to a folder that it lies in, a circle")


def unique(pairs: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """A dict of (name, file) pairs; DatasetError that lists the files where a name comes twice."""
    found: dict[str, Path] = {}
    twice = []
    for name, path in pairs:
        if name in found:
            twice.append(f"{found[name]} and {path}")
        found[name] = path
    if twice:
        raise DatasetError(f"{len(twice)} scene names come twice: {examples(twice)}")
    return found


def find_mask(masks: Mapping[str, Path], name: str) -> Path | None:
    """The mask of a scene: ``NAME_pixels0.*``, else ``NAME.*``, else None.

    For one name by itself; of many, `pair_masks` sees to it that none gets another's mask.
    """
    return masks.get(name + MASK_SUFFIX) or masks.get(name)


def pair_masks(masks: Mapping[str, Path], names: Iterable[str]) -> dict[str, Path]:
    """The masks of some scenes, each by `find_mask`, and none for two.

    Where there are scenes ``a`` and ``a_pixels0``, the mask ``a_pixels0.*`` could be of both. It is
    of ``a_pixels0`` if only ``a`` has another mask, ``a.*``; and of ``a`` if only ``a_pixels0`` has,
    ``a_pixels0_pixels0.*``.

    Parameters
    ----------
    masks : mapping of str to Path
        File stem -> file.
    names : iterable of str
        Of the scenes.

    Returns
    -------
    dict of str to Path
        Only scenes that have one.

    Raises
    ------
    DatasetError
        If a mask can be of two scenes, and nothing tells of which.
    """
    known = set(names)
    found = {name: path for name in known if (path := find_mask(masks, name))}
    for name in sorted(known):
        other = name + MASK_SUFFIX
        if other in known and other in masks:
            own, others = masks.get(name), masks.get(other + MASK_SUFFIX)
            if (own is None) == (others is None):
                raise DatasetError(
                    f"{masks[other]}: the mask of {name} or of {other}? Name them {name}.png and "
                    f"{other}.png, or {other}.png and {other + MASK_SUFFIX}.png"
                )
            found |= {name: own, other: masks[other]} if own else {name: masks[other]}
    return found


def examples(items: Iterable[str]) -> str:
    """The first few of many, for a message."""
    listed = list(items)
    more = ", ..." if len(listed) > N_EXAMPLES else ""
    return ", ".join(listed[:N_EXAMPLES]) + more

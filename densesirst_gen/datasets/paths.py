"""Finding the files of a dataset.

A symbolic link that lies in the user's folder is followed, wherever it leads: people link data
sets. A name that stands inside a file never leads out of the folder, and nothing is written through
a link.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from unicodedata import normalize

from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.images.codec import FORMATS, OFTEN_BESIDE, is_image_file

MASK_SUFFIX = "_pixels0"
N_EXAMPLES = 5
MAX_LINKS = 5_000
"""Links to folders that are followed: a few that lead to each other can make countless paths."""


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
        os.lstat(root / name)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        raise DatasetError(f"{root}: {name[:80]!r} is no file name ({error})"[:300]) from error
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
    """Whether a path below a folder is a symbolic link, or reached by one in that folder."""
    steps = (path, *path.parents)
    return any(s != root and s.is_relative_to(root) and s.is_symlink() for s in steps)


def list_images(root: Path, folder: str = "", *, nested: bool = False) -> dict[str, Path]:
    """The image files of one folder of a dataset, by scene name.

    Hidden files and folders (``.DS_Store``, ``._a.png``), files with other suffixes, and arrays and
    the like beside an image of the same name are passed over. Symbolic links are followed, to files
    and to folders.

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
            if is_image_file(path):
                pairs.append((path.relative_to(base).with_suffix("").as_posix(), path))
    named = {name for name, path in pairs if path.suffix.lower() not in OFTEN_BESIDE}
    return unique(
        (name, path)
        for name, path in pairs
        if name not in named or path.suffix.lower() not in OFTEN_BESIDE
    )


def _visible_files(base: Path, nested: bool) -> Iterator[Path]:
    """What is no folder and not hidden."""
    n_links, inode = 0, cache(_inode)
    for place, folders, files in os.walk(base, followlinks=True):
        yield from (Path(place, name) for name in files if not name.startswith("."))
        folders[:] = [name for name in folders if nested and not name.startswith(".")]
        links = [Path(place, name) for name in folders if os.path.islink(os.path.join(place, name))]
        n_links += len(links)
        if n_links > MAX_LINKS:
            raise DatasetError(f"{base}: more than {MAX_LINKS} links to folders")
        for link in links:
            if inode(link) in map(inode, link.parents):
                raise DatasetError(f"{link}: a link to a folder that it lies in, a circle")


def _inode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


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

    Where there are scenes ``a`` and ``a_pixels0``, the mask ``a_pixels0.*`` could be of both. Then
    either both have masks of their own names, or both ``_pixels0`` behind them: whichever finds
    more masks.

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
    masks = in_one_form(masks, [f"{name}{end}" for name in known for end in ("", MASK_SUFFIX)])
    found = {name: path for name in known if (path := find_mask(masks, name))}
    for name in known:
        if name + MASK_SUFFIX in known and name.removesuffix(MASK_SUFFIX) not in known - {name}:
            relatives = _relatives(name, known)
            if not masks.keys().isdisjoint(relatives[1:]):
                for relative in relatives:
                    found.pop(relative, None)
                found |= _of_one_kind(masks, relatives)
    return found


def in_one_form(files: Mapping[str, Path], wanted: Iterable[str]) -> Mapping[str, Path]:
    """The files, also by those wanted names that are theirs in another Unicode form.

    macOS writes ``é`` as two letters, others write one.
    """
    plain = {normalize("NFC", stem): path for stem, path in files.items() if not stem.isascii()}
    forms = {name: normalize("NFC", name) for name in wanted if plain and not name.isascii()}
    found = {n: plain[form] for n, form in forms.items() if n not in files and form in plain}
    return {**files, **found} if found else files


def _relatives(name: str, known: set[str]) -> list[str]:
    """A name, and those that are it with the suffix once, twice, ..."""
    found = [name]
    while found[-1] + MASK_SUFFIX in known:
        found.append(found[-1] + MASK_SUFFIX)
    return found


def _of_one_kind(masks: Mapping[str, Path], names: list[str]) -> dict[str, Path]:
    """The masks of names that could be each other's: all with the suffix, or all without."""
    plain = {name: masks[name] for name in names if name in masks}
    suffixed = {n: masks[n + MASK_SUFFIX] for n in names if n + MASK_SUFFIX in masks}
    if len(plain) == len(suffixed):
        mask = next(masks[name] for name in names[1:] if name in masks)
        raise DatasetError(
            f"{mask}: is it the mask of {names[0]} or of {names[1]}? Name all masks like their "
            f"images, or all with {MASK_SUFFIX} behind"
        )
    return plain if len(plain) > len(suffixed) else suffixed


def examples(items: Iterable[str]) -> str:
    """The first few of many, for a message."""
    listed = list(items)
    more = ", ..." if len(listed) > N_EXAMPLES else ""
    return ", ".join(listed[:N_EXAMPLES]) + more

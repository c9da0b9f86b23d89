"""Finding the files of a dataset without ever leaving its folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from densesirst_gen.files.codec import FORMATS

MASK_SUFFIX = "_pixels0"
N_EXAMPLES = 5


class DatasetError(ValueError):
    """A dataset that cannot be read as it is; the message names the file or folder and the rule."""


def safe_join(root: Path, name: str) -> Path:
    """Join a name found inside a dataset to the dataset's folder.

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
        If the name is empty, absolute, has ``..``, a backslash, a drive or a NUL, or if a symbolic
        link on the way leaves `root`.
    """
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or PureWindowsPath(name).drive:
        raise DatasetError(f"{root}: {name!r} is not a path inside the dataset")
    if "\\" in name or "\0" in name:
        raise DatasetError(f"{root}: {name!r} has a backslash or a NUL")
    return confined(root, root / name)


def confined(root: Path, path: Path) -> Path:
    """`path` itself, if following its symbolic links stays inside `root`; else DatasetError."""
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"{path}: cannot be resolved, a loop of links? ({error})") from error
    if not inside:
        raise DatasetError(f"{path}: a symbolic link that leaves the dataset {root}")
    return path


def list_images(root: Path, folder: str = "", *, nested: bool = False) -> dict[str, Path]:
    """The image files of one folder of a dataset, by scene name.

    Hidden files (``.DS_Store``, ``._a.png``) and files with other suffixes are passed over.

    Parameters
    ----------
    root : Path
        The dataset; links may not lead out of it.
    folder : str
        Relative to `root`. A folder that does not exist has no images.
    nested : bool
        Also look into subfolders, but not through links to folders.

    Returns
    -------
    dict of str to Path
        Keyed by the path below `folder` without suffix, POSIX; sorted.

    Raises
    ------
    DatasetError
        If two files differ by suffix only, are not regular files, or are links out of `root`.
    """
    base = safe_join(root, folder) if folder else root
    pairs = []
    for path in sorted(base.glob("**/*" if nested else "*")):
        relative = path.relative_to(base)
        hidden = any(part.startswith(".") for part in relative.parts)
        if hidden or path.suffix.lower() not in FORMATS or path.is_dir():
            continue
        if not path.is_file():
            raise DatasetError(f"{path}: not a regular file")
        if path.is_symlink():
            confined(root, path)
        pairs.append((relative.with_suffix("").as_posix(), path))
    return unique(pairs)


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
    """The mask of a scene: ``NAME_pixels0.*``, else ``NAME.*``, else None."""
    return masks.get(name + MASK_SUFFIX) or masks.get(name)


def examples(items: Iterable[str]) -> str:
    """The first few of many, for a message."""
    listed = list(items)
    more = ", ..." if len(listed) > N_EXAMPLES else ""
    return ", ".join(listed[:N_EXAMPLES]) + more

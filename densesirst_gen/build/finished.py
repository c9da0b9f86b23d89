"""A finished dataset that is asked to go on: is it still what it was?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from densesirst_gen.build.summary import BuildSummary
from densesirst_gen.datasets import examples
from densesirst_gen.files.atomic import OutputError
from densesirst_gen.files.checksums import CHECKSUMS, read_checksums
from densesirst_gen.files.folder import MANIFEST, BuildFolder
from densesirst_gen.files.journal import is_intact


def finished_summary(
    folder: BuildFolder, run: Callable[..., Iterable[tuple[str, bool]]] = map
) -> BuildSummary:
    """The summary of a finished dataset whose files are all as they were written.

    Every file is read and compared with its checksum, as ``sha256sum -c`` does.

    Parameters
    ----------
    folder : BuildFolder
        Complete.
    run : callable
        Like `map`; results may come in any order.

    Raises
    ------
    OutputError
        If a file is damaged or gone, or the manifest is not that of a build.
    """
    manifest, path = folder.manifest(), folder.root / MANIFEST
    try:
        summary = BuildSummary.from_dict(manifest.get("summary"))
    except ValueError as error:
        raise OutputError(f"{path}: not the manifest of a build ({error})") from error
    _check_files(folder.root, _listed_digest(manifest), run)
    return summary


def _listed_digest(manifest: dict[str, Any]) -> str:
    files = manifest.get("files")
    return str(files.get("sha256")) if isinstance(files, dict) else ""


def _check_files(root: Path, digest: str, run: Callable[..., Iterable[tuple[str, bool]]]) -> None:
    if not is_intact(root / CHECKSUMS, digest):
        raise OutputError(f"{root / CHECKSUMS} is not the one that {MANIFEST} names")
    checked = run(partial(_checked, root), read_checksums(root / CHECKSUMS))
    bad = sorted(name for name, good in checked if not good)
    if bad:
        raise OutputError(
            f"{root} is finished, but {len(bad)} of its files are damaged or gone: "
            f"{examples(bad)}; --overwrite makes it anew"
        )


def _checked(root: Path, listed: tuple[str, str]) -> tuple[str, bool]:
    name, digest = listed
    return name, is_intact(root / name, digest)

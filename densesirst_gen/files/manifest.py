"""The file that ends a folder of ours: what is in it, and what it was made with."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from densesirst_gen.files.atomic import OutputError
from densesirst_gen.version import __version__

MANIFEST = "manifest.json"
SCHEMA = "densesirst-gen/manifest@1"


def manifest_of(content: Mapping[str, Any], distributions: Iterable[str]) -> dict[str, Any]:
    """A manifest: schema, generator, time and versions, then its content.

    Parameters
    ----------
    content : mapping
        Plain values.
    distributions : iterable of str
        Whose versions are written.
    """
    return {
        "schema": SCHEMA,
        "generator": {"name": "densesirst_gen", "version": __version__},
        "created": creation_time().isoformat(timespec="seconds"),
        "versions": versions_of(distributions),
        **content,
    }


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Of Python and of some distributions."""
    return {"python": platform.python_version(), **{name: _version(name) for name in distributions}}


def creation_time() -> datetime:
    """Now, or what ``SOURCE_DATE_EPOCH`` says; builds ask before they begin.

    Raises
    ------
    OutputError
        If that is no number of seconds that a date can be made of.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise OutputError(
            f"SOURCE_DATE_EPOCH must be a whole number of seconds since 1970, got {epoch[:40]!r}"
        ) from error


def _version(distribution: str) -> str:
    """Of a distribution; OpenCV comes under several names, so it is asked itself."""
    if distribution.startswith("opencv"):
        import cv2

        return str(cv2.__version__)
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"

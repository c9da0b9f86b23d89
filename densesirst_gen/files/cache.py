"""Where is kept what only saves time."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

NAME = "densesirst-gen"


def cache_folder() -> Path | None:
    """The folder of this program's caches; it need not exist.

    ``$DENSESIRST_GEN_CACHE``, else ``densesirst-gen`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``
    if it is there from before, else where the platform keeps caches. None where nobody knows whose
    they would be: without a home folder.
    """
    own, shared = os.environ.get("DENSESIRST_GEN_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own or shared:
        return Path(own) if own else Path(shared or "") / NAME
    try:
        before = Path.home() / ".cache" / NAME
        return before if before.is_dir() else user_cache_path(NAME, appauthor=False)
    except RuntimeError:  # no HOME, and a user whom the system doesn't know
        return None

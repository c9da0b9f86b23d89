"""Names of files that stand in files: none may lead out of its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from densesirst_gen.files.atomic import RefusedError


def is_inner(name: Any) -> bool:
    """Whether it is a relative POSIX path, to something in the folder, without ``..`` and NUL."""
    if not isinstance(name, str) or "\0" in name or name.startswith("/"):
        return False
    parts = set(name.split("/")) - {"", "."}
    return bool(parts) and ".." not in parts


def check_no_linked_folder(root: Path) -> None:
    """RefusedError if a folder in it is a link: nothing is written or deleted through one."""
    for folder, below, _ in os.walk(root):
        for name in below:
            path = Path(folder, name)
            if path.is_symlink():
                raise RefusedError(
                    f"{path} leads out of {root}, it is a link: nothing is written or deleted there"
                )

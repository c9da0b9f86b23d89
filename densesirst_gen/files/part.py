"""Half-written files: their names tell who writes them, so that those of the dead can be swept.

``.MMMMMPPPPPPTTTTT.part``, hexadecimal: machine, process, and a token. A process sweeps each folder
that it writes to once. What another machine wrote, of whose processes nothing is known, stays.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

NAME = re.compile(r"\.([0-9a-f]{5})([0-9a-f]{6})[0-9a-f]{5}\.part")
PROCESSES = Path("/proc/self/ns/pid")


def new_part(folder: Path) -> Path:
    """A name in `folder` for a half-written file of this process."""
    sweep(folder)
    return folder / f".{_machine()}{os.getpid() % 16**6:06x}{secrets.token_hex(3)[:5]}.part"


@cache
def sweep(folder: Path) -> None:
    """Delete the half-written files of processes of this machine that are no more."""
    with suppress(OSError):
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".part")]
        for name in names:
            found = NAME.fullmatch(name)
            if found and found[1] == _machine() and not _lives(int(found[2], 16)):
                (folder / name).unlink(missing_ok=True)


@cache
def _machine() -> str:
    """Where numbers of processes are what they are here: a container has its own."""
    space = os.readlink(PROCESSES) if PROCESSES.exists() else ""
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:5]


def _lives(pid: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is not harmless
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether it has ended, and nobody has asked how, as in containers without an init."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1] == [b"Z"]
    return False

"""One process at a time in a folder: a lock that the operating system holds.

The kernel lets go of it when its process ends, however that ends, so it is never stale on the
machine itself: the number of a process says nothing, which in a container is always the same. The
file ``.lock`` also says who holds it. A lock of another machine is respected even where the kernel
would give it away, for not every network file system hands locks on.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import lock_descriptor

from densesirst_gen.files.atomic import OutputError, RefusedError

LOCK = ".lock"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MAX_BYTES = 10_000


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the folder for this process; what a process that is dead has left is taken over.

    Raises
    ------
    RefusedError
        If another process holds it, or one of another machine may.
    OutputError
        If the folder can't be made or written to.
    """
    made = [p for p in (root, *root.parents) if not p.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        held = _take(root / LOCK)
    except FileExistsError as error:
        raise RefusedError(f"{root} exists and is not a folder") from error
    except OSError as error:
        raise OutputError(f"{root} can't be written to: {error.strerror}") from error
    try:
        yield
    finally:
        _leave(root / LOCK, held)
        for path in made:
            with suppress(OSError):
                path.rmdir()


def _take(lock: Path) -> int:
    """The descriptor of the lock's file, which is the one in place: not one just deleted."""
    while True:
        held, is_new = _open(lock)
        try:
            _hold(lock, held, is_new)
            if _is_in_place(lock, held):
                _check_machine(lock, held)
                _write_holder(held)
                return held
        except BaseException:
            os.close(held)
            raise
        os.close(held)


def _open(lock: Path) -> tuple[int, bool]:
    """A descriptor, never through a link, and whether the file has been made for it."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    while True:
        with suppress(FileExistsError):
            return os.open(lock, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        with suppress(FileNotFoundError):
            return os.open(lock, flags), False


def _hold(lock: Path, held: int, is_new: bool) -> None:
    """Where the file system knows no locks, the one that has made the file holds it."""
    if not stat.S_ISREG(os.fstat(held).st_mode):
        raise RefusedError(f"{lock} is not a regular file")
    try:
        taken = lock_descriptor(held, blocking=False)
    except OSError:
        taken = is_new
    if not taken:
        raise RefusedError(
            f"another run is at work in {lock.parent}{_words(_holder(held))} "
            f"(if it is not, delete {lock})"
        )


def _is_in_place(lock: Path, held: int) -> bool:
    try:
        return os.path.samestat(os.fstat(held), os.lstat(lock))
    except FileNotFoundError:
        return False


def _check_machine(lock: Path, held: int) -> None:
    """Neither its name nor its running kernel are ours: another machine, maybe at work."""
    left, own = _holder(held), _own()
    same = any(own[name] and left.get(name) == own[name] for name in ("host", "boot"))
    if left.get("host") and not same:
        raise RefusedError(
            f"another run may be at work in {lock.parent}{_words(left)} "
            f"(if it is not, delete {lock})"
        )


def _own() -> dict[str, Any]:
    boot = BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""
    return {"pid": os.getpid(), "host": socket.gethostname(), "boot": boot}


def _holder(held: int) -> dict[str, Any]:
    """What the file says, if it says anything."""
    try:
        os.lseek(held, 0, os.SEEK_SET)
        values = json.loads(os.read(held, MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _words(holder: dict[str, Any]) -> str:
    return f": process {holder.get('pid')} on {holder['host']}" if holder.get("host") else ""


def _write_holder(held: int) -> None:
    """For people to read; the lock holds without it, on a full disk too."""
    with suppress(OSError):
        os.ftruncate(held, 0)
        os.lseek(held, 0, os.SEEK_SET)
        os.write(held, json.dumps(_own()).encode())


def _leave(lock: Path, held: int) -> None:
    """Delete the file while it is held, so that nobody's new one is hit."""
    if _is_in_place(lock, held):
        with suppress(OSError):
            lock.unlink()
    os.close(held)
    if os.name == "nt":  # deletes no file that is open
        with suppress(OSError):
            lock.unlink()

"""What many processes draw: calls without an index, in every way that trainings start processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scenes import make_scene

from densesirst_gen.augment.bag_copy_paste import BagCopyPaste

SCENE = make_scene((40, 48), targets=0)


def drawn(aug: Any, n: int = 1) -> list[bytes]:
    """The images of n calls."""
    return [aug(SCENE).image.tobytes() for _ in range(n)]


def one(aug: Any) -> bytes:
    """The image of one call; what pools run."""
    return drawn(aug)[0]


def in_fork(aug: Any, n: int, before: Callable[[], Any] = lambda: None) -> list[bytes]:
    """The images of n calls in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        before()
        with os.fdopen(writing, "wb") as file:
            file.write(pickle.dumps(drawn(aug, n)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        content = file.read()
    os.waitpid(child, 0)
    return pickle.loads(content)


def in_process(library: Path, n: int = 4, **variables: str) -> list[bytes]:
    """The images of n calls in a program of its own, as a launcher starts it."""
    code = f"""
import pickle, sys
from streams import BagCopyPaste, drawn
sys.stdout.buffer.write(pickle.dumps(drawn(BagCopyPaste({str(library)!r}), {n})))
"""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths} | variables,
        capture_output=True,
        check=True,
    )
    return pickle.loads(done.stdout)


__all__ = ["SCENE", "BagCopyPaste", "drawn", "in_fork", "in_process", "one"]

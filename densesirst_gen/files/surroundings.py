"""What processes know of the program that starts them: its main module and its working folder.

Neither is imported until something of it is asked for: a script may do its work without a main
guard, come from standard input, or lie beside a ``signal.py``. What a process is given may still
need them, such as a function of the script: then the main module is imported as `multiprocessing`
does it.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import process, spawn
from pathlib import Path
from typing import Any

NAMES = ("sys_path", "init_main_from_name", "init_main_from_path")
SAFE_PATH = "PYTHONSAFEPATH"
PACKAGE_HOME = Path(__file__).parents[2]

GUARD = "what it does must stand behind: if __name__ == '__main__':"

Surroundings = dict[str, Any]


def surroundings() -> Surroundings:
    """Those of this process, for `Unpickler`.

    Raises
    ------
    RuntimeError
        If this process is itself one that just imports its main module; with Python's hint.
    """
    data = spawn.get_preparation_data("")
    if not os.path.isfile(data.get("init_main_from_path", "")):  # it is <stdin>, or gone
        data.pop("init_main_from_path", None)
    return {name: data[name] for name in NAMES if name in data}


@contextmanager
def hidden_surroundings() -> Iterator[None]:
    """Processes started in this block get them not; keep it short, it acts on all threads."""
    whole, safe = spawn.get_preparation_data, os.environ.get(SAFE_PATH)
    spawn.get_preparation_data = lambda name: _without_surroundings(whole(name))
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        spawn.get_preparation_data = whole
        os.environ.pop(SAFE_PATH)
        if safe is not None:
            os.environ[SAFE_PATH] = safe


def _without_surroundings(data: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in data.items() if name not in NAMES}
    return {**kept, "sys_path": [place for place in data["sys_path"] if not _is_here(place)]}


def _is_here(place: str) -> bool:
    """Whether it is the working folder, and not there for the package's own sake."""
    here = os.path.realpath(place)
    return here == os.path.realpath(os.curdir) and here != os.path.realpath(PACKAGE_HOME)


class Unpickler:
    """Loads what comes from a process with other surroundings, which it takes on at need.

    Parameters
    ----------
    given : dict
        See `surroundings`; of the other process.
    """

    def __init__(self, given: Surroundings) -> None:
        self._given = dict(given)

    def loads(self, content: bytes) -> Any:
        """What was pickled; raises as `pickle.loads` and the main module do."""
        while True:
            try:
                return pickle.loads(content)
            except (AttributeError, ImportError):
                if not self._given:
                    raise
            self._take_on()

    def _take_on(self) -> None:
        """First where the other imports from, then its main module."""
        if "sys_path" in self._given:
            spawn.prepare({"sys_path": self._given.pop("sys_path")})
            return
        given, self._given = self._given, {}
        this = process.current_process()
        this._inheriting = True  # type: ignore[attr-defined] # noqa: SLF001
        try:
            spawn.prepare(given)
        except SystemExit as error:
            main = given.get("init_main_from_path", given.get("init_main_from_name"))
            raise RuntimeError(f"{main}: it ends when it is imported; {GUARD}") from error
        finally:
            del this._inheriting  # type: ignore[attr-defined] # noqa: SLF001

"""A file that a viewer holds for a moment, as Windows knows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from densesirst_gen.files import moving
from densesirst_gen.files.atomic import write_atomically
from densesirst_gen.files.moving import delete_file


class Held:
    """Moves and deletions fail the first few times."""

    def __init__(self, act: object, times: int) -> None:
        self.act, self.left = act, times

    def __call__(self, *given: object, **more: object) -> object:
        self.left -= 1
        if self.left >= 0:
            raise PermissionError(13, "used by another process")
        return self.act(*given, **more)  # type: ignore[operator]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    class System:
        name, replace = "nt", staticmethod(lambda a, b: os.replace(a, b))

    monkeypatch.setattr(moving, "os", System)
    monkeypatch.setattr(moving, "PAUSE", 0)


@pytest.mark.usefixtures("windows")
def test_a_held_file_is_replaced_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving.os, "replace", Held(os.replace, 3))
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.usefixtures("windows")
def test_one_held_for_ever_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving.os, "replace", Held(os.replace, 99))
    with pytest.raises(PermissionError):
        write_atomically(tmp_path / "file", b"new")
    assert not list(tmp_path.iterdir())


def test_elsewhere_no_time_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(None, 9)
    monkeypatch.setattr(Path, "unlink", held)
    with pytest.raises(PermissionError):
        delete_file(tmp_path / "file")
    assert held.left == 8

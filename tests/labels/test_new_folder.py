"""A folder that is there as a whole, or not at all, whatever ended the run before."""

from __future__ import annotations

from pathlib import Path

import pytest

from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.lock import locked
from densesirst_gen.labels.new_folder import new_folder


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / ".out.part"
    (left / "new" / "images").mkdir(parents=True)
    (left / "new" / "images" / "old.png").touch()
    (left / ".lock").write_text('{"pid": 1}')
    with new_folder(tmp_path / "out") as part:
        assert not list(part.iterdir())
        (part / "file").touch()
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == [
        "out",
        "out/file",
    ]


def test_one_at_a_time(tmp_path: Path) -> None:
    with (
        locked(tmp_path / ".out.part"),
        pytest.raises(RefusedError, match=r"at work in .*out\.part"),
        new_folder(tmp_path / "out"),
    ):
        pass
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "out") as part:
        (part / "folder" / "file").touch()
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".out.part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="is a link"), new_folder(tmp_path / "out"):
        pass
    assert not list((tmp_path / "elsewhere").iterdir())

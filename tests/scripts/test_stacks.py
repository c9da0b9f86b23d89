"""The comparison of stacks finds what differs."""

from __future__ import annotations

from pathlib import Path

import pytest
import stacks


def test_one_flipped_pixel_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def built(python: Path, out: Path, options: list[str]) -> dict[str, str]:
        assert options == ["-b", "demo", "--seed", "0"]
        out.mkdir()
        (out / "manifest.json").write_text('{"versions": {"numpy": "2.0"}}')
        (out / "same.png").write_bytes(b"same")
        (out / "pixels.png").write_bytes(str(python).encode())
        return stacks.digests(out)

    def environment(folder: Path, stack: str) -> Path:
        folder.mkdir()
        return Path(stack)

    monkeypatch.setattr(stacks, "built", built)
    monkeypatch.setattr(stacks, "made_environment", environment)
    assert stacks.main([str(tmp_path / "work"), "a", "a", "b"]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[3:] == ["| a | numpy 2.0 | 2 of 2 |", "| b | numpy 2.0 | 1 of 2 |"]
    assert told.err.split() == ["pixels.png"]

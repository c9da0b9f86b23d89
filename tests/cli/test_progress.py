"""What a progress bar says, frame by frame."""

from __future__ import annotations

import io
import re
import time

import pytest

from densesirst_gen.cli import progress


def frames(n: int, unit: str = "scene", pause: float = 0.0) -> list[str]:
    file = io.StringIO()
    results = ((time.sleep(pause), k)[1] for k in range(n))
    assert list(progress.watched(results, n, unit=unit, file=file)) == list(range(n))
    return [frame for frame in file.getvalue().split("\r") if frame.strip()]


def test_the_first_frame_says_how_many_and_no_more() -> None:
    assert re.fullmatch(r"\s*0%\|\s+\| 0/7 \[00:00\]\s*", frames(7)[0])


def test_the_time_left_is_said_when_it_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SETTLED_S", 0.25)
    shown = frames(5, "batch", pause=0.11)
    early = [frame for frame in shown if re.search(r" [01]/5", frame)]
    assert early
    assert not any("left" in frame for frame in early)
    assert re.search(r"00:00 left, .*batches/s\]", shown[-1])


def test_without_a_terminal_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    from densesirst_gen.cli.options import progress_bar

    with progress_bar(quiet=False) as shown:
        assert list(shown(range(3), 3)) == [0, 1, 2]
    assert capsys.readouterr().err == ""

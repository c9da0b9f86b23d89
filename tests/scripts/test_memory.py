"""The run that watches memory, a short one; and that it sees what it looks for."""

from __future__ import annotations

import sys
from pathlib import Path

import memory
import pytest
from memory import MIB, Sample

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks into /proc")


def test_a_build_leaves_no_file_open_and_memory_flat(tmp_path: Path) -> None:
    """Rows 74 and 84."""
    memory.write_frames(tmp_path / "frames", 100, 32)
    samples = memory.watched_build(tmp_path / "frames", tmp_path / "out", 100)
    assert [s.scenes for s in samples] == list(range(1, 101))
    assert samples[-1].files <= samples[0].files
    assert samples[-1].memory - samples[50].memory < 8 * MIB
    assert "100 scenes in 2 s (50/s)" in memory.text(samples, 100, 2.0)


def samples_with(memory_of_scene: float, files: int = 0) -> list[Sample]:
    noise = [0, 4096, 0, -4096]
    return [
        Sample(k, int(50 * MIB + memory_of_scene * k + noise[k % 4]), 9 + files * (k == 1000))
        for k in range(10, 1001, 10)
    ]


# row 84
def test_growth_is_seen() -> None:
    assert memory.is_flat(samples_with(0), MIB)
    assert memory.is_flat(samples_with(200), MIB)
    assert not memory.is_flat(samples_with(2000), MIB)
    assert memory.slope_of(samples_with(2000)).value == pytest.approx(2000, rel=0.05)


def test_an_open_file_is_seen() -> None:
    assert not memory.is_flat(samples_with(0, files=1), MIB)


def test_the_command_ends_with_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["memory.py", "--frames", "20", "--side", "16", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*argv, "--allowed", "100"])
    assert memory.main() == 0
    assert "slope" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())

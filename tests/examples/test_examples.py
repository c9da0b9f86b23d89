"""Every example runs, says something, and is short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FEWER = {"train_on_generated": ["2", "1", "1"]}
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(example), str(tmp_path / "out")]
    command += FEWER.get(example.stem, [])
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert len(example.read_text().splitlines()) < 50

"""The script that measures COCO files of many images, on a few."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_coco import STEPS, images, one


def test_each_step_tells_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images(tmp_path, 5)
    for step in STEPS:
        one(step, 5, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"{step} 5" for step in STEPS]
    assert all("bytes an image" in line for line in lines)
    assert ["kept" in line for line in lines] == [False, True, True]

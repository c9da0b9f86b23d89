"""A build that goes on with other versions says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from densesirst_gen.files.folder import BuildFolder


def opened(root: Path, *, resume: bool) -> list[str]:
    folder = BuildFolder(root, {"seed": 1})
    folder.open(resume=resume, overwrite=False)
    return folder.other_stacks(["numpy", "opencv-python"])


# row 125
def test_other_versions_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    assert not opened(tmp_path, resume=False)
    assert not opened(tmp_path, resume=True)
    now = cv2.__version__
    monkeypatch.setattr(cv2, "__version__", "4.9.9")
    assert opened(tmp_path, resume=True) == [f"opencv-python {now} (now 4.9.9)"]
    assert opened(tmp_path, resume=True) == [f"opencv-python {now} (now 4.9.9)"]
    monkeypatch.undo()
    assert opened(tmp_path, resume=True) == [f"opencv-python 4.9.9 (now {now})"]
    (tmp_path / ".build" / "stacks.json").unlink()
    assert not opened(tmp_path, resume=True)

"""Slim containers: folders that are not quite empty, nobody to bury the dead, missing libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from multiprocessing import heap
from pathlib import Path

import pytest

from densesirst_gen.augment.calls import SharedNumber
from densesirst_gen.files import part
from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.clear import clear_build
from densesirst_gen.files.folder import BuildFolder
from densesirst_gen.files.manifest import manifest_of
from densesirst_gen.files.part import new_part, sweep

CLUTTER = ["lost+found", ".DS_Store", ".nfs000000000012a3", "._a", "Thumbs.db", "desktop.ini"]


@pytest.mark.parametrize("name", CLUTTER)
# row 130
def test_what_systems_put_into_a_folder_is_nothing(tmp_path: Path, name: str) -> None:
    put = tmp_path / name
    put.mkdir() if name == "lost+found" else put.touch()
    folder = BuildFolder(tmp_path, {})
    folder.open(resume=False, overwrite=False)
    folder.close({})
    clear_build(tmp_path)
    assert list(tmp_path.iterdir()) == [put]


def test_what_a_person_put_there_is_something(tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    with pytest.raises(RefusedError, match="not empty"):
        BuildFolder(tmp_path, {}).open(resume=False, overwrite=False)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_zombie_writes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.read()
        time.sleep(0.2)
        monkeypatch.setattr(os, "getpid", lambda: child.pid)
        left = new_part(tmp_path)
        monkeypatch.undo()
        left.touch()
        part.sweep.cache_clear()
        sweep(tmp_path)
        assert not left.exists()


# row 130
def test_without_shared_memory_numbers_are_shared_by_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(heap.Arena, "_dir_candidates", [str(tmp_path / "missing")])
    monkeypatch.setattr(heap.BufferWrapper, "_heap", heap.Heap())
    number = SharedNumber(7)
    pid = os.fork()
    if not pid:
        number.value = 8
        os._exit(0)
    os.waitpid(pid, 0)
    assert number.value == 8


# row 127
def test_opencv_of_any_distribution_has_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr(cv2, "__version__", "4.13.7")
    assert manifest_of({}, ["opencv-python"])["versions"]["opencv-python"] == "4.13.7"

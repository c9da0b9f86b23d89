"""Half-written files that dead processes left go; those of others stay."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from densesirst_gen.files.atomic import atomic_file, write_atomically
from densesirst_gen.files.part import NAME, new_part, sweep

DYING = """
import os, signal, sys; from pathlib import Path
from densesirst_gen.files.atomic import atomic_file
with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"half"); file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="asks whether a process lives")
def test_what_a_killed_process_left_goes_with_the_next_file_written(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DYING, tmp_path / "file"], check=False)
    (left,) = tmp_path.iterdir()
    assert NAME.fullmatch(left.name)
    write_atomically(tmp_path / "other", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_what_the_living_and_other_machines_write_stays(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "file"):
        elsewhere = tmp_path / f".{'0' * 5}{'f' * 6}{'0' * 5}.part"
        for path in (elsewhere, tmp_path / "mine.part"):
            path.touch()
        sweep.cache_clear()
        sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) == 3


def test_names_are_of_sixteen_hexadecimal_digits_and_differ(tmp_path: Path) -> None:
    names = {new_part(tmp_path).name for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"\.[0-9a-f]{16}\.part", name) for name in names)

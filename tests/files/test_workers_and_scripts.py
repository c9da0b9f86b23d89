"""Processes of programs of any shape: no main guard, standard input, files in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BUILD = """
from dataclasses import replace
from pathlib import Path
from densesirst_gen import PasteConfig, Recipe, build_dataset, demo_dataset
print("run")
demo = demo_dataset(0)
few = replace(demo, scenes=demo.scenes[:2], splits={})
build_dataset(few, Path("out"), Recipe(PasteConfig()), jobs=2)
"""
MAP = """
from densesirst_gen.files.workers import workers
with workers(2) as mapped:
    print(sorted(mapped(str, [1, 2])))
"""
OWN_FUNCTION = """
import helper
from densesirst_gen.files.workers import workers
def double(number):
    return helper.twice(number)
{guard}with workers(2) as mapped:
    print(sorted(mapped(double, [1, 2, 3])))
"""
IN_A_MODULE = """
from helper import twice
from densesirst_gen.files.workers import workers
with workers(2) as mapped:
    print(sorted(mapped(twice, [1, 2, 3])))
"""


def ran(folder: Path, *arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        input=script,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path[1:]))},
    )


# row 129
def test_a_script_without_main_guard_builds_with_two_processes(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(BUILD)
    result = ran(tmp_path, "script.py")
    assert (result.returncode, result.stdout) == (0, "run\n"), result.stderr
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("given", [["-"], ["-c", MAP]], ids=["stdin", "-c"])
def test_a_program_without_a_file_works_with_two_processes(
    tmp_path: Path, given: list[str]
) -> None:
    assert ran(tmp_path, *given, script=MAP).stdout == "['1', '2']\n"


def test_a_function_of_the_script_works_behind_a_guard(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def twice(number):\n    return 2 * number\n")
    guard = 'if __name__ == "__main__":\n  '
    (tmp_path / "script.py").write_text(OWN_FUNCTION.format(guard=guard))
    result = ran(tmp_path, "script.py")
    assert result.stdout == "[2, 4, 6]\n", result.stderr


def test_a_function_of_a_module_beside_the_script_needs_no_guard(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def twice(number):\n    return 2 * number\n")
    (tmp_path / "script.py").write_text(IN_A_MODULE)
    result = ran(tmp_path, "script.py")
    assert result.stdout == "[2, 4, 6]\n", result.stderr


# row 129
def test_without_the_guard_that_it_needs_the_hint_is_given(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def twice(number):\n    return 2 * number\n")
    (tmp_path / "script.py").write_text(OWN_FUNCTION.format(guard=""))
    result = ran(tmp_path, "script.py")
    assert result.returncode == 1
    assert "if __name__ == '__main__':" in result.stderr


def test_a_function_of_standard_input_is_told(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def twice(number):\n    return 2 * number\n")
    result = ran(tmp_path, "-", script=OWN_FUNCTION.format(guard=""))
    assert result.returncode == 1
    assert "Can't get attribute 'double'" in result.stderr


@pytest.mark.parametrize("name", ["signal", "queue", "cv2"])
# row 129
def test_files_of_the_working_folder_are_not_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "program.py").write_text(MAP)
    (tmp_path / f"{name}.py").write_text("open('was_run', 'w'); raise EOFError('mine')")
    result = ran(tmp_path, "bin/program.py")
    assert not (tmp_path / "was_run").exists()
    assert result.stdout == "['1', '2']\n", result.stderr

"""Commands on machines of other habits: no torch, no libGL, code pages, ``~``, completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from command_line import run

from densesirst_gen.build.names import windows_note
from densesirst_gen.cli import cli
from densesirst_gen.cli.missing_library import missing_library
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.paths import pair_masks

NO_TORCH = """
import sys; sys.modules["torch"] = None
import densesirst_gen, pydoc
from densesirst_gen import *
print(hasattr(densesirst_gen, "BatchBagCopyPaste"), hasattr(densesirst_gen, "render"), annotate)
pydoc.render_doc(densesirst_gen)
"""
EMPTY_OPENCV = """
import importlib.machinery, importlib.util, sys
from pathlib import Path
folder = Path(sys.argv.pop())
class Empty:
    def find_spec(self, name, path=None, target=None):
        if name == "cv2":
            return importlib.machinery.PathFinder.find_spec(name, [str(folder)])
sys.meta_path.insert(0, Empty())
sys.argv = ["densesirst-gen", "stats", "demo"]
from densesirst_gen.__main__ import main
main()
"""
NO_OPENCV = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file: No such file")
sys.meta_path.insert(0, Missing())
sys.argv = ["densesirst-gen", "stats", "demo"]
from densesirst_gen.__main__ import main
main()
"""
ECHO = """
import click
from densesirst_gen.cli.ending import Commands, run
@click.group(cls=Commands, invoke_without_command=True)
def commands():
    click.echo(chr(0x17c))
run(commands)
"""


def python(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **more}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment
    )


# row 131
def test_without_torch_all_else_is_there() -> None:
    result = python("-c", NO_TORCH)
    assert result.stdout.startswith("False True"), result.stderr


# row 127
def test_a_missing_library_is_one_line() -> None:
    result = python("-c", NO_OPENCV)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1), result.stderr
    for word in ("libGL.so.1", "libgl1", "opencv-python-headless"):
        assert word in result.stderr
    assert not missing_library(ImportError("no module"))


@pytest.mark.parametrize("kind", ["a package", "a folder"])
# row 79
def test_an_opencv_of_which_nothing_is_left_is_one_line(tmp_path: Path, kind: str) -> None:
    (tmp_path / "cv2").mkdir()
    if kind == "a package":
        (tmp_path / "cv2/__init__.py").touch()
    result = python("-c", EMPTY_OPENCV, str(tmp_path))
    *_, line = result.stderr.splitlines()
    assert (result.returncode, "Traceback" in result.stderr) == (1, False), result.stderr
    assert line.startswith(f"densesirst-gen: {tmp_path / 'cv2'}")
    assert "pip uninstall opencv-python " in line


# row 131
def test_descriptions_stay_without_docstrings() -> None:
    result = python("-OO", "-m", "densesirst_gen", "build", "-h")
    assert "paste clusters of targets" in result.stdout, result.stderr
    assert "Make infrared small target" in python("-OO", "-m", "densesirst_gen", "-h").stdout


# row 128
def test_a_code_page_without_a_letter_is_no_failure() -> None:
    result = python("-c", ECHO, PYTHONIOENCODING="cp1252")
    assert (result.returncode, result.stdout) == (0, "\\u017c\n"), result.stderr


# row 132
def test_the_home_folder_is_meant_in_every_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "c.toml").write_text("seed = 3")
    told = run("build", "-b", "demo", "--config", "~/c.toml", code=2).output
    assert f"{tmp_path}/c.toml: seed is no setting of a file but a flag: --seed" in told
    for command in cli.commands.values():
        for parameter in command.params:
            kind = getattr(parameter, "metavar", None) or ""
            if "DIR" in kind or ("FILE" in kind and "=" not in kind and parameter.name != "c"):
                value = parameter.type.convert("~", parameter, None) if "SPAN" not in kind else 0
                assert str(value) == str(tmp_path) or parameter.name == "span_table"


@pytest.mark.parametrize("words", [["stats"], ["build", "--backgrounds"], ["build", "--out"]])
# row 132
def test_files_and_folders_are_completed(words: list[str]) -> None:
    found = ShellComplete(cli, {}, "densesirst-gen", "X").get_completions(words, "some")
    assert [item.type for item in found] == ["file"]


# row 132
def test_names_that_end_with_a_blank_survive_their_list() -> None:
    known = SceneNames(["a", "a ", "b "])
    assert [known.listed(line) for line in ("a", "a ", "b")] == [("a",), ("a ",), ("b ",)]


def test_masks_of_another_unicode_form_match() -> None:
    nfd, nfc = "e\u0301", "\u00e9"
    assert pair_masks({f"{nfc}_pixels0": Path("m")}, [nfd]) == {nfd: Path("m")}
    assert pair_masks({nfd: Path("m")}, [nfc]) == {nfc: Path("m")}
    both = {nfd: Path("1"), nfc: Path("2")}
    assert pair_masks(both, [nfd]) == {nfd: Path("1")}


# rows 44, 132
def test_names_that_windows_cannot_have_are_told() -> None:
    assert not windows_note(["a", "console", "x/com10", "a.b"])
    for name in ("con", "x/NUL.a", "Com1", "a.", "b /c", "a:b"):
        assert name in windows_note(["a", name])

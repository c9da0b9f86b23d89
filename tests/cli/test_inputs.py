"""What commands are given: pipes and devices are refused by every option, odd masks are told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from scenes import drawn

from densesirst_gen.cli import cli
from densesirst_gen.cli.options import PROBLEMS, USAGE
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)


def commands(
    group: click.Group, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*words, word))
        else:
            yield " ".join((*words, word)), command


INPUTS = [
    pytest.param(parameter, id=f"{name} {parameter.name}")
    for name, command in commands(cli)
    for parameter in command.params
    if isinstance(parameter.type, click.Path) and parameter.type.exists
]


@pytest.mark.parametrize("parameter", INPUTS)
def test_no_option_opens_a_pipe_or_a_device(parameter: click.Parameter, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    context = click.Context(click.Command("x"))
    for path, kind in ((tmp_path / "pipe", "pipe"), (Path("/dev/zero"), "device")):
        with pytest.raises(click.BadParameter, match=f"a {kind}, not a regular file"):
            parameter.type.convert(str(path), parameter, context)
    assert parameter.type.convert(str(tmp_path), parameter, context) == tmp_path


def test_there_are_such_options() -> None:
    assert len(INPUTS) > 10


@pytest.mark.parametrize("option", ["--split", "--config", "--library", "--sky"])
# row 50
def test_a_pipe_is_wrong_usage_and_told_in_a_line(option: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    out = tmp_path / "out"
    result = CliRunner().invoke(
        cli, ["build", "-b", "demo", "-o", str(out), option, str(tmp_path / "pipe")]
    )
    assert result.exit_code == USAGE
    assert f"{tmp_path / 'pipe'}: a pipe, not a regular file" in result.output
    assert not out.exists()


def folders(root: Path, *, factor: int = 255, inverted: bool = False) -> Path:
    """Three demo scenes; white of the target masks is `factor`."""
    for k in (3, 5, 9):
        scene = drawn(k)
        assert scene.sky is not None
        sky = (~scene.sky if inverted else scene.sky).astype(np.uint8) * 255
        mask = (scene.labels > 0).astype(np.uint8) * factor
        files = {f"d/images/{k}.png": scene.image, f"d/masks/{k}.png": mask, f"sky/{k}.png": sky}
        write_files(root, [(path, encode_png(array)) for path, array in files.items()])
    return root / "d"


# row 23
def test_numbers_in_target_masks_are_read_and_told_by_a_build(tmp_path: Path) -> None:
    lines = {}
    for factor in (255, 3):
        root = folders(tmp_path / str(factor), factor=factor)
        build = ("build", "-b", root, "--sky", root.parent / "sky", "-o", tmp_path / f"out{factor}")
        lines[factor] = run(*build).output.splitlines()
    (note,) = set(lines[3]) - set(lines[255]) - {lines[3][-1]}
    assert note.startswith("note: ")
    assert "target masks looked at: largest value 3, so all but 0 is on: " in note
    assert lines[3][-1].split(": ", 1)[1] == lines[255][-1].split(": ", 1)[1]


def test_inverted_skies_are_told_by_a_build_and_by_the_check(tmp_path: Path) -> None:
    root = folders(tmp_path, inverted=True)
    result = run("build", "-b", root, "--sky", tmp_path / "sky", "-o", tmp_path / "out")
    assert "3 of 3 sky masks compared with predictions are doubtful" in result.output
    check = ("sky", "check", root, "--sky", tmp_path / "sky", "--sky-cache", "none")
    result = run(*check)
    assert result.exit_code == PROBLEMS
    assert result.output.count("is the mask inverted (255 - x)?") == 3


def test_links_are_told_by_a_build(tmp_path: Path) -> None:
    root = folders(tmp_path)
    (root / "images").rename(tmp_path / "elsewhere")
    (root / "images").symlink_to(tmp_path / "elsewhere")
    result = run("build", "-b", root, "--sky", tmp_path / "sky", "-o", tmp_path / "out")
    assert "note: 3 scenes are reached by symbolic links: 3, 5, 9" in result.output

"""Nothing read, measured or built at all is a failure; what was noted reaches the terminal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run
from PIL import Image
from scenes import make_scene

from densesirst_gen.cli.options import FAILED, PROBLEMS
from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.paste.extract import build_library


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "targets.npz"
    build_library([make_scene(name="d", seed=3)]).save(path)
    return path


def cut_short(root: Path, *names: str) -> Path:
    """Images whose file ends in the middle, by their heads as good as any."""
    data = encode_png(make_scene().image)
    write_files(root, [(f"{name}.png", data[: len(data) // 2]) for name in names])
    return root


def with_alpha(root: Path, *names: str) -> Path:
    image = make_scene().image
    root.mkdir(exist_ok=True)
    for name in names:
        planes = np.dstack([image, image, image, np.full_like(image, 9)])
        Image.fromarray(planes).save(root / f"{name}.png")
    return root


# row 109
def test_stats_of_nothing_fail_with_the_first_reason(tmp_path: Path) -> None:
    result = run("stats", cut_short(tmp_path / "d", "a", "b"), code=FAILED)
    assert "nothing measured, all 2 scenes are set aside; a: " in result.stderr


def test_stats_against_nothing_fail(tmp_path: Path) -> None:
    good = write(tmp_path / "good", "x", "y")
    bad = cut_short(tmp_path / "d", "a")
    result = run("stats", good, "--against", bad, code=FAILED)
    assert "nothing measured, the one scene is set aside; a: " in result.stderr


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
# row 109
def test_a_build_of_nothing_fails_with_the_first_reason(
    tmp_path: Path, targets: Path, flags: tuple[str, ...]
) -> None:
    data, out = cut_short(tmp_path / "d", "a", "b"), tmp_path / "out"
    result = run("build", "-b", data, "--library", targets, "-o", out, *flags, code=FAILED)
    assert "nothing built, all 2 scenes are set aside; a: " in result.stderr
    assert not (out / "manifest.json").exists()


# row 109
def test_a_sky_of_nothing_fails(tmp_path: Path) -> None:
    result = run("sky", cut_short(tmp_path / "d", "a"), "-o", tmp_path / "out", code=FAILED)
    assert "nothing predicted, the one scene is set aside; a: " in result.stderr
    good = write(tmp_path / "d", "b")
    run("sky", good, "-o", tmp_path / "out", code=PROBLEMS)


def write(root: Path, *names: str) -> Path:
    write_files(root, [(f"{name}.png", encode_png(make_scene().image)) for name in names])
    return root


def test_stats_tell_what_was_noted_in_decoding(tmp_path: Path) -> None:
    result = run("stats", with_alpha(tmp_path / "d", "a", "b"))
    assert "note: 2 of 2 images looked at: alpha ignored (a.png)" in result.stderr
    assert "note" not in run("stats", tmp_path / "d", "-q").stderr


def test_a_build_tells_what_was_noted_in_decoding(tmp_path: Path, targets: Path) -> None:
    data = with_alpha(tmp_path / "d", "a", "b")
    flags = ("--library", targets, "--region", "anywhere", "-o", tmp_path / "out")
    assert (
        "note: 2 of 2 images looked at: alpha ignored (a.png)"
        in run("build", "-b", data, *flags).stderr
    )


def test_a_build_without_splits_writes_none_and_says_so(tmp_path: Path, targets: Path) -> None:
    data, out = write(tmp_path / "d", "a", "b"), tmp_path / "out"
    flags = ("--library", targets, "--region", "anywhere", "-o", out)
    result = run("build", "-b", data, *flags)
    assert "note: the backgrounds have no splits, so none is written" in result.stderr
    assert not (out / "Splits").exists()
    run("verify", out)


def test_scenes_in_training_and_test_lists_are_told(tmp_path: Path) -> None:
    data = write(tmp_path / "d", "a", "b", "c")
    (data / "train.txt").write_text("a\nb\n")
    (data / "test.txt").write_text("b\nc\n")
    (note,) = [n for n in read_dataset(data).notes() if "give no targets" in n]
    assert note.startswith("1 scenes are in lists of training and of what is held back")
    assert note.endswith("b")

"""An image that is held back under another name gives no targets."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from densesirst_gen.cli.options import FAILED
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.paste.library import TargetLibrary

LEFT_OUT = "left out: 1 by copy of an image that is held back"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for k, name in enumerate("abcd"):
        rng = np.random.default_rng(k)
        image, mask = rng.integers(60, 80, (64, 64)).astype(np.uint8), np.zeros((64, 64), np.uint8)
        image[30:33, 10:13], mask[30:33, 10:13] = 200, 255
        files = [("images", image), ("masks", mask)]
        write_files(root, [(f"{kind}/{name}.png", encode_png(array)) for kind, array in files])
    write_files(root, [("splits/train.txt", b"a\nb\n"), ("splits/test.txt", b"c\nd\n")])
    return root


def donors(path: Path) -> set[str]:
    return {source[0] for source in TargetLibrary.load(path).sources.tolist()}


def copied(data: Path, held: str, donor: str) -> None:
    for kind in ("images", "masks"):
        shutil.copy(data / kind / f"{held}.png", data / kind / f"{donor}.png")


def test_a_copy_of_a_test_image_gives_no_target(tmp_path: Path, data: Path) -> None:
    copied(data, "c", "a")
    said = run("library", "extract", data, "-o", tmp_path / "t.npz").stdout
    assert donors(tmp_path / "t.npz") == {"b"}
    assert LEFT_OUT in said
    out = tmp_path / "built"
    said = run("build", "-b", data, "-o", out, "--region", "anywhere").stderr
    assert "note: 1 images of donors are held back under other names" in said
    assert donors(out / "library.npz") == {"b"}


def test_where_all_are_copies_it_is_refused(tmp_path: Path, data: Path) -> None:
    copied(data, "c", "a")
    copied(data, "d", "b")
    said = run("library", "extract", data, "-o", tmp_path / "t.npz", code=FAILED).stderr
    assert "the images of all 2 donors are held back under other names" in said


def test_what_is_shared_by_merged_sets_gives_no_target(tmp_path: Path, data: Path) -> None:
    other = shutil.copytree(data, tmp_path / "other")
    (other / "splits/train.txt").write_text("c\nd\n")
    (other / "splits/test.txt").write_text("b\n")
    both, library = tmp_path / "both", tmp_path / "t.npz"
    run("merge", data, other, "-o", both, "--to", "masks", "--prefix", "--allow-shared")
    run("library", "extract", both, "-o", library)
    sources = {source.split("#")[0] for source in TargetLibrary.load(library).sources.tolist()}
    assert {source.rpartition("@")[0] or source for source in sources} == {"data/a"}


def test_without_copies_nothing_is_left_out(tmp_path: Path, data: Path) -> None:
    assert "left out: none" in run("library", "extract", data, "-o", tmp_path / "t.npz").stdout
    assert donors(tmp_path / "t.npz") == {"a", "b"}


def test_a_library_of_test_scenes_is_told_of(tmp_path: Path, data: Path) -> None:
    library, plain = tmp_path / "test.npz", tmp_path / "train.npz"
    run("library", "extract", data, "-o", library, "--split", data / "splits/test.txt")
    run("library", "extract", data, "-o", plain)
    build = ("build", "-b", data, "--region", "anywhere", "--library")
    said = run(*build, library, "-o", tmp_path / "one").stderr
    assert "note: 2 of 2 targets of the library are of scenes called like some" in said
    assert "(c, d)" in said
    assert "called like" not in run(*build, plain, "-o", tmp_path / "two").stderr

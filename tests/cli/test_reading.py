"""How a dataset is read can be said, and what was understood is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from scenes import make_scene

from densesirst_gen.cli.options import FAILED, PROBLEMS, USAGE
from densesirst_gen.datasets import DatasetError, ReadAs, read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png


def png(name: str, *, mask: bool = False) -> bytes:
    scene = make_scene(name=name, seed=ord(name[-1]))
    return encode_png((scene.labels > 0).astype(np.uint8) * 255 if mask else scene.image)


def folders(root: Path, masks: str = "masks", names: str = "abcd") -> Path:
    write_files(root, [(f"images/{name}.png", png(name)) for name in names])
    write_files(root, [(f"{masks}/{name}.png", png(name, mask=True)) for name in names])
    return root


def test_the_first_line_says_what_was_understood(tmp_path: Path) -> None:
    data = folders(tmp_path)
    write_files(data, [("train.txt", b"a\nb\nc\n"), ("test.txt", b"d\n")])
    found = run("stats", data, "--json")
    line, *notes = found.stderr.splitlines()
    assert line == "folders: 4 images, 4 masks; test 1, train 3; 8 bit"
    assert all(note.startswith("note: ") for note in notes)
    json.loads(found.stdout)
    made = run("library", "extract", data, "-o", tmp_path / "l.npz")
    assert made.stderr.startswith("folders: 4 images, 4 masks; ")
    checked = run("sky", "check", data, code=PROBLEMS)
    assert checked.stderr.startswith("folders: 4 images, 4 masks; ")
    assert run("stats", data, "-q").stderr == ""


def test_masks_may_be_named(tmp_path: Path) -> None:
    data = folders(tmp_path / "d")
    write_files(data, [(f"second/{name}.png", png("z", mask=True)) for name in "abcd"])
    dataset = read_dataset(data, masks="second")
    assert {scene.mask and scene.mask.parent.name for scene in dataset.scenes} == {"second"}
    found = json.loads(run("inspect", data, "--masks", "second", "--json").stdout)
    assert (found["layout"], found["n_masks"]) == ("folders", 4)


def test_images_and_masks_of_elsewhere(tmp_path: Path) -> None:
    folders(tmp_path / "d", names="ab")
    folders(tmp_path / "other", "truth", names="ab")
    dataset = read_dataset(tmp_path / "d", masks=tmp_path / "other/truth")
    assert [scene.mask and scene.mask.parent.name for scene in dataset.scenes] == ["truth"] * 2
    with pytest.raises(DatasetError, match="nowhere: not there"):
        read_dataset(tmp_path / "d", masks="nowhere")


def test_images_alone_are_a_plain_folder(tmp_path: Path) -> None:
    write_files(tmp_path, [("good/a.png", png("a")), ("bad/a.png", png("b"))])
    dataset = read_dataset(tmp_path, images="good")
    assert [scene.image.parent.name for scene in dataset.scenes] == ["good"]


def test_lists_may_be_named(tmp_path: Path) -> None:
    data = folders(tmp_path / "d")
    write_files(tmp_path, [("d/odd.txt", b"a\nb\n"), ("mine", b"c.png\nd.png\n")])
    dataset = read_dataset(data, split_files={"train": "odd.txt", "test": tmp_path / "mine"})
    assert dataset.splits == {"train": ("a", "b"), "test": ("c", "d")}
    lists = ("--split-file", "train=odd.txt", "--split-file", f"test={tmp_path / 'mine'}")
    found = json.loads(run("inspect", data, *lists, "--json").stdout)
    assert (found["splits"], found["n_donors"]) == ({"train": 2, "test": 2}, 2)
    assert "must be like train=FILE" in run("stats", data, "--split-file", "x", code=USAGE).stderr


def test_a_list_of_other_scenes_is_refused(tmp_path: Path) -> None:
    data = folders(tmp_path)
    write_files(data, [("odd.txt", b"a\nx\ny\n")])
    result = run("stats", data, "--split-file", "train=odd.txt", code=FAILED)
    assert "odd.txt: 2 of 3 lines are no scenes, such as x, y" in result.stderr


@pytest.mark.parametrize("glob", ["old", "old/*", "*/old*", "old/b.png"])
def test_what_is_to_be_ignored_is(tmp_path: Path, glob: str) -> None:
    write_files(tmp_path, [("a.png", png("a")), ("old/b.png", png("b")), ("x/older.png", png("c"))])
    names = [scene.name for scene in read_dataset(tmp_path, ignore=glob).scenes]
    assert ("old/b" in names) == (glob == "*/old*")
    assert "a" in names


def test_ignoring_works_in_layouts_of_fixed_folders(tmp_path: Path) -> None:
    write_files(
        tmp_path, [(f"{folder}/a.png", png("a")) for folder in ("PNGImages", "SIRST/BinaryMask")]
    )
    write_files(tmp_path, [("PNGImages/b.png", png("b"))])
    dataset = read_dataset(tmp_path, ignore="b.*")
    assert (dataset.layout, [scene.name for scene in dataset.scenes]) == ("devkit", ["a"])
    with pytest.raises(DatasetError, match=r"leaves no image"):
        read_dataset(tmp_path, layout="devkit", ignore="*.png")


def test_what_a_layout_knows_nothing_of_is_refused(tmp_path: Path) -> None:
    data = folders(tmp_path)
    result = run("stats", data, "--category", "ship", code=FAILED)
    assert "category is for labels that are no masks" in result.stderr
    with pytest.raises(DatasetError, match="masks_from must be boxes or points"):
        ReadAs(masks_from="circles")


def test_a_build_records_how_its_backgrounds_were_read(tmp_path: Path) -> None:
    data, out = folders(tmp_path / "d", "odd"), tmp_path / "out"
    write_files(data, [("mine.txt", b"a\nb\n")])
    flags = ("--masks", data / "odd", "--split-file", "train=mine.txt", "--ignore", "x*")
    run("build", "-b", data, "--region", "anywhere", "-o", out, *flags)
    recipe = json.loads((out / "manifest.json").read_text())["recipe"]
    assert recipe["read_as"] == {
        "masks": "odd",
        "split_files": {"train": "mine.txt"},
        "ignore": ["x*"],
    }
    run("replay", out)
    run("verify", out)

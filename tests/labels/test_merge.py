"""Several datasets become one, and nothing is written over or leaks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from command_line import run

from densesirst_gen.cli.options import FAILED, REFUSED, USAGE
from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png


def textured(seed: int) -> np.ndarray:
    rough = np.random.default_rng(seed).normal(90, 30, (8, 8))
    return np.kron(rough, np.ones((8, 8))).clip(0, 255).astype(np.uint8)


def folders(root: Path, names: str, seed: int) -> Path:
    for k, name in enumerate(names):
        mask = np.zeros((64, 64), np.uint8)
        mask[5 : 8 + k, 5:8] = 255
        image = encode_png(textured(seed + k))
        files = [(f"images/{name}.png", image), (f"masks/{name}.png", encode_png(mask))]
        write_files(root, files)
    lists = [("train.txt", f"{names[0]}\n".encode()), ("test.txt", f"{names[1]}\n".encode())]
    write_files(root, lists)
    return root


def test_two_layouts_become_one_set_and_lists_stay_apart(tmp_path: Path) -> None:
    one = folders(tmp_path / "one", "abc", 0)
    run("convert", folders(tmp_path / "raw", "xyz", 9), tmp_path / "two", "--to", "coco")
    said = run("merge", one, tmp_path / "two", "-o", tmp_path / "both", "--to", "coco").stdout
    assert said == f"{tmp_path / 'both'}: 6 images, 6 targets of 2 datasets\n"
    both = read_dataset(tmp_path / "both")
    assert both.splits == {"train": ("a", "x"), "test": ("b", "y")}
    document = json.loads((tmp_path / "both/annotations.json").read_text())
    assert [image["id"] for image in document["images"]] == [1, 2, 3, 4, 5, 6]
    for source in (one, tmp_path / "two"):
        for scene in read_dataset(source).scenes:
            after = next(s for s in both.scenes if s.name == scene.name).load()
            np.testing.assert_array_equal(after.labels > 0, scene.load().labels > 0)


def test_the_same_name_is_refused_or_gets_a_prefix(tmp_path: Path) -> None:
    one, two = folders(tmp_path / "one", "ab", 0), folders(tmp_path / "two", "bc", 9)
    command = ("merge", one, two, "-o", tmp_path / "both", "--to", "masks")
    said = run(*command, code=FAILED).stderr
    assert "images/b.png" in said
    assert not (tmp_path / "both").exists()
    run(*command, "--prefix")
    names = [scene.name for scene in read_dataset(tmp_path / "both").scenes]
    assert names == ["one/a", "one/b", "two/b", "two/c"]
    run(*command, code=REFUSED)
    run(*command[:2], "-o", tmp_path / "new", "--to", "masks", code=USAGE)


def test_images_that_both_have_are_named(tmp_path: Path) -> None:
    one, two = folders(tmp_path / "one", "ab", 0), folders(tmp_path / "two", "xy", 1)
    command = ("merge", one, two, "-o", tmp_path / "both", "--to", "masks")
    said = run(*command, code=FAILED).stderr
    assert "share 1 images" in said
    assert "b is x of the other dataset" in said
    run(*command, "--allow-shared")


def test_no_mask_means_no_target_where_it_did_before(tmp_path: Path) -> None:
    one, two = folders(tmp_path / "one", "abc", 0), folders(tmp_path / "two", "xy", 9)
    (one / "masks/c.png").unlink()
    run("merge", one, two, "-o", tmp_path / "both", "--to", "yolo")
    assert (tmp_path / "both/labels/c.txt").read_text() == ""

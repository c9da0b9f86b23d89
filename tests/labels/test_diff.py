"""What differs between two sets is told: by scene and by target."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from command_line import run
from scenes import make_scene

from densesirst_gen.cli.options import PROBLEMS
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png

BOXES = ((5, 5, 8, 8), (30, 10, 33, 12), (60, 40, 64, 44))


def folders(root: Path, boxes: tuple[tuple[int, int, int, int], ...], names: str = "ab") -> Path:
    mask = np.zeros((96, 128), np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = 255
    for name in names:
        image = encode_png(make_scene(name=name).image)
        files = [(f"images/{name}.png", image), (f"masks/{name}.png", encode_png(mask))]
        write_files(root, files)
    return root


def changes(one: Path, other: Path) -> dict[str, list[str]]:
    document = json.loads(run("diff", one, other, "--json", code=PROBLEMS).stdout)
    found: dict[str, list[str]] = {}
    for change in document["changes"]:
        found.setdefault(change["kind"], []).append(f"{change['scene']} {change['what']}".strip())
    return found


def test_the_same_labels_in_two_formats(tmp_path: Path) -> None:
    one = folders(tmp_path / "one", BOXES)
    run("convert", one, tmp_path / "two", "--to", "coco")
    run("convert", one, tmp_path / "three", "--to", "yolo")
    assert run("diff", one, tmp_path / "two").stdout == "nothing differs\n"
    assert changes(one, tmp_path / "three").keys() == {"list"}  # data.yaml must name some


def test_targets_that_moved_grew_came_and_went(tmp_path: Path) -> None:
    one = folders(tmp_path / "one", BOXES, "ab")
    after = ((6, 5, 9, 8), (30, 10, 34, 12), (90, 70, 94, 74))
    other = folders(tmp_path / "two", after, "ac")
    assert changes(one, other) == {
        "moved": ["a box 5 5 8 8 became box 6 5 9 8"],
        "resized": ["a box 30 10 33 12 became box 30 10 34 12"],
        "removed": ["a box 60 40 64 44"],
        "added": ["a box 90 70 94 74"],
        "only A": ["b"],
        "only B": ["c"],
    }


def test_skies_lists_pixels_and_sizes(tmp_path: Path) -> None:
    one, two = (folders(tmp_path / name, BOXES) for name in ("one", "two"))
    write_files(one, [("train.txt", b"a\n"), ("test.txt", b"b\n")])
    write_files(two, [("train.txt", b"a\nb\n")])
    (two / "images/a.png").write_bytes(encode_png(make_scene(name="a", seed=3).image))
    found = changes(one, two)
    assert found["pixels"] == ["a the images differ"]
    assert "test 1 names only in A, 0 only in B" in found["list"]

"""`densesirst-gen sky`: predict, check, export, import, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from scenes import drawn

from densesirst_gen.cli.options import PROBLEMS, REFUSED
from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png, read_mask
from densesirst_gen.sky.folder import mask_note, write_mask

TOOLS = {"cvat": "sky.xml", "labelme": "labelme", "coco": "sky.json"}
MIXED = (3, 12, 5, 9, 17, 1)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Demo scenes in a plain folder, one of them in a folder of its own, one with a dot."""
    names = ["a", "b.c", "sub/d", "e", "f", "g"]
    scenes = zip(names, MIXED, strict=True)
    write_files(tmp_path / "in", [(f"{n}.png", encode_png(drawn(k).image)) for n, k in scenes])
    return tmp_path / "in"


@pytest.fixture
def masks(images: Path, tmp_path: Path) -> Path:
    """The true skies of `images`."""
    for file, k in zip(read_dataset(images).scenes, sorted_like(images), strict=True):
        sky = drawn(k).sky
        assert sky is not None
        write_mask(tmp_path / "masks", file.name, sky, palette=False)
    return tmp_path / "masks"


def sorted_like(images: Path) -> list[int]:
    order = dict(zip(["a", "b.c", "sub/d", "e", "f", "g"], MIXED, strict=True))
    return [order[file.name] for file in read_dataset(images).scenes]


def test_predict_is_what_sky_does_by_itself(images: Path, tmp_path: Path) -> None:
    result = run("sky", images, "--out", tmp_path / "out", "--overlay", tmp_path / "look")
    assert "6 masks predicted" in result.output
    assert (tmp_path / "look/sub/d.png").is_file()
    again = run("sky", "predict", images, "--out", tmp_path / "out", "--json")
    rows = json.loads(again.stdout)["images"]
    assert {row["name"] for row in rows} == {"a", "b.c", "sub/d", "e", "f", "g"}
    assert all(0 <= row["confidence"] <= 1 for row in rows)


def test_an_unreadable_image_is_named_and_the_rest_is_done(images: Path, tmp_path: Path) -> None:
    (images / "z.png").write_bytes(b"no PNG")
    result = run("sky", images, "--out", tmp_path / "out", code=PROBLEMS)
    assert "z:" in result.output
    assert (tmp_path / "out/a.png").is_file()


@pytest.mark.parametrize("tool", TOOLS)
def test_masks_come_back_as_they_went_and_count_as_made_by_hand(
    images: Path, masks: Path, tmp_path: Path, tool: str
) -> None:
    out, back = tmp_path / TOOLS[tool], tmp_path / "back"
    run("sky", images, "--out", back, "-q")
    run("sky", "export", images, "--sky", masks, "--to", tool, "--out", out)
    result = run("sky", "import", out, images, "--from", tool, "--out", back)
    assert "6 masks" in result.output
    for path in masks.rglob("*.png"):
        expected = read_mask(path, sparse=False).array
        found = read_mask(back / path.relative_to(masks), sparse=False).array
        np.testing.assert_array_equal(found, expected)
    kept = run("sky", images, "--out", back)
    assert "0 masks predicted, 6 made by hand left as they are" in kept.output


def test_import_never_replaces_other_masks_made_by_hand_unasked(
    images: Path, masks: Path, tmp_path: Path
) -> None:
    out, back = tmp_path / "sky.json", tmp_path / "back"
    run("sky", "export", images, "--sky", masks, "--to", "coco", "--out", out)
    sky = drawn(MIXED[0]).sky
    assert sky is not None
    write_mask(back, "a", ~sky, palette=False)
    before = (back / "a.png").read_bytes()
    arguments = ("sky", "import", out, images, "--from", "coco", "--out", back)
    refused = run(*arguments, code=REFUSED)
    assert "1 masks made by hand would be replaced: a.png" in refused.stderr
    assert (back / "a.png").read_bytes() == before
    assert [p.name for p in back.iterdir()] == ["a.png"]
    run(*arguments, "--overwrite")
    np.testing.assert_array_equal(read_mask(back / "a.png", sparse=False).array, sky)


def test_check_finds_nothing_in_good_masks_and_names_bad_ones(images: Path, masks: Path) -> None:
    run("sky", "check", images, "--sky", masks)
    assert mask_note(read_dataset(images, sky_dir=masks).scenes) == ""
    (masks / "sub/d.png").write_bytes(encode_png(np.full((5, 5), 255, np.uint8)))
    (masks / "e.png").unlink()
    result = run("sky", "check", images, "--sky", masks, code=PROBLEMS)
    assert "(5, 5)" in result.output
    assert "e: no sky mask" in result.output


def test_masks_upside_down_are_told_before_a_build(images: Path, masks: Path) -> None:
    for path in masks.rglob("*.png"):
        flipped = read_mask(path, sparse=False).array[::-1]
        path.write_bytes(encode_png(np.ascontiguousarray(flipped).astype(np.uint8) * 255))
    assert "upside down" in mask_note(read_dataset(images, sky_dir=masks).scenes)

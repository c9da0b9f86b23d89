"""``validate --fix``: what masks say is written anew, what can't be told is left and said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from scenes import random_scenes

from densesirst_gen.cli.options import PROBLEMS, REFUSED
from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files, split_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.annotate import annotate

BOXES, POINTS = "SIRST/BBox/001.xml", "SIRST/Point_label/001_pixels0.txt"
MASK = "SIRST/BinaryMask/001_pixels0.png"


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    root = tmp_path / "kit"
    for k, scene in enumerate(random_scenes(5, 3)):
        rough = np.random.default_rng(k).normal(90, 9, (8, 8))
        ground = np.kron(rough, np.ones((8, 8))) + np.where(scene.labels > 0, 90, 0)
        scene.image[:] = (ground + scene.image / 20).clip(0, 255).astype(np.uint8)
        scene.sky[:] = True
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    lists = {"train_v2": ("000", "001"), "val_v2": ("002",)}
    write_files(root, split_files(lists, ["000", "001", "002"]))
    return root


def edited(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.array(image)
    path.write_bytes(encode_png(np.ascontiguousarray(change(pixels))))


def shifted(path: Path) -> None:
    text = path.read_text()
    for key in ("xmin", "ymin", "xmax", "ymax"):
        head, *rest = text.split(f"<{key}>")
        moved = [f"{int(r.split('<')[0]) - 1}<{r.split('<', 1)[1]}" for r in rest]
        text = f"<{key}>".join([head, *moved])
    path.write_text(text)


def soft(mask: np.ndarray) -> np.ndarray:
    mask = mask.copy()
    mask[1, 1], mask[2, 2] = 64, 90
    return mask


FAULTS: dict[str, Callable[[Path], Any]] = {
    "dialect": lambda kit: shifted(kit / BOXES),
    "missing": lambda kit: (kit / BOXES).unlink(),
    "point": lambda kit: (kit / POINTS).write_text("63 63\n"),
    "count": lambda kit: (kit / POINTS).write_text("4 9\n"),
    "extra": lambda kit: (kit / "SIRST/BBox/7.xml").write_bytes((kit / BOXES).read_bytes()),
    "unknown": lambda kit: (kit / "Splits/val_v2.txt").write_text("002\nnobody\n"),
    "values": lambda kit: edited(kit / MASK, soft),
    "coded": lambda kit: edited(kit / MASK, lambda mask: mask // 255),
}


def files_of(root: Path) -> dict[str, bytes]:
    files = [p for p in root.rglob("*") if p.is_file() and p.parent != root]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(files)}


@pytest.mark.parametrize("rule", FAULTS)
# rows 22, 23, 25, 28, 29
def test_what_masks_tell_is_mended_and_nothing_else_changed(
    kit: Path, tmp_path: Path, rule: str
) -> None:
    sound = files_of(kit)
    FAULTS[rule](kit)
    spoilt = files_of(kit)
    result = run("validate", kit, "--json", "--fix", tmp_path / "new")
    mended = json.loads(result.stdout)["fixed"]
    assert mended["mended"][rule] >= 1
    assert (mended["left"], mended["left_out"], mended["to"]) == ([], {}, "devkit")
    assert files_of(tmp_path / "new") == sound
    assert files_of(kit) == spoilt


def test_a_sound_set_comes_out_as_it_is(kit: Path, tmp_path: Path) -> None:
    said = run("validate", kit, "--fix", tmp_path / "new").stdout
    assert files_of(tmp_path / "new") == files_of(kit)
    assert "written as devkit" in said
    assert "mended" not in said


def test_what_would_have_to_be_guessed_is_left_and_said(kit: Path, tmp_path: Path) -> None:
    edited(kit / MASK, lambda mask: 255 - mask)
    (kit / "Splits/val_v2.txt").write_text("000\n002\n")
    result = run("validate", kit, "--fix", tmp_path / "new", code=PROBLEMS).stdout
    assert "left out: 001: " in result
    assert "left: scenes in lists of training and of what is held back (1)" in result
    assert [scene.name for scene in read_dataset(tmp_path / "new").scenes] == ["000", "002"]


def test_an_image_without_its_mask_is_not_taken_for_empty(kit: Path, tmp_path: Path) -> None:
    for path in (kit / "SIRST").rglob("001*.png"):
        path.unlink()
    document = json.loads(
        run("validate", kit, "--json", "--fix", tmp_path / "new", code=PROBLEMS).stdout
    )
    assert document["fixed"]["left_out"] == {"001": "it has no mask, others have"}


def test_nothing_is_overwritten(kit: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/mine.txt").write_text("x")
    run("validate", kit, "--fix", tmp_path / "new", code=REFUSED)
    run("validate", kit, "--fix", kit / "new", code=REFUSED)


def test_boxes_of_voc_are_derived_from_masks_beside(kit: Path, tmp_path: Path) -> None:
    run("convert", kit, tmp_path / "voc", "--to", "voc")
    shifted(tmp_path / "voc/Annotations/001.xml")
    result = run("validate", tmp_path / "voc", "--json", "--fix", tmp_path / "new")
    mended = json.loads(result.stdout)["fixed"]
    assert mended["to"] == "voc"
    assert mended["mended"]["dialect"] >= 1
    run("convert", kit, tmp_path / "again", "--to", "voc")
    one, other = (tmp_path / place / "Annotations/001.xml" for place in ("new", "again"))
    assert one.read_bytes() == other.read_bytes()

"""Each fault that labels have is found, named by file, value and rule; sound sets have none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from scenes import random_scenes

from densesirst_gen.cli.options import PROBLEMS
from densesirst_gen.datasets.layouts.devkit import devkit_files, split_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.annotate import annotate

SPLITS = {"train_v2": ("000", "001"), "val_v2": ("002", "003")}


def textured(seed: int) -> np.ndarray:
    """Ground that no other seed has."""
    rough = np.random.default_rng(seed).normal(90, 9, (8, 8))
    return np.kron(rough, np.ones((8, 8)))


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    root = tmp_path / "kit"
    for k, scene in enumerate(random_scenes(5, 4)):
        ground = textured(k) + np.where(scene.labels > 0, 90, 0)
        scene.image[:] = (ground + scene.image / 20).clip(0, 255).astype(np.uint8)
        scene.sky[:] = True
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    write_files(root, split_files(SPLITS, ["000", "001", "002", "003"]))
    return root


def found(folder: Path, *more: object, code: int = PROBLEMS) -> dict[str, Any]:
    return json.loads(run("validate", folder, "--json", *more, code=code).stdout)


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.array(image)
    path.write_bytes(encode_png(np.ascontiguousarray(change(pixels))))


def soft(mask: np.ndarray) -> np.ndarray:
    mask = mask.copy()
    mask[1, 1], mask[2, 2] = 64, 90
    return mask


def replaced(kit: Path, place: str, old: str, new: str) -> None:
    path = kit / place
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def in_other_dialect(kit: Path) -> None:
    path = kit / "SIRST/BBox/001.xml"
    for key in ("xmin", "ymin", "xmax", "ymax"):
        head, *rest = path.read_text().split(f"<{key}>")
        moved = [f"{int(r.split('<')[0]) - 1}<{r.split('<', 1)[1]}" for r in rest]
        path.write_text(f"<{key}>".join([head, *moved]))


def box_elsewhere(kit: Path) -> None:
    path = kit / "SIRST/BBox/001.xml"
    head, rest = path.read_text().split("<xmin>", 1)
    number, tail = rest.split("<", 1)
    path.write_text(f"{head}<xmin>{int(number) - 8}<{tail}")


def copied(kit: Path, one: str, other: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    path = kit / f"PNGImages/{other}.png"
    path.write_bytes((kit / f"PNGImages/{one}.png").read_bytes())
    rewrite(path, change)


MASK = "SIRST/BinaryMask/001_pixels0.png"
SKY = "SkySeg/BinaryMask/001_pixels0.png"
FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "unreadable": (lambda kit: (kit / "PNGImages/001.png").write_bytes(b"\x89PNG"), "001.png"),
    "size": (lambda kit: rewrite(kit / MASK, lambda m: m[:-1]), MASK),
    "inverted": (lambda kit: rewrite(kit / MASK, lambda m: 255 - m), MASK),
    "values": (lambda kit: rewrite(kit / MASK, soft), MASK),
    "missing": (lambda kit: (kit / "SIRST/BBox/001.xml").unlink(), "001"),
    "extra": (
        lambda kit: (kit / "SIRST/BBox/7.xml").write_bytes(
            (kit / "SIRST/BBox/001.xml").read_bytes()
        ),
        "SIRST/BBox/7.xml",
    ),
    "identical": (lambda kit: copied(kit, "000", "001", lambda i: i), "000"),
    "near": (lambda kit: copied(kit, "000", "002", lambda i: i // 2 + 9), "000"),
    "overlap": (lambda kit: replaced(kit, "Splits/val_v2.txt", "002", "001"), "001"),
    "unknown": (lambda kit: replaced(kit, "Splits/val_v2.txt", "002", "nobody"), "nobody"),
    "dialect": (in_other_dialect, "SIRST/BBox/001.xml"),
    "box": (box_elsewhere, "SIRST/BBox/001.xml"),
    "count": (
        lambda kit: (kit / "SIRST/Point_label/001_pixels0.txt").write_text("4 9\n"),
        "SIRST/Point_label/001_pixels0.txt",
    ),
    "point": (
        lambda kit: (kit / "SIRST/Point_label/001_pixels0.txt").write_text("63 63\n"),
        "SIRST/Point_label/001_pixels0.txt",
    ),
    "shifted": (
        lambda kit: rewrite(kit / MASK, lambda m: np.roll(m, (-4, 3), axis=(0, 1))),
        "001",
    ),
    "no-sky": (lambda kit: rewrite(kit / SKY, lambda s: s * 0), "001"),
}


def test_a_sound_set_has_nothing_wrong(kit: Path) -> None:
    document = found(kit, code=0)
    assert document["problems"] == []
    assert document["box_dialects"] == {"sirst": document["targets"]}
    assert "nothing wrong; boxes by dialect" in run("validate", kit).stdout


@pytest.mark.parametrize("rule", FAULTS)
# rows 21, 22, 25, 28, 29, 41
def test_a_fault_is_found_and_named(kit: Path, rule: str) -> None:
    spoil, place = FAULTS[rule]
    spoil(kit)
    document = found(kit, code=0 if rule == "no-sky" else PROBLEMS)
    same = [f for f in document["problems"] + document["notes"] if f["rule"] == rule]
    assert same, document["counts"]
    assert any(place in finding["file"] for finding in same)
    assert all(finding["what"] for finding in same)


def test_two_sets_that_share_images(kit: Path, tmp_path: Path) -> None:
    images = {name: (kit / f"PNGImages/{name}.png").read_bytes() for name in ("000", "001")}
    write_files(tmp_path / "other", [(f"x{name}.png", data) for name, data in images.items()])
    document = found(kit, "--against", tmp_path / "other")
    assert [f["file"] for f in document["problems"]] == ["000", "001"]
    assert {f["rule"] for f in document["problems"]} == {"against"}


# row 27
def test_boxes_alone_are_checked_against_their_image(kit: Path, tmp_path: Path) -> None:
    image = (kit / "PNGImages/000.png").read_bytes()
    lines = b"0 0.5 0.5 0.1 0.1\n0 0.99 0.5 0.2 0.1\n"
    write_files(tmp_path / "yolo", [("images/a.png", image), ("labels/a.txt", lines)])
    [problem] = found(tmp_path / "yolo")["problems"]
    assert (problem["rule"], problem["file"]) == ("outside", "a")


# row 26
def test_objects_without_a_box_are_told_and_no_fault(kit: Path) -> None:
    for place in ("SIRST/BinaryMask", "SIRST/PaletteMask"):
        for path in (kit / place).glob("001*.png"):
            rewrite(path, lambda mask: mask * 0)
    (kit / "SIRST/Point_label/001_pixels0.txt").write_text("")
    path = kit / "SIRST/BBox/001.xml"
    path.write_text("<annotation><object><name>Target</name></object></annotation>")
    document = found(kit, code=0)
    assert document["counts"] == {"no-box": 1}


def test_the_terminal_shows_the_rule_the_file_and_the_value(kit: Path) -> None:
    in_other_dialect(kit)
    said = run("validate", kit, code=PROBLEMS).stdout
    assert "boxes in another dialect than most (" in said
    assert "SIRST/BBox/001.xml: " in said
    assert "is densesirst, most are sirst" in said

"""Damage of every kind is found and named; a dataset that nobody touched has no problem."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scenes import make_scene

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.build.replay import replay
from densesirst_gen.build.verify import RULES, Problem, verify
from densesirst_gen.datasets import Dataset, read_dataset
from densesirst_gen.datasets.demo import demo_dataset
from densesirst_gen.datasets.devkit import devkit_files, palette_png
from densesirst_gen.files.atomic import OutputError, write_files
from densesirst_gen.files.codec import encode_png, encode_tiff, read_image, read_mask
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.annotate import annotate

RECIPE = Recipe(PROFILES["bag-cp"], seed=7)
SKY = np.indices((96, 128))[0] < 70
DEPTHS = (np.uint8, np.uint16, np.float32)

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def backgrounds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A devkit of four scenes of three depths, one without sky, with two splits."""
    root = tmp_path_factory.mktemp("backgrounds")
    for k in range(4):
        sky = np.zeros_like(SKY) if k == 3 else SKY
        scene = make_scene(name=f"s{k}", dtype=DEPTHS[k % 3], sky=sky, targets=(2, 1, 0, 1)[k])
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    for split, members in {"train": "s0 s1 s2", "val": "s3"}.items():
        write_files(root, [(f"Splits/{split}.txt", members.replace(" ", "\n").encode())])
    return read_dataset(root)


@pytest.fixture(scope="module")
def built(backgrounds: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "out"
    build_dataset(backgrounds, out, RECIPE)
    return out


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy"))


def problems(root: Path, **options: Any) -> list[Problem]:
    found = list(verify(root, **options))
    assert all(problem.rule in RULES for problem in found)
    return [problem for problem in found if not problem.is_note]


def forge(root: Path) -> None:
    """Make checksums of what is there, as somebody would who wants no one to notice."""
    lines = (root / "files.sha256").read_text().splitlines()
    files = [line[66:] for line in lines if (root / line[66:]).is_file()]
    digests = [hashlib.sha256((root / file).read_bytes()).hexdigest() for file in files]
    text = "".join(f"{d}  {f}\n" for d, f in zip(digests, files, strict=True)).encode()
    (root / "files.sha256").write_bytes(text)
    with edited(root / "manifest.json") as manifest:
        manifest["files"]["sha256"] = hashlib.sha256(text).hexdigest()


class edited:
    """A JSON file, changed in place."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        self.values = json.loads(self.path.read_text())
        return self.values

    def __exit__(self, *_: object) -> None:
        self.path.write_text(json.dumps(self.values))


class edited_lines:
    """The lines of ``plans.jsonl``, changed in place."""

    def __init__(self, root: Path) -> None:
        self.path = root / "plans.jsonl"

    def __enter__(self) -> list[dict[str, Any]]:
        self.lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        return self.lines

    def __exit__(self, *_: object) -> None:
        self.path.write_text("".join(json.dumps(line) + "\n" for line in self.lines))


def flip_byte(file: str, place: int = -20) -> Damage:
    def damage(root: Path) -> None:
        content = bytearray((root / file).read_bytes())
        content[place] ^= 1
        (root / file).write_bytes(content)

    return damage


def substitute(file: str, pattern: str, by: Callable[[re.Match[str]], str] | str) -> Damage:
    def damage(root: Path) -> None:
        text, n = re.subn(pattern, by, (root / file).read_text(), count=1)
        assert n == 1
        (root / file).write_text(text)

    return damage


def one_more(match: re.Match[str]) -> str:
    return f"{match[1]}{int(match[2]) + 1}"


def in_coco(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(root: Path) -> None:
        with edited(root / "annotations.json") as document:
            change(document)

    return damage


def in_manifest(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(root: Path) -> None:
        with edited(root / "manifest.json") as manifest:
            change(manifest)

    return damage


def in_lines(change: Callable[[list[dict[str, Any]]], object]) -> Damage:
    def damage(root: Path) -> None:
        with edited_lines(root) as lines:
            change(lines)

    return damage


def in_plan(change: Callable[[dict[str, Any]], object]) -> Damage:
    """In the plan of scene s0, which has many pastes."""
    return in_lines(lambda lines: change(lines[0]))


def in_mask(part: str, kind: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """In a mask of scene s0."""

    def damage(root: Path) -> None:
        file = root / part / kind / f"s0{'_pixels0' * (kind == 'BinaryMask')}.png"
        mask = change(read_mask(file, sparse=False).array.copy())
        binary = kind == "BinaryMask"
        file.write_bytes(encode_png(mask * np.uint8(255)) if binary else palette_png(part, mask))

    return damage


def with_pixel(row: int, col: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(mask: np.ndarray) -> np.ndarray:
        mask[row, col] ^= True
        return mask

    return change


def all_forms(part: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    def damage(root: Path) -> None:
        in_mask(part, "BinaryMask", change)(root)
        in_mask(part, "PaletteMask", change)(root)

    return damage


def change_pixel(root: Path) -> None:
    image = read_image(root / "PNGImages/s0.png").array.copy()
    image[-1, -1] ^= 1
    (root / "PNGImages/s0.png").write_bytes(encode_png(image))


def change_pixel_and_plan(root: Path) -> None:
    """Inside a patch, with the plan's own digest made to fit."""
    with edited_lines(root) as lines:
        from densesirst_gen.files.atomic import pixel_digest

        image, paste = read_image(root / "PNGImages/s0.png").array.copy(), lines[0]["pastes"][0]
        image[paste["row"] + 2, paste["col"] + 2] ^= 1
        lines[0]["pixel_sha256"] = pixel_digest(image)
    (root / "PNGImages/s0.png").write_bytes(encode_png(image))


def swap(one: str, other: str) -> Damage:
    def damage(root: Path) -> None:
        first, second = (root / one).read_bytes(), (root / other).read_bytes()
        (root / one).write_bytes(second)
        (root / other).write_bytes(first)

    return damage


def swap_library(root: Path) -> None:
    library = TargetLibrary.load(root / "library.npz")
    replace(library, patches=library.patches * 2).save(root / "library.npz")


def add(file: str) -> Damage:
    def damage(root: Path) -> None:
        (root / file).write_text("x")

    return damage


def delete(file: str) -> Damage:
    return lambda root: (root / file).unlink()


def change_under(line: dict[str, Any]) -> None:
    under = bytearray(base64.b64decode(line["under"]))
    under[0] ^= 4
    line["under"] = base64.b64encode(under).decode()


def shift_paste(line: dict[str, Any], by: int = 1) -> None:
    line["pastes"][0]["row"] += by


def first_of(document: dict[str, Any], **change: Any) -> None:
    document["annotations"][3].update(change)


def drop_last_run(document: dict[str, Any]) -> None:
    code = document["annotations"][3]["segmentation"]
    code["counts"] = code["counts"][:-2]


def other_mask(document: dict[str, Any]) -> None:
    document["annotations"][3]["segmentation"] = document["annotations"][4]["segmentation"]


XML = "SIRST/BBox/s0.xml"
POINTS = "SIRST/Point_label/s0_pixels0.txt"

# What is damaged; the rule that names it, whether or not checksums were made anew.
RELABELLED: dict[str, tuple[Damage, str]] = {
    "box moved by a pixel": (substitute(XML, r"(<xmin>)(\d+)", one_more), "boxes"),
    "box file of another image": (swap(XML, "SIRST/BBox/s1.xml"), "boxes"),
    "box taken out": (substitute(XML, r"(?s)  <object>.*?</object>\n", ""), "boxes"),
    "file name in a box file": (substitute(XML, "<filename>s0", "<filename>s1"), "boxes"),
    "size in a box file": (substitute(XML, r"(<width>)(\d+)", one_more), "boxes"),
    "category in a box file": (substitute(XML, "Target", "target"), "boxes"),
    "a box file that is no XML": (substitute(XML, "</annotation>", ""), "unreadable"),
    "point moved": (substitute(POINTS, r"^()(\d+)", one_more), "points"),
    "point taken out": (substitute(POINTS, r"^.*\n", ""), "points"),
    "points in another order": (substitute(POINTS, r"^(.*\n)(.*\n)", r"\2\1"), "points"),
    "COCO annotation dropped": (in_coco(lambda d: d["annotations"].pop(3)), "coco"),
    "COCO annotation twice": (
        in_coco(lambda d: d["annotations"].append(d["annotations"][3])),
        "coco",
    ),
    "COCO box": (in_coco(lambda d: first_of(d, bbox=[0.0, 0.0, 3.0, 3.0])), "coco"),
    "COCO area": (in_coco(lambda d: first_of(d, area=1)), "coco"),
    "COCO category": (in_coco(lambda d: first_of(d, category_id=2)), "coco"),
    "COCO crowd": (in_coco(lambda d: first_of(d, iscrowd=1)), "coco"),
    "COCO mask": (in_coco(other_mask), "coco"),
    "COCO mask cut off": (in_coco(drop_last_run), "coco"),
    "COCO mask that is none": (in_coco(lambda d: first_of(d, segmentation=7)), "coco"),
    "COCO point": (in_coco(lambda d: first_of(d, attributes={"point": [0, 0]})), "coco"),
    "COCO donor": (
        in_coco(lambda d: d["annotations"][5]["attributes"].update(donor="s9#1")),
        "coco",
    ),
    "COCO cluster": (
        in_coco(lambda d: d["annotations"][5]["attributes"].update(cluster=9)),
        "coco",
    ),
    "COCO key too many": (in_coco(lambda d: first_of(d, ignore=1)), "coco"),
    "COCO annotation of no image": (in_coco(lambda d: first_of(d, image_id=99)), "coco"),
    "COCO id of text": (in_coco(lambda d: first_of(d, id="x")), "coco"),
    "COCO image size": (in_coco(lambda d: d["images"][2].update(width=7)), "coco"),
    "COCO image name": (in_coco(lambda d: d["images"][2].update(file_name="x.png")), "coco"),
    "COCO image dropped": (in_coco(lambda d: d["images"].pop(2)), "coco"),
    "COCO images swapped": (in_coco(lambda d: d["images"].reverse()), "coco"),
    "COCO categories": (in_coco(lambda d: d["categories"].clear()), "coco"),
    "COCO without annotations": (in_coco(lambda d: d.pop("annotations")), "coco"),
    "COCO that is no JSON": (substitute("annotations.json", '"', "'"), "unreadable"),
    "target mask pixel": (in_mask("SIRST", "BinaryMask", with_pixel(90, 100)), "mask"),
    "target masks, both": (all_forms("SIRST", with_pixel(90, 100)), "mask"),
    "palette mask of targets": (in_mask("SIRST", "PaletteMask", with_pixel(3, 3)), "mask"),
    "palette mask of the sky": (in_mask("SkySeg", "PaletteMask", with_pixel(3, 3)), "sky"),
    "palette of another part": (
        swap("SIRST/PaletteMask/s3.png", "SkySeg/PaletteMask/s3.png"),
        "mask",
    ),
    "XML beside the target mask": (
        substitute("SIRST/BinaryMask/s0.xml", r"(<ymax>)(\d+)", one_more),
        "mask",
    ),
    "XML beside the sky mask": (
        substitute("SkySeg/BinaryMask/s0.xml", r"(<ymax>)(\d+)", one_more),
        "sky",
    ),
    "sky mask inverted": (in_mask("SkySeg", "BinaryMask", np.invert), "sky"),
    "sky masks inverted, both": (all_forms("SkySeg", np.invert), "plan"),
    "sky mask of another size": (
        in_mask("SkySeg", "BinaryMask", lambda mask: mask[:-1]),
        "mask",
    ),
    "images swapped": (swap("PNGImages/s0.png", "PNGImages/s3.png"), "image"),
    "image pixel outside every patch": (change_pixel, "image"),
    "image pixel in a patch, and the plan": (change_pixel_and_plan, "image"),
    "image deleted": (delete("PNGImages/s0.png"), "missing"),
    "image of no plan": (
        lambda root: shutil.copy(root / "PNGImages/s0.png", root / "PNGImages/s9.png") and None,
        "plan",
    ),
    "plan removed": (in_lines(lambda lines: lines.pop(0)), "plan"),
    "all plans removed": (in_lines(list.clear), "plan"),
    "plan twice": (in_lines(lambda lines: lines.append(lines[0])), "plan"),
    "plans in another order": (in_lines(list.reverse), "plan"),
    "plans gone": (delete("plans.jsonl"), "missing"),
    "plan's window": (in_plan(lambda p: p["windows"][0].__setitem__(0, 1)), "plan"),
    "plan's window by a pixel": (in_plan(lambda p: p["windows"].append([60, 100])), "plan"),
    "plan's source": (in_plan(lambda p: p["pastes"][0].update(source="s0#9")), "plan"),
    "plan's donor": (in_plan(lambda p: p["pastes"][0].update(donor=99)), "plan"),
    "plan's increment": (in_plan(lambda p: p["pastes"][0].update(increment=3.0)), "plan"),
    "plan's clipped": (in_plan(lambda p: p["pastes"][0].update(n_clipped=3)), "plan"),
    "plan's label": (in_plan(lambda p: p["pastes"][0].update(label=99)), "plan"),
    "plan's cluster": (in_plan(lambda p: p["pastes"][0].update(cluster=7)), "plan"),
    "plan's size": (in_plan(lambda p: p["pastes"][0].update(height=3)), "plan"),
    "plan's gain": (in_plan(lambda p: p["pastes"][0].update(gain=0.7)), "image"),
    "plan's gap": (in_plan(lambda p: p["pastes"][0].update(gap=2)), "plan"),
    "plan's place": (in_plan(shift_paste), "plan"),
    "plan's place out of the image": (in_plan(lambda p: shift_paste(p, 500)), "plan"),
    "plan's rows swapped": (in_plan(lambda p: p["pastes"].reverse()), "plan"),
    "plan's row removed": (in_plan(lambda p: p["pastes"].pop()), "plan"),
    "plan's pixels below": (in_plan(change_under), "image"),
    "plan's seed": (in_manifest(lambda m: m["recipe"].update(seed=8)), "plan"),
    "plan's sky": (in_plan(lambda p: p.update(sky="none")), "plan"),
    "plan's sky unknown": (in_plan(lambda p: p.update(sky="seen")), "plan"),
    "plan's confidence": (in_plan(lambda p: p.update(sky_confidence=0.9)), "plan"),
    "plan's config": (in_plan(lambda p: p["config"].update(attempts=7)), "plan"),
    "plan's levels": (in_plan(lambda p: p.update(levels=[0.0, 300.0])), "plan"),
    "plan's depth": (in_plan(lambda p: p.update(dtype="<u2")), "plan"),
    "plan's originals": (in_plan(lambda p: p.update(n_original=5)), "plan"),
    "plan's requested": (in_plan(lambda p: p.update(requested=5)), "plan"),
    "plan's dropped": (in_plan(lambda p: p.update(dropped={"bored": 1})), "plan"),
    "plan's reason": (in_plan(lambda p: p.update(skip_reason="no_sky")), "plan"),
    "plan's scene": (in_plan(lambda p: p.update(scene="s1")), "plan"),
    "plan's copy": (in_plan(lambda p: p.update(copy=1)), "plan"),
    "manifest's scenes": (in_manifest(lambda m: m["summary"].update(n_scenes=5)), "manifest"),
    "manifest's targets": (in_manifest(lambda m: m["summary"].update(n_pasted=5)), "manifest"),
    "manifest's summary": (in_manifest(lambda m: m.pop("summary")), "manifest"),
    "manifest's reasons": (in_manifest(lambda m: m.update(unpasted={})), "manifest"),
    "manifest's dialect": (in_manifest(lambda m: m["recipe"].update(voc_dialect="x")), "manifest"),
    "manifest's other dialect": (
        in_manifest(lambda m: m["recipe"].update(voc_dialect="devkit")),
        "boxes",
    ),
    "manifest's config": (in_manifest(lambda m: m["recipe"].update(config=7)), "manifest"),
    "manifest's asked scenes": (in_manifest(lambda m: m["recipe"].update(scenes=9)), "manifest"),
    "manifest's set aside": (
        in_manifest(lambda m: m["summary"].update(set_aside={"s0": "x"})),
        "manifest",
    ),
    "manifest's library": (in_manifest(lambda m: m["library"].update(n=99)), "library"),
    "library of another build": (swap_library, "library"),
    "library that is none": (add("library.npz"), "unreadable"),
    "library deleted": (delete("library.npz"), "missing"),
    "split with an unknown scene": (add("Splits/train_v2.txt"), "split"),
    "split with a scene twice": (
        substitute("Splits/val_v2.txt", r"^(.*\n)", r"\1\1"),
        "split",
    ),
    "a file deleted": (delete("SkySeg/BinaryMask/s0.xml"), "missing"),
    "a stray file": (add("notes.txt"), "extra"),
    "a stray label": (add("SIRST/BBox/s9.xml"), "extra"),
}


@pytest.mark.parametrize("what", RELABELLED)
def test_damage_is_found_and_named(copy: Path, what: str) -> None:
    """Rows 29 and 69: also where a forger has made the checksums anew."""
    damage, rule = RELABELLED[what]
    damage(copy)
    assert rule in {problem.rule for problem in problems(copy)}
    forge(copy)
    assert rule in {problem.rule for problem in problems(copy)}

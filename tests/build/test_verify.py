"""Damage of every kind is found and named; a dataset that nobody touched has no problem."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.build.replay import read_plans, replay
from densesirst_gen.build.verify import RULES, Problem, verify
from densesirst_gen.datasets import Dataset, read_dataset
from densesirst_gen.datasets.demo import demo_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files, palette_png
from densesirst_gen.files.atomic import OutputError, pixel_digest, write_files
from densesirst_gen.files.images.codec import encode_png, read_image, read_mask
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
    "plan's row without a pixel": (
        in_plan(lambda p: p["pastes"][0].update(gain=1e-9)),
        "plan",
    ),
    "plan's rows on each other": (
        in_plan(lambda p: p["pastes"][1].update({k: p["pastes"][0][k] for k in ("row", "col")})),
        "plan",
    ),
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
    "manifest's span": (in_manifest(lambda m: m["recipe"].update(span=True)), "manifest"),
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
# row 38
def test_damage_is_found_and_named(copy: Path, what: str) -> None:
    """Rows 21, 29, 45 and 69: where a forger has made the checksums anew."""
    damage, rule = RELABELLED[what]
    damage(copy)
    forge(copy)
    assert rule in {problem.rule for problem in problems(copy)}


@pytest.mark.parametrize("what", list(RELABELLED)[::8])
def test_damage_is_named_beside_a_wrong_checksum(copy: Path, what: str) -> None:
    damage, rule = RELABELLED[what]
    damage(copy)
    assert rule in {problem.rule for problem in problems(copy)}


@pytest.mark.parametrize(
    "damage",
    [flip_byte("README.md"), flip_byte("preview.png"), substitute(XML, "  <size>", " <size>")],
)
def test_what_only_checksums_know(copy: Path, damage: Damage) -> None:
    damage(copy)
    assert [problem.rule for problem in problems(copy)] == ["checksum"]


UNTOUCHED: dict[str, dict[str, Any]] = {
    "bag-cp": {},
    "release": {"config": PROFILES["release"]},
    "paper": {"config": PROFILES["paper"]},
    "copy-paste": {"config": PROFILES["copy-paste"]},
    "anywhere": {"config": replace(PROFILES["bag-cp"], region="anywhere")},
    "copies": {"copies": 2},
    "densesirst": {"voc_dialect": "densesirst"},
    "devkit": {"voc_dialect": "devkit"},
}


PREDICTED = ("bag-cp", "paper", "anywhere", "copies")


@pytest.mark.parametrize(
    ("what", "sky"),
    [*((what, "given") for what in UNTOUCHED), *((what, "predicted") for what in PREDICTED)],
)
def test_an_untouched_dataset_has_no_problem(
    backgrounds: Dataset, tmp_path: Path, what: str, sky: str
) -> None:
    """8, 16 bits and float, with and without sky masks."""
    if sky == "predicted":
        files = tuple(replace(file, sky=None) for file in backgrounds.scenes)
        backgrounds = replace(backgrounds, scenes=files)
    recipe = replace(RECIPE, **UNTOUCHED[what])
    summary = build_dataset(backgrounds, tmp_path / "out", recipe)
    assert summary.n_scenes == 4 * recipe.copies
    assert list(verify(tmp_path / "out")) == []
    assert list(verify(tmp_path / "out", replay=False)) == []


def test_no_scene_at_all_has_no_problem(backgrounds: Dataset, tmp_path: Path) -> None:
    build_dataset(backgrounds, tmp_path / "out", RECIPE, names=[])
    assert list(verify(tmp_path / "out")) == []


def test_the_demo_has_no_problem(targets: TargetLibrary, tmp_path: Path) -> None:
    names = ["demo_00_clear_sky", "demo_11_farmland_no_sky", "demo_24_radiometric"]
    build_dataset(demo_dataset(), tmp_path / "out", RECIPE, names=names, library=targets)
    assert list(verify(tmp_path / "out")) == []


def coco_backgrounds(root: Path) -> Dataset:
    """Targets in an order of their own, two of which touch, one of which is in two pieces."""
    image = np.full((96, 128), 40, np.uint8)
    boxes = [[60, 50, 4, 4], [10, 10, 3, 3], [13, 10, 3, 3]]
    for x, y, width, height in [*boxes, [80, 80, 2, 2], [90, 80, 2, 2]]:
        image[y : y + height, x : x + width] = 200
    write_files(root, [("images/a b.png", encode_png(image))])

    def corners(x: int, y: int, width: int, height: int) -> list[int]:
        return [x, y, x + width, y, x + width, y + height, x, y + height]

    polygons = [[corners(*box)] for box in boxes]
    polygons.append([corners(80, 80, 2, 2), corners(90, 80, 2, 2)])
    document = {
        "images": [{"id": 5, "file_name": "a b.png", "width": 128, "height": 96}],
        "categories": [{"id": 1, "name": "Target"}],
        "annotations": [
            {"id": k, "image_id": 5, "category_id": 1, "segmentation": polygon}
            for k, polygon in enumerate(polygons)
        ],
    }
    (root / "annotations.json").write_text(json.dumps(document))
    return read_dataset(root)


def test_targets_in_the_order_of_a_coco_file_have_no_problem(tmp_path: Path) -> None:
    dataset = coco_backgrounds(tmp_path / "in")
    out = tmp_path / "out"
    recipe = Recipe(replace(PROFILES["bag-cp"], region="anywhere"))
    assert build_dataset(dataset, out, recipe).n_original == 4
    assert list(verify(out)) == []
    assert not any(result.problem for result in replay(out))
    substitute("SIRST/BBox/a b.xml", r"(<xmin>)(\d+)", one_more)(out)
    forge(out)
    assert [problem.rule for problem in problems(out)] == ["boxes"]


def test_the_real_data_have_no_problem(
    real_data: Path, tmp_path: Path, targets: TargetLibrary
) -> None:
    sky = real_data / "densesirst/SkySeg/BinaryMask"
    dataset = read_dataset(real_data / "sirstv2", sky_dir=sky)
    names = [scene.name for scene in dataset.scenes[::200]]
    build_dataset(dataset, tmp_path / "out", RECIPE, names=names, library=targets)
    assert problems(tmp_path / "out") == []


def test_what_systems_and_interrupted_programs_leave_is_a_note(copy: Path) -> None:
    for file in (".DS_Store", "PNGImages/._s0.png", "SIRST/Thumbs.db", ".lock"):
        (copy / file).write_text("x")
    found = list(verify(copy))
    assert [problem.rule for problem in found] == ["left"] * 4
    assert problems(copy) == []


def test_gaps_in_the_splits_are_a_note(copy: Path) -> None:
    """They may be the source's own."""
    for split in ("val_v2", "trainval_v2"):
        (copy / f"Splits/{split}.txt").write_text("s0\n" * (split != "val_v2"))
    forge(copy)
    notes = [(problem.file, problem.rule) for problem in verify(copy)]
    assert notes == [("Splits", "unsplit"), ("Splits/trainval_v2.txt", "unsplit")]


def test_copies_of_a_background_stay_in_one_split(backgrounds: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_dataset(backgrounds, out, replace(RECIPE, copies=2), names=["s0", "s1"])
    (out / "Splits/train_v2.txt").write_text("s0\ns0_copy1\ns1\n")
    forge(out)
    assert [(p.file, p.rule) for p in problems(out)] == [("Splits/train_v2.txt", "split")]


def test_links_that_the_folder_holds_are_followed(copy: Path, tmp_path: Path) -> None:
    """Row 50: files are read wherever they lie; what they hold is compared all the same."""
    shutil.move(copy / "SkySeg", tmp_path / "SkySeg")
    (copy / "SkySeg").symlink_to(tmp_path / "SkySeg")
    shutil.move(copy / "PNGImages/s0.png", tmp_path / "s0.png")
    (copy / "PNGImages/s0.png").symlink_to(tmp_path / "s0.png")
    assert list(verify(copy)) == []
    (copy / "PNGImages/loop").symlink_to(copy)
    in_mask("SkySeg", "PaletteMask", with_pixel(3, 3))(copy)
    assert {problem.rule for problem in problems(copy)} == {"extra", "sky", "checksum"}


def test_damage_is_named_where_it_is(copy: Path) -> None:
    substitute(XML, r"(<xmin>)(\d+)", one_more)(copy)
    change_pixel(copy)
    found = {(problem.file, problem.rule): problem.what for problem in verify(copy)}
    assert found.keys() == {
        (XML, "boxes"),
        (XML, "checksum"),
        ("PNGImages/s0.png", "image"),
        ("PNGImages/s0.png", "checksum"),
    }
    pattern = r"object\[1\]/bndbox/xmin is '(\d+)', expected '(\d+)'"
    here, there = re.fullmatch(pattern, found[XML, "boxes"]).groups()  # type: ignore[union-attr]
    assert int(here) == int(there) + 1


def test_a_predicted_sky_is_predicted_again(backgrounds: Dataset, tmp_path: Path) -> None:
    files = tuple(replace(file, sky=None) for file in backgrounds.scenes[:1])
    out = tmp_path / "out"
    build_dataset(replace(backgrounds, scenes=files), out, RECIPE)
    all_forms("SkySeg", np.invert)(out)
    forge(out)
    assert "sky" in {p.rule for p in problems(out) if p.file.endswith("s0_pixels0.png")}
    in_lines(lambda lines: lines[0].update(sky_confidence=0.123))(out)
    assert any("sky_confidence is 0.123" in problem.what for problem in problems(out))


def test_without_replay_annotations_are_still_compared(copy: Path) -> None:
    change_pixel(copy)
    substitute(XML, r"(<xmin>)(\d+)", one_more)(copy)
    forge(copy)
    assert {problem.rule for problem in problems(copy, replay=False)} == {"boxes"}


def test_a_dataset_of_another_version_is_replayed_but_not_drawn_again(copy: Path) -> None:
    in_manifest(lambda m: m["generator"].update(version="9.9"))(copy)
    assert [problem.rule for problem in verify(copy)] == ["unchecked"]


def test_nothing_is_written(copy: Path) -> None:
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(copy.rglob("*"))}
    list(verify(copy))
    list(replay(copy))
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(copy.rglob("*"))}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (delete("manifest.json"), "not a finished build"),
        (add("manifest.json"), "not JSON"),
        (in_manifest(lambda m: m.update(schema="x")), "not the manifest of a build"),
        (in_manifest(lambda m: m.pop("recipe")), "not the manifest of a build"),
    ],
)
def test_a_folder_that_is_no_finished_build_is_refused(
    copy: Path, damage: Damage, message: str
) -> None:
    damage(copy)
    with pytest.raises(OutputError, match=message):
        verify(copy)


def test_fifos_are_not_opened(copy: Path) -> None:
    """Row 50."""
    for file in ("plans.jsonl", "annotations.json", "library.npz", XML, "PNGImages/s0.png"):
        (copy / file).unlink()
        os.mkfifo(copy / file)
    os.mkfifo(copy / "Splits/more.txt")
    rules = {problem.file: problem.rule for problem in problems(copy)}
    assert rules["plans.jsonl"] == rules["annotations.json"] == rules[XML] == "missing"
    assert rules["Splits/more.txt"] == "extra"


@pytest.mark.parametrize("file", ["/etc/hostname", "../s0.png", "a/../../x", "", "a\\b"])
def test_a_list_that_leads_out_of_the_dataset(copy: Path, file: str) -> None:
    """Row 49."""
    with open(copy / "files.sha256", "a", encoding="utf-8") as listed:
        listed.write(f"{'0' * 64}  {file}\n")
    assert "manifest" in {p.rule for p in problems(copy) if p.file == "files.sha256"}
    in_plan(lambda plan: plan.update(name=file))(copy)
    assert "plan" in {problem.rule for problem in problems(copy)}


MALFORMED: dict[str, Callable[[dict[str, Any]], object]] = {
    "it has no pastes": lambda plan: plan.pop("pastes"),
    "name must be text": lambda plan: plan.update(name=7),
    "windows must be": lambda plan: plan.update(windows=[[1, 2, 3]]),
    "levels must be": lambda plan: plan.update(levels=[5, 5]),
    "dtype must be": lambda plan: plan.update(dtype="O"),
    "copy must be": lambda plan: plan.update(copy=10**30),
    "requested must be": lambda plan: plan.update(requested=True),
    "paste 0: row must be": lambda plan: plan["pastes"][0].update(row=-1),
    "paste 0: col must be": lambda plan: plan["pastes"][0].update(col=2.5),
    "paste 0: gain must be": lambda plan: plan["pastes"][0].update(gain=float("inf")),
    "paste 0: it has no donor": lambda plan: plan["pastes"][0].pop("donor"),
    "pastes must be a list": lambda plan: plan.update(pastes=[1]),
    "under must be base64": lambda plan: plan.update(under="*"),
    "under holds": lambda plan: plan.update(under=""),
    "config: unknown setting": lambda plan: plan["config"].update(x=1),
    "config: PasteConfig.patch_px": lambda plan: plan["config"].update(patch_px=10**6),
    "dropped must be": lambda plan: plan.update(dropped={"no_room": "many"}),
    "sky_confidence must be": lambda plan: plan.update(sky_confidence=7),
}


@pytest.mark.parametrize("rule", MALFORMED)
def test_a_malformed_plan_is_named_by_line_and_rule(copy: Path, rule: str) -> None:
    in_lines(lambda lines: MALFORMED[rule](lines[1]))(copy)
    found = [p.what for p in problems(copy) if p.file == "plans.jsonl"]
    assert any(what.startswith(f"line 2: {rule}") for what in found), found
    replayed = [result.problem for result in replay(copy) if not result.is_scene]
    assert replayed[0].startswith(f"line 2: {rule}")
    with pytest.raises(OutputError, match="line 2"):
        list(read_plans(copy))


@pytest.mark.parametrize("line", [b"[1]", b"7", b"{", b"\xff", b"[" * 100_000, b"", b"NaN"])
def test_a_line_that_is_no_object(copy: Path, line: bytes) -> None:
    lines = (copy / "plans.jsonl").read_bytes().split(b"\n")
    (copy / "plans.jsonl").write_bytes(b"\n".join([lines[0], line, *lines[2:]]))
    (first, *_) = (p.what for p in problems(copy) if p.file == "plans.jsonl")
    assert first.startswith(("line 2: not JSON", "line 2: not an object"))
    assert any(result.problem.startswith("line 2: ") for result in replay(copy))


@pytest.mark.parametrize("row", [{"donor": 99}, {"row": 5000}, {"height": 7}, {"width": 0}])
def test_a_paste_that_fits_nowhere_is_named(copy: Path, row: dict[str, int]) -> None:
    in_plan(lambda plan: plan["pastes"][0].update(row))(copy)
    results = {result.name: result.problem for result in replay(copy)}
    assert "paste 0: " in results["s0"]


class TestReplayCounts:
    def test_removed_lines(self, copy: Path) -> None:
        in_lines(lambda lines: lines.pop(2))(copy)
        results = {result.name: result for result in replay(copy)}
        assert results["s2"].problem == "it has an image, and no plan in plans.jsonl"
        assert results["plans.jsonl"].problem == "3 plans, manifest.json counts 4 scenes"
        assert not results["plans.jsonl"].is_scene

    def test_no_lines_at_all(self, copy: Path) -> None:
        in_lines(list.clear)(copy)
        assert len([result for result in replay(copy) if result.problem]) == 5

    def test_plan_and_image_gone(self, copy: Path) -> None:
        in_lines(lambda lines: lines.pop(0))(copy)
        (copy / "PNGImages/s0.png").unlink()
        assert [r.name for r in replay(copy) if r.problem] == ["plans.jsonl"]

    def test_lines_twice(self, copy: Path) -> None:
        in_lines(lambda lines: lines.append(lines[0]))(copy)
        (result,) = (result for result in replay(copy) if result.problem)
        assert result.problem == "line 5: s0 comes twice, first in line 1"

    def test_one_scene_without_a_plan(self, copy: Path) -> None:
        in_lines(lambda lines: lines.pop(0))(copy)
        assert [result.problem for result in replay(copy, ["s0"])] == [
            "it has an image, and no plan in plans.jsonl"
        ]
        assert [result.problem for result in replay(copy, ["s1"])] == [""]

    def test_a_manifest_that_is_none(self, copy: Path) -> None:
        in_manifest(dict.clear)(copy)
        with pytest.raises(OutputError, match="not the manifest of a build"):
            list(replay(copy))

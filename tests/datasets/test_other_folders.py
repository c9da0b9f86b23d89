"""Folders as other people have them: read right, refused by name, or noted; never silent."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from densesirst_gen.build.donors import make_library
from densesirst_gen.datasets import Dataset, DatasetError, read_dataset
from densesirst_gen.datasets.found.inventory import take_inventory
from densesirst_gen.datasets.found.masklike import looks_like_mask
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.parts.splits import donor_scenes
from densesirst_gen.datasets.understood import datasets_below, understand
from densesirst_gen.paste.library import LibraryError

SIDE = 48


def picture(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = 80 + 30 * np.linspace(0, 1, SIDE)[:, None] + rng.normal(0, 3, (SIDE, SIDE))
    image[20:23, 10:13] += 90
    return image.clip(0, 255).astype(np.uint8)


def mask() -> np.ndarray:
    white = np.zeros((SIDE, SIDE), np.uint8)
    white[20:23, 10:13] = 255
    return white


def put(root: Path, name: str, values: np.ndarray) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def pairs(root: Path, image: str, white: str, names: Mapping[str, int] | str = "abcd") -> Path:
    for k, name in enumerate(names):
        put(root, image.format(name), picture(k))
        put(root, white.format(name), mask())
    return root


def n_targets(dataset: Dataset) -> list[int]:
    return [scene.load().n_targets for scene in dataset.scenes]


# ---- masks are told by what they hold


@pytest.mark.parametrize(
    ("image", "white", "names"),
    [
        ("images/{}.png", "masks/{}.png", "abcd"),
        ("Ver_image/{}.bmp", "Ver_lable/{}.png", "abcd"),
        ("test_org/{}.png", "test_gt/{}.png", "abcd"),
        ("train_images/{}.png", "train_masks/{}.png", "abcd"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png", "abcd"),
        ("frames/{}.png", "whatever/{}.png", "abcd"),
        ("images/{}.png", "annotations/masks/{}_pixels0.png", "abcd"),
        ("{}.png", "gt/{}.png", "abcd"),
        ("{}.png", "{}_mask.png", "abcd"),
        ("train/{}_1.png", "train/{}_2.png", ["train/a_1", "train/b_1", "train/c_1", "train/d_1"]),
        ("images/{}.png", "labels/gt_{}.png", "abcd"),
        ("images/{}.png", "masks/{}.jpg", "abcd"),
        ("images/s1/{}.png", "masks/s1/{}.png", ["s1/a", "s1/b", "s1/c", "s1/d"]),
    ],
)
# row 88
def test_masks_belong_to_their_images_whatever_they_are_called(
    tmp_path: Path, image: str, white: str, names: list[str]
) -> None:
    dataset = read_dataset(pairs(tmp_path, image, white))
    assert [scene.name for scene in dataset.scenes] == list(names)
    assert all(scene.mask is not None for scene in dataset.scenes)
    if not white.endswith("jpg"):
        assert n_targets(dataset) == [1] * 4


# row 110
def test_frames_of_sequences_keep_their_sequence(tmp_path: Path) -> None:
    for sequence in ("10", "282"):
        pairs(tmp_path, f"images/{sequence}/{{}}.png", f"masks/{sequence}/{{}}.png", "12")
    (tmp_path / "train.txt").write_text("/282/1\n/282/2\n")
    (tmp_path / "test.txt").write_text("/10/1\n/10/2\n")
    dataset = read_dataset(tmp_path)
    assert [scene.name for scene in dataset.scenes] == ["10/1", "10/2", "282/1", "282/2"]
    assert [scene.name for scene in donor_scenes(dataset)] == ["282/1", "282/2"]


def test_what_looks_like_a_mask(tmp_path: Path) -> None:
    soft = np.where(mask() > 0, 255, 0).astype(np.uint8)
    soft[19, 10:13] = 64
    deep = np.where(mask() > 0, 65535, 0).astype(np.uint16)
    coloured = np.stack([mask(), mask() * 0, mask() * 0], axis=2)
    for name, values, expected in (
        ("mask.png", mask(), True),
        ("soft.png", soft, True),
        ("deep.png", deep, True),
        ("red.png", coloured, True),
        ("jpeg.jpg", mask(), True),
        ("bit.png", mask() > 0, True),
        ("blank.png", mask() * 0, None),
        ("image.png", picture(), False),
        ("image.jpg", picture(), False),
        ("dark.png", (picture() // 16), False),
        ("deep_image.png", picture().astype(np.uint16) * 7, False),
    ):
        put(tmp_path, name, values)
        assert looks_like_mask(tmp_path / name) is expected, name
    (tmp_path / "none.png").write_bytes(b"nothing")
    assert looks_like_mask(tmp_path / "none.png") is None


# row 88
def test_masks_of_results_beside_the_true_ones_are_named(tmp_path: Path) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    for name in "abcd":
        put(tmp_path, f"results/net/{name}.png", mask())
    dataset = read_dataset(tmp_path)
    assert {scene.mask.parent.name for scene in dataset.scenes if scene.mask} == {"masks"}
    assert any("results/net/" in note for note in dataset.notes())


# ---- labels that are not read stop a guess


LABELS = {
    "YOLO": ("labels/a.txt", "0 0.5 0.5 0.1 0.1\n"),
    "VOC": ("Annotations/a.xml", "<annotation><object><bndbox/></object></annotation>"),
    "CVAT": ("a.xml", "<?xml version='1.0'?><annotations><image/></annotations>"),
    "labelme": ("images/a.json", json.dumps({"shapes": [], "imagePath": "a.png"})),
}


@pytest.mark.parametrize("kind", list(LABELS))
# row 87
def test_labels_are_read_or_refused_by_name_and_passed_over_aloud(
    tmp_path: Path, kind: str
) -> None:
    put(tmp_path, "images/a.png", picture())
    name, text = LABELS[kind]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    if kind in ("VOC", "CVAT"):
        with pytest.raises(DatasetError, match=name):
            read_dataset(tmp_path)
    else:
        assert read_dataset(tmp_path).layout == kind.lower()
        assert read_dataset(tmp_path).scenes[0].has_labels
    assert any(kind in note for note in read_dataset(tmp_path, layout="plain").notes())


def test_of_two_kinds_of_labels_one_is_read_and_the_other_named(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", picture())
    for kind in ("YOLO", "labelme"):
        name, text = LABELS[kind]
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "yolo"
    assert "labels passed over, yolo is read: labelme, 1 file such as images/a.json" in (
        dataset.notes()
    )


# rows 87, 101
def test_coco_is_known_by_its_grammar_and_yields_to_masks(tmp_path: Path) -> None:
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": SIDE, "width": SIDE}],
        "categories": [{"id": 1, "name": "target"}],
        "annotations": [],
    }
    put(tmp_path, "images/a.png", picture())
    (tmp_path / "result.json").write_text(json.dumps(document))
    assert read_dataset(tmp_path).layout == "coco"
    put(tmp_path, "masks/a.png", mask())
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, n_targets(dataset)) == ("folders", [1])
    assert any("COCO" in note and "result.json" in note for note in dataset.notes())


@pytest.mark.parametrize("suffix", [".gif", ".npy", ".zip", ".mat", ".mp4"])
# rows 102, 103
def test_what_is_not_read_is_named(tmp_path: Path, suffix: str) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    (tmp_path / f"images/x{suffix}").write_bytes(b"?")
    note = next(note for note in read_dataset(tmp_path).notes() if suffix in note)
    assert f"images/x{suffix}" in note
    assert ("unpack" in note) == (suffix == ".zip")


# row 111
def test_folders_of_systems_are_not_entered(tmp_path: Path) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    put(tmp_path, "images/@eaDir/a.png", picture())
    put(tmp_path, "$RECYCLE.BIN/b.png", picture())
    dataset = read_dataset(tmp_path)
    assert len(dataset.scenes) == 4
    assert "not entered: $RECYCLE.BIN, @eaDir" in dataset.notes()


# row 102
def test_a_folder_that_cannot_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    import os

    scan = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "masks":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        with pytest.raises(DatasetError, match=r"masks: can't be read \(Permission denied\)"):
            read_dataset(tmp_path)


# ---- splits never leak


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train.txt", "test.txt"),
        ("Train.txt", "Test.txt"),
        ("training.txt", "testing.txt"),
        ("trainset.txt", "testset.txt"),
        ("img_idx/train_NUDT-SIRST.txt", "img_idx/test_NUDT-SIRST.txt"),
        ("X_train.txt", "X_val.txt"),
        ("ImageSets/Main/train.txt", "ImageSets/Main/validation.txt"),
        ("50_50/train.txt", "50_50/test.txt"),
        ("lists/train-2.lst", "lists/dev-2.lst"),
    ],
)
@pytest.mark.parametrize(
    "line",
    ["{}", "{}.png", "images/{}.png", "/images/{}", "images\\{}.png", '"{}.png"', "{}.png 1",
     "images/{0}.png masks/{0}.png", "{},3", "./images/{}.PNG", "D:\\data\\images\\{}.bmp"],
)  # fmt: skip
# row 92
def test_lists_are_found_and_their_lines_are_matched(
    tmp_path: Path, train: str, test: str, line: str
) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    for path, names in ((train, "ab"), (test, "cd")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("".join(line.format(name) + "\n" for name in names))
    dataset = read_dataset(tmp_path)
    assert [scene.name for scene in donor_scenes(dataset)] == ["a", "b"]


# row 93
def test_ratios_side_by_side_hold_back_what_any_of_them_does(tmp_path: Path) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    for ratio, train, test in (("50_50", "ab", "cd"), ("70_30", "acd", "b")):
        for part, names in (("train", train), ("test", test)):
            path = tmp_path / ratio / f"{part}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n".join(names))
    dataset = read_dataset(tmp_path)
    assert set(dataset.splits) == {"50_50/train", "50_50/test", "70_30/train", "70_30/test"}
    assert [scene.name for scene in donor_scenes(dataset)] == ["a"]


@pytest.mark.parametrize(
    ("train", "held"),
    [("train", "valid"), ("Train", "Test"), ("training", "validation"), ("train", "test")],
)
@pytest.mark.parametrize("masked", [True, False])
# row 94
def test_folders_called_like_parts_are_splits(
    tmp_path: Path, train: str, held: str, masked: bool
) -> None:
    for folder, names in ((train, "ab"), (held, "cd")):
        for name in names:
            put(tmp_path, f"{folder}/images/{name}.png", picture())
            if masked:
                put(tmp_path, f"{folder}/masks/{name}.png", mask())
    dataset = read_dataset(tmp_path)
    assert sum(map(len, dataset.splits.values())) == 4
    assert all(scene.name.startswith(train) for scene in donor_scenes(dataset))


# row 93
def test_lists_of_which_nobody_can_tell_what_they_are_stop_donors(tmp_path: Path) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    (tmp_path / "one.txt").write_text("a\nb\n")
    (tmp_path / "two.txt").write_text("c\nd\n")
    with pytest.raises(DatasetError, match=r"of the lists one, two none says train, val or test"):
        donor_scenes(read_dataset(tmp_path))


def test_an_index_of_all_scenes_is_no_split_and_a_readme_is_none(tmp_path: Path) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    (tmp_path / "all.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "readme.txt").write_text("Made by hand.\nTest images come later.\n")
    (tmp_path / "a.txt").write_text("12 30\n")
    assert read_dataset(tmp_path).splits == {}


def test_where_all_is_held_back_the_list_is_named(tmp_path: Path) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    (tmp_path / "test.txt").write_text("a\nb\nc\nd\n")
    with pytest.raises(LibraryError, match=r"all 4 scenes are held back by the splits test\.txt"):
        make_library(read_dataset(tmp_path), "targets")


# row 92
def test_lists_of_other_scenes_are_an_error(tmp_path: Path) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    (tmp_path / "img_idx").mkdir()
    (tmp_path / "img_idx/train.txt").write_text("a\nx\n")
    (tmp_path / "img_idx/test.txt").write_text("y\nz\n")
    dataset = read_dataset(tmp_path)
    assert [scene.name for scene in donor_scenes(dataset)] == ["a"]
    assert any("2 names in the splits" in n or "x" in n for n in dataset.notes())


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"), ("Training", "train"), ("trainset", "train"), ("train-X", "train"),
        ("X_train", "train"), ("train2017", "train"), ("instances_val2017", "val"),
        ("valid", "val"), ("Validation", "val"), ("dev", "val"), ("TEST", "test"),
        ("testing_1", "test"), ("50_50/test", "test"), ("trainval", "trainval"),
        ("constrained", ""), ("latest", ""), ("images", ""), ("", ""),
    ],
)  # fmt: skip
# row 93
def test_words_for_parts(name: str, part: str) -> None:
    assert part_of(name) == part


@given(
    st.lists(st.text("abcABC/_-. é", min_size=1, max_size=8), min_size=1, max_size=6, unique=True)
)
def test_a_scene_is_found_by_its_own_name_in_any_form(names: list[str]) -> None:
    plain = {"/".join(p for p in n.split("/") if p.strip(" .")) for n in names} - {""}
    plain = {n for n in plain if n == n.strip() and "." not in n}
    known = SceneNames(plain)
    for name in plain:
        assert known.listed(name) == (name,)
        found = known.listed(unicodedata.normalize("NFD", name).upper())
        assert len(found) <= 1 or set(found) <= plain


def test_an_ambiguous_tail_names_nothing() -> None:
    known = SceneNames(["x/a", "y/a", "y/b"])
    assert known.listed("a") == ()
    assert known.listed("images/y/a.png") == ("y/a",)
    assert known.listed("b") == ("y/b",)
    assert known.listed("y") == ("y/a", "y/b")


# ---- what was understood


def test_a_dataset_is_told_in_a_line_and_in_full(tmp_path: Path) -> None:
    pairs(tmp_path, "images/{}.png", "masks/{}.png")
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "test.txt").write_text("c\nd\n")
    found = understand(read_dataset(tmp_path))
    assert found.line() == "folders: 4 images, 4 masks; test 2, train 2; 8 bit"
    assert "donors   2 images may give targets" in found.lines()


# row 110
def test_datasets_below_a_folder_are_listed_and_it_is_none(tmp_path: Path) -> None:
    for name in ("NUAA-SIRST", "NUDT-SIRST"):
        pairs(tmp_path / name, "images/{}.png", "masks/{}.png")
    with pytest.raises(DatasetError, match="2 datasets lie below"):
        read_dataset(tmp_path)
    found = datasets_below(tmp_path, read_dataset)
    assert [(path.name, len(d.scenes)) for path, d in found] == [
        ("NUAA-SIRST", 4), ("NUDT-SIRST", 4)
    ]  # fmt: skip


def test_an_inventory_of_many_files_is_cheap_in_opened_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = BytesIO()
    Image.fromarray(picture()).save(buffer, "PNG")
    for k in range(300):
        path = tmp_path / f"images/s{k % 3}/{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **k: opened.append(1) or real(*a, **k))
    inventory = take_inventory(tmp_path)
    assert sum(len(group.files) for group in inventory.images) == 300
    assert len(opened) <= 24

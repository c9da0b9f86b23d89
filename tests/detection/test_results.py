"""Predictions as other programs write them: what is read right, refused by name, or told."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from scipy.io import savemat

from densesirst_gen.cli.evaluate import IDS as OFFERED
from densesirst_gen.cli.evaluate import evaluate as command
from densesirst_gen.datasets import Dataset, SceneFile
from densesirst_gen.datasets.coco.written import coco_text, image_ids
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.detection.evaluation.coco_results import read_results
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.evaluate import evaluate
from densesirst_gen.detection.evaluation.image_ids import IDS
from densesirst_gen.detection.evaluation.notes import summed_notes
from densesirst_gen.detection.evaluation.predictions import Predictions, read_predictions
from densesirst_gen.files.images.codec import encode_png, encode_tiff

HEIGHT, WIDTH = 60, 80
NAMES = ("f0", "f1", "f2")
NUMBERS = ("000001", "000002", "000003", "000005", "000006")
Box = tuple[int, int, int, int]


def boxes_of(index: int) -> list[Box]:
    """Half-open corners of two targets, at other places in each scene; the first box is odd."""
    x = 10 + 11 * index
    return [(x, 12, x + 5, 16), (WIDTH - 4 - x, 40, WIDTH - x, 45)]


def mask_of(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for x0, y0, x1, y1 in boxes_of(index):
        mask[y0:y1, x0:x1] = True
    return mask


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def dataset(
    root: Path, names: Sequence[str] = NAMES, ids: Sequence[int] = (), **parts: Any
) -> Dataset:
    """Scenes in files; with `ids`, a COCO file that numbers them."""
    scenes = []
    for k, name in enumerate(names):
        image = np.random.default_rng(k).integers(60, 90, (HEIGHT, WIDTH)).astype(np.uint8)
        image[mask_of(k)] = 200
        files = {part: root / part / f"{name}.png" for part in ("images", "masks")}
        write(files["images"], encode_png(image))
        write(files["masks"], encode_png(mask_of(k).astype(np.uint8) * 255))
        scenes.append(SceneFile(name, files["images"], files["masks"]))
    if ids:
        images = [{"id": i, "file_name": f"{n}.png"} for i, n in zip(ids, names, strict=True)]
        write(root / "annotations.json", json.dumps({"images": images}).encode())
    return Dataset(root, "folders", tuple(sorted(scenes, key=lambda s: s.name)), **parts)


def read(source: Path, data: Dataset, **options: Any) -> Predictions:
    return read_predictions(source, data, [scene.name for scene in data.scenes], **options)


def ap50(source: Path, data: Dataset, **options: Any) -> float:
    return evaluate(data.scenes, read(source, data, **options)).coco.ap50


def xywh(box: Box) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def records(
    identify: Callable[[int, str], Any], names: Sequence[str] = NAMES, *, named: bool = False
) -> list[dict[str, Any]]:
    """The true boxes as COCO results."""
    return [
        {"image_id": identify(k, name), "category_id": 1, "bbox": xywh(box), "score": 0.9}
        | ({"file_name": f"{name}.png"} if named else {})
        for k, name in enumerate(names)
        for box in boxes_of(k)
    ]


def write_json(path: Path, document: Any) -> Path:
    return write(path, json.dumps(document).encode())


# ---- ids


@pytest.mark.parametrize(
    ("identify", "named"),
    [
        (lambda k, name: int(name), True),  # YOLO: ultralytics
        (lambda k, name: k + 1, False),
        (lambda k, name: float(k + 1), False),
        (lambda k, name: name, False),
        (lambda k, name: f"{name}.png", False),
        (lambda k, name: f"C:\\data\\images\\{name}.PNG", False),
        (lambda k, name: f"/home/x/val2017/{name}.jpg", False),
        (lambda k, name: 99, True),
    ],
)
# row 91
def test_results_are_of_the_scenes_that_they_name(tmp_path, identify, named):
    data = dataset(tmp_path / "d", NUMBERS, ids=range(1, 6))
    found = records(identify, NUMBERS, named=named)
    assert ap50(write_json(tmp_path / "r.json", found), data) == pytest.approx(1)


# row 91
def test_a_number_that_is_an_id_and_another_name_is_refused_with_both_readings(tmp_path):
    data = dataset(tmp_path / "d", ("000002", "000001"), ids=(1, 2))
    path = write_json(tmp_path / "r.json", records(lambda k, name: k + 1, ("000002", "000001")))
    both = "image_id 1 is the id of 000002 in annotations.json, and the number .* scene 000001"
    with pytest.raises(PredictionError, match=both + ".*--ids coco or --ids stem"):
        read(path, data)
    assert ap50(path, data, ids="coco") == pytest.approx(1)
    assert ap50(path, data, ids="stem") == 0


def test_a_number_is_what_all_numbers_can_be(tmp_path):
    data = dataset(tmp_path / "d", NUMBERS, ids=range(1, 6))
    for identify, told in (
        (lambda k, name: k + 1, "an id of annotations.json: 4 is 000005"),
        (lambda k, name: int(name), "the number in a scene's name.*6 is no id in annotations.json"),
        (lambda k, name: f"{int(name)}", "the number in a scene's name"),
    ):
        path = write_json(tmp_path / "r.json", records(identify, NUMBERS))
        assert ap50(path, data) == pytest.approx(1)
        assert re.search("image_id is read as " + told, read(path, data).notes()[0])


def test_numbers_in_names_need_no_coco_file(tmp_path):
    data = dataset(tmp_path / "d", NUMBERS)
    path = write_json(tmp_path / "r.json", records(lambda k, name: int(name), NUMBERS))
    assert ap50(path, data) == pytest.approx(1)
    with pytest.raises(PredictionError, match="there is no COCO file"):
        read(path, data, ids="coco")


def test_ids_that_are_numbers_in_names_too_leave_no_question(tmp_path):
    data = dataset(tmp_path / "d", NUMBERS, ids=[int(name) for name in NUMBERS])
    path = write_json(tmp_path / "r.json", records(lambda k, name: int(name), NUMBERS))
    assert read(path, data).notes() == []
    assert ap50(path, data) == pytest.approx(1)


def test_ids_counted_from_another_number_are_refused(tmp_path):
    data = dataset(tmp_path / "d", ids=(1, 2, 3))
    path = write_json(tmp_path / "r.json", records(lambda k, name: k))
    with pytest.raises(PredictionError, match=r"image_id goes from 0 to 2, the ids in .* from 1"):
        read(path, data)
    assert read(path, data, ids="coco").extra == ("image_id 0",)


def test_what_matches_nothing_is_counted_and_most_is_refused(tmp_path):
    data = dataset(tmp_path / "d")
    right = records(lambda k, name: name)
    strange = [{**right[0], "image_id": f"zebra{k}"} for k in range(9)]
    found = read(write_json(tmp_path / "r.json", right + strange), data)
    assert found.extra == tuple(f"zebra{k}" for k in range(9))
    assert "9 predictions belong to no scene, left out: zebra0" in found.notes()[0]
    part = [row for row in right if row["image_id"] == "f0"]
    with pytest.raises(PredictionError, match=r"9 of 10 predictions \(zebra0.* belong to no scene"):
        read(write_json(tmp_path / "r.json", part + strange), data)


def test_two_images_are_never_one_scene(tmp_path):
    data = dataset(tmp_path / "d")
    path = write_json(tmp_path / "r.json", records(lambda k, name: f"seq{k}/f0.png"))
    with pytest.raises(PredictionError, match=r"seq0/f0\.png and seq1/f0\.png both mean scene f0"):
        read(path, data)


def test_several_categories_are_told(tmp_path):
    found = records(lambda k, name: name)
    found[0]["category_id"] = 7
    path = write_json(tmp_path / "r.json", found)
    assert read(path, dataset(tmp_path / "d")).notes() == [
        "results of 2 categories (1, 7) are scored as one"
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("seq1/a", "seq1/a"),
        ("X:\\y\\SEQ1\\A.bmp", "seq1/a"),
        ("a", None),
        ("b.png.npy", "seq2/b"),
        ("seq1/b", None),
        ("e\u0301 1", "é 1"),
        ("%C3%A9%201.jpg", "é 1"),
        ("im.v1", "im.v1"),
        ("im.v1.png", "im.v1"),
        ("im", None),
        ("", None),
        ("/", None),
    ],
)
def test_names_are_folded_where_that_is_unique(text, name):
    assert SceneNames(["seq1/a", "seq2/a", "seq2/b", "é 1", "im.v1"]).find(text) == name


@pytest.mark.parametrize(
    ("file_names", "ids"),
    [
        (["images/000007.png", "000003.png"], [7, 3]),
        (["7.png", "a.png"], [1, 2]),
        (["7.png", "07.png"], [1, 2]),
        (["12345678901234567.png"], [1]),
        ([], []),
    ],
)
def test_what_we_write_has_the_numbers_of_names_as_ids(file_names, ids):
    assert image_ids(file_names) == ids
    entries = [{"image": {"file_name": name}, "annotations": [{}]} for name in file_names]
    document = json.loads(b"".join(coco_text(lambda: entries, {})))
    assert [image["id"] for image in document["images"]] == ids
    assert [found["image_id"] for found in document["annotations"]] == ids


# ---- forms of boxes


def reformed(change: Callable[[Box], Sequence[float]]) -> list[dict[str, Any]]:
    rows = records(lambda k, name: name)
    boxes = [box for k in range(len(NAMES)) for box in boxes_of(k)]
    return [row | {"bbox": list(change(box))} for row, box in zip(rows, boxes, strict=True)]


def scaled(values: Sequence[float]) -> list[float]:
    return [v / s for v, s in zip(values, (WIDTH, HEIGHT) * 2, strict=True)]


def centred(box: Box) -> list[float]:
    x0, y0, x1, y1 = box
    return [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda box: box, r"bbox.*\[x0, y0, x1, y1\]: 6"),
        (centred, r"bbox.*centre"),
        (lambda box: scaled(xywh(box)), "bbox.*fractions"),
        (lambda box: scaled(box), "bbox.*fractions"),
        (lambda box: scaled(centred(box)), "bbox.*fractions"),
        (lambda box: [x + 500 for x in xywh(box)[:2]] + xywh(box)[2:], "bbox lie outside"),
    ],
)
# row 104
def test_boxes_in_another_form_are_refused(tmp_path, change, words):
    path = write_json(tmp_path / "r.json", reformed(change))
    with pytest.raises(PredictionError, match=words):
        read(path, dataset(tmp_path / "d"))


def test_boxes_that_are_moved_or_leave_the_image_are_told(tmp_path):
    data = dataset(tmp_path / "d")
    moved = reformed(lambda box: [v + 1 for v in xywh(box)[:2]] + xywh(box)[2:])
    notes = read(write_json(tmp_path / "r.json", moved), data).notes()
    assert any("0 of 6 targets are hit (IoU 0.5); counted from 1: 6" in note for note in notes)
    one = [*records(lambda k, name: name), {"image_id": "f0", "bbox": [99, 1, 4, 4], "score": 0.1}]
    notes = read(write_json(tmp_path / "r.json", one), data).notes()
    assert any("1 of 7 bbox lie outside of their image" in note for note in notes)


def test_bad_boxes_are_just_bad(tmp_path):
    data = dataset(tmp_path / "d")
    rng = np.random.default_rng(0)
    found = [
        {"image_id": "f0", "bbox": [*rng.integers(0, 50, 2).tolist(), 4, 5], "score": 0.5}
        for _ in range(40)
    ]
    assert not [
        n for n in read(write_json(tmp_path / "r.json", found), data).notes() if "bbox" in n
    ]


# ---- files of boxes


def lines(line: Callable[[str, Box], str], *, folder: Path, files: str = "{}.txt") -> Path:
    """A text file for each scene."""
    for k, name in enumerate(NAMES):
        text = "".join(f"{line(name, box)}\n" for box in boxes_of(k))
        write(folder / files.format(name), text.encode())
    return folder


def joined(values: Sequence[float]) -> str:
    return " ".join(f"{value:.6g}" for value in values)


TEXTS: dict[str, Callable[[str, Box], str]] = {
    "YOLO": lambda name, box: f"0 {joined(scaled(centred(box)))}",
    "YOLO with conf": lambda name, box: f"0 {joined(scaled(centred(box)))} 0.87",
    "conf first": lambda name, box: f"0.87 {joined(box)}",
    "conf last": lambda name, box: f"{joined(box)} 0.87",
    "class as a word": lambda name, box: f"target 0.87 {joined(box)}",
    "conf and class last": lambda name, box: f"{joined(box)} 0.87 0",
    "commas": lambda name, box: f"0.87, {joined(box).replace(' ', ', ')}",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_file_for_each_scene(tmp_path, kind):
    folder = lines(TEXTS[kind], folder=tmp_path / "labels")
    data = dataset(tmp_path / "d")
    assert ap50(folder, data) == pytest.approx(1)
    assert read(folder, data).notes()[0].startswith("lines are read as '")
    (folder / "f1.txt").write_text("")
    found = read(folder, data)
    assert (len(found.found["f1"]), found.missing) == (0, ())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (lambda name, box: "0.5 0.5 0.5", "none of 'class cx cy w h'"),
        (lambda name, box: "7 300 200 310 210", "outside of their image"),
        (lambda name, box: f"0 {joined([0.1] * 8)}", "none of"),
        (lambda name, box: "0 nan 0.5 0.1 0.1", r"f0\.txt: line 1"),
        (lambda name, box: "these are words", r"f0\.txt: line 1"),
        (lambda name, box: f"0 1 {joined(xywh(box))}", "boxes|none of"),
    ],
)
def test_other_texts_are_refused(tmp_path, line, words):
    folder = lines(line, folder=tmp_path / "labels")
    with pytest.raises(PredictionError, match=words):
        read(folder, dataset(tmp_path / "d"))


def voc_lines() -> str:
    """As the challenge has it: counted from 1, the last pixel is inside."""
    return "".join(
        f"{name} 0.9 {x0 + 1} {y0 + 1} {x1} {y1}\n"
        for k, name in enumerate(NAMES)
        for x0, y0, x1, y1 in boxes_of(k)
    )


@pytest.mark.parametrize("source", ["comp4_det_test_target.txt", "."])
def test_lists_of_voc(tmp_path, source):
    write(tmp_path / "Main/comp4_det_test_target.txt", voc_lines().encode())
    assert ap50(tmp_path / "Main" / source, dataset(tmp_path / "d")) == pytest.approx(1)


def test_a_broken_list_of_voc_is_refused(tmp_path):
    path = write(tmp_path / "comp3_det_test_target.txt", b"f0 0.9 5 5 9 9\nf0 0.9 5\n")
    with pytest.raises(PredictionError, match="line 2: 3 words"):
        read(path, dataset(tmp_path / "d"))


HEADERS: dict[str, Callable[[Box], Sequence[float]]] = {
    "image,x1,y1,x2,y2,score": lambda box: box,
    "file_name;xmin;ymin;xmax;ymax;conf": lambda box: box,
    "image_id,x,y,w,h,confidence": xywh,
    "Filename,CX,CY,Width,Height,Score": centred,
    "image,x_center,y_center,width,height,score": lambda box: scaled(centred(box)),
}


@pytest.mark.parametrize("header", HEADERS)
def test_csv(tmp_path, header):
    separator = ";" if ";" in header else ","
    path = tmp_path / "r.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file, delimiter=separator)
        table.writerow(header.split(separator))
        table.writerows(
            [f"images/{name}.png", *HEADERS[header](box), 0.9]
            for k, name in enumerate(NAMES)
            for box in boxes_of(k)
        )
    assert ap50(path, dataset(tmp_path / "d")) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the header '' lacks"),
        ("image,x1,y1,x2,y2\nf0,1,2,3,4\n", "lacks one of an image"),
        ("image,a,b,c,d,score\nf0,1,2,3,4,1\n", "lacks one of an image"),
        ("image,x1,y1,x2,y2,score\nf0,1,2,3\n", "line 2: 4 columns"),
        ("image,x1,y1,x2,y2,score\nf0,1,2,3,word,1\n", "line 2: could not"),
        ("image,x1,y1,x2,y2,score\nf0,9,2,3,4,1\n", "line 2: box .* corners swapped"),
    ],
)
def test_a_broken_csv_is_refused(tmp_path, text, words):
    with pytest.raises(PredictionError, match=words):
        read(write(tmp_path / "r.csv", text.encode()), dataset(tmp_path / "d"))


# ---- maps


def save_map(path: Path, mask: np.ndarray, key: str = "T") -> None:
    """In the format of the suffix, as its tool writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mat":
        savemat(path, {key: mask.astype(np.float64), "note": "text", "epoch": 3})
    elif path.suffix == ".npy":
        np.save(path, mask.astype(np.float32))
    elif path.suffix == ".tif":
        path.write_bytes(encode_tiff(mask.astype(np.float32)))
    elif path.suffix == ".jpg":
        Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB").save(path, quality=95)
    else:
        path.write_bytes(encode_png(mask.astype(np.uint8) * 255))


@pytest.mark.parametrize("suffix", [".mat", ".npy", ".tif", ".png", ".jpg", ".bmp.npy"])
# row 108
def test_maps_of_every_format(tmp_path, suffix):
    for k, name in enumerate(NAMES):
        save_map(tmp_path / f"r/{name}{suffix}", mask_of(k))
    assert ap50(tmp_path / "r", dataset(tmp_path / "d")) == pytest.approx(1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.bool_])
def test_a_matrix_of_matlab_has_matlabs_type(tmp_path, dtype):
    """Whole doubles are kept as bytes in the file: 1 is 1 and not 1 / 255."""
    white = 255 if dtype == np.uint8 else 1
    (tmp_path / "r").mkdir()
    for k, name in enumerate(NAMES):
        savemat(tmp_path / f"r/{name}.mat", {"T": (mask_of(k) * white).astype(dtype)})
    assert ap50(tmp_path / "r", dataset(tmp_path / "d")) == pytest.approx(1)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"a": np.zeros((4, 4)), "b": np.ones((4, 4))}, r"f0\.mat: .* one numeric matrix.* a, b"),
        ({"a": "text"}, r"f0\.mat: .* one numeric matrix, this has none"),
        ({"a": np.zeros((4, 4), np.int32)}, r"f0\.mat: must be float.* got int32"),
    ],
)
def test_other_mat_files_are_refused(tmp_path, variables, words):
    (tmp_path / "r").mkdir()
    savemat(tmp_path / "r/f0.mat", variables)
    data = dataset(tmp_path / "d")
    with pytest.raises(PredictionError, match=words):
        evaluate(data.scenes, read(tmp_path / "r", data))


@pytest.mark.parametrize("head", [b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM", b"", b"nothing"])
def test_unreadable_mat_files_are_refused(tmp_path, head):
    write(tmp_path / "r/f0.mat", head)
    data = dataset(tmp_path / "d")
    with pytest.raises(PredictionError, match=r"f0\.mat"):
        evaluate(data.scenes, read(tmp_path / "r", data))


# row 108
def test_heat_maps_in_colours_are_refused(tmp_path):
    for k, name in enumerate(NAMES):
        jet = np.where(mask_of(k)[..., None], (132, 0, 0), (0, 0, 143)).astype(np.uint8)
        write(tmp_path / f"r/{name}.png", b"")
        Image.fromarray(jet).save(tmp_path / f"r/{name}.png")
    data = dataset(tmp_path / "d")
    with pytest.raises(PredictionError, match=r"f0\.png: a map in colours"):
        evaluate(data.scenes, read(tmp_path / "r", data))


def test_a_folder_of_something_else_is_named(tmp_path):
    write(tmp_path / "r/model.pth", b"x")
    write(tmp_path / "r/f0.pkl", b"x")
    write(tmp_path / "r/f1.pkl", b"x")
    words = r"2 \.pkl files \(f0.pkl, f1.pkl\) and 1 \.pth file \(model.pth\); expected are maps"
    with pytest.raises(PredictionError, match=words):
        read(tmp_path / "r", dataset(tmp_path / "d"))


@pytest.mark.parametrize("name", ["f0.mat", "f0.png", "results.pkl", "maps.zip"])
def test_a_file_that_has_no_boxes_is_named(tmp_path, name):
    path = write(tmp_path / name, b"x")
    with pytest.raises(PredictionError, match=rf"{name}: no file of boxes \(.json"):
        read(path, dataset(tmp_path / "d"))


def test_several_files_of_a_scene_are_refused_unless_one_says_that_it_is_predicted(tmp_path):
    data = dataset(tmp_path / "d")
    for k, name in enumerate(NAMES):  # as the demos of DNANet write them
        save_map(tmp_path / f"r/{name}.png", ~mask_of(k))
        save_map(tmp_path / f"r/{name}_GT.png", ~mask_of(k))
        save_map(tmp_path / f"r/{name}_Pred.png", mask_of(k))
    assert ap50(tmp_path / "r", data) == pytest.approx(1)
    notes = read(tmp_path / "r", data).notes()
    assert "'_Pred' in the names of files is left aside: f0_Pred.png" in notes
    assert any("6 predictions belong to no scene" in note for note in notes)
    save_map(tmp_path / "r/f0_mask.png", mask_of(0))
    with pytest.raises(PredictionError, match=r"2 files may be .* f0: f0_Pred.png, f0_mask.png"):
        read(tmp_path / "r", data)
    assert ap50(tmp_path / "r", data, suffix="_Pred") == pytest.approx(1)
    assert read(tmp_path / "r", data, suffix="_Pred.png").extra == ()


def test_maps_and_boxes_in_one_folder_are_refused(tmp_path):
    """A run of YOLO: pictures with boxes drawn, and labels/."""
    data = dataset(tmp_path / "d")
    lines(TEXTS["YOLO"], folder=tmp_path / "r/labels")
    for k, name in enumerate(NAMES):
        save_map(tmp_path / f"r/{name}.jpg", mask_of(k))
    with pytest.raises(PredictionError, match=r"both maps and boxes: 3 \.jpg files"):
        read(tmp_path / "r", data)
    assert ap50(tmp_path / "r/labels", data) == pytest.approx(1)


# ---- every variant is read right, refused by name, or told

SUFFIXES = ("", "_Pred", "_pred", "_mask", "_pixels0", "_sctransnet", "0", "-prob", " (1)")
PREFIXES = ("", "pred_", "x_")
FOLDERS = ("", "test/", "epoch_10/maps/")
TYPES = (".png", ".mat", ".npy", ".txt")
STRANGE = ("_sctransnet", "0", " (1)", "x_")
CASES = (str, str.upper, lambda text: unicodedata.normalize("NFD", text))


def write_variant(root: Path, variant: tuple[Any, ...], names: Sequence[str]) -> None:
    suffix, prefix, folder, kind, case = variant
    for index, name in enumerate(names):
        parent, _, stem = name.rpartition("/")
        path = root / folder / parent / (case(f"{prefix}{stem}{suffix}") + kind)
        if kind == ".txt":
            rows = (f"0 {joined(scaled(centred(box)))} 0.5\n" for box in boxes_of(index))
            write(path, "".join(rows).encode())
        else:
            save_map(path, mask_of(index))


def is_right_or_told(root: Path, data: Dataset) -> bool:
    """Whether it is read right; an AssertionError if it is wrong and nobody says so."""
    try:
        found = read(root, data)
    except PredictionError as error:
        told, score = [str(error)], 0.0
    else:
        told, score = found.notes(), evaluate(data.scenes, found).coco.ap50
    assert score > 0.99 or told
    return score > 0.99


@pytest.mark.parametrize(
    "names", [NAMES, NUMBERS[:3], ("s/f0", "s/f1", "t/f0"), ("é_0", "é_1", "Ü")]
)
def test_no_variant_is_wrong_in_silence(tmp_path, names):
    data = dataset(tmp_path / "d", names)
    variants = list(product(SUFFIXES, PREFIXES, FOLDERS, TYPES, CASES))
    chosen = np.random.default_rng(len(names[0])).choice(len(variants), 50, replace=False)
    for k in chosen:
        root = tmp_path / f"r{k}"
        write_variant(root, variants[k], names)
        is_plain = "" in variants[k][:2] and not {*STRANGE} & {*variants[k][:2]}
        assert is_right_or_told(root, data) == is_plain, variants[k]


# ---- one split


def with_splits(root: Path, **splits: tuple[str, ...]) -> Dataset:
    names = ("a0", "a1", "b0", "b1", "b2")
    data = dataset(root, names)
    (root / "images/train.txt").unlink(missing_ok=True)
    for split, members in splits.items():
        write(root / f"{split}.txt", "\n".join(members).encode())
    return replace(data, splits=splits)


TWO_SPLITS = {"train": ("a0", "a1"), "test": ("b0", "b1", "b2")}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments)])


@pytest.mark.parametrize(("split", "first"), [("test", 2), ("train", 0)])
# row 108
def test_predictions_for_one_split_are_scored_on_it(tmp_path, split, first):
    with_splits(tmp_path / "d", **TWO_SPLITS)
    for k, name in enumerate(TWO_SPLITS[split], first):
        save_map(tmp_path / f"r/{name}.png", mask_of(k))
    done = run("-p", tmp_path / "r", "-d", tmp_path / "d", "--json", "-")
    assert done.exit_code == 0, done.output
    scores = json.loads(done.stdout)
    assert [scene["name"] for scene in scores["scenes"]] == list(TWO_SPLITS[split])
    assert scores["coco"]["ap50"] == pytest.approx(1)
    assert f"those of the split '{split}': its {len(TWO_SPLITS[split])} scenes" in done.stderr
    assert "no prediction" not in done.stderr


def test_predictions_of_all_or_of_some_scenes_are_not_narrowed(tmp_path):
    with_splits(tmp_path / "d", **TWO_SPLITS)
    save_map(tmp_path / "r/a0.png", mask_of(0))
    save_map(tmp_path / "r/b0.png", mask_of(2))
    done = run("-p", tmp_path / "r", "-d", tmp_path / "d", "--json", "-")
    assert len(json.loads(done.stdout)["scenes"]) == 5
    assert "3 scenes have no prediction" in done.stderr
    save_map(tmp_path / "q/b0.png", mask_of(2))
    done = run("-p", tmp_path / "q", "-d", tmp_path / "d", "--split", tmp_path / "d/train.txt")
    assert done.exit_code == 1


# ---- the command


def test_the_command_offers_the_choices_that_there_are():
    assert OFFERED == IDS


def test_the_command_takes_the_choices(tmp_path):
    names = ("000002", "000001")
    dataset(tmp_path / "d", names)
    images = [{"id": k + 1, "file_name": f"{name}.png"} for k, name in enumerate(names)]
    write_json(tmp_path / "d/annotations.json", {"images": images})
    path = write_json(tmp_path / "r.json", records(lambda k, name: k + 1, names))
    arguments = ("-p", path, "-d", tmp_path / "d", "--layout", "folders", "--json", "-")
    assert "--ids coco or --ids stem" in str(run(*arguments).exception)
    done = run(*arguments, "--ids", "coco")
    assert json.loads(done.stdout)["coco"]["ap50"] == pytest.approx(1)
    for k, name in enumerate(names):
        save_map(tmp_path / f"r/{name}_ours.png", mask_of(k))
    arguments = ("-p", tmp_path / "r", *arguments[2:])
    assert "belongs to one of 2 scenes" in str(run(*arguments).exception)
    done = run(*arguments, "--suffix", "_ours")
    assert json.loads(done.stdout)["coco"]["ap50"] == pytest.approx(1)


def test_notes_of_scenes_are_summed_up_on_the_terminal(tmp_path):
    data = dataset(tmp_path / "d")
    for scene in data.scenes[:2]:
        assert scene.mask is not None
        Image.open(scene.mask).convert("LA").save(scene.mask)
    done = run("-p", tmp_path / "d/masks", "-d", tmp_path / "d", "--json", "-")
    assert "note: 2 scenes, such as f0: mask: alpha ignored" in done.stderr
    assert "alpha" not in run("-p", tmp_path / "d/masks", "-d", tmp_path / "d", "-q").stderr


def test_notes_that_differ_in_numbers_only_are_one():
    notes = [("b", "3 soft values"), ("a", "1 soft values"), ("c", "alpha ignored")]
    assert summed_notes(notes) == [
        "2 scenes, such as a: 1 soft values",
        "scene c: alpha ignored",
    ]


def test_numbers_beyond_all_floats_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps([{"image_id": "f0", "bbox": [10**400, 1, 2, 2], "score": 0.5}]))
    with pytest.raises(PredictionError, match=r"r\.json: record 0"):
        read_results(path)

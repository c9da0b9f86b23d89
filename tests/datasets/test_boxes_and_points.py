"""Boxes, points and polygons beside images: YOLO, VOC, labelme, CVAT, COCO."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.donors import make_library
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.datasets import Dataset, DatasetError, read_dataset
from densesirst_gen.datasets.grammar.data_yaml import read_data_yaml
from densesirst_gen.datasets.understood import understand
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.stats.measure import measure

SIDE = 64
Box = tuple[int, int, int, int]
BOXES: tuple[Box, ...] = ((20, 24, 23, 27), (40, 30, 45, 34))
NAMES = ("f0", "f1")


def image(root: Path, name: str) -> None:
    rng = np.random.default_rng(len(name))
    pixels = rng.normal(80, 5, (SIDE, SIDE))
    for x0, y0, x1, y1 in BOXES:
        pixels[y0:y1, x0:x1] += 90
    path = root / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels.clip(0, 255).astype(np.uint8)))


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def yolo_line(box: Box, number: int = 0) -> str:
    x0, y0, x1, y1 = (value / SIDE for value in box)
    return f"{number} {(x0 + x1) / 2} {(y0 + y1) / 2} {x1 - x0} {y1 - y0}\n"


def corners(box: Box) -> list[tuple[int, int]]:
    x0, y0, x1, y1 = box
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def slanted(box: Box) -> list[tuple[float, float]]:
    """A polygon that is not its box, of the same pixels: no centre lies in what is missing."""
    x0, y0, x1, y1 = box
    return [(x0 + 0.1, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0 + 0.1)]


def yolo(root: Path, boxes: Sequence[Box] = BOXES) -> None:
    for name in NAMES:
        image(root / "images/train", name)
        text(root / f"labels/train/{name}.txt", "".join(map(yolo_line, boxes)))


def voc(root: Path, boxes: Sequence[Box] = BOXES) -> None:
    objects = "".join(
        f"<object><name>ship</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for x0, y0, x1, y1 in boxes
    )
    for name in NAMES:
        image(root / "JPEGImages", name)
        text(root / f"Annotations/{name}.xml", f"<annotation>{objects}</annotation>")


def labelme(root: Path, boxes: Sequence[Box] = BOXES) -> None:
    shapes = [{"label": "ship", "points": [b[:2], b[2:]], "shape_type": "rectangle"} for b in boxes]
    labelme_files(root, shapes)


def labelme_files(root: Path, shapes: list[dict[str, object]]) -> None:
    for name in NAMES:
        image(root, name)
        document = {"version": "5.1", "imagePath": f"{name}.png", "shapes": shapes}
        text(root / f"{name}.json", json.dumps(document))


def cvat(root: Path, boxes: Sequence[Box] = BOXES) -> None:
    cvat_file(
        root,
        "".join(
            f'<box label="ship" xtl="{b[0]}" ytl="{b[1]}" xbr="{b[2]}" ybr="{b[3]}"/>'
            for b in boxes
        ),
    )


def cvat_file(root: Path, shapes: str) -> None:
    entries = ""
    for k, name in enumerate(NAMES):
        image(root / "images", name)
        entries += (
            f'<image id="{k}" name="{name}.png" width="{SIDE}" height="{SIDE}">{shapes}</image>'
        )
    text(root / "annotations.xml", f"<annotations>{entries}</annotations>")


def coco(root: Path, boxes: Sequence[Box] = BOXES) -> None:
    rows = [(k, b) for k in range(len(NAMES)) for b in boxes]
    document = {
        "images": [
            {"id": k, "file_name": f"{name}.png", "width": SIDE, "height": SIDE}
            for k, name in enumerate(NAMES)
        ],
        "categories": [{"id": 1, "name": "ship"}],
        "annotations": [
            {
                "id": n,
                "image_id": k,
                "category_id": 1,
                "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]],
            }
            for n, (k, b) in enumerate(rows)
        ],
    }
    for name in NAMES:
        image(root / "images", name)
    text(root / "annotations.json", json.dumps(document))


FORMATS: dict[str, Callable[[Path], None]] = {
    "yolo": yolo,
    "voc": voc,
    "labelme": labelme,
    "cvat": cvat,
    "coco": coco,
}


def areas(dataset: Dataset) -> list[int]:
    return np.bincount(dataset.scenes[0].load().labels.ravel())[1:].tolist()


@pytest.mark.parametrize("layout", FORMATS)
def test_boxes_are_read_as_what_they_are(tmp_path: Path, layout: str) -> None:
    FORMATS[layout](tmp_path)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == layout
    assert len(dataset.scenes) == 2
    for scene in dataset.scenes:
        np.testing.assert_allclose(scene.boxes, BOXES)
        assert scene.has_labels
        assert scene.has_targets()
    assert any("boxes, not masks: 4 of 4 targets" in note for note in dataset.notes())
    assert understand(dataset).line().startswith(f"{layout}: 2 images, 4 boxes")


@pytest.mark.parametrize("layout", FORMATS)
def test_masks_are_made_of_boxes_if_that_is_asked_for(tmp_path: Path, layout: str) -> None:
    FORMATS[layout](tmp_path)
    dataset = read_dataset(tmp_path, masks_from="boxes")
    assert areas(dataset) == [9, 20]
    assert any("4 of 4 masks are made of boxes" in note for note in dataset.notes())
    assert dataset.read_as == {"masks_from": "boxes"}


@pytest.mark.parametrize("layout", FORMATS)
def test_nobody_takes_boxes_for_masks(tmp_path: Path, layout: str) -> None:
    FORMATS[layout](tmp_path / "d")
    dataset = read_dataset(tmp_path / "d")
    for work in (
        lambda: measure(dataset.scenes),
        lambda: make_library(dataset, "targets"),
        lambda: build_dataset(dataset, tmp_path / "out", Recipe(PasteConfig())),
    ):
        with pytest.raises(DatasetError, match=r"2 of 2 scenes have boxes .*--masks-from boxes"):
            work()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", ["polygon", "mask"])
def test_drawn_shapes_are_masks(tmp_path: Path, shape: str) -> None:
    polygon = "".join(
        f'<polygon label="ship" points="{";".join(f"{x},{y}" for x, y in slanted(b))}"/>'
        for b in BOXES
    )
    mask = "".join(
        f'<mask label="ship" rle="0, {(b[2] - b[0]) * (b[3] - b[1])}" left="{b[0]}" top="{b[1]}" '
        f'width="{b[2] - b[0]}" height="{b[3] - b[1]}"/>'
        for b in BOXES
    )
    cvat_file(tmp_path, polygon if shape == "polygon" else mask)
    dataset = read_dataset(tmp_path)
    assert areas(dataset) == [9, 20]
    assert not dataset.scenes[0].boxes


def test_polygons_of_labelme_and_of_yolo_are_masks(tmp_path: Path) -> None:
    labelme_files(tmp_path / "a", [{"label": "t", "points": slanted(b)} for b in BOXES])
    assert areas(read_dataset(tmp_path / "a")) == [9, 20]
    yolo(tmp_path / "b")
    lines = [
        "0 " + " ".join(f"{v / SIDE}" for point in slanted(box) for v in point) for box in BOXES
    ]
    for name in NAMES:
        text(tmp_path / f"b/labels/train/{name}.txt", "\n".join(lines))
    assert areas(read_dataset(tmp_path / "b")) == [9, 20]


@pytest.mark.parametrize("layout", ["labelme", "cvat"])
# row 107
def test_points_are_points(tmp_path: Path, layout: str) -> None:
    if layout == "labelme":
        labelme_files(tmp_path, [{"label": "t", "points": [[21.5, 25.5]], "shape_type": "point"}])
    else:
        cvat_file(tmp_path, '<points label="t" points="21.5,25.5"/>')
    dataset = read_dataset(tmp_path)
    assert dataset.scenes[0].points == ((21.0, 25.0),)
    assert any("points, not masks" in note for note in dataset.notes())
    with pytest.raises(DatasetError, match="--masks-from points"):
        measure(dataset.scenes)
    labels = read_dataset(tmp_path, masks_from="points").scenes[0].load().labels
    assert np.argwhere(labels).tolist() == [[25, 21]]


def test_yolo_without_file_is_without_target_and_broken_lines_are_told(tmp_path: Path) -> None:
    yolo(tmp_path)
    image(tmp_path / "images/train", "f2")
    path = tmp_path / "labels/train/f0.txt"
    path.write_text(path.read_text() + "0 0.5 0.5 0.1 0.1 0.1 0.1 0.1\n")
    dataset = read_dataset(tmp_path)
    assert [len(scene.boxes) for scene in dataset.scenes] == [2, 2, 0]
    assert dataset.scenes[2].has_labels
    notes = "\n".join(dataset.notes())
    assert "1 images have no text file or an empty one" in notes
    assert "1 lines are no box and no polygon" in notes


def test_yolo_with_confidences_is_no_truth(tmp_path: Path) -> None:
    yolo(tmp_path)
    for name in NAMES:
        text(tmp_path / f"labels/train/{name}.txt", "0 0.5 0.5 0.1 0.1 0.93\n")
    with pytest.raises(DatasetError, match=r"labels/train/f0\.txt: lines of six numbers"):
        read_dataset(tmp_path)


YAML = {
    "list": "names: [plane, 'bird']\n",
    "lines": "names:\n- plane  # fast\n- bird\n",
    "mapping": "nc: 2\nnames:\n  0: plane\n  1: bird\n",
    "inline": "names: {0: plane, 1: bird}\n",
}


@pytest.mark.parametrize("form", YAML)
def test_data_yaml_names_classes_and_parts(tmp_path: Path, form: str) -> None:
    yolo(tmp_path)
    image(tmp_path / "images/later", "g0")
    text(tmp_path / "labels/later/g0.txt", yolo_line(BOXES[0], 1) + yolo_line(BOXES[1]))
    parts = "path: ../datasets/x\ntrain: images/train\nval: images/later\n"
    text(tmp_path / "data.yaml", parts + YAML[form])
    assert read_data_yaml(tmp_path).names == {0: "plane", 1: "bird"}
    with pytest.raises(DatasetError, match=r"several categories: plane \(5\), bird \(1\)"):
        read_dataset(tmp_path)
    dataset = read_dataset(tmp_path, category="plane")
    assert {split: len(names) for split, names in dataset.splits.items()} == {"train": 2, "val": 1}
    assert sum(len(scene.boxes) for scene in dataset.scenes) == 5


def test_voc_from_zero_and_with_image_sets(tmp_path: Path) -> None:
    voc(tmp_path, ((0, 0, 3, 3), (40, 30, 45, 34)))
    for path in (tmp_path / "Annotations").iterdir():
        path.write_text(
            path.read_text().replace("<xmin>1</xmin><ymin>1<", "<xmin>0</xmin><ymin>0<")
        )
    text(tmp_path / "ImageSets/Main/train.txt", "f0\n")
    text(tmp_path / "ImageSets/Main/test.txt", "f1  1\n")
    dataset = read_dataset(tmp_path)
    assert dataset.scenes[0].boxes[0] == (0, 0, 3, 3)
    assert dataset.splits == {"train": (dataset.scenes[0].name,), "test": (dataset.scenes[1].name,)}
    assert any("boxes begin at 0" in note for note in dataset.notes())


@pytest.mark.parametrize("layout", ["voc", "labelme", "cvat"])
def test_images_without_labels_are_not_annotated(tmp_path: Path, layout: str) -> None:
    FORMATS[layout](tmp_path)
    folder = {"voc": "JPEGImages", "labelme": "", "cvat": "images"}[layout]
    image(tmp_path / folder, "z")
    dataset = read_dataset(tmp_path)
    assert [scene.has_labels for scene in dataset.scenes] == [True, True, False]
    assert any(f"1 images have no {layout} labels, not annotated" in n for n in dataset.notes())


def test_labels_of_other_images_are_refused_or_told(tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "JPEGImages/f1.png").rename(tmp_path / "JPEGImages/g1.png")
    notes = "\n".join(read_dataset(tmp_path).notes())
    assert "label files without an image: 1 file such as Annotations/f1.xml" in notes
    (tmp_path / "JPEGImages/f0.png").rename(tmp_path / "JPEGImages/g0.png")
    with pytest.raises(DatasetError, match=r"none of the label files \(VOC, 2 files such as"):
        read_dataset(tmp_path)

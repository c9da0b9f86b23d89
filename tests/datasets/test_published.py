"""What others publish and label tools export: read right, refused by name, or told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import Dataset, DatasetError, read_dataset
from densesirst_gen.datasets.parts.splits import donor_scenes
from densesirst_gen.files.images.codec import read_mask
from densesirst_gen.scene.scene import SceneError

HEIGHT, WIDTH = 64, 80
BOXES = ((10, 30, 3, 3), (50, 40, 4, 3))
"""x, y, width, height of the targets of each image."""
RED, BLUE = (250, 50, 83), (51, 221, 255)


def picture(seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).normal(80, 3, (HEIGHT, WIDTH))
    image[white() > 0] += 90
    return image.astype(np.uint8)


def white(boxes: Sequence[Sequence[int]] = BOXES) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = 255
    return mask


def put(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))


def images(root: Path, pattern: str = "images/f{}.png", n: int = 4) -> Path:
    for k in range(n):
        put(root / pattern.format(k), picture(k))
    return root


def pairs(
    root: Path, pattern: str = "images/f{}.png", mask: str = "masks/f{}.png", n: int = 4
) -> Path:
    for k in range(n):
        put(root / mask.format(k), white())
    return images(root, pattern, n)


def masks_of(dataset: Dataset) -> list[np.ndarray]:
    return [scene.load().labels > 0 for scene in dataset.scenes]


def told(dataset: Dataset, *words: str) -> bool:
    return any(all(word in note for word in words) for note in dataset.notes())


# ---- masks of several classes


def sky_above(numbers: bool) -> np.ndarray:
    """Sky and targets in one mask, by number or by colour."""
    if numbers:
        mask = np.where(white() > 0, 2, 0).astype(np.uint8)
        mask[:20] = 1
        return mask
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colours[:20] = BLUE
    colours[white() > 0] = RED
    return colours


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "labelmap.txt",
            [
                "# label:color_rgb:parts:actions",
                "background:0,0,0::",
                "sky:51,221,255::",
                "t:1,2,3::",
            ],
        ),
        ("class_names.txt", ["__ignore__", "_background_", "sky", "target"]),
        ("_classes.csv", ["Pixel Value, Class", "0, background", "1, sky", "2, target"]),
    ],
)
@pytest.mark.parametrize("numbers", [False, True])
def test_masks_of_several_classes_are_refused_where_a_list_names_these(
    tmp_path: Path, name: str, lines: list[str], numbers: bool
) -> None:
    pairs(tmp_path, "JPEGImages/f{}.png", "SegmentationClass/f{}.png")
    text(tmp_path / name, *lines)
    assert not told(read_dataset(tmp_path), name)  # the list alone is no fault
    put(tmp_path / "SegmentationClass/f1.png", sky_above(numbers))
    with pytest.raises(DatasetError, match=rf"{name}: several classes \(sky, t.*SegmentationClass"):
        read_dataset(tmp_path)
    assert len(read_dataset(tmp_path, ignore=name).scenes) == 4


def test_classes_of_arrays_are_looked_at_too(tmp_path: Path) -> None:
    images(tmp_path)
    for k in range(4):
        (tmp_path / "masks").mkdir(exist_ok=True)
        np.save(tmp_path / f"masks/f{k}.npy", sky_above(numbers=True))
    text(tmp_path / "class_names.txt", "_background_", "sky", "target")
    with pytest.raises(DatasetError, match="several classes"):
        read_dataset(tmp_path)


def test_one_class_and_void_is_no_other_class(tmp_path: Path) -> None:
    images(tmp_path)
    for k in range(4):
        mask = white() // 255
        mask[0, :5] = 255
        put(tmp_path / f"masks/f{k}.png", mask)
    text(tmp_path / "class_names.txt", "_background_", "bird", "target")
    assert told(read_dataset(tmp_path), "classes and void?")


def test_several_indices_of_a_palette_are_told(tmp_path: Path) -> None:
    mask = Image.fromarray(sky_above(numbers=True)).convert("P")
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    mask.save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").notes == (
        "2 indices of its palette are on: instances, or classes?",
    )
    assert read_mask(tmp_path / "a.png", sparse=False).notes == ()


def test_several_colours_are_told(tmp_path: Path) -> None:
    put(tmp_path / "a.png", sky_above(numbers=False))
    assert "2 colours are on: instances, or classes?" in read_mask(tmp_path / "a.png").notes


def test_panoptic_numbers_are_no_masks(tmp_path: Path) -> None:
    images(tmp_path)
    for k in range(4):
        put(tmp_path / f"panoptic/f{k}.png", sky_above(numbers=False))
    segments = [{"id": 1, "category_id": 1, "bbox": list(BOXES[0]), "area": 9, "iscrowd": 0}]
    document = {
        "images": [{"id": k, "file_name": f"f{k}.png"} for k in range(4)],
        "annotations": [{"image_id": k, "segments_info": segments} for k in range(4)],
        "categories": [{"id": 1, "name": "target", "isthing": 1}],
    }
    text(tmp_path / "annotations/panoptic_val.json", json.dumps(document))
    with pytest.raises(DatasetError, match=r"panoptic_val\.json: panoptic COCO"):
        read_dataset(tmp_path)


# ---- of several folders of masks the one that is meant


@pytest.mark.parametrize(
    ("image", "right", "other"),
    [
        ("IRSTD1k_Img", "IRSTD1k_Label", "Edges"),
        ("IRSTD1k_Img", "IRSTD1k_Label", "IRSTD1k_Edge_Label"),
        ("images", "truth", "out"),
        ("images", "masks/full", "masks/edge"),
        ("images", "mask_full", "mask_centroid"),
        ("images", "gt_binary", "gt_binary_pred"),
    ],
)
def test_what_is_made_of_masks_does_not_stand_in_for_them(
    tmp_path: Path, image: str, right: str, other: str
) -> None:
    pairs(tmp_path, f"{image}/f{{}}.png", f"{right}/f{{}}.png")
    for k in range(4):
        put(tmp_path / f"{other}/f{k}.png", white(BOXES[:1]))
    dataset = read_dataset(tmp_path)
    assert all(np.array_equal(mask, white() > 0) for mask in masks_of(dataset))
    assert told(dataset, f"masks in {other}/ are passed over")


# ---- tables and lists


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        (
            "via_region_data.csv",
            "filename,file_size,region_shape_attributes",
            'f{}.png,9,"{{""name"":""rect"",""x"":20,""y"":24,""width"":3,""height"":3}}"',
        ),
        ("centroids.csv", "filename,x,y", "f{}.png,20,24"),
        ("boxes.csv", "image,bbox", 'f{}.png,"[20, 24, 3, 3]"'),
        ("rle.csv", "id,rle", 'f{},"20 3 40 3"'),
    ],
)
def test_tables_of_labels_are_told(tmp_path: Path, name: str, header: str, row: str) -> None:
    text(images(tmp_path) / name, header, *(row.format(k) for k in range(4)))
    assert told(read_dataset(tmp_path), "may be labels", name)


def test_lists_with_sizes_are_no_labels(tmp_path: Path) -> None:
    pairs(tmp_path, "train/images/f{}.png", "train/masks/f{}.png")
    text(tmp_path / "train/img_idx/train.txt", "f0 64 80", "f1 64 80")
    text(tmp_path / "train/img_idx/test.txt", "f2 64 80", "f3 64 80")
    dataset = read_dataset(tmp_path)
    assert dataset.notes() == []
    assert [scene.name for scene in donor_scenes(dataset)] == ["train/f0", "train/f1"]


def test_a_list_of_another_data_set_beside_the_right_one_is_told(tmp_path: Path) -> None:
    pairs(tmp_path)
    text(tmp_path / "train.txt", "f0", "f1")
    text(tmp_path / "test.txt", "XDU2", "XDU3")
    assert told(read_dataset(tmp_path), "lists passed over", "test.txt")


def test_lists_of_another_data_set_in_the_folders_of_parts_are_refused(tmp_path: Path) -> None:
    pairs(tmp_path, "train/images/f{}.png", "train/masks/f{}.png", n=3)
    pairs(tmp_path, "test/images/g{}.png", "test/masks/g{}.png", n=2)
    text(tmp_path / "train/train.txt", "XDU0", "XDU1")
    with pytest.raises(DatasetError, match=r"no line of train\.txt is a scene"):
        read_dataset(tmp_path)


# ---- SIRST as released, with more in its folder


def sirst(root: Path) -> Path:
    pairs(root, "images/Misc_{}.png", "masks/Misc_{}_pixels0.png")
    text(root / "idx_427/trainval.txt", "Misc_0", "Misc_1", "Misc_2")
    text(root / "idx_427/test.txt", "Misc_3")
    return root


def test_sirst_alone_has_no_notes(tmp_path: Path) -> None:
    assert read_dataset(sirst(tmp_path)).notes() == []


def test_sirst_names_lists_and_labels_that_it_does_not_read(tmp_path: Path) -> None:
    sirst(tmp_path)
    text(tmp_path / "img_idx/train_NUAA-SIRST.txt", "Misc_0", "Misc_3")
    text(tmp_path / "labels/Misc_0.txt", "0 0.5 0.5 0.1 0.1")
    dataset = read_dataset(tmp_path)
    assert told(dataset, "passed over for those of the release: lists", "img_idx/train_NUAA")
    assert told(dataset, "passed over for those of the release: labels, YOLO", "labels/Misc_0.txt")


def test_sirst_names_masks_without_image(tmp_path: Path) -> None:
    (sirst(tmp_path) / "images/Misc_1.png").unlink()
    assert told(read_dataset(tmp_path), "1 masks have no image: Misc_1_pixels0.png")


# ---- COCO and YOLO


def coco(root: Path, change: Any, n: int = 4) -> Path:
    rows = [
        {"id": 2 * k + j, "image_id": k, "category_id": 1, "bbox": list(box), "segmentation": []}
        for k in range(4)
        for j, box in enumerate(BOXES)
    ]
    sizes = {"height": HEIGHT, "width": WIDTH}
    document = {
        "images": [{"id": k, "file_name": f"f{k}.png"} | sizes for k in range(4)],
        "annotations": [change(j, dict(row)) for j, row in enumerate(rows)],
        "categories": [{"id": 1, "name": "target"}],
    }
    text(images(root, n=n) / "annotations.json", json.dumps(document))
    return root


def keypoints(_: int, row: dict[str, Any]) -> dict[str, Any]:
    return {"keypoints": [11, 31, 2], "bbox": []} | {k: row[k] for k in row if k != "bbox"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (keypoints, "8 of 8 .* no usable bbox.* keypoints are not read"),
        (lambda _, row: row | {"bbox": None}, "8 of 8 .* no usable bbox"),
        (lambda _, row: row | {"bbox": [*row["bbox"], 0.3]}, "8 of 8 .* no usable bbox"),
    ],
)
def test_annotations_without_mask_and_box_are_no_empty_images(
    tmp_path: Path, change: Any, words: str
) -> None:
    with pytest.raises(DatasetError, match=words):
        read_dataset(coco(tmp_path, change))


def test_a_few_without_box_are_told_and_the_others_counted(tmp_path: Path) -> None:
    dataset = read_dataset(coco(tmp_path, lambda j, row: row | {"bbox": None} if j < 2 else row))
    assert sum(len(scene.boxes) for scene in dataset.scenes) == 6
    assert told(dataset, "2 of 8 annotations have no segmentation and no usable bbox")
    assert told(dataset, "6 of 6 targets have boxes only")


def test_boxes_without_area_are_told(tmp_path: Path) -> None:
    flat = read_dataset(coco(tmp_path, lambda _, row: row | {"bbox": [*row["bbox"][:2], 0, 0]}))
    assert told(flat, "8 of 8 annotations have a bbox without width or height")


def test_images_that_coco_does_not_list_are_told(tmp_path: Path) -> None:
    assert not told(read_dataset(coco(tmp_path, lambda _, row: row)), "no label file lists")
    dataset = read_dataset(coco(tmp_path, lambda _, row: row, n=6))
    assert told(dataset, "images that no label file lists: 2 files such as images/f4.png")


def test_poses_are_no_polygons(tmp_path: Path) -> None:
    for k in range(len(list(images(tmp_path).glob("images/*")))):
        text(tmp_path / f"labels/f{k}.txt", "0 0.5 0.5 0.1 0.1 0.48 0.5 1 0.52 0.5 1")
    text(tmp_path / "data.yaml", "train: images", "names: [a]", "kpt_shape: [2, 3]")
    with pytest.raises(DatasetError, match="kpt_shape"):
        read_dataset(tmp_path)


def yolo_line(box: Sequence[int]) -> str:
    x, y, w, h = box
    values = ((x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT)
    return "0 " + " ".join(f"{value:.6f}" for value in values)


def test_boxes_that_come_twice_are_one_target_each(tmp_path: Path) -> None:
    for k in range(len(list(images(tmp_path).glob("images/*")))):
        text(tmp_path / f"labels/f{k}.txt", *map(yolo_line, BOXES[: 1 + (k > 0)] * 2))
    dataset = read_dataset(tmp_path)
    assert [len(scene.boxes) for scene in dataset.scenes] == [1, 2, 2, 2]
    assert told(dataset, "7 of 14 annotations have the box of another", "f0")


# ---- names of masks


@pytest.mark.parametrize(
    ("image", "mask", "first"),
    [
        ("images/{}_image.png", "masks/{}_mask.png", "0_image"),
        ("img/img_{}.png", "gt/gt_{}.png", "img_0"),
        ("ir/{}-ir.png", "label/{}-label.png", "0-ir"),
        ("images/{}.png", "masks/{}.png.png", "0"),
    ],
)
def test_images_and_masks_that_both_say_what_they_are(
    tmp_path: Path, image: str, mask: str, first: str
) -> None:
    dataset = read_dataset(pairs(tmp_path, image, mask))
    assert dataset.scenes[0].name == first
    assert all(np.array_equal(found, white() > 0) for found in masks_of(dataset))


def test_masks_without_a_mark_belong_to_their_own_images_alone(tmp_path: Path) -> None:
    pairs(tmp_path, "train/images/{}.png", "train/masks/{}.png")
    images(tmp_path, "more/img_{}.png")
    dataset = read_dataset(tmp_path)
    assert [scene.mask is None for scene in dataset.scenes] == [True] * 4 + [False] * 4
    assert dataset.scenes[0].name.startswith("more/")


# ---- shapes of CVAT


def cvat(root: Path, shape: str, n: int = 2) -> Path:
    entries = "".join(
        f'<image id="{k}" name="f{k}.png" width="{WIDTH}" height="{HEIGHT}">{shape}</image>'
        for k in range(n)
    )
    text(images(root, n=n) / "annotations.xml", f"<annotations>{entries}</annotations>")
    return root


@pytest.mark.parametrize(
    "shape",
    [
        '<polyline label="t" points="1,1;5,5"/>',
        '<skeleton label="t"><points label="1" points="1,1"/></skeleton>',
        '<tag label="t"/>',
    ],
)
def test_shapes_of_which_none_can_be_read_are_refused(tmp_path: Path, shape: str) -> None:
    with pytest.raises(DatasetError, match="no shape can be read: 2 shapes are of a kind"):
        read_dataset(cvat(tmp_path, shape))


def test_lines_of_labelme_alone_are_refused(tmp_path: Path) -> None:
    shapes = [{"label": "t", "points": [[1, 1], [9, 9]], "shape_type": "line"}]
    document = {"shapes": shapes, "imagePath": "f0.png", "imageHeight": HEIGHT, "imageWidth": WIDTH}
    text(images(tmp_path, "f{}.png", 1) / "f0.json", json.dumps(document))
    with pytest.raises(DatasetError, match="no shape of labelme can be read"):
        read_dataset(tmp_path)


def test_turned_boxes_and_ellipses_are_polygons(tmp_path: Path) -> None:
    upright = '<box label="t" xtl="10" ytl="20" xbr="22" ybr="24" rotation="90"/>'
    wide = '<ellipse label="t" cx="50" cy="40" rx="8" ry="2" rotation="90"/>'
    (first, *_) = masks_of(read_dataset(cvat(tmp_path, upright + wide)))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[16:28, 14:18] = True
    assert np.array_equal(first[:, :40], expected[:, :40])
    rows, columns = np.nonzero(first[:, 40:])
    assert np.ptp(rows) > 12
    assert np.ptp(columns) < 6


# ---- splits


def halves(root: Path, train: str, test: str, lines: Any = "{}\n".format) -> Path:
    """Two lists, of f0 and f1, and of f2 and f3."""
    pairs(root)
    (root / train).write_text(lines("f0\nf1"))
    (root / test).write_text(lines("f2\nf3"))
    return root


@pytest.mark.parametrize("suffix", ["list", "flist", "lis", "names", "ids", "idx", "set", "split"])
def test_lists_of_any_usual_suffix_are_read(tmp_path: Path, suffix: str) -> None:
    dataset = read_dataset(halves(tmp_path, f"train.{suffix}", f"test.{suffix}"))
    assert dataset.splits == {"train": ("f0", "f1"), "test": ("f2", "f3")}


@pytest.mark.parametrize(
    "lines",
    [
        lambda names: json.dumps(names.split()),
        lambda names: json.dumps([f"images/{name}.png" for name in names.split()]),
        lambda names: json.dumps(
            [{"img": f"images/{n}.png", "mask": f"masks/{n}.png"} for n in names.split()]
        ),
    ],
)
def test_lists_in_json_called_like_parts_are_read(tmp_path: Path, lines: Any) -> None:
    dataset = read_dataset(halves(tmp_path, "train.json", "test.json", lines))
    assert dataset.splits == {"train": ("f0", "f1"), "test": ("f2", "f3")}
    assert dataset.notes() == []


def test_labels_in_json_called_like_parts_are_no_lists(tmp_path: Path) -> None:
    rows = [
        {"file_name": f"images/f{k}.png", "annotations": [{"bbox": [1, 2, 3, 4]}]} for k in (0, 1)
    ]
    text(images(tmp_path) / "train.json", json.dumps(rows))
    dataset = read_dataset(tmp_path)
    assert dataset.splits == {}
    assert told(dataset, "may be labels", "train.json")


def test_frames_called_as_in_irdst_are_a_sequence(tmp_path: Path) -> None:
    for clip in (1, 2):
        pairs(tmp_path, f"images/{clip}/{clip}({{}}).png", f"masks/{clip}/{clip}({{}}).png", n=6)
    text(tmp_path / "train.txt", *(f"1/1({k})" for k in range(6)), *(f"2/2({k})" for k in range(3)))
    text(tmp_path / "test.txt", *(f"2/2({k})" for k in range(3, 6)))
    dataset = read_dataset(tmp_path)
    assert [scene.name for scene in donor_scenes(dataset)] == [f"1/1({k})" for k in range(6)]
    assert told(dataset, "1 sequences have frames that are held back")


# ---- the devkit, VOC


def test_a_devkit_names_what_lies_beside_it(tmp_path: Path) -> None:
    pairs(tmp_path, "PNGImages/a{}.png", "SIRST/BinaryMask/a{}_pixels0.png")
    text(tmp_path / "Splits/train.txt", "a0", "a1")
    text(tmp_path / "Splits/test.txt", "a2", "a3")
    assert read_dataset(tmp_path).notes() == []
    text(tmp_path / "test.txt", "a0")
    (tmp_path / "PNGImages/a3.png").unlink()
    dataset = read_dataset(tmp_path)
    assert told(dataset, "passed over for those of the release: lists, 1 file such as test.txt")
    assert told(dataset, "1 masks have no image: a3_pixels0.png")


def voc(root: Path, height: int, width: int, more: str = "") -> Path:
    sizes = f"<size><width>{width}</width><height>{height}</height></size>"
    box = "<bndbox><xmin>11</xmin><ymin>31</ymin><xmax>13</xmax><ymax>33</ymax></bndbox>"
    for k in range(len(list(images(root).glob("images/*")))):
        body = f"<filename>f{k}.png</filename>{sizes}<object><name>t</name>{box}</object>{more}"
        text(root / f"xml/f{k}.xml", f"<annotation>{body}</annotation>")
    return root


@pytest.mark.parametrize(("height", "width"), [(HEIGHT, WIDTH), (0, 0), (WIDTH, HEIGHT)])
def test_voc_of_the_right_size_or_of_none_is_read(tmp_path: Path, height: int, width: int) -> None:
    dataset = read_dataset(voc(tmp_path, height, width))
    assert [scene.boxes for scene in dataset.scenes] == [((10, 30, 13, 33),)] * 4
    assert all(scene.load().shape == (HEIGHT, WIDTH) for scene in dataset.scenes)
    assert told(dataset, "4 of 4 files state the width") is (height == WIDTH)


def test_voc_of_images_of_another_size_is_refused(tmp_path: Path) -> None:
    dataset = read_dataset(voc(tmp_path, 512, 640))
    assert told(dataset, "4 of 4 files state another size than their image", "f0")
    with pytest.raises(SceneError, match=r"its labels says \(512, 640\)"):
        dataset.scenes[0].load()


def test_voc_objects_of_another_shape_beside_boxes_are_told(tmp_path: Path) -> None:
    other = "<object><name>t</name><robndbox><cx>1</cx></robndbox></object>"
    assert told(read_dataset(voc(tmp_path, HEIGHT, WIDTH, other)), "objects with a box and others")


def test_label_files_that_say_another_image_are_told(tmp_path: Path) -> None:
    voc(tmp_path, HEIGHT, WIDTH)
    path = tmp_path / "xml/f1.xml"
    assert not told(read_dataset(tmp_path), "say another")
    path.write_text(path.read_text().replace("f1.png", "f2.png"))
    assert told(read_dataset(tmp_path), "1 label files", "say another", "that of f1 says f2")
    path.write_text(path.read_text().replace("f2.png", "before_it_was_renamed.jpg"))
    assert not told(read_dataset(tmp_path), "say another")


def test_copies_of_files_of_labelme_are_told(tmp_path: Path) -> None:
    corners = [[10, 30], [13, 30], [13, 33], [10, 32]]
    shapes = [{"label": "t", "points": corners, "shape_type": "polygon"}]
    document = {"shapes": shapes, "imagePath": "..\\images\\f0.png"}
    text(images(tmp_path) / "json/f0.json", json.dumps(document))
    assert not told(read_dataset(tmp_path), "say another")
    text(tmp_path / "json/f1.json", json.dumps(document))
    assert told(read_dataset(tmp_path), "that of f1 says f0")


def test_a_part_of_coco_without_annotations_is_told(tmp_path: Path) -> None:
    for part in ("train", "test"):
        coco(tmp_path / part, lambda _, row: row)
    assert not told(read_dataset(tmp_path), "no annotation")
    path = tmp_path / "test/annotations.json"
    text(path, json.dumps(json.loads(path.read_text()) | {"annotations": []}))
    assert told(read_dataset(tmp_path), "test/annotations.json: no annotation: its 4 images are")


# ---- parts in folders, and lists beside them


def parts(root: Path) -> Path:
    """Folders of both parts whose files have the same names, but for one more in test/."""
    pairs(root, "train/images/{}.png", "train/masks/{}.png", n=4)
    return pairs(root, "test/images/{}.png", "test/masks/{}.png", n=5)


@pytest.mark.parametrize("where", ["", "lists/", "{}/", "{}/img_idx/"])
def test_names_that_both_parts_have_mean_those_of_the_part_of_the_list(
    tmp_path: Path, where: str
) -> None:
    parts(tmp_path)
    for part, n in (("train", 4), ("test", 5)):
        text(tmp_path / where.format(part) / f"{part}.txt", *map(str, range(n)))
    dataset = read_dataset(tmp_path)
    assert dataset.splits["train"] == tuple(f"train/{k}" for k in range(4))
    assert dataset.splits["test"] == tuple(f"test/{k}" for k in range(5))
    assert dataset.notes() == []


def test_names_that_may_be_any_of_several_are_refused(tmp_path: Path) -> None:
    pairs(tmp_path, "images/a/{}.png", "masks/a/{}.png", n=4)
    pairs(tmp_path, "images/b/{}.png", "masks/b/{}.png", n=5)
    text(tmp_path / "test.txt", "3", "4")
    with pytest.raises(DatasetError, match=r"test\.txt: 3 may be any of a/3, b/3"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(("part", "key"), [("val", "test"), ("test", "test_folder")])
def test_a_list_that_holds_back_does_not_let_go_what_a_folder_holds_back(
    tmp_path: Path, part: str, key: str
) -> None:
    pairs(tmp_path, "train/images/a{}.png", "train/masks/a{}.png", n=4)
    pairs(tmp_path, "test/images/b{}.png", "test/masks/b{}.png", n=2)
    text(tmp_path / f"{part}.txt", "a2", "a3")
    dataset = read_dataset(tmp_path)
    assert dataset.splits == {part: ("train/a2", "train/a3"), key: ("test/b0", "test/b1")}
    assert [scene.name for scene in donor_scenes(dataset)] == ["train/a0", "train/a1"]


def test_a_list_that_trains_says_all(tmp_path: Path) -> None:
    pairs(tmp_path, "test/images/b{}.png", "test/masks/b{}.png", n=3)
    text(tmp_path / "train.txt", "b0")
    dataset = read_dataset(tmp_path)
    assert dataset.splits == {"train": ("test/b0",)}

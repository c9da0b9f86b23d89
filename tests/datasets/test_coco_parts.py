"""Several COCO files, one for each part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from densesirst_gen.datasets import DatasetError, read_dataset
from densesirst_gen.datasets.parts.splits import donor_scenes
from densesirst_gen.files.images.codec import encode_png

SIDE = 48
RUNS = {"size": [SIDE, SIDE], "counts": [500, 3, SIDE * SIDE - 503]}


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).normal(80, 5, (SIDE, SIDE)).clip(0, 255)
    path.write_bytes(encode_png(pixels.astype(np.uint8)))


def coco(path: Path, *names: str) -> None:
    document = {
        "images": [
            {"id": k, "file_name": name, "width": SIDE, "height": SIDE}
            for k, name in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "target"}],
        "annotations": [
            {
                "id": k,
                "image_id": k,
                "category_id": 1,
                "iscrowd": 0,
                "area": 3,
                "segmentation": RUNS,
            }
            for k, _ in enumerate(names)
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def roboflow(root: Path) -> None:
    for part, names in {"train": ("a", "b"), "valid": ("c",), "test": ("d",)}.items():
        for name in names:
            image(root / part / f"{name}.png")
        coco(root / part / "_annotations.coco.json", *(f"{name}.png" for name in names))


def test_a_file_in_each_folder(tmp_path: Path) -> None:
    roboflow(tmp_path)
    dataset = read_dataset(tmp_path)
    assert dataset.splits == {
        "train": ("train/a", "train/b"),
        "val": ("valid/c",),
        "test": ("test/d",),
    }
    assert [scene.load().n_targets for scene in dataset.scenes] == [1, 1, 1, 1]
    assert [scene.name for scene in donor_scenes(dataset)] == ["train/a", "train/b"]


def test_files_beside_each_other(tmp_path: Path) -> None:
    for folder, name in (("train2017", "a"), ("val2017", "b")):
        image(tmp_path / "images" / folder / f"{name}.png")
        coco(tmp_path / f"annotations/instances_{folder}.json", f"{name}.png")
    coco(tmp_path / "annotations/captions_train2017.json", "a.png")
    dataset = read_dataset(tmp_path)
    assert dataset.splits == {"train": ("images/train2017/a",), "val": ("images/val2017/b",)}


def test_files_that_say_of_no_part_are_named(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    for name in ("one.json", "two.json"):
        coco(tmp_path / name, "a.png")
    with pytest.raises(DatasetError, match=r"2 COCO files \(one\.json, two\.json\), name one"):
        read_dataset(tmp_path)


def test_an_image_in_two_parts_is_refused(tmp_path: Path) -> None:
    image(tmp_path / "images/a.png")
    for name in ("train.json", "val.json"):
        coco(tmp_path / name, "a.png")
    with pytest.raises(DatasetError, match=r"1 images are in two of .*images/a"):
        read_dataset(tmp_path)

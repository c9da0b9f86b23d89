"""What we write, as the readers of others read it: ``pip install densesirst_gen[dev,interop]``.

Each is skipped, visibly, where its library is not installed.
"""

from __future__ import annotations

import importlib
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from scenes import random_scenes

from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files, split_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = ("a_0", "a_1", "a_2")


def library(name: str) -> Any:
    """The module, or a skip; what it warns of when imported is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pytest.importorskip(name.partition(".")[0])
        if found.__file__ is None:  # a folder of tests that is called so
            pytest.skip(f"{name} is not installed")
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("interop") / "kit"
    for name, scene in zip(NAMES, random_scenes(5, 3), strict=True):
        named = Scene(name, scene.image, scene.labels, scene.sky)
        write_files(root, devkit_files(named, annotate(named.labels)))
    lists = {"train_v2": NAMES[:2], "val_v2": NAMES[2:]}
    write_files(root, split_files(lists, NAMES))
    return root


def converted(kit: Path, to: str, *more: str) -> Path:
    out = kit.parent / "-".join([to, *more]).replace("--", "")
    if not out.exists():
        run("convert", kit, out, "--to", to, *more)
    return out


def boxes_of(kit: Path) -> dict[str, list[tuple[float, ...]]]:
    """Half-open boxes by name, sorted."""
    scenes = {file.name: file.load() for file in read_dataset(kit).scenes}
    return {
        name: sorted(tuple(map(float, box)) for box in annotate(scene.labels).boxes.tolist())
        for name, scene in scenes.items()
    }


def rounded(boxes: Any) -> list[tuple[float, ...]]:
    return sorted(tuple(round(float(v), 4) for v in box) for box in boxes)


def test_pycocotools(kit: Path) -> None:
    coco = library("pycocotools.coco").COCO(str(converted(kit, "coco") / "annotations.json"))
    scenes = {file.name: file.load() for file in read_dataset(kit).scenes}
    for image in coco.loadImgs(coco.getImgIds()):
        records = coco.loadAnns(coco.getAnnIds(image["id"]))
        union = sum(coco.annToMask(record) for record in records)
        np.testing.assert_array_equal(union, scenes[image["file_name"][:-4]].labels > 0)


def of_supervision(dataset: Any) -> dict[str, list[tuple[float, ...]]]:
    return {Path(path).stem: rounded(found.xyxy) for path, _, found in dataset}


def test_supervision_reads_voc_in_the_dialect_devkit(kit: Path) -> None:
    supervision, root = library("supervision"), converted(kit, "voc")
    dataset = supervision.DetectionDataset.from_pascal_voc(
        str(root / "JPEGImages"), str(root / "Annotations")
    )
    assert of_supervision(dataset) == boxes_of(kit)


def test_supervision_reads_coco_and_yolo(kit: Path) -> None:
    supervision = library("supervision")
    coco, yolo = converted(kit, "coco"), converted(kit, "yolo")
    dataset = supervision.DetectionDataset.from_coco(
        str(coco / "images"), str(coco / "annotations.json")
    )
    assert of_supervision(dataset) == boxes_of(kit)
    dataset = supervision.DetectionDataset.from_yolo(
        str(yolo / "images"), str(yolo / "labels"), str(yolo / "data.yaml")
    )
    found = of_supervision(dataset)
    for name, boxes in boxes_of(kit).items():
        np.testing.assert_allclose(found[name], boxes, atol=1e-3)


def of_datumaro(root: Path, kind: str, **how: str) -> dict[str, list[tuple[float, ...]]]:
    dataset = library("datumaro").Dataset.import_from(str(root), kind, **how)
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for item in dataset:
        for one in item.annotations:
            if one.type.name in ("bbox", "mask"):
                x, y, width, height = one.get_bbox()
                found[Path(item.id).name].append((x, y, x + width, y + height))
    return {name: rounded(set(rounded(boxes))) for name, boxes in found.items()}


def test_datumaro_reads_voc_in_its_own_dialect_or_half_open(kit: Path) -> None:
    library("datumaro")
    how = {"coordinate_mode": "voc-one-based"}
    assert of_datumaro(converted(kit, "voc"), "voc_detection", **how) == boxes_of(kit)
    root = kit.parent / "half-open"
    run("convert", kit, root, "--to", "voc", "--voc-dialect", "densesirst")
    assert of_datumaro(root, "voc_detection") == boxes_of(kit)


def test_datumaro_reads_coco(kit: Path) -> None:
    library("datumaro")
    found = of_datumaro(converted(kit, "coco"), "coco_instances")
    assert {name: boxes for name, boxes in found.items() if boxes} == boxes_of(kit)


def of_rows(rows: Any) -> dict[str, list[tuple[float, ...]]]:
    return {
        row["name"]: sorted((x, y, x + w, y + h) for x, y, w, h in row["objects"]["bbox"])
        for row in rows
    }


@pytest.mark.parametrize("to", ["hf", "parquet"])
def test_datasets_reads_images_with_objects(kit: Path, tmp_path: Path, to: str) -> None:
    datasets = library("datasets")
    found = datasets.load_dataset(str(converted(kit, to)), cache_dir=str(tmp_path))
    assert {part: len(rows) for part, rows in found.items()} == {"train": 2, "validation": 1}
    rows = [row for part in found.values() for row in part]
    assert of_rows(rows) == boxes_of(kit)
    for row, file in zip(rows, read_dataset(kit).scenes, strict=True):
        scene = file.load()
        np.testing.assert_array_equal(np.array(row["image"]), scene.image)
        np.testing.assert_array_equal(np.array(row["mask"]) > 0, scene.labels > 0)
        np.testing.assert_array_equal(np.array(row["sky"]) > 0, scene.sky)


def test_datasets_reads_a_part_without_targets_by_itself(kit: Path, tmp_path: Path) -> None:
    datasets = library("datasets")
    empty = random_scenes(5, 1)[0]
    scene = Scene("e", empty.image, np.zeros_like(empty.labels), empty.sky)
    root = tmp_path / "kit"
    write_files(root, devkit_files(scene, annotate(scene.labels)))
    for file in read_dataset(kit).scenes:
        full = file.load()
        write_files(root, devkit_files(full, annotate(full.labels)))
    write_files(root, split_files({"train_v2": NAMES, "test_v2": ("e",)}, (*NAMES, "e")))
    run("convert", root, tmp_path / "hf", "--to", "hf")
    for config, parts in ((None, {"train": 3}), ("test", {"test": 1})):
        found = datasets.load_dataset(str(tmp_path / "hf"), config, cache_dir=str(tmp_path / "c"))
        assert {part: len(rows) for part, rows in found.items()} == parts


def test_datasets_reads_the_shards(kit: Path, tmp_path: Path) -> None:
    datasets = library("datasets")
    found = datasets.load_dataset(str(converted(kit, "webdataset")), cache_dir=str(tmp_path))
    rows = [row["json"] for part in found.values() for row in part]
    assert of_rows(rows) == boxes_of(kit)


def test_webdataset_reads_the_shards(kit: Path) -> None:
    webdataset, root = library("webdataset"), converted(kit, "webdataset")
    shards = sorted(map(str, root.glob("*.tar")))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("l8"))
    assert [sample["__key__"] for sample in samples] == list(NAMES)
    assert of_rows(sample["json"] for sample in samples) == boxes_of(kit)
    for sample, file in zip(samples, read_dataset(kit).scenes, strict=True):
        np.testing.assert_array_equal(sample["png"], file.load().image)
        np.testing.assert_array_equal(sample["mask.png"] > 0, file.load().labels > 0)


def test_torchvision_reads_coco(kit: Path) -> None:
    torchvision, root = library("torchvision.datasets"), converted(kit, "coco")
    found = torchvision.CocoDetection(str(root / "images"), str(root / "annotations.json"))
    boxes = {}
    for (_, records), name in zip(found, NAMES, strict=True):
        corners = [record["bbox"] for record in records]
        boxes[name] = sorted((x, y, x + w, y + h) for x, y, w, h in corners)
    assert boxes == boxes_of(kit)

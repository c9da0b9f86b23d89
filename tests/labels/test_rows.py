"""Formats whose scenes go together: rows of Hugging Face, shards of WebDataset, Parquet."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from scenes import make_scene, random_scenes

from densesirst_gen.cli.options import FAILED
from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files, split_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.labels.shards import shards
from densesirst_gen.scene.annotate import annotate

SPLITS = {"train_v2": ("001", "000"), "val_v2": ("002",)}


def devkit(root: Path, splits: dict[str, tuple[str, ...]] = SPLITS) -> Path:
    for scene in random_scenes(5, 3):
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    write_files(root, split_files(splits, ["000", "001", "002"]))
    return root


def convert(source: Path, out: Path, to: str, *more: object, code: int = 0) -> str:
    result = run("convert", source, out, "--to", to, *more, code=code)
    return result.stdout if code == 0 else result.stderr


def files_of(root: Path) -> dict[str, bytes]:
    files = [p for p in root.rglob("*") if p.is_file() and p.parent != root]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(files)}


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def unpacked(shards_in: Path, to: Path) -> Path:
    for shard in sorted(shards_in.glob("*.tar")):
        with tarfile.open(shard) as tar:
            tar.extractall(to, filter="data")
    return to


def test_hf_and_back_every_byte_of_image_box_point_mask_sky_and_list(tmp_path: Path) -> None:
    source = devkit(tmp_path / "kit")
    assert "targets 16 in, 16 out" in convert(source, tmp_path / "hf", "hf")
    convert(tmp_path / "hf", tmp_path / "back", "devkit")
    assert files_of(tmp_path / "back") == files_of(source)


def test_webdataset_and_back(tmp_path: Path) -> None:
    source = devkit(tmp_path / "kit")
    convert(source, tmp_path / "wds", "webdataset")
    assert "tar" in run("inspect", tmp_path / "wds", code=FAILED).stderr
    convert(unpacked(tmp_path / "wds", tmp_path / "flat"), tmp_path / "back", "devkit")
    assert files_of(tmp_path / "back") == files_of(source)


def test_ids_are_those_of_coco(tmp_path: Path) -> None:
    source = devkit(tmp_path / "kit")
    convert(source, tmp_path / "coco", "coco")
    convert(source, tmp_path / "hf", "hf")
    document = json.loads((tmp_path / "coco/annotations.json").read_text())
    rows = [row for path in (tmp_path / "hf").glob("*/metadata.jsonl") for row in rows_of(path)]
    found = {i: row["image_id"] for row in rows for i in row["objects"]["id"]}
    assert found == {record["id"]: record["image_id"] for record in document["annotations"]}
    convert(tmp_path / "hf", tmp_path / "again", "coco")
    for name in ("annotations.json", "annotations/instances_train.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "coco" / name).read_bytes()


def test_a_scene_is_in_one_part_and_the_rest_is_said_to_be_unlisted(tmp_path: Path) -> None:
    source = devkit(tmp_path / "kit", {"train_v2": ("000",), "trainval_v2": ("000", "002")})
    convert(source, tmp_path / "hf", "hf")
    names = {p.parent.name: [r["name"] for r in rows_of(p)] for p in tmp_path.glob("hf/*/*.jsonl")}
    assert names == {"train": ["000"], "trainval": ["002"], "unlisted": ["001"]}
    assert "`unlisted` are images that are in no list" in (tmp_path / "hf/README.md").read_text()


def test_without_lists_all_is_train(tmp_path: Path) -> None:
    source = devkit(tmp_path / "kit", {})
    convert(source, tmp_path / "hf", "hf")
    assert len(rows_of(tmp_path / "hf/train/metadata.jsonl")) == 3
    assert "No lists of parts came" in (tmp_path / "hf/README.md").read_text()


def test_a_part_without_targets_is_loaded_by_itself(tmp_path: Path) -> None:
    empty = make_scene(name="e")
    empty = type(empty)("e", empty.image, np.zeros_like(empty.labels), empty.sky)
    write_files(tmp_path / "kit", devkit_files(empty, annotate(empty.labels)))
    devkit(tmp_path / "kit", {})
    write_files(tmp_path / "kit", [("Splits/train_v2.txt", b"000\n001\n002\n")])
    write_files(tmp_path / "kit", [("Splits/test_v2.txt", b"e\n")])
    convert(tmp_path / "kit", tmp_path / "hf", "hf")
    text = (tmp_path / "hf/README.md").read_text()
    assert '- config_name: test\n  data_files:\n  - split: test\n    path: "test/**"' in text
    (row,) = rows_of(tmp_path / "hf/test/metadata.jsonl")
    assert row["objects"]["bbox"] == []


def test_boxes_stay_boxes(tmp_path: Path) -> None:
    convert(devkit(tmp_path / "kit"), tmp_path / "yolo", "yolo")
    convert(tmp_path / "yolo", tmp_path / "hf", "hf")
    (row,) = rows_of(tmp_path / "hf/validation/metadata.jsonl")
    assert "mask_file_name" not in row
    assert "segmentation" not in row["objects"]
    convert(tmp_path / "hf", tmp_path / "again", "yolo")
    for name in ("000", "001", "002"):
        text = f"labels/{name}.txt"
        assert (tmp_path / "again" / text).read_bytes() == (tmp_path / "yolo" / text).read_bytes()


def test_shards_tell_nothing_of_time_and_place_and_jobs(tmp_path: Path) -> None:
    source = devkit(tmp_path / "kit")
    convert(source, tmp_path / "a", "webdataset")
    convert(source, tmp_path / "b", "webdataset", "--jobs", 2)
    names = ["train-000000.tar", "validation-000000.tar"]
    assert [path.name for path in sorted((tmp_path / "a").glob("*.tar"))] == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with tarfile.open(tmp_path / "a" / names[0]) as tar:
        members = tar.getmembers()
    ends = ["json", "png", "mask.png", "sky.png"]
    assert [m.name for m in members] == [f"{n}.{end}" for n in ("000", "001") for end in ends]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
    assert not list((tmp_path / "a").rglob(".build"))


def scene_called(root: Path, *names: str) -> Path:
    for name in names:
        scene = make_scene(name=name)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    return root


def test_names_with_dots_are_keys_and_come_back(tmp_path: Path) -> None:
    source = scene_called(tmp_path / "kit", "S.1.a", "S/2.b")
    convert(source, tmp_path / "wds", "webdataset")
    with tarfile.open(tmp_path / "wds/train-000000.tar") as tar:
        assert "S_1_a.mask.png" in tar.getnames()
        assert "S/2_b.png" in tar.getnames()
    convert(unpacked(tmp_path / "wds", tmp_path / "flat"), tmp_path / "back", "devkit")
    assert files_of(tmp_path / "back") == files_of(source)


def test_keys_that_are_the_same_are_refused(tmp_path: Path) -> None:
    source = scene_called(tmp_path / "kit", "a.1", "a_1")
    said = convert(source, tmp_path / "wds", "webdataset", code=FAILED)
    assert "differ by dots only" in said
    assert not (tmp_path / "wds").exists()


def test_groups_are_as_large_as_they_may_be() -> None:
    sizes = [("a", 3), ("b", 3), ("c", 9), ("d", 1), ("e", 1)]
    assert list(shards(sizes, 6)) == [["a", "b"], ["c"], ["d", "e"]]
    assert list(shards([], 6)) == []


FOREIGN = {"file_name": "a.png", "objects": {"bbox": [[5, 5, 3, 3]], "categories": [0]}}
ONE_BY_ONE = {"file_name": "a.png", "objects": [{"bbox": [5, 5, 3, 3], "category": "drone"}]}


@pytest.mark.parametrize("row", [FOREIGN, ONE_BY_ONE])
def test_rows_of_others_are_read_as_boxes(tmp_path: Path, row: dict) -> None:
    from densesirst_gen.files.images.codec import encode_png

    image = encode_png(make_scene(name="a").image)
    text = json.dumps(row).encode()
    write_files(tmp_path, [("train/a.png", image), ("train/metadata.jsonl", text)])
    (scene,) = read_dataset(tmp_path).scenes
    assert (scene.name, scene.boxes) == ("train/a", ((5.0, 5.0, 8.0, 8.0),))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"file_name": "objects"', "metadata.jsonl, line 1: not JSON"),
        ('{"text": 1}', "no metadata.jsonl"),
        ('{"file_name": "../a.png", "objects": {}}', "a.png"),
        ('{"file_name": "b.png", "objects": {}}', "line 1: file_name b.png is not there"),
        ('{"file_name": 7, "objects": {}}', "it has no file_name"),
        ('{"file_name": "a.png", "objects": {"bbox": [], "area": [1]}}', "not equally long"),
        ('{"file_name": "a.png", "objects": {"bbox": [[1, 2, 3]]}}', "line 1"),
        ('{"file_name": "a.png", "objects": 3}', "line 1: objects are '3'"),
    ],
)
def test_rows_that_are_none_are_refused_by_file_and_line(
    tmp_path: Path, line: str, said: str
) -> None:
    from densesirst_gen.files.images.codec import encode_png

    (tmp_path / "in").mkdir()
    image = encode_png(make_scene(name="a").image)
    write_files(tmp_path / "in", [("a.png", image), ("metadata.jsonl", line.encode())])
    assert said in run("inspect", tmp_path / "in", "--layout", "hf", code=FAILED).stderr


def test_parquet_holds_images_masks_and_objects(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    source = devkit(tmp_path / "kit")
    convert(source, tmp_path / "out", "parquet")
    rows = parquet.read_table(tmp_path / "out/data/train-00000-of-00001.parquet").to_pylist()
    image = (source / "PNGImages/000.png").read_bytes()
    assert rows[0]["image"] == {"bytes": image, "path": "000.png"}
    boxes = annotate(read_dataset(source).scenes[0].load().labels).boxes
    assert [row[:2] for row in rows[0]["objects"]["bbox"]] == boxes[:, :2].tolist()
    assert len(rows) == 2
    assert not list((tmp_path / "out").rglob("*.png"))


def test_parquet_without_pyarrow_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("densesirst_gen.cli.installed.find_spec", lambda name: None)
    said = convert(devkit(tmp_path / "kit"), tmp_path / "out", "parquet", code=FAILED)
    assert "pip install 'densesirst_gen[parquet]'" in said

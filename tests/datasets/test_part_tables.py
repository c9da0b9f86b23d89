"""Parts that tables, JSON, YAML or names say are splits: no test scene gives targets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import DatasetError, read_dataset
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.parts.splits import donor_scenes

NAMES = ("f0", "f1", "f2", "f3")


def write_pairs(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    image = np.random.default_rng(0).integers(60, 90, (32, 32)).astype(np.uint8)
    mask = np.zeros((32, 32), np.uint8)
    mask[4:7, 4:7] = 255
    for name in names:
        for folder, pixels in (("images", image), ("masks", mask)):
            path = root / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return root


LISTS = {"train": ["f0", "f1"], "test": ["f2", "f3"]}
RECORDS = [{"image": f"images/{n}.png", "split": p} for p, names in LISTS.items() for n in names]
TABLES = {
    "split.csv": "name,split\nf0.png,train\nf1.png,train\nf2.png,test\nf3.png,test\n",
    "index.csv": "split;path\nTrain;images/f0.png\nTrain;images/f1.png\nval;f2\nval;f3\n",
    "columns.csv": "train,test\nf0,f2\nf1,f3\n",
    "flags.csv": "image,width,is_test\nf0,9,0\nf1,9,0\nf2,9,1\nf3,9,1\n",
    "split.toml": 'train = ["f0", "f1"]\n[more]\ntest = ["f2",\n  "f3"]\n',
    "all.txt": "f0 train\nf1 train\nf2 test\nf3 test\n",
    "split.json": json.dumps(LISTS),
    "dataset.json": json.dumps(
        {
            "training": [{"image": "./images/f0.png", "label": "./masks/f0.png"}, "f1"],
            "test": ["./images/f2.png", "./images/f3.png"],
        }
    ),
    "records.json": json.dumps(RECORDS),
    "of_each.json": json.dumps({f"{n}.png": p for p, names in LISTS.items() for n in names}),
    "lines.jsonl": "\n".join(map(json.dumps, RECORDS)),
    "split.yaml": "train: [f0, f1]\ntest: [f2, f3]\n",
    "blocks.yml": "path: .\ntrain:\n  - images/f0.png\n  - f1\ntest:\n- 'f2'\n- f3 \n",
}


@pytest.mark.parametrize("name", TABLES)
def test_what_a_table_holds_back_gives_no_targets(tmp_path: Path, name: str) -> None:
    write_pairs(tmp_path)
    (tmp_path / name).write_text(TABLES[name])
    dataset = read_dataset(tmp_path)
    assert [scene.name for scene in donor_scenes(dataset)] == ["f0", "f1"]
    assert not dataset.absent
    assert not [note for note in dataset.notes() if "not read" in note]


def test_a_table_of_scenes_that_are_called_like_parts_has_no_header(tmp_path: Path) -> None:
    write_pairs(tmp_path, ("test_1", "test_2", "test_3"))
    (tmp_path / "boxes.csv").write_text("test_1.png,20,24\ntest_2.png,3,4\ntest_3.png,5,6\n")
    assert not read_dataset(tmp_path).splits


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("split.csv", "id,split\na0,train\na1,test\n"),
        ("splits.json", json.dumps({"train": ["a0"], "test": ["a1"]})),
        ("fold_0.yaml", "train: [a0]\nval: [a1]\n"),
    ],
)
def test_a_split_of_other_scenes_is_an_error(tmp_path: Path, name: str, text: str) -> None:
    write_pairs(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=f"{name}: it says parts, but of no scene, such as a0"):
        read_dataset(tmp_path)


def test_settings_are_no_split(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    settings = {"train": {"augment": ["flip"]}, "test": {"metric": "iou"}}
    (tmp_path / "options.json").write_text(json.dumps(settings))
    assert len(donor_scenes(read_dataset(tmp_path))) == 4


def test_folds_that_contradict_each_other_give_none(tmp_path: Path) -> None:
    folds = [{"train": ["f0", "f1", "f2"], "val": ["f3"]}, {"train": ["f0", "f3"], "val": ["f2"]}]
    write_pairs(tmp_path)
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    assert [scene.name for scene in donor_scenes(read_dataset(tmp_path))] == ["f0", "f1"]


def test_lists_go_before_tables(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "train.txt").write_text("f3\n")
    (tmp_path / "split.json").write_text(json.dumps(LISTS))
    assert [scene.name for scene in donor_scenes(read_dataset(tmp_path))] == ["f3"]


@pytest.mark.parametrize(
    ("names", "donors"),
    [
        (("train_0", "train_1", "test_0", "test_1"), ["train_0", "train_1"]),
        (("0-val", "1-train"), ["1-train"]),
        (("test1", "test2", "test3"), ["test1", "test2", "test3"]),
        (("train_0", "test_0", "other"), ["other", "test_0", "train_0"]),
    ],
)
def test_names_of_scenes_may_say_parts(
    tmp_path: Path, names: tuple[str, ...], donors: list[str]
) -> None:
    dataset = read_dataset(write_pairs(tmp_path, names))
    assert sorted(scene.name for scene in donor_scenes(dataset)) == donors


@pytest.mark.parametrize(
    ("line", "scenes"),
    [
        ("f0 f1", ("f0", "f1")),
        ("images/f0.png images/f1.png", ("f0", "f1")),
        ("images/f2.png masks/f2.png", ("f2",)),
        ("f0, f1,f2", ("f0", "f1", "f2")),
        ("f0 something f1", ("f0",)),
        ("f0 12", ("f0",)),
        ("12 3", ("12",)),
        ("f0 f1.png", ("f0 f1",)),
    ],
)
def test_a_line_of_scenes_is_a_list(line: str, scenes: tuple[str, ...]) -> None:
    names = ["f0", "f1", "f2", "12", "3"] + ["f0 f1"] * (line == "f0 f1.png")
    assert SceneNames(names).listed(line) == scenes


def test_fields_of_the_images_of_a_coco_file(tmp_path: Path) -> None:
    write_pairs(tmp_path / "all")
    (tmp_path / "all/masks").rename(tmp_path / "masks")
    images = [
        {"id": k, "file_name": f"f{k}.png", "width": 32, "height": 32, "split": part}
        for k, part in enumerate(("train", "train", "test", "test"))
    ]
    square = [[4, 4, 7, 4, 7, 7, 5, 7, 5, 6, 4, 6]]
    annotations = [
        {"id": k, "image_id": k, "category_id": 1, "bbox": [4, 4, 3, 3], "segmentation": square}
        for k in range(4)
    ]
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "target"}],
    }
    (tmp_path / "all/labels.json").write_text(json.dumps(document))
    dataset = read_dataset(tmp_path / "all")
    assert dataset.splits == {"train": ("f0", "f1"), "test": ("f2", "f3")}
    (tmp_path / "all/train.txt").write_text("f2\n")
    (tmp_path / "all/test.txt").write_text("f0\n")
    assert read_dataset(tmp_path / "all").splits == {"train": ("f2",), "test": ("f0",)}

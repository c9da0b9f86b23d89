"""Labels in a grammar that is not read are named, whatever they are called; settings are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import read_dataset

UNREAD = {
    "seq0/groundtruth_rect.txt": "20,24,3,3\n21,24,3,3\n",
    "gt/gt.txt": "1,1,20,24,3,3,1,-1,-1,-1\n",
    "labels/f0.txt": "0 20 24 3 3\n",
    "labelTxt/f0.txt": "imagesource:x\n20 24 23 24 23 27 20 27 plane 0\n",
    "points/f1.txt": "20 24\n",
    "boxes.csv": "filename,class,xmin,ymin,xmax,ymax\nf0.png,uav,20,24,23,27\n",
    "train_labels.csv": "f0.png,96,96,uav,20,24,23,27\nf1.png,96,96,uav,20,24,23,27\n",
    "boxes.tsv": "f0\t1\t2\t3\t4\n",
    "via_region_data.json": json.dumps({"f0.png1": {"regions": []}}),
    "IR_label.json": json.dumps({"exist": [1], "gt_rect": [[1, 2, 3, 4]]}),
    "project.json": json.dumps([{"id": 1, "annotations": []}]),
    "results_of_f0.ndjson": "{}\n",
    "ann/f0.png.json": "{}",
    "f0.xml": "<annotation><object><robndbox/></object></annotation>",
    "GT_/f0R.xml": "<annotation><object><point/></object></annotation>",
}
NO_LABELS = {
    "README.txt": "use python 3.10 and numpy 1.2\n",
    "requirements.txt": "numpy 1.2\n",
    "train_log.txt": "1 0.5 0.25\n2 0.4 0.2\n",
    "metrics.csv": "1,0.5,0.25\n",
    "config.json": "{}",
    "manifest.json": "{}",
    "conf.yaml": "a: 1\n",
    "labels/f1.txt": "",
    "classes.txt": "target\n",
    "notes.txt": "two clips of May 3\n",
}


def write(root: Path, name: str, text: str) -> Path:
    for k in range(2):
        pixels = np.random.default_rng(k).integers(40, 90, (32, 32)).astype(np.uint8)
        (root / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / f"images/f{k}.png")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root


def told(root: Path) -> list[str]:
    return [note for note in read_dataset(root).notes() if note.startswith("not read")]


@pytest.mark.parametrize("name", UNREAD)
def test_what_may_be_labels_is_named(tmp_path: Path, name: str) -> None:
    suffix = Path(name).suffix
    expected = f"not read, {suffix} files that may be labels: 1 file such as {name}"
    assert told(write(tmp_path, name, UNREAD[name])) == [expected]


@pytest.mark.parametrize("name", NO_LABELS)
def test_settings_and_logs_are_no_labels(tmp_path: Path, name: str) -> None:
    assert told(write(tmp_path, name, NO_LABELS[name])) == []


@pytest.mark.parametrize("suffix", [".raw", ".dat", ".jfif", ".tga", ".fff", ".csq"])
def test_pictures_of_other_kinds_are_named(tmp_path: Path, suffix: str) -> None:
    root = write(tmp_path, f"images/g{suffix}", "x")
    assert told(root) == [f"not read, {suffix} files: 1 file such as images/g{suffix}"]

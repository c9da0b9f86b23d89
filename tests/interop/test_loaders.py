"""What we write, as the loaders of torchvision and of Ultralytics give it to a training.

Each is skipped, visibly, where its library is not installed. Ultralytics is asked in a process of
its own: it changes OpenCV for all who are in the same.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hosts
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
NAMES = ("a_0", "a_1", "empty")
LOADER = """
import json, sys
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
data = check_det_dataset(sys.argv[1], autodownload=False)
found = {}
for part in ("train", "val"):
    labels = YOLODataset(img_path=data[part], data=data, task=sys.argv[2], augment=False).labels
    for label in labels:
        found[label["im_file"]] = [list(label["shape"]), label["bboxes"].tolist()]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("loaders") / "kit"
    for name, scene in zip(NAMES, random_scenes(5, 3), strict=True):
        labels = np.zeros_like(scene.labels) if name == "empty" else scene.labels
        named = Scene(name, scene.image, labels, scene.sky)
        write_files(root, devkit_files(named, annotate(named.labels)))
    write_files(root, split_files({"train_v2": NAMES[:1], "val_v2": NAMES[1:]}, NAMES))
    return root


def truth(kit: Path) -> dict[str, np.ndarray]:
    """Half-open boxes by name, in order."""
    scenes = {file.name: file.load() for file in read_dataset(kit).scenes}
    return {name: ordered(annotate(scene.labels).boxes) for name, scene in scenes.items()}


def ordered(boxes: Any) -> np.ndarray:
    """(N, 4), float64."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return boxes[np.lexsort(boxes.round(1).T)]


@pytest.mark.parametrize("wrapped", [False, True])
def test_torchvision_reads_coco(kit: Path, tmp_path: Path, wrapped: bool) -> None:
    hosts.torchvision()
    datasets = importlib.import_module("torchvision.datasets")
    run("convert", kit, tmp_path / "coco", "--to", "coco")
    found = datasets.CocoDetection(
        str(tmp_path / "coco/images"), str(tmp_path / "coco/annotations.json")
    )
    names = [Path(image["file_name"]).stem for image in found.coco.loadImgs(found.ids)]
    if wrapped:
        found = datasets.wrap_dataset_for_transforms_v2(found)
    for name, (_, target) in zip(names, found, strict=True):
        if wrapped:
            boxes = ordered(target.get("boxes", []))
        else:
            xywh = np.array([record["bbox"] for record in target]).reshape(-1, 4)
            boxes = ordered(np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]))
        np.testing.assert_array_equal(boxes, truth(kit)[name])


@pytest.mark.parametrize(("to", "task"), [("yolo", "detect"), ("yolo-seg", "segment")])
def test_ultralytics_reads_yolo(kit: Path, tmp_path: Path, to: str, task: str) -> None:
    if importlib.util.find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed")
    run("convert", kit, tmp_path / to, "--to", to)
    alone = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(tmp_path)}
    command = [sys.executable, "-c", LOADER, str(tmp_path / to / "data.yaml"), task]
    done = subprocess.run(command, env={**os.environ, **alone}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert sorted(Path(path).stem for path in found) == sorted(NAMES)
    for path, ((height, width), boxes) in found.items():
        scaled = np.array(boxes).reshape(-1, 4) * [width, height, width, height]
        corners = [scaled[:, :2] - scaled[:, 2:] / 2, scaled[:, :2] + scaled[:, 2:] / 2]
        np.testing.assert_allclose(
            ordered(np.hstack(corners)), truth(kit)[Path(path).stem], atol=1e-3
        )

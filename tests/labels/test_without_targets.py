"""Sets without any target, and scenes without one among boxes, come back as they were."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from densesirst_gen.datasets import Dataset, read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png


def image(seed: int) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(60, 80, (48, 64)).astype(np.uint8))


def again(source: Path, to: str) -> Dataset:
    out = source.parent / to
    run("convert", source, out, "--to", to)
    return read_dataset(out)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    black, root = encode_png(np.zeros((48, 64), np.uint8)), tmp_path / "empty"
    for k, name in enumerate("ab"):
        write_files(root, [(f"images/{name}.png", image(k)), (f"masks/{name}.png", black)])
    return root


@pytest.mark.parametrize(
    ("to", "layout"), [("yolo", "yolo"), ("yolo-seg", "yolo"), ("voc", "folders")]
)
def test_a_set_without_targets_comes_back(empty: Path, to: str, layout: str) -> None:
    found = again(empty, to)
    assert found.layout == layout
    assert [scene.name for scene in found.scenes] == ["a", "b"]
    assert all(scene.has_labels for scene in found.scenes)


def test_no_target_among_boxes_is_no_black_mask(tmp_path: Path) -> None:
    root = tmp_path / "boxed"
    write_files(root, [(f"images/{name}.png", image(k)) for k, name in enumerate("ab")])
    document = {
        "images": [
            {"id": k, "file_name": f"{name}.png", "width": 64, "height": 48}
            for k, name in enumerate("ab")
        ],
        "annotations": [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [8, 9, 3, 4]}],
        "categories": [{"id": 1, "name": "target"}],
    }
    (root / "annotations.json").write_text(json.dumps(document))
    found = again(root, "voc")
    assert found.layout == "voc"
    assert [(scene.name, scene.boxes) for scene in found.scenes] == [
        ("a", ((8.0, 9.0, 11.0, 13.0),)),
        ("b", ()),
    ]
    assert all(scene.has_labels for scene in found.scenes)
    assert not (tmp_path / "voc/SegmentationClass").exists()

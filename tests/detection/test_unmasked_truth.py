"""Scores against boxes and points, where nobody drew masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from densesirst_gen.cli.options import FAILED
from densesirst_gen.files.images.codec import encode_png

SIDE = 64
BOXES = ((20.3, 24.2, 23.3, 27.2), (40.0, 30.0, 45.0, 34.0))
NAMES = ("f0", "f1")


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).normal(80, 5, (SIDE, SIDE)).clip(0, 255)
    path.write_bytes(encode_png(pixels.astype(np.uint8)))


def yolo(root: Path) -> Path:
    (root / "labels").mkdir(parents=True)
    for name in NAMES:
        image(root / f"images/{name}.png")
        lines = (
            f"0 {(x0 + x1) / 2 / SIDE} {(y0 + y1) / 2 / SIDE} {(x1 - x0) / SIDE} {(y1 - y0) / SIDE}"
            for x0, y0, x1, y1 in BOXES
        )
        (root / f"labels/{name}.txt").write_text("\n".join(lines))
    return root


def points(root: Path) -> Path:
    for name in NAMES:
        image(root / f"{name}.png")
        shapes = [
            {
                "label": "t",
                "points": [[(b[0] + b[2]) / 2, (b[1] + b[3]) / 2]],
                "shape_type": "point",
            }
            for b in BOXES
        ]
        document = {"version": "5.1", "imagePath": f"{name}.png", "shapes": shapes}
        (root / f"{name}.json").write_text(json.dumps(document))
    return root


def results(path: Path) -> Path:
    rows = [
        {
            "image_id": name,
            "category_id": 1,
            "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]],
            "score": 0.9,
        }
        for name in NAMES
        for b in BOXES
    ]
    path.write_text(json.dumps(rows))
    return path


def scores(root: Path, predictions: Path, *more: object) -> tuple[dict, str]:
    out = root / "scores.json"
    done = run("evaluate", "-p", predictions, "-d", root / "d", "--json", out, *more)
    return json.loads(out.read_text()), done.stderr


def test_perfect_boxes_are_perfect(tmp_path: Path) -> None:
    yolo(tmp_path / "d")
    predictions = results(tmp_path / "results.json")
    found, said = scores(tmp_path, predictions, "--plots", tmp_path / "plots")
    assert found["coco"]["ap"] == pytest.approx(1)
    assert found["targets"]["pd"] == pytest.approx(1)
    assert found["pixels"] is None
    assert [row["n_truth"] for row in found["scenes"]] == [2, 2]
    assert "yolo: 2 images, 4 boxes" in said
    assert "the truth is boxes, not masks: no pixels are scored" in said


def test_maps_are_scored_by_the_boxes_of_their_components(tmp_path: Path) -> None:
    yolo(tmp_path / "d")
    for name in NAMES:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for x0, y0, x1, y1 in np.rint(BOXES).astype(int):
            mask[y0:y1, x0:x1] = 255
        (tmp_path / "maps").mkdir(exist_ok=True)
        (tmp_path / f"maps/{name}.png").write_bytes(encode_png(mask))
    found, said = scores(tmp_path, tmp_path / "maps")
    assert found["kind"] == "boxes"
    assert found["coco"]["ap50"] == pytest.approx(1)
    assert "maps are scored by the boxes of their components" in said


# row 107
def test_points_say_something_by_distance_only(tmp_path: Path) -> None:
    points(tmp_path / "d")
    predictions = results(tmp_path / "results.json")
    found, said = scores(tmp_path, predictions, "--plots", tmp_path / "plots")
    assert found["targets"]["pd"] == pytest.approx(1)
    assert "the truth is points, not masks" in said


def test_boxes_of_another_form_are_told(tmp_path: Path) -> None:
    """Corners, where the sizes should be."""
    yolo(tmp_path / "d")
    rows = [
        {"image_id": name, "category_id": 1, "bbox": list(box), "score": 0.9}
        for name in NAMES
        for box in BOXES
    ]
    (tmp_path / "r.json").write_text(json.dumps(rows))
    done = run("evaluate", "-p", tmp_path / "r.json", "-d", tmp_path / "d", code=FAILED)
    assert "Is bbox in that form?" in done.stderr


def test_scenes_without_boxes_are_scored_with_the_others(tmp_path: Path) -> None:
    yolo(tmp_path / "d")
    image(tmp_path / "d/images/f2.png")
    found, said = scores(tmp_path, results(tmp_path / "results.json"))
    assert [row["n_truth"] for row in found["scenes"]] == [2, 2, 0]
    assert found["coco"]["ap"] == pytest.approx(1)
    assert "1 images have no text file or an empty one" in said

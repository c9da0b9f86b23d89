"""Predictions that hit nothing, and scores that are no probabilities, are told of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from densesirst_gen.cli.options import FAILED
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png

Box = tuple[int, int, int, int]
BOXES: tuple[Box, ...] = ((10, 30, 4, 3), (40, 20, 3, 3))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root, rng = tmp_path / "data", np.random.default_rng(0)
    for name in "ab":
        image, mask = rng.integers(60, 80, (64, 64)).astype(np.uint8), np.zeros((64, 64), np.uint8)
        for x, y, width, height in BOXES:
            image[y : y + height, x : x + width] = 220
            mask[y : y + height, x : x + width] = 255
        files = [("images", image), ("masks", mask)]
        write_files(root, [(f"{kind}/{name}.png", encode_png(array)) for kind, array in files])
    return root


def results(
    path: Path, form: Callable[[Box], list[float]] = list, scores: tuple[float, float] = (0.8, 0.9)
) -> Path:
    rows = [
        {"image_id": name, "category_id": 1, "bbox": form(box), "score": score}
        for name in "ab"
        for box, score in zip(BOXES, scores, strict=True)
    ]
    path.write_text(json.dumps(rows))
    return path


def test_x_and_y_swapped_are_refused(tmp_path: Path, data: Path) -> None:
    found = results(tmp_path / "r.json", lambda box: [box[1], box[0], box[3], box[2]])
    said = run("evaluate", "-p", found, "-d", data, code=FAILED).stderr
    assert "r.json: as bbox is read 0 of 4 targets are hit (IoU 0.5); x and y swapped: 4" in said


def test_boxes_of_another_size_that_hit_nothing_are_told_of(tmp_path: Path, data: Path) -> None:
    found = results(tmp_path / "r.json", lambda box: [side / 2 for side in box])
    said = run("evaluate", "-p", found, "-d", data).stderr
    assert "note: none of 4 targets is hit by any of 4 boxes, by overlap or by distance" in said


def test_maps_of_other_images_that_hit_nothing_are_told_of(tmp_path: Path, data: Path) -> None:
    other = np.zeros((64, 64), np.uint8)
    other[5:8, 5:8] = 255
    write_files(tmp_path / "maps", [(f"{name}.png", encode_png(other)) for name in "ab"])
    said = run("evaluate", "-p", tmp_path / "maps", "-d", data).stderr
    assert "note: none of 4 targets is hit by any of 2 boxes" in said


def test_nothing_found_anywhere_is_told_of(tmp_path: Path, data: Path) -> None:
    black = encode_png(np.zeros((64, 64), np.uint8))
    write_files(tmp_path / "maps", [(f"{name}.png", black) for name in "ab"])
    said = run("evaluate", "-p", tmp_path / "maps", "-d", data).stderr
    assert "note: nothing is found in any of 2 scenes, which have 4 targets" in said


@pytest.mark.parametrize("scores", [(-3.0, 5.0), (20.0, 90.0)])
def test_scores_that_are_no_probabilities_are_told_of(
    tmp_path: Path, data: Path, scores: tuple[float, float]
) -> None:
    said = run("evaluate", "-p", results(tmp_path / "r.json", scores=scores), "-d", data).stderr
    assert f"r.json: scores go from {scores[0]:g} to {scores[1]:g}, not from 0 to 1" in said


def test_good_predictions_have_no_such_note(tmp_path: Path, data: Path) -> None:
    assert "note" not in run("evaluate", "-p", results(tmp_path / "r.json"), "-d", data).stderr

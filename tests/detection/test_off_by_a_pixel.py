"""Results that are nearly right: off by a pixel, given twice, of another class, or no results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from densesirst_gen.datasets import read_dataset
from densesirst_gen.detection.evaluation.box_offsets import OFFSETS, offset_of
from densesirst_gen.detection.evaluation.evaluate import Evaluation, Scoring, evaluate
from densesirst_gen.detection.evaluation.predictions import Predictions, read_predictions
from densesirst_gen.files.images.codec import encode_png

NAMES = ("a", "b", "c")
Box = tuple[float, float, float, float]
Form = Callable[[Box], Sequence[float]]


def boxes_of(k: int) -> list[Box]:
    """Half-open corners of targets of 3 x 3, 3 x 2 and 1 x 1 px."""
    return [(8 + 9 * k, 12, 11 + 9 * k, 15), (50, 30, 53, 32), (20 + k, 40, 21 + k, 41)]


def truth(root: Path) -> Path:
    """With a COCO file of category 1."""
    annotations = []
    for k, name in enumerate(NAMES):
        rng = np.random.default_rng(k)
        image = rng.normal(60, 3, (48, 64)).round().astype(np.uint8)
        for x0, y0, x1, y1 in boxes_of(k):
            image[int(y0) : int(y1), int(x0) : int(x1)] += 60
            annotations.append({"image_id": k, "bbox": [x0, y0, x1 - x0, y1 - y0]})
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / f"images/{name}.png").write_bytes(encode_png(image))
    images = [
        {"id": k, "file_name": f"{name}.png", "width": 64, "height": 48}
        for k, name in enumerate(NAMES)
    ]
    for number, one in enumerate(annotations):
        x, y, width, height = one["bbox"]
        polygon = [x, y, x + width, y, x + width, y + height, x, y + height]
        area = {"area": width * height, "segmentation": [polygon]}
        one |= {"id": number + 1, "category_id": 1, "iscrowd": 0} | area
    categories = [{"id": 1, "name": "target"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(document))
    return root


def results(path: Path, form: Form = lambda box: box, **changes: object) -> Path:
    rows = []
    for k, name in enumerate(NAMES):
        for n, box in enumerate(boxes_of(k)):
            x0, y0, x1, y1 = form(box)
            row = {"image_id": name, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            rows.append(row | {"score": 0.9 - 0.1 * n} | changes)
    path.write_text(json.dumps(rows))
    return path


def read(root: Path, predictions: Path) -> Predictions:
    return read_predictions(predictions, read_dataset(root), NAMES)


def scored(root: Path, predictions: Path, scoring: Scoring | None = None) -> Evaluation:
    found = read(root, predictions)
    return evaluate(read_dataset(root).scenes, found, scoring or Scoring())


@pytest.mark.parametrize("name", OFFSETS)
def test_boxes_that_are_all_off_alike_are_told(name: str, tmp_path: Path) -> None:
    root = truth(tmp_path / "d")

    def moved(box: Box) -> list[float]:
        corners = [value + by for value, by in zip(box, OFFSETS[name], strict=True)]
        return [*corners[:2], max(corners[0], corners[2]), max(corners[1], corners[3])]

    notes = read(root, results(tmp_path / "r.json", moved)).notes()
    assert sum(name in note and "Is bbox in that form?" in note for note in notes) == 1


def test_boxes_that_are_right_or_off_at_random_are_not_told(tmp_path: Path) -> None:
    root, rng = truth(tmp_path / "d"), np.random.default_rng(0)
    assert read(root, results(tmp_path / "r.json")).notes() == []

    def shaken(box: Box) -> list[float]:
        return list(box + rng.uniform(-0.4, 0.4, 4))

    assert read(root, results(tmp_path / "r.json", shaken)).notes() == []
    assert offset_of([]) is None
    assert offset_of([(np.zeros((0, 4)), np.zeros((3, 4)))]) is None


def test_results_given_twice_are_told(tmp_path: Path) -> None:
    root, path = truth(tmp_path / "d"), results(tmp_path / "r.json")
    rows = json.loads(path.read_text())
    path.write_text(json.dumps(rows + rows[3:6]))
    (note,) = read(root, path).notes()
    assert "3 of 12 bbox are there before, with the same score, such as in b" in note


@pytest.mark.parametrize(("category", "told"), [(7, True), (0, True), (1, False), ("1", False)])
def test_results_of_an_unknown_category_are_told(
    category: int | str, told: bool, tmp_path: Path
) -> None:
    root = truth(tmp_path / "d")
    notes = read(root, results(tmp_path / "r.json", category_id=category)).notes()
    wanted = f"results are of category {category}, annotations.json has 1 target: they are scored"
    assert any(wanted in note for note in notes) == told


def test_scores_that_are_rounded_above_one_are_probabilities(tmp_path: Path) -> None:
    root = truth(tmp_path / "d")
    assert read(root, results(tmp_path / "r.json", score=1 + 1e-7)).notes() == []
    (note,) = read(root, results(tmp_path / "r.json", score=1.5)).notes()
    assert "not from 0 to 1" in note


def test_more_targets_than_coco_counts_are_told(tmp_path: Path) -> None:
    root, path = truth(tmp_path / "d"), results(tmp_path / "r.json")
    (note,) = (n for n in scored(root, path, Scoring(max_dets=2)).notes if "--max-dets" in n)
    assert note.startswith("3 images have more than 2 targets")
    for enough in (3, None):
        notes = scored(root, path, Scoring(max_dets=enough)).notes
        assert not any("--max-dets" in note for note in notes)


def masked(root: Path) -> Path:
    for k, name in enumerate(NAMES):
        mask = np.zeros((48, 64), np.uint8)
        for x0, y0, x1, y1 in boxes_of(k):
            mask[int(y0) : int(y1), int(x0) : int(x1)] = 255
        image = (
            np.random.default_rng(k).normal(60, 3, (48, 64)).round().astype(np.uint8) + mask // 3
        )
        for kind, values in (("images", image), ("masks", mask)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            (root / kind / f"{name}.png").write_bytes(encode_png(values))
    return root


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_the_datasets_own_files_are_no_predictions(kind: str, tmp_path: Path) -> None:
    root = masked(tmp_path / "d")
    notes = read(root, root / kind).notes()
    wanted = f"3 of 3 maps are the dataset's own {kind}, not predictions, such as a.png"
    assert wanted in notes


def test_copies_of_the_images_are_told_and_equal_masks_are_not(tmp_path: Path) -> None:
    """A detector that is right in every pixel may write the very bytes of the truth."""
    root = masked(tmp_path / "d")
    for kind in ("images", "masks"):
        shutil.copytree(root / kind, tmp_path / kind)
    assert any("own images" in note for note in read(root, tmp_path / "images").notes())
    assert read(root, tmp_path / "masks").notes() == []


def maps(folder: Path, changed: Callable[[np.ndarray, int], np.ndarray]) -> Path:
    folder.mkdir()
    for k, name in enumerate(NAMES):
        mask = np.zeros((48, 64), np.float32)
        for x0, y0, x1, y1 in boxes_of(k):
            mask[int(y0) : int(y1), int(x0) : int(x1)] = 1
        np.save(folder / f"{name}.npy", changed(mask, k))
    return folder


@pytest.mark.parametrize("shift", [(1, 0), (-1, 2), (1, 1)])
def test_maps_that_are_shifted_are_told(shift: tuple[int, int], tmp_path: Path) -> None:
    root = masked(tmp_path / "d")
    found = maps(tmp_path / "r", lambda mask, k: np.roll(mask, shift, (1, 0)))
    (note,) = scored(root, found).notes
    assert f"lie {shift[0]:+d} px in x and {shift[1]:+d} px in y" in note


def test_maps_that_are_grown_or_right_are_not_told(tmp_path: Path) -> None:
    root = masked(tmp_path / "d")
    right = maps(tmp_path / "r", lambda mask, k: mask)
    grown = maps(tmp_path / "g", lambda mask, k: np.maximum(mask, np.roll(mask, 1, 1)))
    assert scored(root, right).notes == scored(root, grown).notes == ()


def test_some_inverted_maps_are_told(tmp_path: Path) -> None:
    root = masked(tmp_path / "d")
    found = maps(tmp_path / "r", lambda mask, k: 1 - mask if k == 1 else mask)
    (note,) = scored(root, found).notes
    assert note.startswith("1 of 3 maps are white in more than 50% of their pixels")
    assert ": b; are they inverted?" in note


def test_probabilities_are_rounded(tmp_path: Path) -> None:
    root = masked(tmp_path / "d")
    found = maps(tmp_path / "r", lambda mask, k: mask * np.float32(1 + 1e-6) - np.float32(1e-7))
    evaluation = scored(root, found)
    assert evaluation.pixels is not None
    assert evaluation.pixels.iou == 1

"""Boxes of COCO that stand alone are x y width height in pixels, or the file is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import DatasetError, read_dataset

BOXES = [(20, 24, 3, 3), (60, 40, 4, 3), (1, 2, 3, 9)]


def write(root: Path, boxes: list[list[float]], **changes: Any) -> Path:
    (root / "images").mkdir()
    Image.fromarray(np.full((96, 96), 80, np.uint8)).save(root / "images/f0.png")
    records = [
        {"id": k, "image_id": 1, "category_id": 1, "bbox": box} | changes
        for k, box in enumerate(boxes)
    ]
    document = {
        "images": [{"id": 1, "file_name": "f0.png", "width": 96, "height": 96}],
        "annotations": records,
        "categories": [{"id": 1, "name": "target"}],
    }
    (root / "labels.json").write_text(json.dumps(document))
    return root


def corners(boxes: list[tuple[int, ...]]) -> list[list[float]]:
    return [[x, y, x + w, y + h] for x, y, w, h in boxes]


@pytest.mark.parametrize("masks_from", [None, "boxes"])
@pytest.mark.parametrize(
    ("boxes", "changes", "words"),
    [
        (corners(BOXES), {}, "all 3 bboxes are corners"),
        (corners([(20, 24, 3, 3)]), {"area": 9}, "all 1 bboxes are corners"),
        ([[v / 96 for v in box] for box in BOXES], {}, "all 3 bboxes are fractions"),
    ],
)
def test_boxes_in_other_words_are_refused(
    tmp_path: Path,
    boxes: list[list[float]],
    changes: dict[str, Any],
    words: str,
    masks_from: str | None,
) -> None:
    root = write(tmp_path, boxes, **changes)
    with pytest.raises(DatasetError, match=f"labels.json: {words}"):
        read_dataset(root, masks_from=masks_from)


@pytest.mark.parametrize(
    "boxes",
    [
        [list(box) for box in BOXES],
        [[0, 0, 1, 1]],
        [[0.5, 0.5, 90, 90.5]],
        [[1, 1, 96, 96]],
        [[2, 3, 30, 40], [5, 5, 60, 70]],
        [*map(list, BOXES), [90, 3, 9, 4]],
    ],
)
def test_boxes_as_they_should_be_are_read(tmp_path: Path, boxes: list[list[float]]) -> None:
    dataset = read_dataset(write(tmp_path, boxes, segmentation=[]))
    assert len(dataset.scenes[0].boxes) == len(boxes)

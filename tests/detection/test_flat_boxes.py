"""Predicted boxes without an area are told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from densesirst_gen.detection.evaluation.box_forms import check_forms
from densesirst_gen.detection.metrics import FoundBoxes


def test_boxes_without_an_area_are_told_of() -> None:
    boxes = np.array([[8.0, 8, 8, 12], [20, 20, 24, 24], [3, 3, 3, 3]])
    notes = check_forms(Path("r.json"), {"a": FoundBoxes(boxes, np.ones(3))}, [])
    assert notes == ["r.json: 2 of 3 bbox have no width or no height, and overlap nothing"]
    sound = {"a": FoundBoxes(boxes[1:2], np.ones(1))}
    assert check_forms(Path("r.json"), sound, []) == []

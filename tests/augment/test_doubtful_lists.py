"""Lists that can't be meant are named, and boxes that seem to be fractions are told of."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen import BagCopyPaste
from densesirst_gen.augment import notices
from densesirst_gen.paste.extract import build_library

IMAGE = np.full((64, 64), 80, np.uint8)


@pytest.fixture(scope="module")
def paste() -> BagCopyPaste:
    library = build_library([make_scene(name="d", seed=3)])
    return BagCopyPaste(library, region="anywhere", label=1)


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_told", {"no_window", "no_sky", "nothing_visible"})


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("bboxes", {"bboxes": [[1, 2, 3, 4], [1, 2, 3]]}),
        ("points", {"points": [[1, 2], [1]]}),
        ("labels", {"bboxes": [[1, 2, 3, 4], [5, 6, 7, 8]], "labels": [[1], [1, 2]]}),
    ],
)
def test_ragged_lists_are_named(paste: BagCopyPaste, name: str, sample: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{name} must have rows of one length"):
        paste(image=IMAGE, **sample)


@pytest.mark.parametrize("span", [5, "ab", (0, None), (1, 2, 3)])
def test_a_span_that_is_none_is_named(paste: BagCopyPaste, span: Any) -> None:
    with pytest.raises(ValueError, match="span must be"):
        BagCopyPaste(paste.library, span=span)


def test_boxes_in_fractions_are_told_of_once(paste: BagCopyPaste) -> None:
    with pytest.warns(UserWarning, match="lie within 0 and 1, in an image of 64 x 64"):
        paste(image=IMAGE, bboxes=[[0.2, 0.25, 0.23, 0.28]])


@pytest.mark.parametrize("boxes", [[], [[0, 0, 1, 1]], [[0.5, 0.5, 3.5, 4.5]]])
def test_boxes_in_pixels_are_not(paste: BagCopyPaste, boxes: list[list[float]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paste(image=IMAGE, bboxes=boxes)


def test_a_batch_wants_a_library_and_no_path() -> None:
    pytest.importorskip("torch")
    batch = pytest.importorskip("densesirst_gen.augment.batch")
    with pytest.raises(ValueError, match=r"library must be a TargetLibrary, got 'targets.npz'"):
        batch.BatchBagCopyPaste("targets.npz")

"""The fast ways against slow ones that are plain to see, on crowded scenes of odd shapes."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from densesirst_gen.scene.annotate import annotate, label_mask, masks_to_rle
from densesirst_gen.scene.density import nearest_distance, nearest_gap, normalised_density
from densesirst_gen.scene.windows import Pixels, box_pixels


def crowded(seed: int) -> np.ndarray:
    """Boxes of any shape, up to the border, many within ten pixels of others."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((rng.integers(20, 40), rng.integers(41, 70)), bool)
    for _ in range(14):
        y, x = rng.integers(0, mask.shape)
        mask[y : y + rng.integers(1, 4), x : x + rng.integers(1, 6)] = True
    return label_mask(mask)


def gap(one: np.ndarray, other: np.ndarray) -> int:
    x = max(one[0] - other[2], other[0] - one[2], 0)
    y = max(one[1] - other[3], other[1] - one[3], 0)
    return max(x, y)


@pytest.mark.parametrize("seed", range(8))
def test_gaps_and_distances_are_those_of_all_pairs(seed: int) -> None:
    found = annotate(crowded(seed))
    away = np.linalg.norm(found.points[:, None] - found.points, axis=2)
    np.fill_diagonal(away, np.inf)
    gaps = [
        min((gap(box, found.boxes[j]) for j in np.flatnonzero(away[k] < 10)), default=-1)
        for k, box in enumerate(found.boxes)
    ]
    assert nearest_gap(found).tolist() == gaps
    assert nearest_distance(found.points) == pytest.approx(away.min(axis=1))


def test_two_points_are_as_far_from_each_other() -> None:
    assert nearest_distance(np.array([[0.0, 0], [3, 4]])).tolist() == [5, 5]


def test_densities_below_one_are_scaled_too() -> None:
    assert normalised_density(np.array([0.2, 0.6, 0.4])) == pytest.approx([0, 1, 0.5])


def is_code_of(code: dict[str, object], mask: np.ndarray) -> bool:
    """Whether it is the one of pycocotools, run for run."""
    counts = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return code["counts"] == counts.decode()


@pytest.mark.parametrize("seed", range(8))
def test_codes_are_those_of_pycocotools_run_for_run(seed: int) -> None:
    labels = crowded(seed)
    codes = masks_to_rle(labels, annotate(labels))
    assert len(codes) > 3
    assert all(is_code_of(code, labels == k) for k, code in enumerate(codes, 1))


def test_codes_of_labels_one_after_the_other() -> None:
    """One ends at the foot of a column, the next begins at the head of the next."""
    labels = np.zeros((4, 5), np.int32)
    labels[2:, 0], labels[:2, 1], labels[2:, 1], labels[0, 4], labels[3, 4] = 1, 2, 3, 4, 5
    codes = masks_to_rle(labels, annotate(labels))
    assert all(is_code_of(code, labels == k) for k, code in enumerate(codes, 1))


def test_windows_without_pixels_have_the_value_that_is_asked_for() -> None:
    pixels = Pixels(2, np.array([0, 0]), np.array([1, 2]), np.array([3, 4]))
    values = np.array([1.0, 3.0])
    assert pixels.mean(values).tolist() == [2, 0]
    assert pixels.std(values).tolist() == [1, 0]
    assert pixels.max(values).tolist() == [3, 0]
    assert pixels.max(values, -1).tolist() == [3, -1]
    assert pixels.mean(values, -1).tolist() == [2, -1]
    assert pixels.std(values, -1).tolist() == [1, -1]


@pytest.mark.parametrize("pad", [0, 1, 3])
def test_windows_end_at_the_border(pad: int) -> None:
    shape, boxes = (9, 14), np.array([[0, 0, 2, 3], [12, 7, 14, 9], [5, 4, 6, 5]])
    found = box_pixels(boxes, shape, pad)
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        rows = range(max(y0 - pad, 0), min(y1 + pad, 9))
        cols = range(max(x0 - pad, 0), min(x1 + pad, 14))
        mine = found.owner == k
        assert [*zip(found.rows[mine], found.cols[mine], strict=True)] == [
            (row, col) for row in rows for col in cols
        ]

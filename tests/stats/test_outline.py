import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from densesirst_gen.scene.annotate import annotate
from densesirst_gen.stats.report.outline import boxes_path, mask_path, masks_path, points_path


def filled(path: str, shape: tuple[int, int]) -> np.ndarray:
    """The pixels inside a path by the even-odd rule: each vertical edge turns those behind it."""
    inside = np.zeros(shape, bool)
    for loop in re.findall(r"M[^Z]+Z", path):
        steps = re.findall(r"([MHV])(\d+)(?: (\d+))?", loop)
        x, y = start = int(steps[0][1]), int(steps[0][2])
        corners = [start]
        for kind, to, _ in steps[1:]:
            x, y = (int(to), y) if kind == "H" else (x, int(to))
            corners.append((x, y))
        for (x, y), (x1, y1) in zip(corners, [*corners[1:], start], strict=True):
            assert x == x1 or y == y1
            inside[min(y, y1) : max(y, y1), x:] ^= True
    return inside


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_outline_encloses_just_the_mask(mask):
    path = mask_path(mask)
    assert (filled(path, mask.shape) == mask).all()
    moved = np.pad(mask, ((3, 0), (2, 0)))
    assert (filled(mask_path(mask, 2, 3), moved.shape) == moved).all()


def test_outline_of_a_rectangle_has_four_corners():
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:5] = True
    assert mask_path(mask) == "M2 1H5V3H2Z"
    assert mask_path(mask[1:3, 2:5], 2, 1) == "M2 1H5V3H2Z"
    assert mask_path(~mask).count("M") == 2
    assert mask_path(mask & False) == ""


def test_touching_targets_keep_the_line_between():
    labels = np.zeros((4, 6), np.int32)
    labels[1:3, 1:3], labels[1:3, 3:5] = 1, 2
    assert masks_path(labels, annotate(labels)) == "M1 1H3V3H1ZM3 1H5V3H3Z"


def test_boxes_lie_on_pixel_edges_and_points_in_pixel_centres():
    labels = np.zeros((4, 6), np.int32)
    labels[1, 2:4] = 1
    found = annotate(labels)
    assert boxes_path(found.boxes) == "M2 1H4V2H2Z"
    assert points_path(found.points) == "M3 1.5h0"
    assert boxes_path(found.boxes[:0]) == points_path(found.points[:0]) == ""

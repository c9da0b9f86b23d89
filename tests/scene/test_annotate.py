"""Everything derived from a label image, against slow and outside ways to the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask
from scipy import ndimage

from densesirst_gen.scene.annotate import annotate, label_mask, masks_to_rle, points_on_masks

masks = arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.booleans())


@given(masks)
# row 32
def test_labels_are_the_8_connected_components_in_raster_order(mask: np.ndarray) -> None:
    expected, _ = ndimage.label(mask, np.ones((3, 3)))
    labels = label_mask(mask)
    assert labels.dtype == np.int32
    assert (labels == expected).all()


@given(masks)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_annotations_are_those_of_each_mask_alone(mask: np.ndarray) -> None:
    labels = label_mask(mask)
    notes, codes = annotate(labels), masks_to_rle(labels, annotate(labels))
    points = points_on_masks(labels, notes)
    assert len(notes) == len(codes) == labels.max()
    for k in range(len(notes)):
        rows, cols = np.nonzero(labels == k + 1)
        box = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        assert notes.boxes[k].tolist() == box
        assert notes.points[k] == pytest.approx([cols.mean(), rows.mean()])
        assert notes.areas[k] == len(rows) == coco_mask.area(codes[k])
        assert (coco_mask.decode(codes[k]) == (labels == k + 1)).all()
        assert labels[points[k, 1], points[k, 0]] == k + 1


def test_no_target() -> None:
    notes = annotate(np.zeros((4, 5), np.int32))
    assert (notes.boxes.shape, notes.points.shape, notes.areas.shape) == ((0, 4), (0, 2), (0,))
    assert masks_to_rle(np.zeros((4, 5), np.int32), notes) == []


def test_a_missing_label_is_named() -> None:
    labels = np.zeros((4, 5), np.int32)
    labels[1, 1] = 3
    with pytest.raises(ValueError, match="label 1 of 3 has no pixel"):
        annotate(labels)


def test_point_and_box_share_one_convention() -> None:
    """A box's centre is ((x0 + x1 - 1) / 2, ...), the centre of its pixels."""
    labels = np.zeros((9, 9), np.int32)
    labels[2:5, 3:8] = 1
    notes = annotate(labels)
    assert notes.points[0].tolist() == ((notes.boxes[0, :2] + notes.boxes[0, 2:] - 1) / 2).tolist()


@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("flip_y", [False, True])
def test_flips_move_boxes_by_edges_and_points_by_pixels(flip_x: bool, flip_y: bool) -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[3:6, 4:9] = labels[4, 9] = 1
    turned = labels[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    before, after = annotate(labels), annotate(turned)
    (x0, y0, x1, y1), (x, y) = before.boxes[0].tolist(), before.points[0].tolist()
    if flip_x:
        x0, x1, x = 30 - x1, 30 - x0, 29 - x
    if flip_y:
        y0, y1, y = 20 - y1, 20 - y0, 19 - y
    assert after.boxes[0].tolist() == [x0, y0, x1, y1]
    assert after.points[0].tolist() == pytest.approx([x, y])

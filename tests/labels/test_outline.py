"""The outline of a mask is exact to the pixel for what reads polygons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from densesirst_gen.datasets.grammar.outline import outline
from densesirst_gen.datasets.grammar.segmentation import segment_labels
from densesirst_gen.scene.annotate import label_mask

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))


@settings(max_examples=150, deadline=None)
@given(mask=MASKS, seed=st.integers(0, 3))
def test_pycocotools_draws_the_same_mask(mask: np.ndarray, seed: int) -> None:
    mask = label_mask(mask) == 1
    if not mask.any():
        return
    shape = (mask.shape[0] + 7, mask.shape[1] + 5 + seed)
    polygon = outline(mask) + np.array([seed, 3])
    scaled = polygon / (shape[1], shape[0]) * (shape[1], shape[0])
    labels, hidden = segment_labels([[scaled.ravel().tolist()]], shape)
    expected = np.zeros(shape, bool)
    expected[3 : 3 + mask.shape[0], seed : seed + mask.shape[1]] = mask
    assert hidden == 0
    np.testing.assert_array_equal(labels > 0, expected)


def test_corners_of_a_square_one_pixel_and_a_diagonal() -> None:
    square = outline(np.ones((3, 3), bool))
    assert sorted(map(tuple, square.tolist())) == [(0, 0), (0, 3), (3, 0), (3, 3)]
    assert len(outline(np.ones((1, 1), bool))) == 4
    assert len(outline(np.eye(2, dtype=bool))) == 8
    with pytest.raises(ValueError, match="without pixels"):
        outline(np.zeros((3, 3), bool))

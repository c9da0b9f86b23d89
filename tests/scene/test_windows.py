import numpy as np
import pytest

from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.windows import Pixels, box_pixels, ring_pixels, target_pixels

PLANE = np.random.default_rng(0).integers(0, 100, (20, 30)).astype(np.float64)
BOXES = np.array([[0, 0, 3, 2], [28, 18, 30, 20], [5, 6, 6, 7], [4, 3, 12, 19]], np.int32)


def slices(box: np.ndarray, pad: int) -> np.ndarray:
    x0, y0, x1, y1 = box
    return PLANE[max(y0 - pad, 0) : y1 + pad, max(x0 - pad, 0) : x1 + pad].ravel()


@pytest.mark.parametrize("pad", [0, 1, 5, 40])
def test_reductions_are_those_of_slices(pad):
    pixels = box_pixels(BOXES, PLANE.shape, pad)
    windows = [slices(box, pad) for box in BOXES]
    values = pixels.of(PLANE)
    assert (values == np.concatenate(windows)).all()
    assert pixels.counts().tolist() == [len(w) for w in windows]
    for name in ("mean", "std", "max", "median"):
        expected = [getattr(np, name)(w) for w in windows]
        assert getattr(pixels, name)(values) == pytest.approx(expected), name


def test_windows_left_without_pixels():
    pixels = box_pixels(BOXES, PLANE.shape)
    rest = pixels.where((pixels.owner == 1) | (pixels.owner == 3))
    for name in ("mean", "std", "max", "median"):
        value = getattr(rest, name)(rest.of(PLANE), empty=np.arange(4) - 9.0)
        assert value[[0, 2]].tolist() == [-9.0, -7.0], name
        assert value[3] == pytest.approx(getattr(np, name)(slices(BOXES[3], 0))), name


@pytest.mark.parametrize("n", [0, 2])
def test_no_pixel_at_all(n):
    none = np.zeros(0, int)
    pixels = Pixels(n, none, none, none)
    for name in ("mean", "std", "max", "median"):
        assert getattr(pixels, name)(pixels.of(PLANE), empty=7.0).tolist() == [7.0] * n


def test_no_box():
    pixels = box_pixels(np.zeros((0, 4), np.int32), PLANE.shape, 5)
    assert pixels.counts().tolist() == []


def test_target_pixels_leave_out_others_in_the_box():
    labels = np.array([[1, 0, 2], [1, 0, 0], [1, 1, 1]], np.int32)
    pixels = target_pixels(labels, annotate(labels).boxes)
    assert pixels.counts().tolist() == [5, 1]


def test_ring_is_what_touches_the_mask_and_belongs_to_no_target():
    labels = label_mask(np.random.default_rng(3).random((15, 18)) < 0.1)
    ring = ring_pixels(labels, annotate(labels).boxes)
    rows, cols = np.indices(labels.shape)
    for k in range(labels.max()):
        own = np.argwhere(labels == k + 1)
        reach = [np.maximum(abs(rows - r), abs(cols - c)) for r, c in own]
        expected = (np.min(reach, axis=0) == 1) & (labels == 0)
        mine = ring.owner == k
        assert set(zip(ring.rows[mine], ring.cols[mine], strict=True)) == set(
            zip(*np.nonzero(expected), strict=True)
        )


def test_ring_of_a_target_that_fills_the_image():
    labels = np.ones((2, 3), np.int32)
    assert ring_pixels(labels, annotate(labels).boxes).counts().tolist() == [0]

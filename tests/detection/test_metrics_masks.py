"""Metrics of probability maps: known answers, faults of published code, empty cases."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densesirst_gen.detection.metrics import (
    NOTHING_FOUND,
    FoundBoxes,
    MaskToBoxes,
    PixelCurves,
    PixelScores,
    TargetScores,
    components,
    split_at_peaks,
    target_ious,
)
from densesirst_gen.scene.annotate import annotate, label_mask

SHAPE = (24, 32)
MASK_METRICS = (
    PixelScores(),
    PixelCurves(256),
    TargetScores(),
    TargetScores(matching="first"),
    TargetScores(matching="dnanet_legacy"),
)
NOTHING = np.zeros(SHAPE)


def labels_of(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Labels of rectangles given as x0, y0, x1, y1."""
    mask = np.zeros(SHAPE, bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return label_mask(mask)


def pixels_at(*points: tuple[int, int]) -> np.ndarray:
    """Labels of single pixels at (row, col)."""
    return labels_of(*((c, r, c + 1, r + 1) for r, c in points))


def score(metric, images):
    return metric.result(metric.measure(*image) for image in images)


def random_images(seed: int, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        truth = label_mask(rng.random(SHAPE) < 0.03)
        images.append((np.clip(0.6 * (truth > 0) + rng.normal(0.2, 0.2, SHAPE), 0, 1), truth))
    return images


TWO = labels_of((3, 3, 6, 6), (20, 10, 22, 14))


@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_a_perfect_map(dtype):
    images = [(TWO.astype(bool).astype(dtype), TWO), (NOTHING.astype(dtype), labels_of())]
    pixels, targets = score(PixelScores(), images), score(TargetScores(), images)
    assert (pixels.iou, pixels.niou, pixels.f, pixels.mean_f, pixels.fa) == (1, 1, 1, 1, 0)
    assert (targets.pd, targets.fa, targets.precision, targets.f1) == (1, 0, 1, 1)
    assert targets.target_niou == 1
    curves = score(PixelCurves(), images)
    assert (curves.auc, curves.low_fpr_auc, curves.average_precision, curves.max_f1) == (1,) * 4


def test_pixels_by_hand():
    shifted = labels_of((4, 3, 7, 6), (20, 10, 22, 14)) > 0
    result = score(PixelScores(), [(shifted, TWO), (TWO > 0, TWO)])
    assert result.iou == pytest.approx((14 + 17) / (20 + 17))
    assert result.niou == pytest.approx((14 / 20 + 1) / 2)
    assert (result.precision, result.recall, result.f) == pytest.approx([31 / 34] * 3)
    assert result.mean_f == pytest.approx((14 / 17 + 1) / 2)
    assert result.fa == pytest.approx(3 / (2 * TWO.size - 34))
    assert score(PixelScores(fa_over="all"), [(shifted, TWO)]).fa == 3 / TWO.size
    assert score(PixelScores(beta=2), [(TWO == 1, TWO)]).f == pytest.approx(5 * 9 / (4 * 17 + 9))


@pytest.mark.parametrize(("empty", "niou"), [("skip", 1), ("one", 1), ("zero", 0.5)])
def test_what_an_empty_image_adds(empty, niou):
    images = [(TWO > 0, TWO), (NOTHING, labels_of())]
    result = score(PixelScores(empty=empty), images)
    assert (result.niou, result.mean_f, result.n_empty) == (niou, niou, 1)


def test_a_false_pixel_in_an_empty_image_counts_as_zero():
    images = [(TWO > 0, TWO), (pixels_at((5, 5)) > 0, labels_of())]
    for empty in ("skip", "one", "zero"):
        assert score(PixelScores(empty=empty), images).niou == 0.5


def test_the_threshold_is_exclusive():
    half = np.where(TWO > 0, 0.5, 0.0)
    assert score(PixelScores(), [(half, TWO)]).iou == 0
    assert score(PixelScores(0.49), [(half, TWO)]).iou == 1


@pytest.mark.parametrize("metric", MASK_METRICS, ids=repr)
@pytest.mark.parametrize(
    "images",
    [
        [],
        [(NOTHING, TWO)],
        [(NOTHING, labels_of())],
        [(TWO > 0, labels_of())],
        [(NOTHING, TWO), (TWO / 4, labels_of())],
        [(np.ones(SHAPE), np.ones(SHAPE, np.int32))],
    ],
)
def test_nothing_to_find_or_nothing_found(metric, images):
    values = score(metric, images).to_dict()
    numbers = [v for v in values.values() if isinstance(v, float)]
    assert numbers
    assert np.isfinite(numbers).all()
    assert values["options"]


def test_nothing_found_scores_nothing():
    images = [(NOTHING, TWO)]
    pixels, curves, targets = (score(m, images) for m in MASK_METRICS[:3])
    assert (pixels.iou, pixels.niou, pixels.f, pixels.fa) == (0, 0, 0, 0)
    assert (targets.pd, targets.fa, targets.f1, targets.target_niou) == (0, 0, 0, 0)
    assert curves.auc == 0.5
    assert score(MASK_METRICS[1], [(NOTHING, labels_of())]).auc == 0


@pytest.mark.parametrize("metric", MASK_METRICS, ids=repr)
def test_the_order_of_images_does_not_matter(metric):
    images = random_images(0, 9)
    order = np.random.default_rng(1).permutation(9)
    shuffled = score(metric, [images[k] for k in order])
    assert shuffled.to_dict() == score(metric, images).to_dict()


def test_histograms_add_up_over_batches():
    metric = PixelCurves(256)
    parts = [metric.measure(*image) for image in random_images(0, 6)]
    batches = [parts[0] + parts[1], parts[2], sum(parts[3:])]
    assert metric.result(batches).to_dict() == metric.result(parts).to_dict()


# Targets by centroids


def test_false_alarms_of_the_area_of_a_match_are_counted():
    """Known fault of DNANet: areas are told apart by value."""
    truth = pixels_at((5, 5))
    found = pixels_at((5, 5), (15, 5), (15, 25)) > 0
    right, legacy = (
        score(TargetScores(matching=m), [(found, truth)]) for m in ("first", "dnanet_legacy")
    )
    assert right.fa == 2 / truth.size
    assert legacy.fa == 0
    assert (right.pd, right.precision) == (1, 1 / 3)


def test_first_fit_loses_a_match_that_an_assignment_finds():
    """The first free component is near both targets, the second near one only."""
    truth = pixels_at((10, 10), (10, 14))
    found = pixels_at((9, 12), (11, 8)) > 0
    results = {m: score(TargetScores(matching=m), [(found, truth)]) for m in ("first", "hungarian")}
    assert results["first"].pd == 0.5
    assert results["hungarian"].pd == 1
    assert results["hungarian"].fa == 0


def test_of_equally_many_matches_the_nearest_are_taken():
    truth, found = np.array([[0.0, 0], [4, 0]]), np.array([[1.5, 0], [2.5, 0], [4.1, 0]])
    assert TargetScores(max_dist=3).match(found, truth).tolist() == [0, 2]


def test_a_centroid_at_the_limit_is_not_near():
    truth, found = pixels_at((5, 5)), pixels_at((5, 8)) > 0
    assert score(TargetScores(), [(found, truth)]).pd == 0
    assert score(TargetScores(max_dist=3.01), [(found, truth)]).pd == 1


@given(st.integers(0, 10_000))
def test_an_assignment_never_finds_fewer_than_first_fit(seed):
    rng = np.random.default_rng(seed)
    truth, found = (rng.uniform(0, 9, (rng.integers(0, 7), 2)) for _ in range(2))
    most, first = (
        (TargetScores(matching=m).match(found, truth) >= 0).sum() for m in ("hungarian", "first")
    )
    assert first <= most <= min(len(truth), len(found))


def test_the_iou_of_a_target_is_that_with_all_that_touches_it():
    truth = labels_of((3, 3, 6, 6), (8, 3, 11, 6), (20, 10, 22, 14))
    merged = components(labels_of((3, 3, 11, 6)) > 0)  # one blob over two targets
    assert target_ious(merged, truth).tolist() == [9 / 24, 9 / 24, 0]
    parts = components(labels_of((3, 3, 4, 6), (5, 3, 6, 6), (20, 10, 22, 14)) > 0)
    assert target_ious(parts, truth).tolist() == [6 / 9, 0, 1]


def test_boxes_by_their_centres():
    boxes = np.array(
        [[3.2, 3, 6.2, 6], [20, 10, 22, 14], [10, 2, 14, 4], [12, 2, 16, 4], [0, 0, 9, 9]]
    )
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    metric, points = TargetScores(), annotate(TWO).points
    measured = metric.measure_boxes(FoundBoxes(boxes, scores), points, SHAPE)
    result = metric.result([measured])
    assert (result.pd, result.precision, result.n_found) == (1, 0.5, 4)
    assert result.fa == 12 / TWO.size  # overlapping pixels once
    assert result.from_boxes
    assert result.target_niou is None
    outside = metric.measure_boxes(FoundBoxes(boxes[:1] + 100, scores[:1]), points, SHAPE)
    assert (outside.n_found, outside.false_pixels) == (1, 0)
    nothing = metric.measure_boxes(NOTHING_FOUND, points[:0], SHAPE)
    assert metric.result([nothing]).pd == 0


# Curves


@given(st.integers(0, 10_000), st.sampled_from([6, 256, 65536]))
def test_the_auc_is_that_of_ranking_all_pairs(seed, levels):
    rng = np.random.default_rng(seed)
    prob = rng.integers(0, levels, (5, 6)) / (levels - 1)
    truth = rng.random((5, 6)) < 0.3
    truth[0, :2] = True, False
    up, down = prob[truth], prob[~truth]
    wins = (up[:, None] > down).mean() + (up[:, None] == down).mean() / 2
    assert score(PixelCurves(levels), [(prob, truth)]).auc == pytest.approx(wins)


def test_curves_by_hand():
    prob = np.array([[0.9, 0.8, 0.7, 0.6, 0.1]])
    truth = np.array([[1, 0, 1, 0, 0]], bool)
    curves = score(PixelCurves(256, max_fpr=1 / 3), [(prob, truth)])
    assert curves.tpr.tolist() == [0.5, 0.5, 1, 1, 1]
    assert curves.fpr.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert curves.auc == pytest.approx(5 / 6)
    assert curves.low_fpr_auc == pytest.approx(0.5)
    assert curves.average_precision == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert curves.max_f1 == pytest.approx(0.8)
    assert curves.max_f1_threshold == pytest.approx(0.7, abs=0.01)
    assert (curves.n_positive, curves.n_negative) == (2, 3)


def test_the_low_end_of_the_curve_shows_what_the_area_hides():
    truth = np.zeros((100, 100), bool)
    truth[0, :10] = True
    prob = np.where(truth, 0.5, 0.0)
    prob[50] = 0.9  # 1 % of all pixels rank above every target
    curves = score(PixelCurves(), [(prob, truth)])
    assert curves.auc > 0.98
    assert curves.low_fpr_auc == 0


# Masks to boxes


def test_a_map_becomes_tight_half_open_boxes():
    prob = np.zeros(SHAPE, np.float32)
    prob[3:6, 4:9] = 0.75
    prob[4, 7] = 0.875
    prob[20, 30] = 0.625
    prob[10, 10] = 0.5
    found = MaskToBoxes().boxes(prob)
    assert found.boxes.tolist() == [[4, 3, 9, 6], [30, 20, 31, 21]]
    assert found.scores.tolist() == [0.875, 0.625]
    assert found.points.tolist() == [[7, 4], [30, 20]]
    assert MaskToBoxes().boxes(prob > 0.5).points.tolist() == [[6, 4], [30, 20]]
    mean = MaskToBoxes(score="mean", min_area=2).boxes(prob)
    assert mean.scores.tolist() == [pytest.approx((14 * 0.75 + 0.875) / 15)]
    assert len(MaskToBoxes(threshold=0.9).boxes(prob)) == 0


def test_peaks_part_what_touches():
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    near = [np.exp(-((rows - 10) ** 2 + (cols - c) ** 2) / 4) for c in (10, 14)]
    prob = np.maximum(*near) * 0.6 + 0.35
    together, parted = (MaskToBoxes(0.5, split=s).boxes(prob) for s in ("none", "peak"))
    assert len(together) == 1
    assert parted.points.tolist() == [[10, 10], [14, 10]]
    assert parted.boxes[:, 0].min() == together.boxes[0, 0]
    assert parted.boxes[:, 2].max() == together.boxes[0, 2]
    flat = MaskToBoxes(split="peak").boxes(TWO > 0)
    assert flat.boxes.tolist() == MaskToBoxes().boxes(TWO > 0).boxes.tolist()


@given(st.integers(0, 10_000))
def test_components_are_numbered_as_everywhere(seed):
    mask = np.random.default_rng(seed).random((9, 11)) < 0.4
    assert (components(mask) == label_mask(mask)).all()


@given(st.integers(0, 10_000))
def test_splitting_keeps_the_pixels_and_connects_each_part(seed):
    prob = np.random.default_rng(seed).integers(0, 9, (9, 11)) / 8
    whole = components(prob > 0.4)
    parts = split_at_peaks(prob, whole)
    assert ((parts > 0) == (whole > 0)).all()
    for k in range(1, parts.max() + 1):
        assert components(parts == k).max() == 1
        assert len(np.unique(whole[parts == k])) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PixelScores(empty="nan"), "PixelScores.empty must be one of skip, zero, one"),
        (lambda: PixelScores(fa_over="target"), "PixelScores.fa_over"),
        (lambda: TargetScores(matching="nearest"), "TargetScores.matching"),
        (lambda: MaskToBoxes(score="sum"), "MaskToBoxes.score"),
        (lambda: MaskToBoxes(split="yes"), "MaskToBoxes.split"),
    ],
)
def test_unknown_options_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_maps_and_labels_of_other_shapes_are_refused():
    for metric, shape in product(MASK_METRICS, [(24, 31), (1, *SHAPE)]):
        with pytest.raises(ValueError, match=r"both must be \(H, W\)"):
            metric.measure(np.zeros(shape), TWO)

"""Metrics of boxes: known answers, agreement with pycocotools, empty cases."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from densesirst_gen.detection.metrics import (
    CocoAP,
    FoundBoxes,
    MNoCoAP,
    TargetF1,
    VocAP,
    match_boxes,
    noco_map,
    pairwise_iou,
)

NO_TRUTH = np.zeros((0, 4))
RIGHT = np.array([1, 0, 1, 0])
NO_FOUND = FoundBoxes(np.zeros((0, 4)), np.zeros(0))
BOX_METRICS = (VocAP(), VocAP("11-point"), CocoAP(), TargetF1(), TargetF1(conf=0.5))


def squares(sides: list[int], spacing: int = 40) -> np.ndarray:
    """Square boxes of the given sides, far from each other."""
    low = np.array([[10 + spacing * k, 20] for k in range(len(sides))], float).reshape(-1, 2)
    return np.hstack([low, low + np.array(sides, float)[:, None]])


def found_all(boxes: np.ndarray, scores: list[float] | None = None) -> FoundBoxes:
    return FoundBoxes(boxes, np.ones(len(boxes)) if scores is None else np.array(scores))


def random_images(seed: int, n: int, most: int = 6) -> list[tuple[FoundBoxes, np.ndarray]]:
    """Targets, jittered detections of most of them, and false ones, with distinct scores."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        corner = rng.integers(0, 60, (rng.integers(0, most + 1), 2))
        truth = np.hstack([corner, corner + rng.integers(1, 8, corner.shape)]).astype(float)
        near = truth[rng.random(len(truth)) < 0.8]
        near = near + rng.uniform(-1, 1, near.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 0.5)
        low = rng.uniform(0, 60, (rng.integers(0, most + 1), 2))
        boxes = np.vstack([near, np.hstack([low, low + rng.uniform(1, 8, low.shape)])])
        images.append((FoundBoxes(boxes, rng.permutation(4096)[: len(boxes)] / 4096), truth))
    return images


def score(metric, images):
    return metric.result(metric.measure(*image) for image in images)


def five_detections() -> list[tuple[FoundBoxes, np.ndarray]]:
    """Four targets in two images; by falling score: true, false, true, true, false."""
    truth = squares([4, 4, 4, 4])
    false = truth + 200
    first = FoundBoxes(np.vstack([truth[:1], false[:1], truth[1:2]]), np.array([0.9, 0.8, 0.7]))
    second = FoundBoxes(np.vstack([false[2:3], truth[2:3]]), np.array([0.5, 0.6]))
    return [(first, truth[:2]), (second, truth[2:])]


def test_one_pixel_of_shift_costs_what_the_convention_says():
    box = squares([3])
    assert pairwise_iou(box, box + RIGHT) == pytest.approx(0.5)
    assert pairwise_iou(box, box + RIGHT, plus_one=True) == pytest.approx(0.6)
    assert pairwise_iou(box, box - 1) == pytest.approx(4 / 14)
    assert pairwise_iou(box, box - 1, plus_one=True) == pytest.approx(9 / 23)


def test_an_iou_at_the_threshold_counts_unless_strict():
    box = squares([3])
    shifted = found_all(box + RIGHT)
    assert match_boxes(shifted, box).tolist() == [0]
    assert match_boxes(shifted, box, strict=True).tolist() == [-1]
    assert score(VocAP(), [(shifted, box)]).ap == 1
    assert score(TargetF1(), [(shifted, box)]).f1 == 0


@given(
    st.lists(st.tuples(*[st.floats(0, 50)] * 2, *[st.floats(0.1, 20)] * 2), max_size=6),
    st.lists(st.tuples(*[st.floats(0, 50)] * 2, *[st.floats(0.1, 20)] * 2), max_size=6),
)
def test_iou_is_that_of_pycocotools(a, b):
    a, b = (np.array(boxes, float).reshape(-1, 4) for boxes in (a, b))
    expected = np.array(coco_mask.iou(a, b, [0] * len(b)), float).reshape(len(a), len(b))
    corners = [np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]) for boxes in (a, b)]
    assert pairwise_iou(*corners) == pytest.approx(expected)


def test_a_box_without_area_has_no_iou():
    point = np.array([[3.0, 3, 3, 3]])
    assert pairwise_iou(point, point) == 0


def test_a_detection_has_no_second_choice():
    truth = np.array([[0.0, 0, 4, 4], [2, 0, 6, 4]])
    twice = FoundBoxes(np.array([[0.0, 0, 4, 4], [0.5, 0, 4.5, 4]]), np.array([0.9, 0.8]))
    assert match_boxes(twice, truth, iou_thr=0.4).tolist() == [0, -1]
    coco = score(CocoAP(iou_thrs=(0.4,)), [(twice, truth)])
    assert coco.recall == 1


def test_voc_by_hand():
    area, points = score(VocAP(), five_detections()), score(VocAP("11-point"), five_detections())
    assert area.ap == pytest.approx(0.625)
    assert points.ap == pytest.approx((3 * 1 + 5 * 0.75) / 11)
    assert (area.recall, area.precision) == (0.75, 0.6)
    assert (area.n_truth, area.n_found, area.n_true, area.n_images) == (4, 5, 3, 2)
    assert area.curve_precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4, 3 / 5])


def test_eleven_points_decide_in_whole_numbers():
    """3 of 10 is recall 0.3, although 3 * 0.1 > 0.3 for floats."""
    truth = squares([4] * 10)
    assert score(VocAP("11-point"), [(found_all(truth[:3]), truth)]).ap == pytest.approx(4 / 11)


def test_a_miss_in_thousands_costs_an_eleventh():
    truth = squares([4] * 3454, spacing=9)
    missed = score(VocAP("11-point"), [(found_all(truth[1:]), truth)])
    assert missed.ap == pytest.approx(10 / 11)


SIDES = [2, 3, 5, 9]
OFF_BY_ONE = {  # (inclusive boxes, offset of the truth): recall at .5 legacy, .5, .75 legacy
    (False, 0): (1, 1, 1),
    (False, -1): (0.5, 0.25, 0),
    (True, 0): (0.75, 0.5, 0.25),
    (True, -1): (0.75, 0.5, 0.25),
}


@pytest.mark.parametrize(("inclusive", "offset"), OFF_BY_ONE)
def test_the_table_of_off_by_ones(inclusive, offset):
    """One pixel in the convention makes a bad detector of a perfect one."""
    truth = squares(SIDES)
    found = found_all(truth - [0, 0, inclusive, inclusive])
    settings_ = ((0.5, True), (0.5, False), (0.75, True))
    results = [
        score(VocAP(iou_thr=thr, legacy_plus_one=legacy, gt_offset=offset), [(found, truth)])
        for thr, legacy in settings_
    ]
    expected = OFF_BY_ONE[inclusive, offset]
    assert tuple(r.recall for r in results) == expected
    # all scores are equal: one cut, where precision and recall are the same
    assert tuple(r.ap for r in results) == pytest.approx([r * r for r in expected])


def test_equal_scores_count_together_unless_asked_otherwise():
    truth = squares([4, 4])
    images = [(found_all(truth), truth), (found_all(truth + 200), truth)]
    for together in (score(VocAP(), images), score(VocAP(), images[::-1])):
        assert together.ap == pytest.approx(0.25)
    in_order = [score(VocAP(ties="in order"), part).ap for part in (images, images[::-1])]
    assert in_order == pytest.approx([0.5, 0.25])


def test_only_the_best_of_an_image_count():
    truth = squares([4, 4])
    found = found_all(truth, [0.1, 0.9])
    assert score(VocAP(max_dets=1), [(found, truth)]).recall == 0.5


def test_precision_and_recall_at_a_confidence_by_hand():
    fixed = score(TargetF1(conf=0.6), five_detections())
    assert (fixed.precision, fixed.recall, fixed.conf) == (0.75, 0.75, 0.6)
    assert fixed.f1 == pytest.approx(0.75)
    best = score(TargetF1(), five_detections())
    assert best.f1 == pytest.approx(0.75, abs=0.002)
    assert best.conf == pytest.approx(0.6, abs=0.002)
    assert score(TargetF1(conf=0.95), five_detections()).f1 == 0
    assert score(TargetF1(min_score=0.6), five_detections()).n_found == 3


def test_the_envelope_of_yolo_ends_where_the_version_says():
    truth = squares([4, 4])
    images = [(found_all(truth[:1]), truth)]
    v7, v5 = score(TargetF1(), images).ap50, score(TargetF1(v5_metric=True), images).ap50
    assert v7 == pytest.approx(0.505, abs=1e-6)
    assert v5 == pytest.approx(0.75, abs=1e-6)  # a straight line from (0.5, 1) to (1, 0)


def plain_coco(images: list[tuple[FoundBoxes, np.ndarray]]) -> np.ndarray:
    """pycocotools used as its readme says."""

    def records(image_id: int, boxes: np.ndarray, **more: object) -> list[dict]:
        sizes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
        return [{"image_id": image_id, "category_id": 1, "bbox": box, **more} for box in sizes]

    truth, found = [], []
    for k, (part, boxes) in enumerate(images, 7):
        truth += records(k, boxes, iscrowd=0)
        for box, value in zip(part.boxes, part.scores, strict=True):
            found += records(k, box[None], score=float(value))
    for number, record in enumerate(truth, 1):
        record.update(id=number, area=record["bbox"][2] * record["bbox"][3])
    with redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": k} for k in range(7, 7 + len(images))],
            "categories": [{"id": 1}],
            "annotations": truth,
        }
        coco.createIndex()
        job = COCOeval(coco, coco.loadRes(found), "bbox")
        job.evaluate()
        job.accumulate()
        job.summarize()
    return job.stats


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_coco_is_that_of_pycocotools(seed, n):
    images = random_images(seed, n)
    assume(all(sum(map(len, parts)) for parts in zip(*images, strict=True)))
    mine, stats = score(CocoAP(), images), plain_coco(images)
    assert (mine.ap, mine.ap50, mine.ap75, mine.recall) == pytest.approx(stats[[0, 1, 2, 8]])
    assert sum(part.n_truth for part in mine.areas) == mine.n_truth


def test_more_than_a_hundred_targets_of_an_image():
    """Known fault: pycocotools caps at 100 and gives -1 for any other cap."""
    truth = squares([4] * 150)
    images = [(found_all(truth, np.linspace(0.2, 0.9, 150).tolist()), truth)]
    capped, whole = score(CocoAP(), images), score(CocoAP(max_dets=None), images)
    assert capped.ap == pytest.approx(67 / 101)
    assert capped.n_capped == 50
    assert (whole.ap, whole.recall, whole.n_capped) == (1, 1, 0)


def test_ranges_of_area_are_half_open():
    truth = np.array([[0.0, 0, 2, 4], [20, 0, 23, 3], [40, 0, 44, 6], [60, 0, 65, 5]])
    result = score(CocoAP(), [(found_all(truth[:2]), truth)])
    assert [(r.low, r.high, r.n_truth) for r in result.areas] == [
        (0, 9, 1),
        (9, 25, 2),
        (25, None, 1),
    ]
    assert [r.recall for r in result.areas] == [1, 0.5, 0]


@pytest.mark.parametrize("metric", BOX_METRICS, ids=repr)
def test_a_perfect_detector_of_boxes(metric):
    images = [(found_all(squares(s)), squares(s)) for s in ([3], [1, 2, 7], [])]
    result = score(metric, images)
    values = [
        getattr(result, name)
        for name in ("ap", "f1", "ap50", "recall", "precision")
        if hasattr(result, name)
    ]
    assert values == pytest.approx([1.0] * len(values), abs=1e-6)
    assert result.n_images == 3


@pytest.mark.parametrize("metric", BOX_METRICS, ids=repr)
@pytest.mark.parametrize("truth", [NO_TRUTH, squares([3, 4])], ids=["no truth", "truth"])
@pytest.mark.parametrize("found", [NO_FOUND, found_all(squares([5]) + 300)], ids=["none", "false"])
def test_nothing_to_find_or_nothing_found(metric, truth, found):
    for images in ([(found, truth)], [(found, truth), (NO_FOUND, NO_TRUTH)]):
        result = score(metric, images)
        values = result.to_dict()
        assert values["recall"] == 0
        assert values.get("ap", values.get("f1")) == 0
        assert result.n_truth == len(truth)
    assert score(metric, []).n_images == 0


@pytest.mark.parametrize("metric", BOX_METRICS, ids=repr)
def test_the_order_of_images_does_not_matter(metric):
    images = random_images(3, 12)
    order = np.random.default_rng(0).permutation(12)
    shuffled = score(metric, [images[k] for k in order])
    assert shuffled.to_dict() == score(metric, images).to_dict()


def test_a_result_tells_its_options():
    result = score(VocAP(gt_offset=-1, legacy_plus_one=True), five_detections()).to_dict()
    assert result["options"]["gt_offset"] == -1
    assert result["options"]["legacy_plus_one"] is True
    assert "curve_recall" not in result


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: VocAP("10-point"), "VocAP.interpolation must be one of area, 11-point"),
        (lambda: VocAP(ties="random"), "VocAP.ties"),
        (lambda: FoundBoxes(np.zeros((2, 4)), np.zeros(3)), "boxes must be"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def square_target(side: int, shape=(40, 40)) -> tuple[np.ndarray, np.ndarray]:
    image = np.full(shape, 50.0)
    image[12 : 12 + side, 15 : 15 + side] = 150
    return image, np.array([[15, 12, 15 + side, 12 + side]])


def at(x: float, y: float, value: float = 1.0) -> FoundBoxes:
    return FoundBoxes(np.array([[x, y, x + 1, y + 1]]), np.array([value]))


def test_points_are_judged_by_the_middle_of_the_target():
    image, truth = square_target(3)
    metric = MNoCoAP()
    middle, corner, beside = (
        metric.result([metric.measure(image, at(*point), truth)]).aps
        for point in ((16, 13), (15, 12), (14, 13))
    )
    assert middle == (1,) * 9
    assert corner == (1,) * 8 + (0,)  # exp(-0.375^2) = 0.869
    assert beside == (0,) * 9


def test_the_map_is_that_of_the_formula_and_cut_at_the_border():
    image, truth = square_target(3)
    noco = noco_map(image, truth)
    assert noco[13, 16] == pytest.approx(1, abs=0.002)
    assert noco[12, 15] == pytest.approx(np.exp(-(0.375**2)), abs=0.002)
    assert (noco[:9] == 0).all()
    cut = noco_map(image[12:, 15:], truth - [15, 12, 15, 12])
    assert cut[:3, :3] == pytest.approx(noco[12:15, 15:18])


def test_a_neighbour_does_not_erase_a_target():
    """Known fault of the reference: the later window overwrites the earlier target."""
    image = np.full((30, 40), 50.0)
    truth = np.array([[10, 10, 12, 12], [13, 10, 15, 12]])
    for x0, y0, x1, y1 in truth:
        image[y0:y1, x0:x1] = 200
    alone = [noco_map(image, truth[k : k + 1]) for k in range(2)]
    assert (noco_map(image, truth) == np.maximum(*alone)).all()


def test_a_target_is_taken_once_and_points_outside_the_image_are_false():
    image, truth = square_target(3)
    points = FoundBoxes(
        np.vstack([at(16, 13).boxes, at(16, 13).boxes, at(-9, 300).boxes]),
        np.array([0.9, 0.8, 0.7]),
    )
    for part in MNoCoAP().measure(image, points, truth):
        assert part.hits.tolist() == [True, False, False]


def test_points_with_nothing_to_find_or_nothing_found():
    image, truth = square_target(3)
    metric = MNoCoAP()
    for found, boxes in ((NO_FOUND, truth), (at(3, 3), NO_TRUTH), (NO_FOUND, NO_TRUTH)):
        result = metric.result([metric.measure(image, found, boxes.astype(int))])
        assert result.ap == 0
        assert result.n_truth == len(boxes)

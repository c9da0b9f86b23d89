"""Regions that are neither target nor background: what is found there is not judged."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scenes import make_scene

from densesirst_gen.datasets import SceneFile
from densesirst_gen.detection.evaluation.evaluate import Scoring, collect, evaluate, score_scene
from densesirst_gen.detection.evaluation.predictions import Predictions
from densesirst_gen.detection.metrics import CocoAP, FoundBoxes, judged_boxes, judged_map
from densesirst_gen.detection.training.data import changed
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.annotate import annotate

CROWD = ((60.0, 50.0, 80.0, 70.0),)


def random_boxes(rng: np.random.Generator, n: int, size: float) -> np.ndarray:
    corner = rng.uniform(0, 90, (n, 2))
    return np.hstack([corner, corner + rng.uniform(0.6 * size, size, (n, 2))])


def ap50_of_pycocotools(found: FoundBoxes, truth: np.ndarray, crowds: np.ndarray) -> float:
    def document(boxes: np.ndarray, scores: np.ndarray, crowd: np.ndarray) -> COCO:
        rows = zip(boxes.tolist(), scores.tolist(), crowd.tolist(), strict=True)
        records: list[dict[str, Any]] = [
            {
                "id": k,
                "image_id": 1,
                "category_id": 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "score": score,
                "iscrowd": is_crowd,
            }
            for k, ((x0, y0, x1, y1), score, is_crowd) in enumerate(rows, 1)
        ]
        coco = COCO()
        coco.dataset = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": records}
        coco.createIndex()
        return coco

    everything = np.vstack([truth, crowds])
    flags = np.repeat([0, 1], [len(truth), len(crowds)])
    with contextlib.redirect_stdout(io.StringIO()):
        job = COCOeval(
            document(everything, np.ones(len(everything)), flags),
            document(found.boxes, found.scores, np.zeros(len(found), int)),
            "bbox",
        )
        job.params.iouThrs = np.array([0.5])
        job.evaluate()
        job.accumulate()
    return float(job.eval["precision"][0, :, 0, 0, -1].mean())


@pytest.mark.parametrize("seed", range(12))
def test_the_rule_is_that_of_pycocotools(seed):
    rng = np.random.default_rng(seed)
    truth, crowds = random_boxes(rng, 12, 8), random_boxes(rng, 4, 40)
    boxes = np.vstack([truth[:9] + rng.normal(0, 0.7, (9, 4)), random_boxes(rng, 25, 8)])
    found = FoundBoxes(boxes, rng.uniform(size=len(boxes)))
    judged = judged_boxes(found, truth, crowds.tolist())
    assert len(judged) < len(found)
    ap = CocoAP((0.5,)).result([(judged, truth)]).ap50
    assert ap == pytest.approx(ap50_of_pycocotools(found, truth, crowds))


def test_without_regions_nothing_changes():
    found = FoundBoxes(np.array([[1.0, 1, 5, 5]]), np.ones(1))
    assert judged_boxes(found, np.zeros((0, 4)), ()) is found
    prob = np.ones((4, 4))
    assert judged_map(prob, np.zeros((4, 4), np.int32), ()) is prob


def test_at_iou_0_only_what_touches_a_region_is_left_out():
    found = FoundBoxes(np.array([[1.0, 1, 5, 5], [61, 51, 90, 90]]), np.ones(2))
    assert judged_boxes(found, np.zeros((0, 4)), CROWD, iou_thr=0).boxes.tolist() == [[1, 1, 5, 5]]


def test_maps_are_blank_in_the_regions_but_for_targets():
    prob, labels = np.zeros((20, 20), np.float32), np.zeros((20, 20), np.int32)
    labels[3:6, 3:6] = 1
    prob[2:7, 2:7] = 0.9  # a target, larger than it is
    prob[12:14, 4:6] = 0.8  # in the region
    prob[17:19, 17:19] = 0.7  # elsewhere
    judged = judged_map(prob, labels, [(0, 0, 8, 15)])
    assert np.unique(judged[:, :8]).tolist() == pytest.approx([0, 0.9])
    assert (judged[:, 8:] == prob[:, 8:]).all()
    assert (judged[2:7, 2:7] == prob[2:7, 2:7]).all()
    assert judged_map(prob > 0.5, labels, [(-5, -5, 99, 99)]).dtype == np.bool_


# row 89
def test_detections_on_crowds_are_not_false(tmp_path):
    scene = make_scene(name="a", targets=2)
    truth = annotate(scene.labels).boxes.astype(float)
    assert not scene.labels[50:70, 60:80].any()
    found = FoundBoxes(np.vstack([[[62.0, 52, 70, 60]], truth]), np.array([0.9, 0.8, 0.8]))
    prob = (scene.labels > 0).astype(np.float32)
    prob[52:60, 62:70] = 1
    for kind, predicted in (("boxes", found), ("maps", prob)):
        false, right = (
            collect(kind, [score_scene(scene, predicted, Scoring(), regions)], Scoring())
            for regions in ((), CROWD)
        )
        assert (right.voc12.ap, right.targets.precision, right.scenes[0].n_false) == (1, 1, 0)
        assert right.coco.ap50 == right.f1.precision == pytest.approx(1)
        assert false.scenes[0].n_false == 1
    assert right.pixels is not None
    assert right.pixels.iou == right.pixels.precision == 1


def scene_file(root: Path) -> SceneFile:
    scene = make_scene(name="a", targets=2)
    for part, array in (
        ("image", scene.image),
        ("mask", (scene.labels > 0).astype(np.uint8) * 255),
    ):
        (root / f"{part}.png").write_bytes(encode_png(array))
    return SceneFile("a", root / "image.png", root / "mask.png", ignored=CROWD)


def test_the_regions_of_files_are_used_and_resized_with_them(tmp_path):
    file = scene_file(tmp_path)
    found = FoundBoxes(np.array([[62.0, 52, 70, 60]]), np.array([0.9]))
    for one, scale in (
        (file, 1),
        (changed([file], side=64)[0], 0.5),
        (changed([file], noise=1)[0], 1),
    ):
        moved = replace(found, boxes=found.boxes * scale)
        predictions = Predictions(tmp_path, "boxes", {"a": moved}, (), ())
        assert evaluate([one], predictions).scenes[0].n_found == 0
        assert one.ignored == tuple(tuple(v * scale for v in box) for box in CROWD)

"""Reading predictions, scoring a dataset, and what the command says and writes."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import run
from PIL import Image
from scenes import make_scene

from densesirst_gen.datasets import Dataset, read_dataset
from densesirst_gen.detection.evaluation.coco_results import PredictionError
from densesirst_gen.detection.evaluation.evaluate import (
    TARGET,
    Evaluation,
    Scoring,
    collect,
    evaluate,
    score_scene,
)
from densesirst_gen.detection.evaluation.plots import draw_evaluation
from densesirst_gen.detection.evaluation.predictions import Predictions, read_map, read_predictions
from densesirst_gen.detection.evaluation.recall import breakdowns, interval
from densesirst_gen.detection.evaluation.sheet import FALSE, FOUND, MISSED, worst_sheet
from densesirst_gen.detection.evaluation.text import evaluation_text
from densesirst_gen.detection.metrics import FoundBoxes, PixelCurves
from densesirst_gen.files.images.codec import encode_png, encode_tiff
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

NAMES = ("a", "b", "c", "d")


def scenes() -> list[Scene]:
    return [make_scene(name=name, targets=k, seed=k) for k, name in enumerate(NAMES)]


def write_dataset(root: Path) -> Path:
    for scene in scenes():
        for part, array in (("images", scene.image), ("masks", mask_of(scene))):
            path = root / part / f"{scene.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(array))
    return root


def mask_of(scene: Scene) -> np.ndarray:
    return (scene.labels > 0).astype(np.uint8) * 255


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dense"))


@pytest.fixture(scope="module")
def dataset(root) -> Dataset:
    return read_dataset(root, layout="folders")


@pytest.fixture(scope="module")
def perfect(root) -> Predictions:
    return read_all(root / "masks", read_dataset(root, layout="folders"))


def read_all(source: Path, dataset: Dataset) -> Predictions:
    return read_predictions(source, dataset, [scene.name for scene in dataset.scenes])


def results(**changes: object) -> list[dict]:
    """COCO results that are right, their image ids the names of scenes."""
    found = [
        {"image_id": scene.name, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": 0.9}
        for scene in scenes()
        for x0, y0, x1, y1 in annotate(scene.labels).boxes.tolist()
    ]
    return [{**record, **changes} for record in found]


def write_json(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def write_map(folder: Path, name: str, array: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        path.write_bytes((encode_tiff if path.suffix == ".tif" else encode_png)(array))
    return path


# Maps


def test_every_kind_of_map_means_the_same(tmp_path):
    values = np.array([[0, 51, 255]])
    maps = {
        "a.png": values.astype(np.uint8),
        "b.png": (values * 257).astype(np.uint16),
        "c.npy": values / 255,
        "d.npy": values.astype(np.uint8),
        "e.npy": (values * 257).astype(np.uint16),
        "f.npy": (values / 255).astype(np.float16),
        "g.tif": (values / 255).astype(np.float32),
    }
    for name, array in maps.items():
        assert read_map(write_map(tmp_path, name, array)) == pytest.approx(values / 255, abs=1e-3)
    assert read_map(write_map(tmp_path, "h.npy", values > 99)).tolist() == [[False, False, True]]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[-3.5, 8.25]]), r"x.npy: float64 values from -3.5 to 8.25; .*logits"),
        (np.array([[np.nan, 0]]), "0..1"),
        (np.zeros((1, 4, 5)), r"must be \(H, W\)"),
        (np.zeros((4, 5), np.int64), "got int64"),
    ],
)
def test_a_map_that_is_none_is_refused_by_name(tmp_path, array, words):
    with pytest.raises(PredictionError, match=words):
        read_map(write_map(tmp_path, "x.npy", array))


# row 52
def test_pickles_are_not_opened(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(PredictionError, match=r"x\.npy"):
        read_map(tmp_path / "x.npy")


def test_maps_are_found_by_name(tmp_path, dataset):
    blank = np.zeros((96, 128), np.uint8)
    for name in ("a_pixels0.png", "b.npy", "stranger.png"):
        write_map(tmp_path, name, blank)
    write_map(tmp_path / "sub", "d.png", blank)
    deep = replace(dataset.scenes[3], name="sub/d")
    dataset = replace(dataset, scenes=(*dataset.scenes[:3], deep))
    found = read_all(tmp_path, dataset)
    assert set(found.found) == {"a", "b", "sub/d"}
    assert found.missing == ("c",)
    assert found.extra == ("stranger.png",)
    assert [note.split(" ")[0] for note in found.notes()] == ["1", "1"]
    part = read_predictions(tmp_path, dataset, ["a"])
    assert (part.missing, part.extra) == ((), ("stranger.png",))


def test_a_missing_map_is_an_empty_one(tmp_path, dataset):
    for scene in scenes()[:3]:
        write_map(tmp_path, f"{scene.name}.png", mask_of(scene))
    found = evaluate(dataset.scenes, read_all(tmp_path, dataset))
    assert found.targets.n_truth == 6
    assert found.targets.pd == found.voc12.recall == 0.5


def test_a_map_of_another_size_is_an_error_that_names_it(tmp_path, dataset):
    write_map(tmp_path, "a.png", np.zeros((96, 127), np.uint8))
    with pytest.raises(PredictionError, match=r"a\.png: the map is \(96, 127\), scene a is"):
        evaluate(dataset.scenes, read_all(tmp_path, dataset))


def test_predictions_of_something_else_are_refused(tmp_path, dataset):
    write_map(tmp_path, "zebra.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(PredictionError, match=r"\(zebra.png\) belongs to one of 4 scenes"):
        read_all(tmp_path, dataset)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PredictionError, match=r"no prediction of 0 \(none\)"):
        read_all(tmp_path / "empty", dataset)


# Boxes


def coco_images() -> list[dict]:
    return [{"id": k, "file_name": f"images/{name}.png"} for k, name in enumerate(NAMES, 10)]


def numbered() -> list[dict]:
    ids = {name: k for k, name in enumerate(NAMES, 10)}
    return [{**record, "image_id": ids[record["image_id"]]} for record in results()]


def test_image_ids_are_names_or_numbers_of_images(tmp_path, root, dataset):
    by_name = write_json(tmp_path / "names.json", results())
    by_file = [{**r, "image_id": f"images/{r['image_id']}.png"} for r in results()]
    document = {"images": coco_images(), "annotations": numbered()}
    expected = read_all(by_name, dataset)
    assert expected.missing == ("a",)
    for name, content, missing in (("files", by_file, ("a",)), ("document", document, ())):
        found = read_all(write_json(tmp_path / f"{name}.json", content), dataset)
        assert found.missing == missing
        for scene, boxes in expected.found.items():
            assert (found.found[scene].boxes == boxes.boxes).all()


def test_numbers_need_a_coco_file_that_says_what_they_mean(tmp_path, dataset):
    path = write_json(tmp_path / "numbers.json", numbered())
    with pytest.raises(PredictionError, match="use scene names as image_id"):
        read_all(path, dataset)
    source = dataset.root / "annotations.json"
    write_json(source, {"images": coco_images()})
    try:
        found = read_all(path, dataset)
    finally:
        source.unlink()
    assert set(found.found) == set(NAMES[1:])


def test_results_of_unknown_images_are_extra(tmp_path, dataset):
    strange = [{**results()[0], "image_id": "zebra"}]
    found = read_all(write_json(tmp_path / "r.json", results() + strange), dataset)
    assert found.extra == ("zebra",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ('"text"', "neither a list"),
        ('{"images": []}', "neither a list"),
        ('[{"image_id": "a", "bbox": [0, 0, 1, 1]}]', "record 0: a result needs .*score"),
        ('[{"image_id": "a", "bbox": [0, 0, 1], "score": 1}]', "record 0: a result needs"),
        ('[{"image_id": "a", "bbox": [0, 0, -1, 1], "score": 1}]', "record 0: bbox"),
        ('[{"image_id": "a", "bbox": [0, 0, NaN, 1], "score": 1}]', "record 0: bbox"),
        ('[{"image_id": 1.5, "bbox": [0, 0, 1, 1], "score": 1}]', "image_id 1.5"),
        ("[7]", "record 0"),
        ('{"images": [{"id": 3}], "annotations": []}', "images need id and file_name"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, dataset, content, words):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(PredictionError, match=words):
        read_all(path, dataset)


# Scores


@pytest.fixture(scope="module")
def from_maps(dataset, perfect) -> Evaluation:
    return evaluate(dataset.scenes, perfect)


@pytest.fixture(scope="module")
def from_boxes(dataset, tmp_path_factory) -> Evaluation:
    path = write_json(tmp_path_factory.mktemp("boxes") / "r.json", results())
    return evaluate(dataset.scenes, read_all(path, dataset))


def test_perfect_predictions(from_maps, from_boxes):
    for found in (from_maps, from_boxes):
        assert found.voc07.ap == found.voc12.ap == found.targets.pd == 1
        assert found.coco.ap == pytest.approx(1)
        assert found.f1.f1 == pytest.approx(1)
        assert found.targets.fa == 0
        assert found.target_rows[["by_iou", "by_centroid"]].tolist() == [(True, True)] * 6
        assert found.worst(9) == []
    assert from_maps.pixels.iou == from_maps.pixels.niou == from_maps.curves.auc == 1
    assert from_boxes.pixels is from_boxes.curves is None


def test_the_number_of_jobs_does_not_matter(dataset, perfect, from_maps):
    assert evaluate(dataset.scenes, perfect, jobs=2).to_dict() == from_maps.to_dict()


def test_the_order_of_scenes_does_not_matter():
    rng = np.random.default_rng(0)
    parts = [
        score_scene(
            s, np.clip(0.7 * (s.labels > 0) + rng.normal(0.2, 0.15, s.shape), 0, 1), Scoring()
        )
        for s in scenes()
    ]
    one, other = (collect("maps", order, Scoring()).to_dict() for order in (parts, parts[::-1]))
    assert one == other


def test_histograms_are_not_kept(dataset, perfect):
    """Memory must not grow with the number of images."""
    alive = []

    def parts():
        for scene in scenes():
            part = score_scene(scene, mask_of(scene) > 0, Scoring())
            alive.append(part.histogram.sum())
            yield part

    found = collect("maps", parts(), Scoring())
    assert found.curves.n_positive + found.curves.n_negative == sum(alive)
    assert PixelCurves().levels == 65536


def test_an_empty_list_of_results_means_nothing_found(dataset, tmp_path):
    """Known fault: pycocotools fails on it."""
    predictions = read_all(write_json(tmp_path / "none.json", []), dataset)
    assert predictions.missing == NAMES
    found = evaluate(dataset.scenes, predictions)
    assert (found.coco.ap, found.voc07.ap, found.f1.f1, found.targets.pd) == (0, 0, 0, 0)
    assert found.coco.n_truth == 6


def boxes_with_errors() -> tuple[Scene, FoundBoxes]:
    scene = make_scene(name="c", targets=3)
    truth = annotate(scene.labels).boxes.astype(float)
    boxes = np.vstack([truth[:2], truth[:1] + 40])
    return scene, FoundBoxes(boxes, np.array([0.9, 0.6, 0.3]))


@pytest.mark.parametrize(("threshold", "expected"), [(0.95, 0), (0.8, 1), (0.5, 2), (0.1, 2)])
def test_boxes_are_decided_at_the_threshold(threshold, expected):
    scene, found = boxes_with_errors()
    scoring = Scoring(threshold=threshold)
    evaluation = collect("boxes", [score_scene(scene, found, scoring)], scoring)
    assert evaluation.targets.n_matched == evaluation.scenes[0].n_hit == expected
    assert evaluation.scenes[0].n_false == (threshold == 0.1)
    assert evaluation.voc12.n_found == 3
    assert evaluation.threshold == evaluation.f1.conf == threshold


def test_without_threshold_boxes_are_decided_where_f1_is_greatest():
    scene, found = boxes_with_errors()
    evaluation = collect("boxes", [score_scene(scene, found, Scoring())], Scoring())
    assert 0.3 < evaluation.threshold <= 0.6
    row = evaluation.worst(1)[0]
    assert (row.name, row.n_truth, row.n_missed, row.n_false) == ("c", 3, 1, 0)


def test_sixteen_bits_make_no_difference():
    for dtype in (np.uint16, np.float32):
        scene = make_scene(name="c", targets=3, dtype=dtype)
        found = collect("maps", [score_scene(scene, scene.labels > 0, Scoring())], Scoring())
        assert found.noco.ap > 0.9


@pytest.mark.parametrize("kind", ["boxes", "maps"])
@pytest.mark.parametrize("targets", [None, 0, 2])
def test_nothing_to_score_nothing_to_find_nothing_found(kind, targets):
    parts = []
    if targets is not None:
        scene = make_scene(name="a", targets=targets)
        empty = (
            np.zeros(scene.shape) if kind == "maps" else FoundBoxes(np.zeros((0, 4)), np.zeros(0))
        )
        parts = [score_scene(scene, empty, Scoring())]
    found = collect(kind, parts, Scoring())
    json.dumps(found.to_dict(), allow_nan=False)
    assert "targets" in evaluation_text(found)
    assert found.voc12.ap == found.targets.pd == 0
    assert all(looks_drawn(figure.png) for figure in draw_evaluation(found))


def looks_drawn(png):
    return np.asarray(Image.open(BytesIO(png)).convert("L")).std() > 5


def test_recall_by_kinds_of_targets_by_hand():
    rows = np.zeros(5, TARGET)
    rows["side"] = [2, 3, 3, 7, 40]
    rows["group_targets"] = [1, 2, 2, 3, 3]
    rows["density"] = [0.9, 0.9, 1.0, 1.6, 9]
    rows["gap"] = [-1, 0, 1, 4, 9]
    rows["by_iou"] = [True, True, False, True, False]
    rows["by_centroid"] = True
    table = {
        b.name: [(x.label, x.n, x.by_iou, x.by_centroid) for x in b.bins if x.n]
        for b in breakdowns(rows)
    }
    assert table == {
        "size": [("1–2", 1, 1, 1), ("3", 2, 1, 2), ("6–8", 1, 1, 1), ("≥ 13", 1, 0, 1)],
        "density": [
            ("single", 1, 1, 1),
            ("0–1", 1, 1, 1),
            ("1–1.5", 1, 0, 1),
            ("1.5–2", 1, 1, 1),
            ("≥ 3", 1, 0, 1),
        ],
        "gap": [
            ("single", 1, 1, 1),
            ("0", 1, 1, 1),
            ("1", 1, 0, 1),
            ("4", 1, 1, 1),
            ("≥ 5", 1, 0, 1),
        ],
    }


def test_the_interval_is_that_of_wilson():
    low, high = interval(np.array([0, 5, 10]), np.array([10, 10, 10]))
    assert low == pytest.approx([0, 0.2366, 0.7225], abs=1e-3)
    assert high == pytest.approx([0.2775, 0.7634, 1], abs=1e-3)
    assert np.array(interval(np.zeros(1), np.zeros(1))).ravel().tolist() == [0, 1]


# Figures and the sheet


def test_figures_are_drawn_and_equal_numbers_give_equal_files(from_maps, from_boxes):
    for evaluation in (from_maps, from_boxes):
        figures = draw_evaluation(evaluation)
        names = ["roc", "precision-recall", "recall-size", "recall-density", "recall-gap"]
        assert [figure.name for figure in figures] == names
        for one in figures:
            assert one.caption.endswith(".")
            assert ElementTree.fromstring(one.captioned_svg).tag.endswith("svg")
    again = draw_evaluation(from_boxes)
    assert [one.captioned_svg for one in again] == [one.captioned_svg for one in figures]


def test_the_sheet_shows_found_missed_and_false(dataset, tmp_path):
    scene = make_scene(name="d", targets=3, seed=3)
    wrong = mask_of(scene) * (scene.labels != 2)
    wrong[70:74, 90:93] = 255
    write_map(tmp_path, "d.png", wrong)
    for other in scenes()[:3]:
        write_map(tmp_path, f"{other.name}.png", mask_of(other))
    predictions = read_all(tmp_path, dataset)
    evaluation = evaluate(dataset.scenes, predictions)
    assert [(r.name, r.n_missed, r.n_false) for r in evaluation.worst(9)] == [("d", 1, 1)]
    pixels = np.asarray(worst_sheet(evaluation, dataset.scenes, predictions))
    body = pixels[56:].reshape(-1, 3)
    assert all((body == colour).all(axis=1).any() for colour in (FOUND, MISSED, FALSE))


def test_the_sheet_of_a_perfect_detector_has_no_rows(dataset, perfect, from_maps):
    assert worst_sheet(from_maps, dataset.scenes, perfect).height < 50


# The command


def test_the_command_prints_a_table_and_writes_what_was_asked_for(root, tmp_path):
    out = tmp_path / "made" / "scores.json"
    done = run(
        "evaluate", "-p", root / "masks", "-d", root, "--json", out, "--plots", tmp_path / "figures"
    )
    lines = {
        line.strip().rsplit("  ", 1)[0].strip(): line.split()[-1]
        for line in done.stdout.splitlines()
        if line[:2] == "  "
    }
    assert (lines["scenes"], lines["targets"], lines["Pd"]) == ("4", "6", "1.0000")
    assert lines["mAP12 (area)"] == lines["IoU"] == "1.0000"
    document = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert document["schema"] == "densesirst-gen/evaluate@1"
    assert document["voc07"]["options"]["interpolation"] == "11-point"
    assert len(document["scenes"]) == 4
    written = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert len(written) == 11
    assert "worst.png" in written


def test_the_command_says_what_is_missing_and_passes_the_rules_on(root, tmp_path):
    path = write_json(tmp_path / "r.json", [r for r in results() if r["image_id"] != "b"])
    rules = (
        "--gt-offset",
        -1,
        "--legacy-plus-one",
        "--matching",
        "first",
        "--threshold",
        0.25,
        "--max-dets",
        0,
        "--split-peaks",
    )
    done = run("evaluate", "-p", path, "-d", root, "--json", "-", *rules)
    assert "2 scenes have no prediction, taken for: nothing found: a, b" in done.stderr
    document = json.loads(done.stdout)
    assert document["missing"] == ["a", "b"]
    assert document["voc12"]["options"]["legacy_plus_one"] is True
    assert document["targets"]["options"] == {
        "threshold": 0.25,
        "matching": "first",
        "max_dist": 3.0,
    }
    assert document["coco"]["options"]["max_dets"] is None
    assert document["scoring"]["split"] == "peak"
    assert "read_as" not in document


def test_the_document_says_how_the_truth_was_read(root, tmp_path):
    path = write_json(tmp_path / "r.json", results())
    rules = ("--layout", "folders", "--ignore", "*_extra.png", "--json", "-")
    document = json.loads(run("evaluate", "-p", path, "-d", root, *rules).stdout)
    assert document["layout"] == "folders"
    assert document["read_as"] == {"ignore": ["*_extra.png"]}


def test_the_command_scores_a_part(root, tmp_path):
    split = tmp_path / "part.txt"
    split.write_text("b\nc\n")
    arguments = ("evaluate", "-p", root / "masks", "-d", root, "--split", split, "--json", "-")
    assert [s["name"] for s in json.loads(run(*arguments).stdout)["scenes"]] == ["b", "c"]
    assert len(json.loads(run(*arguments, "--limit", 1).stdout)["scenes"]) == 1


def test_real_scenes_score_perfectly_against_themselves(real_data):
    folder = real_data / "sirstv2"
    dataset = read_dataset(folder)
    files = [scene for scene in dataset.scenes[::50] if scene.has_targets()][:4]
    names = [scene.name for scene in files]
    predictions = read_predictions(folder / "annotations" / "masks", dataset, names)
    found = evaluate(files, predictions)
    assert found.targets.fa == 0
    assert found.voc12.recall == found.targets.pd == found.pixels.iou == 1

"""COCO files of other people: records are checked against themselves; nothing is wrong silently."""

from __future__ import annotations

import contextlib
import json
import os
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from densesirst_gen.datasets import Dataset, DatasetError, read_coco
from densesirst_gen.datasets.coco.written import coco_image, coco_text
from densesirst_gen.datasets.grammar.segmentation import (
    box_segmentation,
    one_piece_each,
    segment_labels,
    usable_parts,
)
from densesirst_gen.files.images.codec import CodecError, encode_png
from densesirst_gen.scene.annotate import annotate, label_mask, masks_to_rle
from densesirst_gen.scene.scene import Scene, SceneError

HEIGHT, WIDTH = 48, 64
Box = tuple[int, int, int, int]
BOXES: tuple[Box, ...] = ((4, 30, 3, 3), (20, 10, 4, 3), (40, 20, 3, 5), (50, 40, 4, 4))
"""x, y, width, height of four targets; none is on the diagonal."""


def mask_of(*boxes: Box) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for x, y, w, h in boxes:
        mask[y : y + h, x : x + w] = True
    return mask


def runs(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths as COCO has them; of the transpose, with the size of the image, along rows."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
    return {
        "size": [HEIGHT, WIDTH],
        "counts": np.diff([0, *edges, flat.size]).tolist(),
    }


def runs_along_rows(box: Box) -> dict[str, Any]:
    return runs(mask_of(box).ravel().reshape(HEIGHT, WIDTH, order="F"))


def corners(x: float, y: float, w: float, h: float) -> list[float]:
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def record(k: int, box: Box, **changes: Any) -> dict[str, Any]:
    return {
        "id": k + 1,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": list(box),
        "area": box[2] * box[3],
        "segmentation": runs(mask_of(box)),
    } | changes


def records(**changes: Any) -> list[dict[str, Any]]:
    return [record(k, box, **changes) for k, box in enumerate(BOXES)]


def put_image(path: Path, level: int = 7) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.full((HEIGHT, WIDTH), level, np.uint8)))


def coco(
    root: Path,
    annotations: list[dict[str, Any]],
    files: tuple[str, ...] = ("a.png",),
    *,
    categories: tuple[str, ...] = ("target",),
    on_disk: tuple[str, ...] | None = None,
    **image: Any,
) -> Path:
    """Write images and a COCO file; the path of the latter."""
    for name in files if on_disk is None else on_disk:
        put_image(root / name)
    size = {"width": WIDTH, "height": HEIGHT} | image
    document = {
        "images": [{"id": i, "file_name": name} | size for i, name in enumerate(files, 1)],
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories, 1)],
    }
    path = root / "annotations.json"
    path.write_text(json.dumps(document))
    return path


def n_targets(dataset: Dataset) -> int:
    return sum(scene.load().n_targets for scene in dataset.scenes)


def told(dataset: Dataset, *words: str) -> bool:
    return any(all(word in note for word in words) for note in dataset.notes())


# ---------------------------------------------------------------- masks against bbox and area


def with_segmentation(segmentation: Any) -> Any:
    return lambda box: {"segmentation": segmentation(box)}


def contour(x: int, y: int, w: int, h: int) -> list[list[float]]:
    """Through the centres of the outer pixels, as OpenCV has it."""
    return [corners(x, y, w - 1, h - 1)]


NO_MASK = "no segmentation, only a box"
CONTRADICTIONS: dict[str, tuple[Any, str, int]] = {
    # what becomes of a record, what is said, how many targets are left if it is one of four
    "along rows": (with_segmentation(runs_along_rows), "along the rows", 3),
    "contour": (with_segmentation(lambda box: contour(*box)), "smaller than their own", 4),
    "contour, its own area": (
        lambda b: {"segmentation": contour(*b), "area": (b[2] - 1) * (b[3] - 1)},
        "smaller than their own",
        4,
    ),
    "contour, its own bbox": (
        lambda b: {"segmentation": contour(*b), "bbox": [*b[:2], b[2] - 1, b[3] - 1]},
        "smaller than their own",
        4,
    ),
    "eroded": (
        lambda b: {"segmentation": runs(mask_of((b[0] + 1, b[1] + 1, 1, 1))), "bbox": None},
        "smaller than their own",
        4,
    ),
    "units": (
        with_segmentation(lambda b: [(np.array(corners(*b)) / 64).tolist()]),
        "from 0 to 1",
        3,
    ),
    "moved": (
        with_segmentation(lambda b: runs(np.roll(mask_of(b), 7, axis=1))),
        "elsewhere than their own bbox",
        3,
    ),
    "scaled": (
        with_segmentation(lambda b: [(np.array(corners(*b)) / 2).tolist()]),
        "elsewhere than their own bbox",
        3,
    ),
    "crowd": (lambda _: {"iscrowd": 1}, "iscrowd 1", 3),
    "crowd as text": (lambda _: {"iscrowd": "1"}, "iscrowd 1", 3),
    "[]": (with_segmentation(lambda _: []), NO_MASK, 3),
    "[[]]": (with_segmentation(lambda _: [[]]), NO_MASK, 3),
    "null": (with_segmentation(lambda _: None), NO_MASK, 3),
    "NaN": (with_segmentation(lambda _: float("nan")), NO_MASK, 3),
    "two points": (with_segmentation(lambda b: [corners(*b)[:4]]), "three finite x, y", 3),
    "odd numbers": (with_segmentation(lambda b: [corners(*b)[:7]]), "three finite x, y", 3),
    "NaN in a polygon": (
        with_segmentation(lambda b: [[float("nan"), *corners(*b)[1:]]]),
        "three finite x, y",
        3,
    ),
    "infinity": (
        with_segmentation(lambda b: [[float("inf"), *corners(*b)[1:]]]),
        "three finite x, y",
        3,
    ),
    "texts": (with_segmentation(lambda b: [list(map(str, corners(*b)))]), "three finite x, y", 3),
    "enormous": (with_segmentation(lambda b: [[10**400, *corners(*b)[1:]]]), "three finite", 3),
    "too long": (
        with_segmentation(lambda b: {"size": [HEIGHT, WIDTH], "counts": [0, 9999]}),
        "do not add up",
        3,
    ),
    "of another image": (
        with_segmentation(lambda b: {"size": [WIDTH, HEIGHT], "counts": [HEIGHT * WIDTH]}),
        "segmentation is for",
        3,
    ),
    "word": (with_segmentation(lambda _: "polygon"), "neither polygon nor RLE", 3),
    "number": (with_segmentation(lambda _: 7), "neither polygon nor RLE", 3),
    "black": (
        lambda _: {"segmentation": runs(mask_of()), "area": 0},
        "cover no pixel",
        3,
    ),
    "outside": (
        lambda _: {"segmentation": [corners(90, 90, 4, 4)], "bbox": None},
        "cover no pixel",
        3,
    ),
}


@pytest.mark.parametrize(("change", "words", "_"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
# row 100
def test_what_is_wrong_with_most_records_is_refused(
    tmp_path: Path, change: Any, words: str, _: int
) -> None:
    changed = [record(k, box, **change(box)) for k, box in enumerate(BOXES)]
    if words == NO_MASK:
        assert told(read_coco(coco(tmp_path, changed)), "4 of 4 targets have boxes only")
        return
    with pytest.raises(DatasetError, match=words) as caught:
        read_coco(coco(tmp_path, changed))
    assert "4 of 4" in str(caught.value)
    assert "annotation 1 of a" in str(caught.value)


@pytest.mark.parametrize(("change", "words", "left"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
# row 100
def test_what_is_wrong_with_some_records_is_noted(
    tmp_path: Path, change: Any, words: str, left: int
) -> None:
    changed = [*records()[:3], record(3, BOXES[3], **change(BOXES[3]))]
    dataset = read_coco(coco(tmp_path, changed))
    assert told(dataset, words, "1 of 4", "annotation 4 of a")
    assert n_targets(dataset) == left


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_half_is_not_most(tmp_path: Path, n: int) -> None:
    boxes = [(4 + 8 * k, 20, 3, 3) for k in range(n)]
    changed = [record(k, box, iscrowd=int(k < n // 2)) for k, box in enumerate(boxes)]
    assert n_targets(read_coco(coco(tmp_path, changed))) == n - n // 2
    changed = [record(k, box, iscrowd=int(k <= n // 2)) for k, box in enumerate(boxes)]
    with pytest.raises(DatasetError, match=f"{n // 2 + 1} of {n} annotations are iscrowd"):
        read_coco(coco(tmp_path, changed))


BBOXES = {
    "corners": (lambda x, y, w, h: [x, y, x + w, y + h], "corners"),
    "centres": (lambda x, y, w, h: [x + w / 2, y + h / 2, w, h], "centre"),
    "fractions": (lambda x, y, w, h: [x / 64, y / 48, w / 64, h / 48], "from 0 to 1"),
    "padded": (lambda x, y, w, h: [x - 4, y - 4, w + 8, h + 8], "larger than their masks"),
    "NaN": (lambda x, y, w, h: [x, y, w, float("nan")], "not x y width height"),
    "three numbers": (lambda x, y, w, h: [x, y, w], "not x y width height"),
    "negative": (lambda x, y, w, h: [x, y, -w, h], "not x y width height"),
    "text": (lambda x, y, w, h: "box", "not x y width height"),
}


@pytest.mark.parametrize(("change", "words"), BBOXES.values(), ids=BBOXES)
# row 104
def test_boxes_in_other_words_are_noted_and_masks_taken(
    tmp_path: Path, change: Any, words: str
) -> None:
    big = [(x, y, w + 6, h + 6) for x, y, w, h in BOXES[:3]]
    changed = [record(k, box, bbox=change(*box)) for k, box in enumerate(big)]
    dataset = read_coco(coco(tmp_path, changed))
    assert told(dataset, words, "3 of 3")
    np.testing.assert_array_equal(dataset.scenes[0].load().labels > 0, mask_of(*big))


SOUND = {
    "as it should be": lambda b: {},
    "no bbox": lambda b: {"bbox": None, "area": None},
    "empty bbox": lambda b: {"bbox": []},
    "both ends included": lambda b: {"bbox": [b[0], b[1], b[2] - 1, b[3] - 1]},
    "a little off": lambda b: {"bbox": [b[0] - 0.4, b[1] - 0.3, b[2] + 0.7, b[3] + 0.6]},
    "texts": lambda b: {"bbox": list(map(str, b)), "area": str(b[2] * b[3])},
    "area of the box": lambda b: {
        "segmentation": [[b[0], b[1] + 1.5, b[0] + 1.5, b[1], *corners(*b)[4:6], b[0], b[1] + b[3]]]
    },
    "pixel edges": lambda b: {"segmentation": [[*corners(*b), b[0], b[1] + b[3] / 2]]},
    "flat": lambda b: {"segmentation": [*corners(*b), b[0], b[1] + b[3] / 2]},
    "runs as floats": lambda b: {
        "segmentation": {
            "size": [float(HEIGHT), float(WIDTH)],
            "counts": list(map(float, runs(mask_of(b))["counts"])),
        }
    },
    "false": lambda b: {"iscrowd": False},
    "no crowd": lambda b: {"iscrowd": None},
    "text crowd": lambda b: {"iscrowd": "0"},
    "area 0": lambda b: {"area": 0},
}


@pytest.mark.parametrize("change", SOUND.values(), ids=SOUND)
def test_sound_records_are_read_without_a_word(tmp_path: Path, change: Any) -> None:
    boxes = BOXES[:3]  # the sides of the last are long enough for a box that is taken for a mask
    dataset = read_coco(
        coco(tmp_path, [record(k, box, **change(box)) for k, box in enumerate(boxes)])
    )
    assert dataset.notes() == []
    assert n_targets(dataset) == 3


@given(st.lists(st.tuples(st.floats(1, 60), st.floats(1, 44)), min_size=3, max_size=12))
def test_polygons_drawn_by_hand_fit_their_own_bbox(points: list[tuple[float, float]]) -> None:
    from densesirst_gen.datasets.coco.checks import findings_of, measure

    xs, ys = zip(*points, strict=True)
    mask = measure([[value for point in points for value in point]], (HEIGHT, WIDTH))
    bbox = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    found = set(findings_of(mask, bbox, mask.enclosed, (HEIGHT, WIDTH)))
    assert not {kind for kind in found if "bbox" in kind}


# row 100
def test_a_broken_part_is_dropped_and_not_the_record(tmp_path: Path) -> None:
    x, y, w, h = BOXES[0]
    edge = [*corners(x, y, w, h), x, y + 1]
    for extra in ([1, 2, 3, 4], [1, 2], [1, 2, 3, 4, 5], [float("nan")] * 6, ["a"] * 6, "x", 3):
        dataset = read_coco(coco(tmp_path, [record(0, BOXES[0], segmentation=[edge, extra])]))
        assert told(dataset, "lose a part", "annotation 1 of a")
        np.testing.assert_array_equal(dataset.scenes[0].load().labels > 0, mask_of(BOXES[0]))


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_polygons_that_are_their_boxes(tmp_path: Path, closed: bool, shift: float) -> None:
    box = (10, 12, 20, 10)
    x, y, w, h = box
    polygon = corners(x + shift, y + shift, w, h)
    polygon += polygon[:2] * closed
    path = coco(tmp_path, [record(0, box, segmentation=[polygon])])
    boxes = read_coco(path)
    assert told(boxes, "1 of 1 polygons", "boxes, not masks")
    assert np.allclose(
        boxes.scenes[0].boxes, [(x + shift, y + shift, x + w + shift, y + h + shift)]
    )
    dataset = read_coco(path, masks_from="boxes")
    assert told(dataset, "boxes, not masks")
    assert n_targets(dataset) == 1


# ---------------------------------------------------------------- boxes without masks, and crowd


@pytest.mark.parametrize("empty", [[], [[]], None])
def test_filled_boxes_are_told_as_such(tmp_path: Path, empty: Any) -> None:
    path = coco(tmp_path, records(segmentation=empty))
    boxes = read_coco(path)
    assert told(boxes, "boxes, not masks: 4 of 4", "masks_from='boxes'")
    assert boxes.scenes[0].boxes == tuple((x, y, x + w, y + h) for x, y, w, h in BOXES)
    dataset = read_coco(path, masks_from="boxes")
    assert told(dataset, "4 of 4 masks are made of boxes")
    np.testing.assert_array_equal(dataset.scenes[0].load().labels > 0, mask_of(*BOXES))


@pytest.mark.parametrize(
    ("bbox", "pixels"),
    [
        ([3.2, 4.4, 2.1, 2.0], (3, 4, 2, 2)),
        ([3.4, 4.4, 0.1, 0], (3, 4, 1, 1)),
        ([-2, -2, 5, 5], (0, 0, 3, 3)),
        ([62, 46, 9, 9], (62, 46, 2, 2)),
        ([63.9, 47.9, 4, 4], (63, 47, 1, 1)),
    ],
)
def test_the_pixels_of_boxes(tmp_path: Path, bbox: list[float], pixels: Box) -> None:
    path = coco(tmp_path, [record(0, BOXES[0], segmentation=[], bbox=bbox)])
    labels = read_coco(path, masks_from="boxes").scenes[0].load().labels
    np.testing.assert_array_equal(labels > 0, mask_of(pixels))


@pytest.mark.parametrize("bbox", [[64, 3, 2, 2], [3, 48, 2, 2], [-9, 0, 2, 2], None, [], "x"])
def test_boxes_outside_are_no_masks(tmp_path: Path, bbox: Any) -> None:
    boxes = [*records()[:2], record(2, BOXES[2], segmentation=[], bbox=bbox)]
    dataset = read_coco(coco(tmp_path, boxes), masks_from="boxes")
    assert n_targets(dataset) == 2
    assert told(dataset, "1 of 3", "no segmentation")


@given(st.integers(0, 60), st.integers(0, 44), st.integers(1, 9), st.integers(1, 9))
def test_the_run_lengths_of_a_box(x: int, y: int, w: int, h: int) -> None:
    x1, y1 = min(x + w, WIDTH), min(y + h, HEIGHT)
    code = box_segmentation((x, y, x1, y1), (HEIGHT, WIDTH))
    labels, _ = segment_labels([code], (HEIGHT, WIDTH))
    np.testing.assert_array_equal(labels > 0, mask_of((x, y, x1 - x, y1 - y)))


# rows 45, 89
def test_crowd_is_carried_as_regions_to_ignore(tmp_path: Path) -> None:
    marked = [record(k, box, iscrowd=int(k == 1)) for k, box in enumerate(BOXES)]
    (scene,) = read_coco(coco(tmp_path, marked)).scenes
    assert scene.ignored == ((20.0, 10.0, 24.0, 13.0),)
    assert scene.load_with_notes()[1] == ["coco: 1 regions are ignored"]
    marked[1] |= {"bbox": None}
    (scene,) = read_coco(coco(tmp_path, marked)).scenes
    assert scene.ignored == ((20.0, 10.0, 24.0, 13.0),)


def test_what_has_no_usable_mask_is_carried_as_a_region_to_ignore(tmp_path: Path) -> None:
    for segmentation in ([], [[1, 2, 3, 4]], {"size": [1, 1], "counts": [1]}):
        changed = [*records()[:3], record(3, BOXES[3], segmentation=segmentation)]
        (scene,) = read_coco(coco(tmp_path, changed)).scenes
        assert scene.ignored == ((50.0, 40.0, 54.0, 44.0),)


def test_crowd_is_read_as_targets_if_asked_for(tmp_path: Path) -> None:
    dataset = read_coco(coco(tmp_path, records(iscrowd=1)), crowd="targets")
    assert n_targets(dataset) == 4
    assert told(dataset, "4 of 4 annotations are iscrowd 1 and read as targets")
    assert dataset.scenes[0].ignored == ()


@pytest.mark.parametrize("options", [{"crowd": "yes"}, {"masks_from": "circles"}])
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(DatasetError, match="must be"):
        read_coco(coco(tmp_path, records()), **options)  # type: ignore[arg-type]


# ---------------------------------------------------------------- categories


def in_categories(*ids: int) -> list[dict[str, Any]]:
    return [record(k, BOXES[k], category_id=n) for k, n in enumerate(ids)]


@pytest.mark.parametrize(
    ("names", "ids", "n", "note"),
    [
        (("drone",), (1, 1), 2, ""),
        (("0",), (1, 1), 2, ""),
        (("targets", "target"), (2, 2), 2, ""),  # Roboflow: the first is only a heading
        (("target", "sky"), (1, 2, 1), 2, "sky (1)"),
        (("Sky", "plane"), (1, 2, 1), 1, "Sky (2)"),
        (("background", "Cloud_region", "sea", "dot"), (1, 2, 3, 4), 1, "background (1)"),
        (("not-sky", "UAV"), (1, 2, 2), 2, "not-sky (1)"),
        (("target", "bird"), (1, 2, 1), 2, "bird (1)"),
        (("Small_Target", "bird", "sun"), (1, 2, 3), 1, "bird (1)"),
        (("弱小目标", "鸟"), (1, 2), 1, "鸟 (1)"),
        (("Target", "target"), (1, 2), 2, ""),
    ],
)
def test_the_one_category_that_can_be_meant(
    tmp_path: Path, names: tuple[str, ...], ids: tuple[int, ...], n: int, note: str
) -> None:
    dataset = read_coco(coco(tmp_path, in_categories(*ids), categories=names))
    assert n_targets(dataset) == n
    assert told(dataset, note) if note else dataset.notes() == []


@pytest.mark.parametrize(
    ("names", "ids", "words"),
    [
        (("drone", "plane"), (1, 2, 2), r"several categories: plane \(2\), drone \(1\)"),
        (("target", "small target"), (1, 2), "several categories"),
        (("drone", "bird", "sky"), (1, 2, 3), "--category"),
        (("sky",), (1, 1), r"no targets: the only categories are sky \(2\)"),
        (("ground", "sky"), (1, 2), "no targets"),
    ],
)
# row 90
def test_categories_that_cannot_be_told_apart_are_asked_for(
    tmp_path: Path, names: tuple[str, ...], ids: tuple[int, ...], words: str
) -> None:
    with pytest.raises(DatasetError, match=words):
        read_coco(coco(tmp_path, in_categories(*ids), categories=names))


def test_categories_are_chosen_in_any_case(tmp_path: Path) -> None:
    path = coco(tmp_path, in_categories(1, 2, 3), categories=("Drone", "air_plane", "bird"))
    assert n_targets(read_coco(path, category="drone")) == 1
    assert n_targets(read_coco(path, category=("DRONE", "Air Plane"))) == 2
    assert told(read_coco(path, category=["bird"]), "Drone (1)", "air_plane (1)")
    with pytest.raises(DatasetError, match=r"category 'ship'; there are Drone \(1\)"):
        read_coco(path, category="ship")
    with pytest.raises(DatasetError, match="'sky' is never a target"):
        read_coco(path, category="sky")


@pytest.mark.parametrize("name", ["ignore", "ignored regions", "Ignored", "don't care", "crowd"])
def test_categories_to_ignore_are_regions(tmp_path: Path, name: str) -> None:
    dataset = read_coco(coco(tmp_path, in_categories(1, 2, 1), categories=("uav", name)))
    assert n_targets(dataset) == 2
    assert len(dataset.scenes[0].ignored) == 1
    assert told(dataset, "of a category to ignore", "1 of 3")


# row 90
def test_a_sky_polygon_swallows_no_targets(tmp_path: Path) -> None:
    sky = record(9, (0, 0, WIDTH, 40), category_id=2, segmentation=[corners(0, 0, WIDTH, 40)])
    path = coco(tmp_path, [sky, *records()], categories=("target", "sky"))
    labels = read_coco(path).scenes[0].load().labels
    np.testing.assert_array_equal(labels > 0, mask_of(*BOXES))


# ---------------------------------------------------------------- ids and sizes


def edit(path: Path, section: str, **changes: Any) -> Path:
    """Change fields of all records of a section."""
    document = json.loads(path.read_text())
    for entry in document[section]:
        entry |= changes
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("key", ["1", 1.0, "1 "])
@pytest.mark.parametrize("field", ["image_id", "category_id"])
# row 45
def test_ids_that_are_written_differently(tmp_path: Path, key: Any, field: str) -> None:
    path = edit(coco(tmp_path, records()), "annotations", **{field: key})
    assert n_targets(read_coco(path)) == 4


@pytest.mark.parametrize("section", ["images", "categories"])
# row 106
def test_text_ids_for_numbers(tmp_path: Path, section: str) -> None:
    path = edit(coco(tmp_path, records()), section, id="1")
    assert n_targets(read_coco(path)) == 4


def test_an_id_is_taken_before_what_is_written_alike(tmp_path: Path) -> None:
    path = coco(tmp_path, [record(0, BOXES[0], image_id="1")], ("a.png", "b.png"))
    document = json.loads(path.read_text())
    document["images"][1]["id"] = "1"
    path.write_text(json.dumps(document))
    assert [s.load().n_targets for s in read_coco(path).scenes] == [0, 1]


def test_ids_of_annotations_may_restart(tmp_path: Path) -> None:
    restarting = [record(0, BOXES[0]), record(1, BOXES[1]), record(0, BOXES[2], image_id=2)]
    dataset = read_coco(coco(tmp_path, restarting, ("a.png", "b.png")))
    assert n_targets(dataset) == 3
    assert told(dataset, "the id of another", "1 of 3", "id 1")
    for entry in restarting:
        del entry["id"]
    assert n_targets(read_coco(coco(tmp_path, restarting, ("a.png", "b.png")))) == 3


@pytest.mark.parametrize("changes", [{"image_id": 9}, {"category_id": 9}, {"image_id": None}])
def test_ids_that_lead_nowhere_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match="annotation 1: its image or its category"):
        read_coco(coco(tmp_path, records(**changes)))


@pytest.mark.parametrize("height", [48.0, "48", "48.0"])
# row 106
def test_sizes_in_other_words(tmp_path: Path, height: Any) -> None:
    dataset = read_coco(coco(tmp_path, records(), height=height))
    assert (n_targets(dataset), dataset.notes()) == (4, [])


@pytest.mark.parametrize("height", [None, 0, -1, "high", 47.5, float("nan"), [48]])
def test_sizes_that_are_none_are_taken_from_the_file(tmp_path: Path, height: Any) -> None:
    dataset = read_coco(coco(tmp_path, records(), height=height))
    assert n_targets(dataset) == 4
    assert told(dataset, "1 of 1 images have no usable width and height", "a.png")


def test_sizes_that_no_memory_holds_are_refused(tmp_path: Path) -> None:
    polygon = record(0, BOXES[0], segmentation=[corners(*BOXES[0])])
    with pytest.raises(DatasetError, match=r"a.png: 48 x 1000000000"):
        read_coco(coco(tmp_path, [polygon], width=10**9))


def test_exchanged_sizes_are_named(tmp_path: Path) -> None:
    polygon = record(0, BOXES[0], segmentation=[[*corners(*BOXES[0]), 4, 31]])
    (scene,) = read_coco(coco(tmp_path, [polygon], width=HEIGHT, height=WIDTH)).scenes
    with pytest.raises(SceneError, match="width and height exchanged"):
        scene.load()


# ---------------------------------------------------------------- file names


@pytest.mark.parametrize(
    ("written", "on_disk", "name"),
    [
        ("a.png", "images/a.png", "a"),
        ("images\\a.png", "images/a.png", "a"),
        (".\\images\\a.png", "images/a.png", "a"),
        ("a%20b.png", "images/a b.png", "a b"),
        ("A.PNG", "images/a.png", "a"),
        ("caf\u00e9.png", unicodedata.normalize("NFD", "caf\u00e9.png"), None),
        (unicodedata.normalize("NFD", "caf\u00e9.png"), "caf\u00e9.png", "caf\u00e9"),
        ("train2017/a.png", "images/a.png", "a"),
        ("train2017/a.png", "a.png", "a"),
        ("a.png", "train2017/a.png", "train2017/a"),
        ("a.png", "data/a.png", "data/a"),
        ("/home/me/set/images/a.png", "images/a.png", "a"),
        ("/home/me/set/pictures/a.png", "PNGImages/a.png", "PNGImages/a"),
        ("C:\\Users\\me\\set\\a.png", "images/a.png", "a"),
        ("\\\\server\\share\\a.png", "images/a.png", "a"),
        ("https://host.org/media/a.png", "images/a.png", "a"),
        ("file:///tmp/a.png", "images/a.png", "a"),
        ("/upload/1/train/images/a.png", "train/images/a.png", "train/images/a"),
    ],
)
# row 106
def test_names_of_which_one_reading_is_possible(
    tmp_path: Path, written: str, on_disk: str, name: str | None
) -> None:
    dataset = read_coco(coco(tmp_path, records(), (written,), on_disk=(on_disk,)))
    assert n_targets(dataset) == 4
    if name is not None:
        assert dataset.scenes[0].name == name
    exact = written in (on_disk, on_disk.removeprefix("images/"))
    assert told(dataset, "by the end of their path", written) == (not exact)


@pytest.mark.parametrize(
    ("written", "on_disk", "words"),
    [
        ("x/a.png", ("train/a.png", "test/a.png"), "any of 2 files"),
        ("a.png", ("one/a.png", "two/a.png"), "any of 2 files"),
        ("A.png", ("a.png", "one/A.png"), "any of 2|is not in"),
        ("train2017/a.png", ("val2017/a.png",), "image train2017/a.png is not in"),
        ("seq1/0001.png", ("seq2/0001.png",), "image seq1/0001.png is not in"),
        ("a.png", ("masks/a.png",), "image a.png is not in"),
        ("a.png", ("b.png",), "image a.png is not in"),
        ("../a.png", ("a.png",), "not a path inside"),
        ("images/../../a.png", ("a.png",), "not a path inside"),
        ("..\\a.png", ("a.png",), "not a path inside"),
        ("%2e%2e/a.png", ("a.png",), "not a path inside|is not in"),
        ("/etc/passwd", ("a.png",), "not a path inside"),
        ("a\0.png", ("a.png",), "NUL|not a path"),
        ("", ("a.png",), "not a path inside"),
        (".", ("a.png",), "not a path inside"),
        (7, ("a.png",), "file_name 7 is no text"),
    ],
)
def test_names_that_may_be_several_files_or_none_are_refused(
    tmp_path: Path, written: Any, on_disk: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DatasetError, match=words):
        read_coco(coco(tmp_path, records(), (written,), on_disk=on_disk))


# row 49
def test_no_name_leads_out_of_the_root(tmp_path: Path) -> None:
    secret = tmp_path / "secret/a.png"
    put_image(secret)
    for written in (str(secret), "../secret/a.png", "x/../../secret/a.png", f"file://{secret}"):
        root = tmp_path / "set"
        root.mkdir(exist_ok=True)
        with pytest.raises(DatasetError):
            read_coco(coco(root, records(), (written,), on_disk=("b.png",)))


def test_the_part_in_the_name_of_the_file_says_which_folder(tmp_path: Path) -> None:
    for folder in ("train2017", "val2017"):
        put_image(tmp_path / folder / "a.png")
    (tmp_path / "annotations").mkdir()
    path = coco(tmp_path, records(), ("a.png",), on_disk=())
    official = path.rename(tmp_path / "annotations/instances_val2017.json")
    assert read_coco(official).scenes[0].image == tmp_path / "val2017/a.png"


# row 101
def test_a_file_under_two_names_is_one_scene(tmp_path: Path) -> None:
    path = coco(tmp_path, records(image_id=2), ("images/a.png", "a.png"), on_disk=("images/a.png",))
    dataset = read_coco(path)
    assert [scene.load().n_targets for scene in dataset.scenes] == [4]
    assert told(dataset, "come twice", "a.png")
    both = [*records(image_id=2), record(7, (30, 2, 3, 3), image_id=1)]
    with pytest.raises(DatasetError, match=r"come twice: .*a.png is image 1 and image 2"):
        read_coco(coco(tmp_path, both, ("images/a.png", "a.png"), on_disk=("images/a.png",)))
    os.symlink(tmp_path / "images/a.png", tmp_path / "images/b.png")
    with pytest.raises(DatasetError, match="come twice"):
        read_coco(coco(tmp_path, both, ("a.png", "b.png"), on_disk=()))


def test_scenes_know_their_ids(tmp_path: Path) -> None:
    scenes = read_coco(coco(tmp_path, records(), ("b.png", "a.png"))).scenes
    assert [(scene.name, scene.image_id) for scene in scenes] == [("a", 2), ("b", 1)]  # type: ignore[attr-defined]


def test_a_file_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"annotations.json: it lists no images"):
        read_coco(coco(tmp_path, [], ()))


def test_missing_images_are_counted(tmp_path: Path) -> None:
    files = ("a.png", "b.png", "c.png")
    with pytest.raises(DatasetError, match=r"image b.png is not in .* \(nor are 1 others\)"):
        read_coco(coco(tmp_path, records(), files, on_disk=("a.png",)))


# ---------------------------------------------------------------- one truth per scene


small_labels = hnp.arrays(
    np.int32, (12, 14), elements=st.integers(0, 30).map(lambda n: n if n < 4 else 0)
).map(lambda labels: renumbered(labels))
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def renumbered(labels: np.ndarray) -> np.ndarray:
    """Without gaps in the numbers."""
    return (
        np.unique(np.append(labels.ravel(), 0), return_inverse=True)[1][:-1]
        .reshape(labels.shape)
        .astype(np.int32)
    )


@quick
@given(small_labels)
def test_labels_are_what_a_mask_can_tell_apart(labels: np.ndarray) -> None:
    read, n_joined, n_divided = one_piece_each(labels)
    pairs = set(zip(read.ravel().tolist(), label_mask(labels > 0).ravel().tolist(), strict=True))
    assert len(pairs) == read.max() + 1 == label_mask(labels > 0).max() + 1 or not labels.any()
    again, *counts = one_piece_each(read)
    np.testing.assert_array_equal(again, read)
    assert counts == [0, 0]
    if not n_joined and not n_divided:
        np.testing.assert_array_equal(read, labels)
    first = [labels[read == k].min() for k in range(1, read.max() + 1)]
    assert first == sorted(first)


TOUCHING = {
    "side by side": ((20, 10, 3, 3), (23, 10, 3, 3)),
    "corner to corner": ((20, 10, 3, 3), (23, 13, 3, 3)),
    "overlapping": ((20, 10, 3, 3), (22, 12, 3, 3)),
    "one inside the other": ((20, 10, 6, 6), (22, 12, 2, 2)),
    "the same twice": ((20, 10, 3, 3), (20, 10, 3, 3)),
}


@pytest.mark.parametrize("as_polygons", [False, True])
@pytest.mark.parametrize("boxes", TOUCHING.values(), ids=TOUCHING)
# rows 32, 98
def test_targets_that_touch_are_one_and_that_is_noted(
    tmp_path: Path, boxes: tuple[Box, Box], as_polygons: bool
) -> None:
    touching = [record(k, box) for k, box in enumerate((*boxes, BOXES[0]))]
    if as_polygons:
        for entry in touching:
            x, y, w, h = entry["bbox"]
            entry["segmentation"] = [[*corners(x, y, w, h), x, y + 1]]
    dataset = read_coco(coco(tmp_path, touching))
    scene = dataset.scenes[0].load()
    assert scene.n_targets == label_mask(scene.labels > 0).max() == 2
    assert told(dataset, "touch or overlap others", "such as a")


def test_many_targets_are_looked_at_too(tmp_path: Path) -> None:
    dots = [(x, y, 1, 1) for x in range(0, 64, 2) for y in range(0, 48, 2)]
    many = [record(k, box) for k, box in enumerate([*dots, *dots])]
    many += [record(len(many), (1, 0, 1, 1))]
    dataset = read_coco(coco(tmp_path, many))
    assert n_targets(dataset) == label_mask(mask_of(*dots, (1, 0, 1, 1))).max() == len(dots) - 1
    assert told(dataset, "touch or overlap others")


def test_a_gap_of_one_pixel_keeps_targets_apart(tmp_path: Path) -> None:
    apart = [record(k, box) for k, box in enumerate(((20, 10, 3, 3), (24, 10, 3, 3)))]
    dataset = read_coco(coco(tmp_path, apart))
    assert (n_targets(dataset), dataset.notes()) == (2, [])


@pytest.mark.parametrize("as_polygons", [False, True])
def test_pieces_that_lie_apart_are_targets_of_their_own(tmp_path: Path, as_polygons: bool) -> None:
    one, two = (20, 10, 3, 3), (28, 10, 3, 3)
    parts = [[*corners(*box), box[0], box[1] + 1] for box in (one, two)]
    segmentation = parts if as_polygons else runs(mask_of(one, two))
    pieces = [record(0, (20, 10, 11, 3), segmentation=segmentation, area=18), record(1, BOXES[0])]
    dataset = read_coco(coco(tmp_path, pieces))
    assert n_targets(dataset) == 3
    assert told(dataset, "pieces that lie apart", "1 of 2")


# row 98
def test_a_built_set_agrees_with_its_own_replay(tmp_path: Path) -> None:
    from densesirst_gen.build.dataset import build_dataset
    from densesirst_gen.build.recipe import Recipe
    from densesirst_gen.build.replay import replay
    from densesirst_gen.datasets import read_dataset
    from densesirst_gen.paste.config import PROFILES
    from densesirst_gen.paste.extract import build_library

    boxes = (*TOUCHING["side by side"], *TOUCHING["overlapping"], BOXES[0])
    root = tmp_path / "set"
    root.mkdir()
    path = coco(root, [record(k, box) for k, box in enumerate(boxes[:2])])
    noise = np.random.default_rng(0).integers(60, 70, (HEIGHT, WIDTH)).astype(np.uint8)
    image = np.where(mask_of(*boxes[:2], BOXES[0]), 160, noise).astype(np.uint8)
    (root / "a.png").write_bytes(encode_png(image))
    donor = Scene("donor", image, label_mask(mask_of(BOXES[0])), None)
    library = build_library([donor])
    recipe = Recipe(replace(PROFILES["bag-cp"], region="anywhere"))
    build_dataset(read_coco(path), tmp_path / "out", recipe, library=library)
    assert [scene.problem for scene in replay(tmp_path / "out")] == [""]
    built = read_dataset(tmp_path / "out").scenes[0].load().n_targets
    own = read_coco(tmp_path / "out/annotations.json", images=tmp_path / "out")
    assert (n_targets(own), own.notes()) == (built, [])


# ---------------------------------------------------------------- what is written is read again


def written(root: Path, labels: np.ndarray) -> Path:
    scene = Scene("a", np.full(labels.shape, 7, np.uint8), labels)
    (root / "a.png").write_bytes(encode_png(scene.image))
    image, targets = coco_image(scene, annotate(labels), 1, "a.png")
    entries = [{"image": image, "annotations": targets}]
    (root / "annotations.json").write_bytes(b"".join(coco_text(lambda: entries, {})))
    return root / "annotations.json"


@quick
@given(labels=small_labels, seed=st.integers(0, 9))
def test_what_we_write_is_read_the_same_without_a_word(
    tmp_path: Path, labels: np.ndarray, seed: int
) -> None:
    whole = one_piece_each(labels)[0]
    order = np.random.default_rng(seed).permutation(whole.max())
    shuffled = np.append(0, order + 1).astype(np.int32)[whole]  # not in raster order
    dataset = read_coco(written(tmp_path, shuffled))
    assert dataset.notes() == []
    np.testing.assert_array_equal(dataset.scenes[0].load().labels, shuffled)


def outcome(path: Path) -> tuple[Dataset | None, str]:
    """The dataset, or how it was refused."""
    try:
        return read_coco(path), ""
    except DatasetError as error:
        return None, str(error)


def changed_somehow(entry: dict[str, Any], kind: str) -> None:
    x, y, w, h = entry["bbox"]
    mask = segment_labels([entry["segmentation"]], (HEIGHT, WIDTH))[0] > 0
    entry |= {
        "moved": lambda: {"segmentation": runs(np.roll(mask, 9, axis=1))},
        "along rows": lambda: {
            "segmentation": runs(mask.ravel().reshape(HEIGHT, WIDTH, order="F"))
        },
        "larger": lambda: {"segmentation": box_segmentation((0, 0, 30, 20), (HEIGHT, WIDTH))},
        "bbox": lambda: {"bbox": [x + 5, y, w, h]},
        "corners": lambda: {"bbox": [x, y, x + w, y + h]},
        "area": lambda: {"area": 3 * w * h + 9},
        "crowd": lambda: {"iscrowd": 1},
        "id": lambda: {"id": 2 if entry["id"] == 1 else 1},
        "image": lambda: {"image_id": 7},
        "category": lambda: {"category_id": 7},
        "cut": lambda: {"segmentation": entry["segmentation"] | {"counts": "0"}},
        "no mask": lambda: {"segmentation": []},
    }[kind]()


KINDS = (
    "moved", "along rows", "larger", "bbox", "corners", "area",
    "crowd", "id", "image", "category", "cut", "no mask",
)  # fmt: skip


@quick
@given(kind=st.sampled_from(KINDS), index=st.integers(0, 3))
def test_no_change_of_a_record_is_silent(tmp_path: Path, kind: str, index: int) -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    for k, box in enumerate(BOXES, 1):
        labels[mask_of(box)] = k
    path = written(tmp_path, labels)
    document = json.loads(path.read_text())
    changed_somehow(document["annotations"][index], kind)
    path.write_text(json.dumps(document))
    dataset, refusal = outcome(path)
    assert "annotation" in refusal if dataset is None else dataset.notes()


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=True)
    | st.sampled_from(["", "1", "a.png", "../a.png", "\0", "0", "counts"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["size", "counts", "id", "name"]), inner, max_size=3)
    ),
    max_leaves=8,
)
PLACES = [
    ("images", "id"), ("images", "file_name"), ("images", "height"), ("images", None),
    ("categories", "id"), ("categories", "name"), ("categories", None),
    ("annotations", "id"), ("annotations", "image_id"), ("annotations", "category_id"),
    ("annotations", "iscrowd"), ("annotations", "bbox"), ("annotations", "area"),
    ("annotations", "segmentation"), ("annotations", None), ("images", ""), ("annotations", ""),
]  # fmt: skip


@settings(quick, max_examples=120)
@given(place=st.sampled_from(PLACES), value=json_values)
def test_whatever_stands_in_a_record_is_read_or_refused_by_name(
    tmp_path: Path, place: tuple[str, str | None], value: Any
) -> None:
    path = coco(tmp_path, records())
    document = json.loads(path.read_text())
    section, field = place
    if field is None:
        document[section][0] = value
    elif field == "":
        document[section] = value
    else:
        document[section][0][field] = value
    path.write_text(json.dumps(document))
    dataset, refusal = outcome(path)
    if dataset is None:
        assert "annotations.json" in refusal
        return
    for scene in dataset.scenes:
        with contextlib.suppress(SceneError, CodecError):
            scene.load()


@pytest.mark.parametrize(
    ("segmentation", "parts", "n_broken"),
    [
        ([], None, 0),
        ([[]], None, 0),
        ([[], []], None, 0),
        (None, None, 0),
        ({}, None, 0),
        ("", None, 0),
        ([1, 2, 3, 4, 5, 6], [[1, 2, 3, 4, 5, 6]], 0),
        ([[1, 2, 3, 4, 5, 6], []], [[1, 2, 3, 4, 5, 6]], 0),
        ([[1, 2, 3, 4, 5, 6], [1, 2]], [[1, 2, 3, 4, 5, 6]], 1),
        ([[True] * 6], None, 1),
        ([1, 2], None, 1),
        ({"counts": 3}, {"counts": 3}, 0),
        ("word", "word", 0),
    ],
)
def test_parts_that_can_be_used(segmentation: Any, parts: Any, n_broken: int) -> None:
    assert usable_parts(segmentation) == (parts, n_broken)


# ---------------------------------------------------------------- as tools write it


def star(x: int, y: int, w: int, h: int) -> list[float]:
    return [*corners(x, y, w, h), x, y + h / 2]


def roboflow(root: Path) -> tuple[dict[str, Any], Path]:
    """A heading as category 0, ids from 0, area of the box, file in the folder of the images."""
    put_image(root / "train/a_png.rf.0123.png")
    shapes = [
        record(k, box, id=k, image_id=0, segmentation=[star(*box)], area=float(box[2] * box[3]))
        for k, box in enumerate(BOXES[:3])
    ]
    names = [("targets", "none"), ("target", "targets")]
    return {
        "info": {"year": "2024"},
        "categories": [
            {"id": i, "name": name, "supercategory": above} for i, (name, above) in enumerate(names)
        ],
        "images": [
            {"id": 0, "license": 1, "file_name": "a_png.rf.0123.png", "height": 48, "width": 64}
        ],
        "annotations": shapes,
    }, root / "train/_annotations.coco.json"


def label_studio(root: Path) -> tuple[dict[str, Any], Path]:
    """Ids from 0, a backslash in the name, `ignore`, no `licenses`."""
    put_image(root / "images/3f2a-a.png")
    return {
        "images": [{"width": 64, "height": 48, "id": 0, "file_name": "images\\3f2a-a.png"}],
        "categories": [{"id": 0, "name": "Target"}],
        "annotations": [
            record(k, box, id=k, image_id=0, category_id=0, segmentation=[star(*box)], ignore=0)
            for k, box in enumerate(BOXES[:3])
        ],
    }, root / "result.json"


def fiftyone(root: Path) -> tuple[dict[str, Any], Path]:
    """Images in data/, sizes unknown without metadata, polygons with decimals."""
    put_image(root / "data/a.png")
    return {
        "info": {"description": "Exported from FiftyOne"},
        "licenses": [],
        "categories": [{"id": 0, "name": "target", "supercategory": None}],
        "images": [{"id": 1, "file_name": "a.png", "height": None, "width": None, "license": None}],
        "annotations": [
            record(k, box, category_id=0, segmentation=[[v + 0.2 for v in star(*box)]])
            for k, box in enumerate(BOXES[:3])
        ],
    }, root / "labels.json"


def datumaro(root: Path) -> tuple[dict[str, Any], Path]:
    """annotations/ beside images/PART/, attributes, run lengths with iscrowd 1 for some."""
    put_image(root / "images/default/a.png")
    shapes = [
        record(k, box, segmentation=[star(*box)], attributes={"occluded": False})
        for k, box in enumerate(BOXES[:3])
    ]
    image = {"id": 1, "file_name": "a.png", "width": 64, "height": 48, "license": 0, "coco_url": ""}
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": ""},
        "categories": [{"id": 1, "name": "target", "supercategory": ""}],
        "images": [image],
        "annotations": shapes,
    }, root / "annotations/instances_default.json"


def cvat(root: Path) -> tuple[dict[str, Any], Path]:
    """As datumaro, two categories, the second without annotations, images in a task's folder."""
    document, path = datumaro(root)
    document["categories"].append({"id": 2, "name": "sky", "supercategory": ""})
    return document, path


@pytest.mark.parametrize("tool", [roboflow, label_studio, fiftyone, datumaro, cvat])
def test_files_of_tools(tmp_path: Path, tool: Any) -> None:
    document, path = tool(tmp_path)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))
    labels = read_coco(path).scenes[0].load().labels
    np.testing.assert_array_equal(labels > 0, mask_of(*BOXES[:3]))


def test_run_lengths_of_ours_are_those_of_pycocotools() -> None:
    labels = label_mask(mask_of(*BOXES))
    codes = masks_to_rle(labels, annotate(labels))
    for k, code in enumerate(codes, 1):
        again = segment_labels([code], labels.shape)[0] > 0
        np.testing.assert_array_equal(again, segment_labels([runs(labels == k)], labels.shape)[0])

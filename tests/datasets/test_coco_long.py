"""A long COCO file is read record by record, and says the same as when it is read whole."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from densesirst_gen.datasets import DatasetError, read_coco, read_dataset
from densesirst_gen.datasets.coco import reader as coco_reader
from densesirst_gen.datasets.coco.json_arrays import Records, Unusual, open_arrays
from densesirst_gen.datasets.lazy import LazyTuple
from densesirst_gen.files.images.codec import encode_png

HEIGHT, WIDTH = 48, 64
PNG = encode_png(np.full((HEIGHT, WIDTH), 90, np.uint8))
CODE = {"size": [HEIGHT, WIDTH], "counts": [500, 3, HEIGHT * WIDTH - 503]}
SQUARE = [[20.0, 10.0, 24.0, 10.0, 24.0, 12.0, 22.0, 14.0, 20.0, 14.0]]
ARRAYS = ("images", "annotations")


def document(*names: str) -> dict[str, Any]:
    """Of each image a target as run lengths and one as a polygon."""
    kinds = [(CODE, [10, 20, 1, 3], 3), (SQUARE, [20, 10, 4, 4], 14)]
    return {
        "images": [
            {"id": k, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for k, name in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "target"}],
        "annotations": [
            {"id": 2 * k + i, "image_id": k, "category_id": 1, "iscrowd": 0}
            | {"segmentation": code, "bbox": box, "area": area}
            for i, (code, box, area) in enumerate(kinds)
            for k, _ in enumerate(names)
        ],
    }


def put(root: Path, found: Any, *names: str) -> Path:
    root.mkdir(exist_ok=True)
    for name in names:
        (root / name).write_bytes(PNG)
    path = root / "annotations.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return path


def long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_reader, "LONG_BYTES", 0)


def outcome(path: Path) -> tuple[Any, ...]:
    """All that a reader says, as text for the sake of NaN, or how it refuses."""
    try:
        dataset = read_coco(path)
    except DatasetError as error:
        return (str(error),)
    return repr(tuple(dataset.scenes)), dataset.remarks, dataset.notes()


def both(path: Path) -> list[tuple[Any, ...]]:
    """`outcome`, read whole and record by record."""
    with pytest.MonkeyPatch.context() as patch:
        whole = outcome(path)
        long(patch)
        return [whole, outcome(path)]


def test_scenes_are_made_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, document("b.png", "a.png"), "a.png", "b.png")
    whole = read_dataset(path)
    long(monkeypatch)
    dataset = read_dataset(path)
    assert isinstance(dataset.scenes, LazyTuple)
    assert dataset.scenes == whole.scenes
    assert [scene.segmentations for scene in dataset.scenes] == [(CODE, SQUARE)] * 2  # type: ignore[attr-defined]
    assert dataset.scenes[-1].name == "b"
    assert dataset.scenes[:1] == whole.scenes[:1]
    assert pickle.loads(pickle.dumps(dataset)) == whole
    assert dataset.scenes[0].load().n_targets == 2


READINGS: dict[str, dict[str, Any]] = {
    "masks": {},
    "boxes": {"segmentation": None},
    "filled boxes": {"segmentation": [[4, 4, 12, 4, 12, 12, 4, 12]], "bbox": [4, 4, 8, 8]},
    "points": {"segmentation": None, "densesirst-gen point": [4.0, 5.0]},
    "regions": {"iscrowd": 1},
}


@pytest.mark.parametrize("kind", READINGS)
@pytest.mark.parametrize("n", [1, 2])
def test_all_kinds_of_targets(tmp_path: Path, kind: str, n: int) -> None:
    found = document("a.png", "b.png", "c.png")
    for record in found["annotations"][: 3 * n]:
        record |= READINGS[kind]
        if record["segmentation"] != CODE and kind == "filled boxes":
            record["area"] = 64
    whole, streamed = both(put(tmp_path, found, "a.png", "b.png", "c.png"))
    assert streamed == whole


TEXTS = {
    "blank": "",
    "cut": '{"images": [{"id": 1}, {"id"',
    "more behind": '{"images": []} 1',
    "list": "[1, 2]",
    "no records": '{"images": [1], "annotations": [], "categories": []}',
    "no array": '{"images": {"id": 1}, "annotations": [], "categories": []}',
    "comma": '{"images": [{"id": 1},], "annotations": [], "categories": []}',
    "no colon": '{"images" [], "annotations": [], "categories": []}',
    "empty": "{}",
    "no images": '{"images": [], "annotations": [], "categories": []}',
    "deep": '{"images": [{"id": ' + "[" * 100_000,
    "long number": '{"images": [{"id": ' + "1" * 5000 + "}]}",
    "twice": '{"images": [], "images": [{"id": 1, "file_name": "a.png"}], "annotations": [], '
    '"categories": []}',
    "not a number": '{"images": [{"id": NaN, "file_name": "a.png"}], "annotations": [], '
    '"categories": [], "info": {"n": -Infinity}}',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_is_wrong_is_told_alike(tmp_path: Path, text: str) -> None:
    whole, streamed = both(put(tmp_path, text, "a.png"))
    assert streamed == whole


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, codec: str) -> None:
    path = put(tmp_path, "", "é.png", "b.png")
    text = json.dumps(document("é.png", "b.png"), ensure_ascii=False)
    path.write_bytes(text.encode(codec))
    whole, streamed = both(path)
    assert streamed == whole


@pytest.mark.parametrize("end", [b"\xc3", b"\xe2\x82", b"\xff", b"\0", b" \n"])
def test_bytes_behind_the_end(tmp_path: Path, end: bytes) -> None:
    path = put(tmp_path, document("a.png"), "a.png")
    path.write_bytes(path.read_bytes() + end)
    whole, streamed = both(path)
    assert streamed == whole


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    place=st.floats(0, 1, exclude_max=True),
    n=st.integers(0, 6),
    put_in=st.binary(max_size=3) | st.sampled_from([b",", b"}", b"]", b'"', b"NaN", b"1e999"]),
)
def test_damaged_files(tmp_path: Path, place: float, n: int, put_in: bytes) -> None:
    path = put(tmp_path, document("a.png", "b.png"), "a.png", "b.png")
    data = path.read_bytes()
    k = int(place * len(data))
    path.write_bytes(data[:k] + put_in + data[k + n :])
    whole, streamed = both(path)
    assert streamed == whole


same_twice = st.sampled_from(
    ["image", "image changed", "annotation", "file", "file without", "name", "case", "id text"]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(same_twice, max_size=3), order=st.permutations(range(6)))
def test_records_that_come_twice(tmp_path: Path, changes: list[str], order: list[int]) -> None:
    names = ("a.png", "b.png", "c.png")
    found = document(*names)
    images, records = found["images"], found["annotations"]
    found["annotations"] = records = [records[k] for k in order]
    for change in changes:
        {
            "image": lambda: images.append(dict(images[0])),
            "image changed": lambda: images.append({**images[1], "width": 7}),
            "annotation": lambda: records.append(dict(records[0])),
            "file": lambda: images[0].update(file_name="b.png"),
            "file without": lambda: images.insert(0, {**images[-1], "id": 99}),
            "name": lambda: images[2].update(file_name="a.bmp"),
            "case": lambda: images[2].update(file_name="A.png"),
            "id text": lambda: records[0].update(image_id=str(records[0]["image_id"])),
        }[change]()
    whole, streamed = both(put(tmp_path, found, *names, "a.bmp", "A.png"))
    assert streamed == whole


@given(
    st.dictionaries(
        st.sampled_from([*ARRAYS, "info", "é"]),
        st.lists(st.dictionaries(st.text(max_size=3), st.floats() | st.text(), max_size=3))
        | st.floats()
        | st.integers(),
    ),
    st.sampled_from([None, 0, 2]),
    st.integers(1, 40),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_records_of_a_file(tmp_path: Path, found: Any, indent: int | None, chunk: int) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(
        json.dumps(found, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("densesirst_gen.datasets.coco.json_arrays.CHUNK", chunk)
        if any(not isinstance(found.get(name, []), list) for name in ARRAYS):
            with pytest.raises(Unusual):
                open_arrays(path, ARRAYS)
            return
        read = open_arrays(path, ARRAYS)
        assert repr({k: list(v) if isinstance(v, Records) else v for k, v in read.items()}) == repr(
            found
        )
        assert all(len(read[name]) == len(found[name]) for name in ARRAYS if name in found)


@pytest.mark.parametrize("number", [1.5, -0.25, 1e300, 1.5e-07, 10**20, -3])
def test_a_number_may_be_cut_anywhere(tmp_path: Path, number: float) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"info": number, "images": [], "more": [number]}))
    for chunk in range(1, 40):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("densesirst_gen.datasets.coco.json_arrays.CHUNK", chunk)
            read = open_arrays(tmp_path / "a.json", ["images"])
        assert (read["info"], read["more"], len(read["images"])) == (number, [number], 0)


def test_a_file_that_is_changed_meanwhile_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, document("a.png"), "a.png")
    read = open_arrays(path, ARRAYS)
    path.write_text(json.dumps(document("a.png")) + " ")
    with pytest.raises(ValueError, match="changed while it was read"):
        list(read["images"])


def set_of(root: Path, n: int) -> Path:
    """The COCO file of images with two targets each."""
    names = [f"{k:08d}.png" for k in range(n)]
    path = put(root, document(*names), names[0])
    for name in names[1:]:
        (root / name).hardlink_to(root / names[0])
    return path


def memory_of(path: Path) -> tuple[int, int]:
    """Bytes of a dataset, and at most in reading it."""
    tracemalloc.start()
    try:
        dataset = read_coco(path)
        assert dataset.scenes[0].name == "00000000"
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


def test_an_image_more_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long(monkeypatch)
    monkeypatch.setattr("densesirst_gen.datasets.coco.json_arrays.CHUNK", 4096)
    paths = [set_of(tmp_path / str(n), n) for n in (100, 300)]
    found = np.array([[memory_of(path) for _ in range(2)] for path in paths])
    few, many = found.min(axis=1)  # the least: at times Python's table of names grows
    kept, most = (many - few) / 200
    assert kept < 300
    assert most < 700

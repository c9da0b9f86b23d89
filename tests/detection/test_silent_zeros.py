"""A score of nothing is said to be one: masks of 0 and 1, no truth, no targets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scenes import make_scene

from densesirst_gen.cli.evaluate import evaluate as command
from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.detection.evaluation.evaluate import Evaluation, evaluate
from densesirst_gen.detection.evaluation.predictions import (
    PredictionError,
    Predictions,
    read_map,
    read_predictions,
)
from densesirst_gen.detection.evaluation.sheet import worst_sheet
from densesirst_gen.detection.metrics import FoundBoxes
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

NAMES = ("a", "b", "c")


def scenes(targets: int = 2) -> list[Scene]:
    return [make_scene(name=name, targets=targets, seed=k) for k, name in enumerate(NAMES)]


def write_dataset(root: Path, targets: int = 2) -> Path:
    for scene in scenes(targets):
        mask = (scene.labels > 0).astype(np.uint8) * np.uint8(255)
        files = [
            (f"images/{scene.name}.png", encode_png(scene.image)),
            (f"masks/{scene.name}.png", encode_png(mask)),
        ]
        write_files(root, files)
    return root


def write_maps(folder: Path, on: int, dtype: type = np.uint8, suffix: str = ".png") -> Path:
    folder.mkdir()
    for scene in scenes():
        values = (scene.labels > 0).astype(dtype) * dtype(on)
        if suffix == ".npy":
            np.save(folder / f"{scene.name}.npy", values)
        else:
            (folder / f"{scene.name}.png").write_bytes(encode_png(values))
    return folder


def scored(root: Path, maps: Path) -> tuple[Evaluation, Predictions]:
    dataset = read_dataset(root)
    found = read_predictions(maps, dataset, NAMES)
    return evaluate(dataset.scenes, found), found


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.mark.parametrize(("dtype", "suffix"), [(np.uint8, ".png"), (np.uint16, ".png")])
def test_masks_of_0_and_1_are_read_as_masks_with_a_note(
    dtype: type, suffix: str, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path / "data")
    evaluation, found = scored(root, write_maps(tmp_path / "maps", 1, dtype, suffix))
    assert evaluation.pixels is not None
    assert evaluation.pixels.iou == 1
    assert found.notes() == ["values {0, 1} of all 3 maps are read as masks"]
    assert worst_sheet(evaluation, read_dataset(root).scenes, found)
    done = run("-p", tmp_path / "maps", "-d", root)
    assert "note: values {0, 1} of all 3 maps are read as masks" in done.output


def test_one_map_with_more_makes_them_probabilities(tmp_path: Path) -> None:
    """An image in which nothing is may have no probability above 1/255."""
    root, maps = write_dataset(tmp_path / "data"), write_maps(tmp_path / "maps", 1, suffix=".npy")
    np.save(maps / "c.npy", np.full(scenes()[2].shape, 200, np.uint8))
    evaluation, found = scored(root, maps)
    (note,) = found.notes()
    assert note.startswith("2 of 3 maps looked at, such as a.npy, hold 0 and 1 alone")
    assert [row.n_hit for row in evaluation.scenes][:2] == [0, 0]


@pytest.mark.parametrize(("dtype", "on"), [(np.uint8, 3), (np.uint8, 100), (np.uint16, 255)])
def test_maps_that_are_nearly_empty_are_told(dtype: type, on: int, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data")
    _, found = scored(root, write_maps(tmp_path / "maps", on, dtype))
    depth = np.iinfo(dtype).max
    assert found.notes()[0].startswith(f"the greatest value of all 3 maps is {on} of {depth}:")


@pytest.mark.parametrize(("dtype", "on"), [(np.bool_, 1), (np.float32, 1), (np.uint8, 255)])
def test_maps_that_are_clear_need_no_note(dtype: type, on: int, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data")
    evaluation, found = scored(root, write_maps(tmp_path / "maps", on, dtype, ".npy"))
    assert found.notes() == []
    assert evaluation.pixels is not None
    assert evaluation.pixels.iou == 1


def test_one_map_alone_is_not_guessed_at(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, 1]], np.uint8))
    assert read_map(tmp_path / "a.npy").max() == pytest.approx(1 / 255)
    assert read_map(tmp_path / "a.npy", zero_one=True).tolist() == [[False, True]]


def test_a_dataset_whose_labels_are_not_read_is_refused(tmp_path: Path) -> None:
    """A devkit of which only the XML files came along."""
    for scene in scenes():
        kept = [
            (name, content)
            for name, content in devkit_files(scene, annotate(scene.labels))
            if name.startswith(("PNGImages", "SIRST/BBox"))
        ]
        write_files(tmp_path / "kit", kept)
    dataset = read_dataset(tmp_path / "kit")
    nothing = Predictions(tmp_path, "boxes", {}, NAMES, ())
    with pytest.raises(
        PredictionError, match=r"none of 3 scenes \(a, b, c\) has labels .* COCO, YOLO or VOC"
    ):
        evaluate(dataset.scenes, nothing)
    result = [{"image_id": "a", "bbox": [1, 1, 3, 3], "score": 0.9, "category_id": 1}]
    (tmp_path / "r.json").write_text(json.dumps(result))
    done = run("-p", tmp_path / "r.json", "-d", tmp_path / "kit")
    assert isinstance(done.exception, PredictionError)
    assert len(str(done.exception).splitlines()) == 1


def test_images_alone_have_no_truth(tmp_path: Path) -> None:
    write_files(tmp_path / "plain", [(f"{n}.png", encode_png(scenes()[0].image)) for n in NAMES])
    nothing = Predictions(tmp_path, "boxes", {}, NAMES, ())
    with pytest.raises(PredictionError, match="has labels"):
        evaluate(read_dataset(tmp_path / "plain").scenes, nothing)


def test_a_truth_without_targets_is_scored_and_told(tmp_path: Path) -> None:
    """False alarms are measured on such data."""
    root = write_dataset(tmp_path / "data", targets=0)
    found = {"a": FoundBoxes(np.array([[1.0, 1, 4, 4]]), np.array([0.9]))}
    evaluation = evaluate(
        read_dataset(root).scenes, Predictions(tmp_path, "boxes", found, ("b", "c"), ())
    )
    assert evaluation.targets.fa > 0
    assert evaluation.notes[0].startswith("none of 3 scenes has a target: every detection counts")
    result = [{"image_id": "a", "bbox": [1, 1, 3, 3], "score": 0.9, "category_id": 1}]
    (tmp_path / "r.json").write_text(json.dumps(result))
    done = run("-p", tmp_path / "r.json", "-d", root, "--json", "-")
    assert "note: none of 3 scenes has a target" in done.output
    document = json.loads(done.stdout)
    assert any("none of 3 scenes has a target" in note for note in document["notes"])


def test_with_targets_nothing_is_told(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data")
    nothing = Predictions(tmp_path, "boxes", {}, NAMES, ())
    assert evaluate(read_dataset(root).scenes, nothing).notes == ()


@pytest.mark.parametrize("shape", [(10**6, 10**7), (3, 4)])
def test_a_header_that_promises_more_than_there_is(shape: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(PredictionError, match=r"a\.npy: not a readable"):
        read_map(path)
    np.savez(tmp_path / "b.npz", np.zeros(3))
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    with pytest.raises(PredictionError, match=r"b\.npy: a \.npz file"):
        read_map(tmp_path / "b.npy")

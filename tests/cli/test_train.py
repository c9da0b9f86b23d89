"""``train``, ``detect`` and ``worth`` as their users meet them."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from command_line import run
from PIL import Image
from toy_training import TINY, TINY_BAFENET, toy_registered, write_dataset

from densesirst_gen.cli.options import FAILED, REFUSED
from densesirst_gen.datasets import read_dataset
from densesirst_gen.detection.detectors import detector_names
from densesirst_gen.detection.evaluation.predictions import read_predictions
from densesirst_gen.detection.training.checkpoint import load_checkpoint
from densesirst_gen.detection.training.predict import as_trained
from densesirst_gen.detection.training.published import PUBLISHED, published_for
from densesirst_gen.files.images.codec import encode_png, read_image

__all__ = ["toy_registered"]
pytestmark = pytest.mark.usefixtures("toy_registered")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("in") / "dense")


def options(values: dict[str, Any]) -> list[str]:
    return [f"-O{name}={value}" for name, value in values.items()]


def on_cpu(command: str, *arguments: object, code: int = 0) -> Result:
    return run(command, *arguments, "--device=cpu", code=code)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    from toy_training import register_toy

    register_toy()
    out = tmp_path_factory.mktemp("runs") / "toy"
    learning = {**TINY, "lr": 0.1, "size": 0, "schedule": "cosine"}
    done = on_cpu(
        "train", "-d", "toy", "--data", data, "-o", out, *options(learning), "--epochs=28"
    )
    return out, done


# ---- train


def test_train_says_where_the_weights_are_and_how_they_were_chosen(
    trained: tuple[Path, Result],
) -> None:
    out, done = trained
    assert done.stdout.startswith(f"{out / 'best.safetensors'}: epoch ")
    assert "greatest ap on dense, split val_v2" in done.stdout
    assert sum(line.startswith("epoch ") for line in done.stderr.splitlines()) == 28
    assert "images/s (data " in done.stderr
    assert json.loads((out / "manifest.json").read_text())["recipe"]["training"]["epochs"] == 28


def test_json_is_one_document_and_test_selection_is_stamped(data: Path, tmp_path: Path) -> None:
    arguments = ["-d", "toy", "--data", data, *options(TINY), "--epochs=1", "--select-on=test"]
    shouted = on_cpu("train", *arguments, "-o", tmp_path / "a")
    assert "CHOSEN ON THE TEST SPLIT" in shouted.stdout
    document = json.loads(on_cpu("train", *arguments, "-o", tmp_path / "b", "--json", "-q").stdout)
    assert document["schema"] == "densesirst-gen/train@1"
    assert document["selected_on_test"] is True


def test_another_dataset_validates_and_the_chain_of_options_holds(
    data: Path, tmp_path: Path
) -> None:
    other = write_dataset(tmp_path / "real", first_seed=30)
    out = tmp_path / "out"
    on_cpu("train", "-d", "toy", "--data", data, "--val", other, "-o", out, "-q", *options(TINY),
        "--epochs=1", "--augment=copy-paste", "--seed=7")  # fmt: skip
    recipe = json.loads((out / "manifest.json").read_text())["recipe"]
    assert (recipe["val"]["name"], recipe["val"]["split"]) == ("real", "val_v2")
    assert (recipe["training"]["augment"], recipe["training"]["seed"]) == ("copy-paste", 7)


def test_print_config_names_every_option(data: Path) -> None:
    lines = on_cpu("train", "-d", "bafenet", "--data", data, "--print-config", "-Odepth=18").stdout
    assert "depth = 18  # of the ResNet (18, 34, 50, 101)\n" in lines
    assert "batch = 2  # images of a step on each device\n" in lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-d", "bafnet"], "unknown detector 'bafnet'; known: .*bafenet"),
        (["-d", "toy", "-Olrr=1"], "unknown option 'lrr'.*epochs"),
        (["-d", "toy", "--preset=official"], "unknown preset 'official' of toy"),
    ],
)
def test_wrong_names_are_answered_with_the_right_ones(
    data: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = on_cpu("train", *arguments, "--data", data, "-o", tmp_path / "out", code=FAILED)
    assert re.search(message, done.stderr)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ["-d", "toy", "--data", tmp_path / "empty", "-o", tmp_path / "out"]
    assert "no known layout" in on_cpu("train", *arguments, code=FAILED).stderr


def test_what_is_missing_is_named_before_any_work(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["densesirst_gen.cli.installed"]
    monkeypatch.setattr(module, "find_spec", {"torch": 1}.get)
    arguments = ["-d", "toy", "--data", data, "-o", tmp_path / "out"]
    done = on_cpu("train", *arguments, code=FAILED)
    assert "lightning_fabric is not installed: pip install 'densesirst_gen[train]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_tensorboard_gets_the_rows_or_is_asked_for(data: Path, tmp_path: Path) -> None:
    arguments = ["-d", "toy", "--data", data, "-o", tmp_path, *options(TINY), "--tensorboard"]
    if find_spec("tensorboard") is None:
        done = on_cpu("train", *arguments, code=FAILED)
        assert "tensorboard is not installed: pip install tensorboard" in done.stderr
    else:
        on_cpu("train", *arguments)
        assert list((tmp_path / "tensorboard").glob("events*"))


# ---- detect


def test_detect_writes_coco_masks_maps_and_overlays(
    data: Path, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    done = on_cpu("detect", "-c", trained[0], "-i", data, "-o", tmp_path / "found")
    out = tmp_path / "found"
    results = json.loads((out / "detections.json").read_text())
    assert done.stdout == f"{out}: {len(results)} boxes in 9 images\n"
    assert {r["image_id"] for r in results} == {f"s{k}" for k in range(9)}
    mask = read_image(out / "masks" / "s3.png").array > 0
    assert np.array_equal(mask, read_image(out / "maps" / "s3.png").array > 32767)
    boxes = [r["bbox"] for r in results if r["image_id"] == "s3"]
    for x, y, width, height in boxes:
        assert mask[int(y) : int(y + height), int(x) : int(x + width)].any()
    with Image.open(out / "overlays" / "s3.png") as overlay:
        assert (overlay.size, overlay.mode) == ((128, 96), "RGB")


def test_what_detect_writes_can_be_scored_and_found_again(
    data: Path, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    from pycocotools import mask as rle

    on_cpu(
        "detect", "-c", trained[0] / "last.safetensors", "-i", data, "-o", tmp_path / "found", "-q"
    )
    dataset = read_dataset(data)
    names = [scene.name for scene in dataset.scenes]
    for source, kind in (("detections.json", "boxes"), ("maps", "maps")):
        predictions = read_predictions(tmp_path / "found" / source, dataset, names)
        assert (predictions.kind, predictions.missing, predictions.extra) == (kind, (), ())
    for result in json.loads((tmp_path / "found" / "detections.json").read_text()):
        assert rle.toBbox(result["segmentation"]).tolist() == result["bbox"]


def test_detect_replaces_only_its_own_and_only_when_asked_to(
    data: Path, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    arguments = ["-c", trained[0], "-i", data, "-o", tmp_path / "out", "-q"]
    on_cpu("detect", *arguments)
    assert "is not empty" in on_cpu("detect", *arguments, code=REFUSED).stderr
    (tmp_path / "out" / "mine.txt").write_text("kept")
    on_cpu("detect", *arguments, "--overwrite", "--threshold=0.9")
    assert (tmp_path / "out" / "mine.txt").exists()


def test_detect_needs_a_checkpoint(data: Path, tmp_path: Path) -> None:
    arguments = ["-c", tmp_path, "-i", data, "-o", tmp_path / "out"]
    done = on_cpu("detect", *arguments, code=FAILED)
    assert "last.safetensors: no such file of weights" in done.stderr


# ---- worth


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("other") / "released", first_seed=60)


def test_worth_puts_sources_seeds_and_published_rows_into_one_table(
    data: Path, other: Path, tmp_path: Path
) -> None:
    arguments = [data, "--against", other, "--detectors", "bafenet", "-o", tmp_path / "worth", "-q",
                 *options(TINY_BAFENET), "--epochs=1", "--seeds=2"]  # fmt: skip
    text = on_cpu("worth", *arguments).stdout
    document = json.loads(on_cpu("worth", *arguments, "--json", "--resume").stdout)
    assert [(row["source"], row["n_images"]) for row in document["rows"]] == [
        ("dense", 5),
        ("released", 5),
    ]
    assert all(len(v) == 2 for row in document["rows"] for v in row["scores"].values())
    assert document["scored_on"] == {"name": "released", "split": "test_v2", "scenes": 2}
    assert [r["over"] for r in document["ratios"]] == ["released"]
    assert document["published"][0]["method"] == "bafenet R18"
    for words in ("bafenet R18", "as published, DenseSIRST", "±", "weights of the last epoch"):
        assert words in text


def test_worth_reads_as_it_is_told_and_scores_with_the_values_of_training(
    tmp_path: Path,
) -> None:
    """Row 122: the span that is said of DIR holds for the held-out images of the same dtype."""
    data, real = write_dataset(tmp_path / "dense"), write_dataset(tmp_path / "r", first_seed=50)
    for image in (*data.glob("PNGImages/*.png"), *real.glob("PNGImages/*.png")):
        image.write_bytes(encode_png(read_image(image).array.astype(np.uint16) * 2))
    (tmp_path / "few.txt").write_text("s1\ns2\n")
    said = [f"--split-file=train={tmp_path / 'few.txt'}", "--span", "0", "510"]
    arguments = [data, "--real", real, "--detectors=toy", *options(TINY), "--epochs=1", *said]
    done = on_cpu("worth", *arguments, "-o", tmp_path / "w", "--json")
    (row,) = json.loads(done.stdout)["rows"]
    assert row["n_images"] == 2
    assert sum("train 2" in line for line in done.stderr.splitlines()) == 1
    trained = load_checkpoint(next((tmp_path / "w").glob("toy-*")))
    (file, *_) = as_trained(read_dataset(real).scenes, trained)
    assert file.counts["uint16"].span == (0, 510)


def test_every_source_gets_the_same_budget(data: Path, other: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    write_dataset(few, first_seed=90)
    (few / "Splits" / "train_v2.txt").write_text("s0\ns1\n")
    arguments = [data, "--against", few, "--real", other, "--detectors=toy", "-q", *options(TINY)]
    on_cpu("worth", *arguments, "-o", tmp_path / "worth", "--augment=none", "--augment=bag-cp")
    manifests = [json.loads(p.read_text()) for p in (tmp_path / "worth").glob("*/manifest.json")]
    assert len(manifests) == 4
    assert {m["recipe"]["train"]["scenes"] for m in manifests} == {5, 2}
    assert {m["steps"] for m in manifests} == {6}
    assert {m["checkpoint"]["rule"] for m in manifests} == {"last epoch"}


def test_worth_refuses_to_score_on_what_it_trains_on(data: Path, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("s1\ns8\n")
    arguments = ["--real-split", tmp_path / "s.txt", "-o", tmp_path / "w", *options(TINY)]
    done = on_cpu("worth", data, *arguments, code=FAILED)
    assert "1 images are in the training data and in" in done.stderr


def test_the_ratio_is_of_the_first_source_over_the_other() -> None:
    from densesirst_gen.detection.training.worth import Plan, Worth, ratios

    sources: Any = {"mine": None, "theirs": None, "zero": None}
    plan = Plan(["bafenet"], sources, None, {})  # type: ignore[arg-type]
    values = {"mine": [0.3, 0.1], "theirs": [0.4], "zero": [0.0]}
    rows = [Worth("bafenet", name, "none", {"ap": v}, 1) for name, v in values.items()]
    assert [r["ratio"] for r in ratios(rows, plan)] == [pytest.approx(0.5), None]


def test_published_rows_are_possible_and_known_detectors_have_some() -> None:
    assert all(row.ap is None or row.recall is None or row.ap <= row.recall for row in PUBLISHED)
    scores = [getattr(row, n) for row in PUBLISHED for n in ("ap", "recall", "f1", "iou", "pd")]
    assert all(value is None or 0 < value <= 1 for value in scores)
    assert all(published_for(name) for name in detector_names() if name != "toy")

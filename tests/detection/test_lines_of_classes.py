"""Text files whose lines begin with a class, and scores that no threshold lets through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from densesirst_gen.datasets import read_dataset
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.evaluate import Evaluation, evaluate
from densesirst_gen.detection.evaluation.predictions import Predictions, read_predictions
from densesirst_gen.detection.metrics import FoundBoxes
from densesirst_gen.files.images.codec import encode_png

HEIGHT, WIDTH = 60, 80
NAMES = ("a", "b", "c")
Box = tuple[int, int, int, int]
Line = Callable[[Box], str]


def boxes_of(k: int) -> list[Box]:
    return [(10 + 11 * k, 12, 14 + 11 * k, 15), (60 - 9 * k, 40, 63 - 9 * k, 44)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for k, name in enumerate(NAMES):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for x0, y0, x1, y1 in boxes_of(k):
            mask[y0:y1, x0:x1] = 255
        image = np.random.default_rng(k).normal(60, 3, mask.shape).round().astype(np.uint8)
        for kind, values in (("images", image + mask // 3), ("masks", mask)):
            (tmp_path / "d" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / f"d/{kind}/{name}.png").write_bytes(encode_png(values))
    return tmp_path / "d"


def texts(folder: Path, line: Line) -> Path:
    folder.mkdir()
    for k, name in enumerate(NAMES):
        (folder / f"{name}.txt").write_text("\n".join(map(line, boxes_of(k))))
    return folder


def read(data: Path, predictions: Path) -> Predictions:
    return read_predictions(predictions, read_dataset(data), NAMES)


def scored(data: Path, predictions: Path) -> Evaluation:
    return evaluate(read_dataset(data).scenes, read(data, predictions))


def corners(box: Box) -> str:
    return " ".join(map(str, box))


READ: dict[str, tuple[Line, str, float]] = {
    "class 0": (lambda b: f"0 {corners(b)}", "class x1 y1 x2 y2", 1),
    "word": (lambda b: f"target {corners(b)}", "class x1 y1 x2 y2", 1),
    "class 3": (lambda b: f"3 {corners(b)}", "class x1 y1 x2 y2", 1),
    "word and conf": (lambda b: f"target {corners(b)} 0.9", "class x1 y1 x2 y2 conf", 0.9),
    "conf": (lambda b: f"0.9 {corners(b)}", "conf x1 y1 x2 y2", 0.9),
    "conf of 1": (lambda b: f"1 {corners(b)}", "conf x1 y1 x2 y2", 1),
    "conf, class": (lambda b: f"{corners(b)} 0.9 0", "x1 y1 x2 y2 conf class", 0.9),
    "class, conf": (lambda b: f"0 0.9 {corners(b)}", "class conf x1 y1 x2 y2", 0.9),
}


@pytest.mark.parametrize("kind", READ)
def test_a_class_is_no_confidence(kind: str, data: Path, tmp_path: Path) -> None:
    line, said, score = READ[kind]
    folder = texts(tmp_path / "r", line)
    found = read(data, folder)
    assert found.notes()[0].startswith(f"lines are read as '{said}'")
    boxes = found.found["a"]
    assert isinstance(boxes, FoundBoxes)
    assert boxes.scores.tolist() == [score, score]
    evaluation = scored(data, folder)
    assert (evaluation.coco.ap50, evaluation.f1.f1) == (pytest.approx(1), pytest.approx(1))


def test_zeros_and_ones_may_be_either(data: Path, tmp_path: Path) -> None:
    folder = texts(tmp_path / "r", lambda b: f"{int(b[1] > 20)} {corners(b)}")
    with pytest.raises(PredictionError, match="can be read as 'conf x1 y1 x2 y2' or as 'class x1"):
        read(data, folder)


@pytest.mark.parametrize(
    ("line", "form"),
    [
        (lambda b: [b[0], b[1], b[2], b[3]], r"\[x0, y0, x1, y1\], not centres"),
        (lambda b: [b[0], b[1], b[2] - b[0], b[3] - b[1]], r"\[x, y, width, height\], not centres"),
    ],
)
def test_fractions_that_are_no_centres_are_refused(
    line: Callable[[Box], list[int]], form: str, data: Path, tmp_path: Path
) -> None:
    def fractions(box: Box) -> str:
        values = np.array(line(box)) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
        return f"0 {' '.join(map(str, values))} 0.9"

    with pytest.raises(PredictionError, match=form):
        read(data, texts(tmp_path / "r", fractions))


@pytest.mark.parametrize("score", [0, 0.0005])
def test_scores_that_no_threshold_lets_through_are_told(
    score: float, data: Path, tmp_path: Path
) -> None:
    rows = [
        {"image_id": name, "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]], "score": score}
        for k, name in enumerate(NAMES)
        for b in boxes_of(k)
    ]
    (tmp_path / "r.json").write_text(json.dumps(rows))
    (note,) = read(data, tmp_path / "r.json").notes()
    assert "no score is above 0.001" in note


@pytest.mark.parametrize("suffix", [".parquet", ".xlsx", ".jsonl", ".pkl"])
def test_tables_of_other_kinds_are_refused_for_what_they_are(
    suffix: str, data: Path, tmp_path: Path
) -> None:
    (tmp_path / f"r{suffix}").write_bytes(b"PAR1")
    with pytest.raises(PredictionError, match=r"no file of boxes \(\.json, \.csv, \.txt\)"):
        read(data, tmp_path / f"r{suffix}")

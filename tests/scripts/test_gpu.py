"""What waits for a GPU, dry-run on a CPU by the commands that will be sent; and its parts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import bundle
import collected
import numpy as np
import pytest
import told
import torch
import worth
from scenes import make_scene

from densesirst_gen.datasets.demo.dataset import demo_dataset
from densesirst_gen.detection.detectors.base import to_native_boxes
from densesirst_gen.detection.training.data import fitted, to_sample
from densesirst_gen.scene.annotate import annotate

RUN = Path(__file__).parents[2] / "scripts" / "gpu" / "run.sh"


def sent(out: Path, *words: str, **environment: str) -> list[dict[str, Any]]:
    """The results of a command as it will be sent, but small."""
    command = [str(RUN), *words, "--toy", str(out)]
    changed = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": "", **environment}
    run = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, env=changed
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return told.read(out)


def test_the_first_command(tmp_path: Path) -> None:
    rows = sent(tmp_path, "first")
    assert {row["part"] for row in rows} == {"correctness", "bulk"}
    assert [row["epochs_that_fit"] for row in rows if row["what"] == "training rate"]
    assert all(row["ok"] for row in rows if row["part"] == "correctness")
    assert not [row for row in rows if row.get("wrong")]
    assert all(row["device"] and row["torch"] for row in rows)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"results.jsonl", "report.md", "log.txt", "profile.txt"}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    bundle.main([str(folder), "--toy"])
    return folder


def test_the_second_command(toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = sent(out, "worth", SKY_EPOCHS="0", BUNDLE=str(toy))
    assert [row["data"] for row in rows] == [
        "released",
        "bag-cp",
        "none",
        "none + bag-cp online",
    ]
    assert all(row["what"] == "trained" and row["scores"]["ap"] >= 0 for row in rows)
    assert (out / "worth.png").is_file()
    assert "| bafenet | released | 1 | 1 | 0." in (out / "report.md").read_text()


def test_another_word_is_refused(tmp_path: Path) -> None:
    run = subprocess.run([RUN, "third", tmp_path], check=False, capture_output=True, text=True)
    assert run.returncode == 2
    assert "first or worth, not third" in run.stderr


# ---- the bundle


def test_inputs_of_a_bundle_are_those_of_files_but_for_the_jpeg(toy: Path) -> None:
    base = bundle.read_base(toy)
    scenes = {file.name: file for file in demo_dataset().scenes}
    source = bundle.read_source(toy, "none", base)
    assert len(source.samples) == base.n_train
    for row, sample in zip(source.rows, source.samples, strict=True):
        scene = scenes[base.names[row]].load()
        expected = to_sample(scene, fitted(scene.shape, base.side, "stretch"))
        assert sample.meta == expected.meta
        assert torch.equal(sample.boxes, expected.boxes)
        assert torch.equal(sample.sky, expected.sky)
        assert float((sample.image - expected.image).abs().mean()) < 1.5 / 255
        seen = expected.labels > 0
        assert torch.equal(sample.labels[seen], expected.labels[seen])


def test_scenes_to_score_on_have_the_boxes_of_their_inputs(toy: Path) -> None:
    base = bundle.read_base(toy)
    (sample,) = bundle.read_source(toy, "released", base, range(base.n_train, 9)).samples
    assert sample.scene.shape == sample.meta.size
    native = torch.from_numpy(annotate(sample.scene.labels).boxes).float()
    assert torch.allclose(to_native_boxes(sample.boxes, sample.meta), native, atol=1e-3)


def test_what_is_pasted_once_is_what_the_first_epoch_pastes(toy: Path) -> None:
    data = worth.Data(toy)
    args = worth._parser().parse_args(["out", "--toy"])  # noqa: SLF001
    _, config = worth.settle("bafenet", worth.options_of("bafenet", args))
    plain = data.training(worth.Job("bafenet", "none"))
    made = list(worth.pasted_once(plain, worth.replace(config, augment="bag-cp"), data.library))
    assert len(made) == len(plain)
    assert sum(len(s.boxes) for s in made) > sum(len(s.boxes) for s in plain)
    assert {s.image.shape for s in made} == {(1, base_side(toy), base_side(toy))}


def base_side(folder: Path) -> int:
    return bundle.read_base(folder).side


@pytest.mark.parametrize("side", [16, 40, 96])
def test_no_target_is_lost_in_an_input_that_is_much_smaller(side: int) -> None:
    scene = make_scene((300, 400), targets=12, seed=3)
    labels, boxes = bundle.input_targets(scene.labels, fitted(scene.shape, side, "stretch"))
    assert labels.shape == (side, side)
    assert len(boxes) == scene.n_targets
    assert set(np.unique(labels)) == set(range(scene.n_targets + 1))


def test_what_fits_is_sampled_as_trainings_sample_it() -> None:
    scene = make_scene((64, 64), targets=4)
    labels, boxes = bundle.input_targets(scene.labels, fitted(scene.shape, 64, "stretch"))
    assert np.array_equal(labels, scene.labels)
    assert np.array_equal(boxes, annotate(scene.labels).boxes)


def test_the_same_arrays_are_the_same_bytes(tmp_path: Path) -> None:
    rows = [np.arange(3), np.arange(0), np.arange(5)]
    for name in "ab":
        bundle._save(tmp_path / name, **bundle._ragged("x", rows, np.int32))  # noqa: SLF001
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with np.load(tmp_path / "a") as stored:
        found = bundle._parts(stored, "x")  # noqa: SLF001
    assert all(np.array_equal(one, other) for one, other in zip(rows, found, strict=True))


# ---- results


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    told.tell(tmp_path, "bulk", "eager", batch=2)
    with (tmp_path / told.RESULTS).open("a") as file:
        file.write('{"part": "bulk", "wh')
    (row,) = told.read(tmp_path)
    assert row["what"] == "eager"


def test_intervals_are_those_of_student() -> None:
    assert collected.interval([]) == "-"
    assert collected.interval([0.5]) == "0.500"
    assert collected.interval([0.4, 0.5, 0.6]) == "0.500 ± 0.248"


def test_trainings_that_say_most_come_first_and_only_of_what_there_is() -> None:
    named = [job.label for job in worth.jobs(["released", "bag-cp", "none"])][: worth.CORE]
    assert named == [
        "released",
        "bag-cp",
        "none",
        "none + bag-cp online",
        "bag-cp + 10 % of released",
    ]
    assert not worth.jobs([])


def test_every_training_has_options_that_its_detector_knows() -> None:
    args = worth._parser().parse_args(["out"])  # noqa: SLF001
    for name in worth.OPTIONS:
        _, config = worth.settle(name, worth.options_of(name, args))
        assert config.keep
        assert (config.zoom, config.crop, config.blur) == ((1.0, 1.0), 0, 0.0)

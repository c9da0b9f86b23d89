"""The training loop: resumed runs are the same runs, bad data and bad losses stop with a reason."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from toy_training import TINY, task, toy_registered, write_dataset

from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.detection.evaluation.evaluate import evaluate
from densesirst_gen.detection.metrics import FoundBoxes
from densesirst_gen.detection.training import checkpoint as checkpoint_module
from densesirst_gen.detection.training.checkpoint import CheckpointError, load_checkpoint
from densesirst_gen.detection.training.loop import TrainingError
from densesirst_gen.detection.training.optimise import lr_share, make_optimiser, update_average
from densesirst_gen.detection.training.parts import held_out_part, train_part, whole
from densesirst_gen.detection.training.predict import (
    found_in,
    predict_dataset,
    predict_scenes,
    reading_of,
)
from densesirst_gen.detection.training.run import Running, run_training
from densesirst_gen.detection.training.settings import TrainConfig
from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.settings import ConfigError

__all__ = ["toy_registered"]
pytestmark = pytest.mark.usefixtures("toy_registered")
CPU = Running("cpu")
HELPERS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


def weights(out: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(out / f"{name}.safetensors")


def same(one: Path, other: Path) -> bool:
    mine, theirs = (
        {f"{n} {k}": v for n in ("last", "best") for k, v in weights(out, n).items()}
        for out in (one, other)
    )
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def scores(out: Path) -> list[Any]:
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(row["epoch"], row["step"], row["loss"], row["parts"], row["val"]) for row in rows]


# ---- resuming


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from toy_training import register_toy

    register_toy()
    out = tmp_path_factory.mktemp("runs") / "whole"
    run_training(task(data, augment="bag-cp"), out, running=CPU)
    return out


@pytest.mark.parametrize("batch", [1, 4])
def test_a_run_killed_in_any_epoch_resumes_to_the_same_weights(
    data: Path, uninterrupted: Path, tmp_path: Path, batch: int
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, HELPERS / "toy_training.py", data, out, str(batch)]
    killed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    assert not (out / "manifest.json").exists()
    run_training(task(data, augment="bag-cp"), out, resume=True, running=CPU)
    assert same(out, uninterrupted)
    assert scores(out) == scores(uninterrupted)


@pytest.mark.parametrize("name", ["last.safetensors", "log.jsonl", "resume.pt"])
def test_a_run_that_dies_while_it_saves_resumes_to_the_same_weights(
    data: Path, uninterrupted: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = checkpoint_module.write_atomically

    def dying(path: Path, content: bytes) -> None:
        written.append(path.name)
        if written.count(name) == 2:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(checkpoint_module, "write_atomically", dying)
    with pytest.raises(KeyboardInterrupt):
        run_training(task(data, augment="bag-cp"), tmp_path, running=CPU)
    monkeypatch.setattr(checkpoint_module, "write_atomically", write)
    run_training(task(data, augment="bag-cp"), tmp_path, resume=True, running=CPU)
    assert same(tmp_path, uninterrupted)
    assert scores(tmp_path) == scores(uninterrupted)


def test_a_finished_run_resumes_to_itself(data: Path, uninterrupted: Path) -> None:
    before = (uninterrupted / "manifest.json").read_bytes()
    manifest = run_training(task(data, augment="bag-cp"), uninterrupted, resume=True, running=CPU)
    assert json.loads(before) == manifest
    assert (uninterrupted / "manifest.json").read_bytes() == before


def test_another_task_is_not_resumed(data: Path, uninterrupted: Path) -> None:
    with pytest.raises(RefusedError, match=r"training.lr was 0.\d+, now 0.5$"):
        run_training(task(data, lr=0.5), uninterrupted, resume=True, running=CPU)


def test_an_earlier_run_is_replaced_only_when_asked_to(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(RefusedError, match="is not empty"):
        run_training(task(data, epochs=1), tmp_path, running=CPU)
    out = tmp_path / "run"
    run_training(task(data, epochs=1), out, running=CPU)
    with pytest.raises(RefusedError, match="is not empty"):
        run_training(task(data, epochs=1), out, running=CPU)
    other = run_training(task(data, epochs=1, seed=1), out, overwrite=True, running=CPU)
    assert other["recipe"]["training"]["seed"] == 1


def test_replacing_an_interrupted_run_leaves_none_of_its_weights(
    data: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError):
        run_training(task(data, spoilt=3), tmp_path, running=CPU)
    assert (tmp_path / "best.safetensors").exists()
    run_training(task(data, select_on="last", epochs=1), tmp_path, overwrite=True, running=CPU)
    assert sorted(p.name for p in tmp_path.glob("*.safetensors")) == ["last.safetensors"]


def test_workers_do_not_change_the_weights(data: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        run_training(
            task(data, epochs=2), tmp_path / str(workers), running=Running("cpu", 1, workers)
        )
    assert same(tmp_path / "0", tmp_path / "2")


def test_the_mean_of_the_weights_is_resumed_too(data: Path, tmp_path: Path) -> None:
    averaged = task(data, average=0.9, accumulate=2)

    def stop(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    run_training(averaged, tmp_path / "whole", running=CPU)
    with pytest.raises(KeyboardInterrupt):
        run_training(averaged, tmp_path / "cut", running=Running("cpu", report=stop))
    run_training(averaged, tmp_path / "cut", resume=True, running=CPU)
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_skies_of_the_training_images_are_pasted_as_in_the_release(
    data: Path, tmp_path: Path
) -> None:
    run_training(task(data, augment="release", epochs=1), tmp_path, running=CPU)
    assert np.isfinite(scores(tmp_path)[0][2])


# ---- results


def test_the_results_file_says_what_the_run_was_made_of(data: Path, uninterrupted: Path) -> None:
    manifest = json.loads((uninterrupted / "manifest.json").read_text())
    recipe, chosen = manifest["recipe"], manifest["checkpoint"]
    assert recipe["detector"] == "toy"
    assert (recipe["train"]["split"], recipe["train"]["scenes"]) == ("train_v2", 5)
    assert (recipe["val"]["split"], recipe["val"]["scenes"]) == ("val_v2", 2)
    assert len(recipe["train"]["sha256"]) == 64
    assert recipe["training"]["augment"] == "bag-cp"
    assert manifest["versions"]["torch"] == torch.__version__
    assert "half-open" in manifest["boxes"]
    assert chosen["rule"] == f"greatest ap on {data.name}, split val_v2"
    assert chosen["selected_on_test"] is False
    rows = scores(uninterrupted)
    best = max(range(3), key=lambda k: (rows[k][4]["ap"], k))  # the later of equally good ones
    assert (chosen["epoch"], chosen["val"]) == (best + 1, rows[best][4])
    assert sum(manifest["time"].values()) == pytest.approx(1, abs=0.01)


def test_weights_chosen_on_test_are_stamped(data: Path, tmp_path: Path) -> None:
    chosen = run_training(task(data, select_on="test", epochs=1), tmp_path, running=CPU)[
        "checkpoint"
    ]
    assert chosen["selected_on_test"] is True
    assert "test_v2" in chosen["rule"]
    assert load_checkpoint(tmp_path).about["select_on"] == "test"


def test_without_val_the_last_epoch_is_kept(data: Path, tmp_path: Path) -> None:
    manifest = run_training(task(data, select_on="last", epochs=2), tmp_path, running=CPU)
    assert manifest["checkpoint"]["file"] == "last.safetensors"
    assert manifest["checkpoint"]["rule"] == "last epoch"
    assert not (tmp_path / "best.safetensors").exists()


def test_other_data_have_another_hash(data: Path, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "other", first_seed=50)
    of = [
        run_training(task(root, epochs=1), tmp_path / f"of {root.name}", running=CPU)["recipe"]
        for root in (data, other)
    ]
    assert of[0]["train"]["sha256"] != of[1]["train"]["sha256"]


def test_two_processes_share_the_images_of_a_step(data: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; \n"
        "from toy_training import *; register_toy(); data, out = map(Path, sys.argv[1:])\n"
        "run_training(task(data, epochs=2), out, running=Running('cpu', 2))\n"
    )
    (tmp_path / "two.py").write_text(f"import sys; sys.path.insert(0, {str(HELPERS)!r})\n{script}")
    command = [sys.executable, tmp_path / "two.py", data, tmp_path / "out"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["recipe"]["devices"], manifest["steps"]) == (2, 2)


# ---- learning


def test_a_trained_detector_is_found_again_with_its_scores(data: Path, tmp_path: Path) -> None:
    learning = task(data, epochs=25, lr=0.1, size=0, schedule="cosine")
    manifest = run_training(learning, tmp_path, running=CPU)
    chosen = manifest["checkpoint"]["val"]
    assert chosen["pd"] == 1
    assert chosen["iou"] > 0.3
    loaded = load_checkpoint(tmp_path)
    part = held_out_part(read_dataset(data), "val")
    assert part is not None
    predictions = predict_dataset(loaded, part.files, tmp_path / "maps")
    scored = evaluate(part.files, predictions)
    assert scored.voc12.ap == pytest.approx(chosen["ap"], abs=1e-6)
    assert scored.pixels is not None
    assert scored.pixels.iou == pytest.approx(chosen["iou"], abs=1e-3)  # maps are of 16 bits


@pytest.mark.parametrize("detector", ["toy", "bafenet"])
def test_mixed_precision_trains_to_float32_weights(
    data: Path, tmp_path: Path, detector: str
) -> None:
    run_training(task(data, detector, epochs=1, precision="bf16"), tmp_path, running=CPU)
    assert {t.dtype for t in weights(tmp_path).values()} <= {torch.float32, torch.int64}


def test_bafenet_trains_and_its_boxes_are_native(data: Path, tmp_path: Path) -> None:
    run_training(task(data, "bafenet", epochs=1, score_thr=0.0), tmp_path, running=CPU)
    loaded = load_checkpoint(tmp_path)
    assert loaded.detector.config.depth == 18
    files = read_dataset(data).scenes[:3]
    pairs = list(predict_scenes(loaded.detector, files, reading_of(loaded, batch=2)))
    for file, (scene, prediction) in zip(files, pairs, strict=True):
        found = found_in(loaded.detector, prediction)
        assert isinstance(found, FoundBoxes)
        assert scene.name == file.name
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [128, 96, 128, 96]).all()
        assert prediction.sky is not None
        assert prediction.sky.shape == scene.shape


def test_batches_do_not_change_predictions(data: Path, tmp_path: Path) -> None:
    run_training(task(data, epochs=1), tmp_path, running=CPU)
    loaded, files = load_checkpoint(tmp_path), read_dataset(data).scenes[:3]
    one, three = (
        [p.prob_map for _, p in predict_scenes(loaded.detector, files, reading_of(loaded, batch=b))]
        for b in (1, 3)
    )
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, three, strict=True))


# ---- what goes wrong


def test_a_loss_that_is_not_a_number_names_its_place_and_keeps_the_weights(
    data: Path, tmp_path: Path
) -> None:
    bad = task(data, spoilt=4)
    with pytest.raises(
        TrainingError, match=r"epoch 2, batch 2 \(bce nan, iou .*\); weights of epoch 1"
    ):
        run_training(bad, tmp_path, running=CPU)
    assert load_checkpoint(tmp_path).about["epoch"] == 1


def test_data_without_targets_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    empty = write_dataset(tmp_path / "empty", targets=0)
    with pytest.raises(DatasetError, match="none of the 5 scenes in the split 'train_v2'"):
        run_training(task(empty), tmp_path / "out", running=CPU)
    assert not (tmp_path / "out").exists()


def test_val_without_targets_is_refused(data: Path, tmp_path: Path) -> None:
    empty = read_dataset(write_dataset(tmp_path / "empty", targets=0, first_seed=20))
    bad = replace(task(data), val=whole(empty))
    with pytest.raises(DatasetError, match="has targets, which validation needs"):
        run_training(bad, tmp_path / "out", running=CPU)


def test_val_images_among_the_training_images_are_refused(data: Path, tmp_path: Path) -> None:
    leaking = replace(task(data), val=whole(read_dataset(data)))
    with pytest.raises(DatasetError, match="5 images are in the training data and in val: s0"):
        run_training(leaking, tmp_path / "out", running=CPU)


def test_selecting_on_a_split_that_is_not_there_is_refused(data: Path) -> None:
    with pytest.raises(ConfigError, match="no val split"):
        replace(task(data), val=None)


def test_splits_are_recognised_and_files_go_before_them(data: Path, tmp_path: Path) -> None:
    dataset = read_dataset(data)
    (tmp_path / "few.txt").write_text("s1\ns2\n")
    few = train_part(dataset, tmp_path / "few.txt")
    assert (few.split, [f.name for f in few.files]) == ("few", ["s1", "s2"])
    test = held_out_part(dataset, "test")
    assert test is not None
    assert [f.name for f in test.files] == ["s7", "s8"]
    (tmp_path / "none.txt").write_text("")
    with pytest.raises(DatasetError, match="no scene in the split 'none'"):
        train_part(dataset, tmp_path / "none.txt")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(tmp_path)


# ---- optimiser


def test_warm_up_rises_and_schedules_end_where_they_say() -> None:
    base = TrainConfig(warmup=10, warmup_from=0.0)
    shares = [lr_share(k, 100, base) for k in range(100)]
    assert shares[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert (shares[39], shares[40], shares[80]) == pytest.approx((1, 0.1, 0.01))
    last = {s: lr_share(99, 100, replace(base, schedule=s)) for s in ("constant", "cosine", "poly")}
    assert last == pytest.approx({"constant": 1, "cosine": 0.1, "poly": 0.01**0.9}, abs=1e-3)
    assert lr_share(4, 16, replace(base, warmup=500)) == 1  # at most a quarter of the run


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "dadapt"])
def test_every_optimiser_learns_and_spares_biases_from_decay(name: str) -> None:
    if name == "dadapt":
        pytest.importorskip("dadaptation")
    model = nn.Linear(3, 1)
    lr = 1.0 if name == "dadapt" else 0.05
    optimiser = make_optimiser(model, TrainConfig(optimiser=name, lr=lr, weight_decay=1e-4))
    assert [g["weight_decay"] for g in optimiser.param_groups] == [1e-4, 0]
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(200):
        loss = (model(x) - x.sum(1, keepdim=True) - 2).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 20


def test_the_mean_follows_at_first_and_then_lags() -> None:
    mean, model = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for step, kept in ((0, 0.9 * (1 - math.exp(-1 / 2000))), (10**6, 0.9)):
        with torch.no_grad():
            mean.weight.fill_(1.0)
            model.weight.fill_(0.0)
        update_average(mean, model, step, 0.9)
        assert mean.weight.item() == pytest.approx(kept, rel=1e-4)


def test_a_tiny_option_set_is_used_as_given(uninterrupted: Path) -> None:
    training = json.loads((uninterrupted / "manifest.json").read_text())["recipe"]["training"]
    assert {name: training[name] for name in TINY} == TINY

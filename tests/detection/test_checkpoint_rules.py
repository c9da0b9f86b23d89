"""Weights that can't be used are refused by file and rule; outputs that mean nothing end a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from toy_training import Toy, ToyConfig, task, toy_registered, write_dataset

from densesirst_gen.cli.train import detect
from densesirst_gen.datasets import read_dataset
from densesirst_gen.detection.training.checkpoint import (
    FORMAT,
    CheckpointError,
    Store,
    load_checkpoint,
    weights_bytes,
)
from densesirst_gen.detection.training.predict import (
    DetectionError,
    is_finite,
    predict_scenes,
    reading_of,
)
from densesirst_gen.detection.training.run import Running, run_training
from densesirst_gen.files.folder import BuildFolder

__all__ = ["toy_registered"]
pytestmark = pytest.mark.usefixtures("toy_registered")
ABOUT: dict[str, Any] = {"detector": "toy", "size": 64, "fit": "keep"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_weights(path: Path, **spoilt: float) -> Path:
    """A file of weights; of some tensors the first number is another."""
    detector = Toy(ToyConfig())
    for name, value in spoilt.items():
        detector.state_dict()[name.replace("__", ".")].view(-1)[0] = value
    path.write_bytes(weights_bytes(detector, ABOUT))
    return path


def write_about(path: Path, about: Any) -> Path:
    """Good tensors that say something else of themselves."""
    from safetensors.torch import save

    text = about if isinstance(about, str) else json.dumps(about)
    tensors = {k: v.contiguous() for k, v in Toy(ToyConfig()).state_dict().items()}
    path.write_bytes(save(tensors, {"format": FORMAT, "about": text}))
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    loaded = load_checkpoint(write_weights(tmp_path / "a.safetensors"))
    assert (loaded.size, loaded.fit) == (64, "keep")
    assert not loaded.detector.training


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["layers__0__weight", "layers__1__running_var", "sizes"])
def test_weights_that_are_not_finite(name: str, value: float, tmp_path: Path) -> None:
    path = write_weights(tmp_path / "a.safetensors", **{name: value})
    wanted = rf"a\.safetensors: the weights {name.replace('__', '.')} are not finite"
    with pytest.raises(CheckpointError, match=wanted):
        load_checkpoint(path)


def test_detect_says_so_and_writes_nothing(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    path = write_weights(tmp_path / "a.safetensors", layers__0__weight=float("nan"))
    options = ["-c", str(path), "-i", str(data), "-o", str(tmp_path / "out"), "--device=cpu"]
    done = CliRunner().invoke(detect, options)
    assert isinstance(done.exception, CheckpointError)
    assert not (tmp_path / "out").exists()


def test_outputs_that_are_not_finite_end_it(tmp_path: Path) -> None:
    """Finite weights, and a product of them that isn't."""
    loaded = load_checkpoint(
        write_weights(tmp_path / "a.safetensors", layers__0__weight=3e38, layers__1__weight=3e38)
    )
    files = read_dataset(write_dataset(tmp_path / "data")).scenes
    with pytest.raises(DetectionError, match=r"a\.safetensors: the detector's output is not fin"):
        list(predict_scenes(loaded.detector, files, reading_of(loaded)))


def test_outputs_are_looked_at_however_they_are_nested() -> None:
    good, bad = torch.ones(2), torch.tensor([1.0, float("nan")])
    assert is_finite({"a": [good, (good, None)], "b": torch.arange(3)})
    for raw in (bad, [good, bad], {"a": (good, bad)}, {"a": {"b": [bad]}}):
        assert not is_finite(raw)


OTHERS: list[tuple[Any, str]] = [
    ("", "not JSON"),
    ("{", "not JSON"),
    ("[" * 100_000, "not JSON"),
    ([1], "must be a table"),
    (None, "must be a table"),
    ({}, "its detector must be text, got None"),
    ({**ABOUT, "detector": 3}, "its detector must be text, got 3"),
    ({**ABOUT, "options": [1]}, "its options must be a table"),
    ({**ABOUT, "options": {}, "size": "64"}, "its size must be a whole number"),
    ({**ABOUT, "options": {}, "size": True}, "its size must be a whole number"),
    ({**ABOUT, "options": {}, "size": -1}, "size must be"),
    ({**ABOUT, "options": {}, "size": 10**9}, "size must be"),
    ({**ABOUT, "options": {}, "fit": "maybe"}, "fit must be"),
    ({**ABOUT, "options": {}, "detector": "none"}, "unknown detector 'none'"),
    ({**ABOUT, "options": {"other": 1}}, "unknown option 'other'"),
    ({**ABOUT, "options": {"width": "a"}}, "width must be"),
    ({**ABOUT, "options": {"width": 9}}, "not the weights of toy with these options: 7 tensors"),
    ({**ABOUT, "options": {"weights": "/etc/passwd"}}, "its options name a file of weights"),
    ({**ABOUT, "detector": "serankdet", "options": {"base_width": 512}}, "not the weights of ser"),
]


@pytest.mark.parametrize(("about", "words"), OTHERS, ids=lambda v: str(v)[:40])
def test_what_weights_say_of_themselves_is_checked(about: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"a\.safetensors: .*{words}") as caught:
        load_checkpoint(write_about(tmp_path / "a.safetensors", about))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x08\0\0\0\0\0\0\0{}      ", b"PK\3\4"])
def test_a_file_of_other_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: "):
        load_checkpoint(tmp_path / "a.safetensors")


class TestResume:
    def store(self, root: Path) -> Store:
        folder = BuildFolder(root, {"a": 1})
        folder.open(resume=False, overwrite=False)
        return Store(folder, ABOUT)

    def state(self, **changes: Any) -> dict[str, Any]:
        progress = {"epoch": 0, "step": 0, "best": None, "history": [], **changes}
        return {"detector": {}, "progress": json.dumps(progress)}

    @pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x80\x04K\x01.", b"text"])
    # row 52
    def test_other_bytes(self, content: bytes, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        (store.folder.state / "resume.pt").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"resume\.pt: damaged .*--overwrite"):
            store.resume_state()

    @pytest.mark.parametrize(
        "state",
        [
            [1],
            {},
            {"progress": 3},
            {"progress": "{"},
            {"progress": "[]"},
            {"progress": '{"epoch": 1}'},
        ],
    )
    def test_other_content(self, state: Any, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        torch.save(state, store.folder.state / "resume.pt")
        with pytest.raises(CheckpointError, match=r"resume\.pt: damaged"):
            store.resume_state()

    @pytest.mark.parametrize(
        "changes",
        [
            {"epoch": -1},
            {"epoch": "1"},
            {"epoch": 3},
            {"step": 1.5},
            {"history": None},
            {"epoch": 1, "history": [1]},
            {"best": 3},
            {"best": {}},
        ],
    )
    def test_progress_of_other_parts(self, changes: dict[str, Any], tmp_path: Path) -> None:
        store = self.store(tmp_path)
        torch.save(self.state(**changes), store.folder.state / "resume.pt")
        with pytest.raises(CheckpointError, match="damaged"):
            store.resume_state()

    def test_a_state_of_another_network(self, tmp_path: Path) -> None:
        data, out = write_dataset(tmp_path / "data"), tmp_path / "out"

        def stop(row: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_training(task(data), out, running=Running("cpu", report=stop))
        file = out / ".build" / "resume.pt"
        state = torch.load(file, weights_only=True)
        del state["detector"]["layers.0.weight"]
        torch.save(state, file)
        with pytest.raises(CheckpointError, match=r"resume\.pt: damaged"):
            run_training(task(data), out, resume=True, running=Running("cpu"))

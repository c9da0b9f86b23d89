"""A detector sees images of its camera as in training, whatever other images lie beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from densesirst_gen.datasets import SceneFile
from densesirst_gen.detection.training.about import CheckpointError, checked_about
from densesirst_gen.detection.training.checkpoint import Checkpoint
from densesirst_gen.detection.training.predict import as_trained
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.counts import Counts

TRAINED = Counts((7200.0, 7710.0), 1.0, (), "their own range")


def checkpoint(**about: Any) -> Checkpoint:
    return Checkpoint(Path("w"), None, 0, "keep", about)  # type: ignore[arg-type]


def frame(folder: Path, **counts: Counts) -> SceneFile:
    path = folder / "a.png"
    path.write_bytes(encode_png(np.full((8, 8), 7300, np.uint16)))
    return SceneFile("a", path, counts=counts)


def test_black_and_white_are_those_of_training(tmp_path: Path) -> None:
    own = Counts((7290.0, 7310.0), 1.0, (0.0,), "their own range")
    about = {"uint16": TRAINED.to_dict(), "uint8": Counts((0.0, 255.0), 0.2).to_dict()}
    (file,) = as_trained([frame(tmp_path, uint16=own)], checkpoint(counts=about))
    assert file.load().levels == TRAINED.span
    assert file.counts["uint16"].nodata == own.nodata
    assert "uint8" not in file.counts


def test_a_span_that_is_given_stays(tmp_path: Path) -> None:
    file = SceneFile("a", frame(tmp_path).image, span=(0.0, 16383.0), counts={"uint16": TRAINED})
    (again,) = as_trained([file], checkpoint(counts={"uint16": TRAINED.to_dict()}))
    assert again.load().levels == (0, 16383)


def test_checkpoints_of_before_say_nothing_of_counts(tmp_path: Path) -> None:
    file = frame(tmp_path, uint16=TRAINED)
    assert as_trained([file], checkpoint()) == [file]


def test_counts_that_are_none_are_refused() -> None:
    about = (
        '{"detector": "bafenet", "preset": "toy", "options": {}, "size": 0, "fit": "keep", '
        '"epoch": 1, "rule": "r", "select_on": "val", "best": 0, "counts": {"uint16": 7}}'
    )
    with pytest.raises(CheckpointError, match="counts"):
        checked_about(Path("w"), about)

"""Lists that name no scene are no reason to take test images for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import DatasetError, read_dataset

SIDE = 48


def pairs(root: Path, *names: str) -> Path:
    for k, name in enumerate(names):
        image = np.random.default_rng(k).normal(90, 5, (SIDE, SIDE)).clip(0, 255).astype(np.uint8)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[20:23, 10:13] = 255
        for folder, values in (("images", image), ("masks", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / folder / f"{name}.png")
    return root


@pytest.mark.parametrize("lines", ["x1\nx2\n", "17 3\n18 4\n", "other/y1.png\nother/y2.png\n"])
def test_a_list_of_no_scene_is_an_error(tmp_path: Path, lines: str) -> None:
    pairs(tmp_path, "a", "b")
    (tmp_path / "test.txt").write_text(lines)
    with pytest.raises(DatasetError, match=r"test\.txt: no line of test\.txt is a scene"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path, ignore="test.txt").splits == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements-dev.txt", "pytest\nruff\n"),
        ("train_log.txt", "epoch 1\nepoch 2\n"),
        ("test.txt", "How to test: run it.\nThen look.\n"),
        ("train.txt", "lr=0.1\nepochs=3\n"),
        ("test_results.txt", "p q\nr s\n"),
        ("train.txt", ""),
    ],
)
def test_what_is_no_list_is_none(tmp_path: Path, name: str, text: str) -> None:
    pairs(tmp_path, "a", "b")
    (tmp_path / name).write_text(text)
    assert read_dataset(tmp_path).splits == {}


@pytest.mark.parametrize("above", ["", "datasets/", "x/data/"])
def test_several_datasets_below_are_named(tmp_path: Path, above: str) -> None:
    for name in ("NUAA", "NUDT"):
        root = pairs(tmp_path / above / name, "a", "b")
        (root / "img_idx").mkdir()
        (root / f"img_idx/train_{name}.txt").write_text("a\n")
        (root / f"img_idx/test_{name}.txt").write_text("b\n")
    with pytest.raises(DatasetError, match=rf"2 datasets lie below \({above}NUAA, {above}NUDT\)"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path / above / "NUAA").splits == {"train": ("a",), "test": ("b",)}

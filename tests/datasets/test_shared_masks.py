"""Folders of images that share masks: one is read, or they are named; none is counted twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import DatasetError, read_dataset


def write(root: Path, *folders: str, n: int = 3) -> None:
    rng = np.random.default_rng(0)
    for folder in folders:
        for k in range(n):
            pixels = rng.integers(40, 90, (32, 32)).astype(np.uint8)
            if "mask" in folder or "GT" in folder:
                pixels = np.zeros((32, 32), np.uint8)
                pixels[4:7, 4 + k : 7 + k] = 255
            path = root / folder / f"f{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("other", ["vis", "results/DNANet", "overlay/epoch_9"])
def test_results_beside_images_are_passed_over_aloud(tmp_path: Path, other: str) -> None:
    write(tmp_path, "images", "masks", other)
    dataset = read_dataset(tmp_path)
    assert [scene.name for scene in dataset.scenes] == ["f0", "f1", "f2"]
    assert all(scene.image.parent.name == "images" and scene.mask for scene in dataset.scenes)
    told = f"images in {other}/ have the masks of nearer ones and are passed over"
    assert any(note.startswith(told) for note in dataset.notes())


def test_two_cameras_with_one_set_of_masks_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "Infrared", "RGB", "GT")
    with pytest.raises(DatasetError, match=r"GT/f0\.png: images of Infrared/, RGB/ .*--images"):
        read_dataset(tmp_path)
    dataset = read_dataset(tmp_path, images="Infrared")
    assert len(dataset.scenes) == 3
    assert all(scene.mask for scene in dataset.scenes)


def test_a_sequence_without_masks_gets_none_of_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, "images/seq1", "images/seq2", "masks/seq1")
    dataset = read_dataset(tmp_path)
    assert {scene.image.parent.name for scene in dataset.scenes if scene.mask} == {"seq1"}
    assert any("images/seq2/" in note for note in dataset.notes())


def test_parts_and_sequences_with_masks_of_their_own_are_all_read(tmp_path: Path) -> None:
    write(tmp_path, "images/seq1", "images/seq2", "masks/seq1", "masks/seq2")
    dataset = read_dataset(tmp_path)
    assert len(dataset.scenes) == 6
    assert all(scene.mask for scene in dataset.scenes)

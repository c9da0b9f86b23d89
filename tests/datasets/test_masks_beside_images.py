"""Masks beside images that their names begin with, and a folder for each sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import DatasetError, read_dataset


def write(path: Path, *, is_mask: bool, seed: int = 0) -> None:
    pixels = np.random.default_rng(seed).integers(40, 90, (32, 32)).astype(np.uint8)
    if is_mask:
        pixels = np.zeros((32, 32), np.uint8)
        pixels[4:7, 4 + seed : 7 + seed] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("f{}.png", "mask_f{}.png"),
        ("f{}.png", "gt_f{}.bmp"),
        ("f{}.png", "label-f{}.png"),
        ("f{}.png", "f{}.gt.png"),
        ("f_{}.png", "f_{}_mask.png"),
        ("f{}.png", "f{} mask.png"),
        ("s{}/image.png", "s{}/mask.png"),
        ("s{}/img.png", "s{}/label.png"),
        ("train/s{}/ir.png", "train/s{}/gt.png"),
    ],
)
def test_masks_are_no_backgrounds(tmp_path: Path, image: str, mask: str) -> None:
    for k in range(3):
        write(tmp_path / image.format(k), is_mask=False, seed=k)
        write(tmp_path / mask.format(k), is_mask=True, seed=k)
    scenes = read_dataset(tmp_path).scenes
    assert [s.image.relative_to(tmp_path).as_posix() for s in scenes] == [
        image.format(k) for k in range(3)
    ]
    assert [s.mask and s.mask.relative_to(tmp_path).as_posix() for s in scenes] == [
        mask.format(k) for k in range(3)
    ]


def test_a_label_beside_two_images_is_asked_for(tmp_path: Path) -> None:
    for k in range(2):
        write(tmp_path / f"f{k}_json/img.png", is_mask=False, seed=k)
        write(tmp_path / f"f{k}_json/label_viz.png", is_mask=False, seed=k)
        write(tmp_path / f"f{k}_json/label.png", is_mask=True, seed=k)
    with pytest.raises(DatasetError, match=r"none of 2 masks .*f0_json/label\.png"):
        read_dataset(tmp_path)


def test_what_looks_like_a_mask_among_images_is_told(tmp_path: Path) -> None:
    for k in range(4):
        write(tmp_path / f"f{k}.png", is_mask=False, seed=k)
    write(tmp_path / "other.png", is_mask=True)
    expected = "images of two values, as masks are: 1 file such as other.png of those looked at"
    assert expected in read_dataset(tmp_path).notes()


def test_masks_in_a_folder_called_after_the_sky_are_the_sky(tmp_path: Path) -> None:
    for k in range(2):
        write(tmp_path / f"images/f{k}.png", is_mask=False, seed=k)
        write(tmp_path / f"masks/f{k}.png", is_mask=True, seed=k)
        write(tmp_path / f"sky_masks/f{k}.png", is_mask=True, seed=5)
    scenes = read_dataset(tmp_path).scenes
    assert [scene.sky and scene.sky.parent.name for scene in scenes] == ["sky_masks"] * 2
    assert [scene.mask and scene.mask.parent.name for scene in scenes] == ["masks"] * 2


def test_images_of_two_values_only_are_not_taken_apart(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path / f"images/f{k}.png", is_mask=False, seed=k)
        write(tmp_path / f"masks/gt_f{k}.png", is_mask=True, seed=k)
    assert all(scene.mask for scene in read_dataset(tmp_path).scenes)

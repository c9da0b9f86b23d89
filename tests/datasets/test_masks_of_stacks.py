"""Masks of a stack that can't be read as frames are told of, and never dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.images.codec import CodecError, read_head

SHAPE = (32, 40)


def write_palette(path: Path, masks: np.ndarray) -> None:
    pages = []
    for mask in masks:
        page = Image.fromarray(mask)
        page.putpalette([0, 0, 0, 128, 0, 0])
        pages.append(page)
    pages[0].save(path, save_all=True, append_images=pages[1:])


def write_nothing(path: Path, masks: np.ndarray) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("write_masks", [write_palette, write_nothing])
def test_a_mask_that_is_no_stack_sets_all_frames_aside_by_name(
    tmp_path: Path, write_masks: object
) -> None:
    images = np.random.default_rng(0).integers(60, 90, (5, *SHAPE)).astype(np.uint8)
    masks = np.zeros((5, *SHAPE), np.uint8)
    masks[:, 4:6, 4:6] = 1
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    tifffile.imwrite(tmp_path / "images/clip.tif", images, photometric="minisblack")
    write_masks(tmp_path / "masks/clip.tif", masks)  # type: ignore[operator]
    # a set of which the other masks are fine
    for k in range(2):
        Image.fromarray(images[k]).save(tmp_path / f"images/one{k}.png")
        Image.fromarray(masks[k] * 255).save(tmp_path / f"masks/one{k}.png")
    frames = [scene for scene in read_dataset(tmp_path).scenes if "clip" in scene.name]
    assert len(frames) == 5
    for frame in frames:
        with pytest.raises(CodecError, match=r"masks/clip\.tif"):
            frame.load()


def test_a_png_of_several_pages_is_not_plain(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full(SHAPE, 40 * k, np.uint8)) for k in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert not read_head(tmp_path / "a.png").is_plain
    assert "1 of 1 images looked at: first of 3 pages (a.png)" in read_dataset(tmp_path).notes()

"""Inverted sky masks are found by comparison with the prediction; good ones are left in peace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenes import drawn

from densesirst_gen.datasets import SceneFile, read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png, read_mask
from densesirst_gen.sky.check import check_inverted
from densesirst_gen.sky.folder import check_masks, mask_note

SKY = np.arange(40)[:, None] < np.full(50, 15)


def test_what_is_no_sky_in_the_prediction_and_nothing_else_is_inverted() -> None:
    (doubt,) = check_inverted(~SKY, SKY, 0.9)
    assert (doubt.kind, doubt.is_fault) == ("inverted", True)
    assert doubt.text.startswith("62% of the mask is sky, of the image 38% seems to be, elsewhere")


@pytest.mark.parametrize("given", [SKY, SKY[:, ::-1], np.roll(SKY, 8, 0), SKY * False])
def test_other_differences_are_not_its_business(given: np.ndarray) -> None:
    assert check_inverted(given, SKY, 0.99) == []


def test_an_unsure_prediction_proves_nothing() -> None:
    assert check_inverted(~SKY, SKY, 0.74) == []
    nothing = np.zeros_like(SKY)
    assert check_inverted(nothing, ~nothing, 0.89) == []
    assert check_inverted(nothing, ~nothing, 0.91)
    assert check_inverted(~nothing, nothing, 0.91)


def folder(root: Path, numbers: range, *, inverted: bool) -> tuple[SceneFile, ...]:
    for k in numbers:
        scene = drawn(k)
        assert scene.sky is not None
        sky = (~scene.sky if inverted else scene.sky).astype(np.uint8) * 255
        files = {f"in/{k}.png": scene.image, f"sky/{k}.png": sky}
        write_files(root, [(path, encode_png(array)) for path, array in files.items()])
    return read_dataset(root / "in", sky_dir=root / "sky").scenes


# row 35
def test_inverted_masks_are_told_before_a_build_and_by_the_check(tmp_path: Path) -> None:
    files = folder(tmp_path, range(4), inverted=True)
    note = mask_note(files)
    assert "4 of 4 sky masks compared with predictions are doubtful, such as 0: " in note
    assert "is the mask inverted (255 - x)?" in note
    assert len(check_masks(files[:1])) == 1


def test_two_inverted_masks_of_two_are_enough(tmp_path: Path) -> None:
    assert "2 of 2 sky masks compared" in mask_note(folder(tmp_path, range(5, 7), inverted=True))


def test_good_masks_pass(tmp_path: Path) -> None:
    files = folder(tmp_path, range(4), inverted=False)
    assert mask_note(files) == ""
    assert check_masks(files[:1]) == {}


def test_real_masks_pass_and_inverted_ones_are_told(real_data: Path, tmp_path: Path) -> None:
    masks = real_data / "densesirst/SkySeg/BinaryMask"
    files = read_dataset(real_data / "sirstv2", sky_dir=masks).scenes[::128]
    assert mask_note(files) == ""
    for file in files:
        assert file.sky is not None
        values = (~read_mask(file.sky, sparse=False).array).astype(np.uint8) * 255
        write_files(tmp_path, [(f"{file.name}.png", encode_png(values))])
    upturned = read_dataset(real_data / "sirstv2", sky_dir=tmp_path).scenes[::128]
    assert "inverted" in mask_note(upturned)

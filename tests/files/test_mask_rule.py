"""What is on in a mask: no target vanishes because of how it was written (rows 22 to 24)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.notes import grouped, mask_notes
from densesirst_gen.files.images.codec import CodecError, encode_png, encode_tiff, read_mask

ON = np.zeros((20, 24), bool)
ON[3:5, 4:8] = True
ON[10:12, 20] = True


def saved(path: Path, array: np.ndarray) -> Path:
    Image.fromarray(array).save(path)
    return path


@pytest.mark.parametrize(
    "colour",
    [(255, 0, 0), (0, 0, 255), (0, 255, 0), (128, 0, 0), (255, 255, 255), (3, 0, 0), (0, 64, 128)],
)
# row 99
def test_colours_are_on(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    path = saved(tmp_path / "a.png", ON[..., None] * np.array(colour, np.uint8))
    np.testing.assert_array_equal(read_mask(path).array, ON)
    assert bool(read_mask(path).notes) == (colour != (255, 255, 255))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("values", [(1, 1), (1, 2), (3, 3), (2, 7), (64, 64), (1, 127)])
# row 23
def test_numbers_are_on(tmp_path: Path, dtype: type, values: tuple[int, int]) -> None:
    array = np.zeros(ON.shape, dtype)
    array[3:5, 4:8], array[10:12, 20] = values
    mask = read_mask(saved(tmp_path / "a.tif", array))
    np.testing.assert_array_equal(mask.array, ON)
    (note,) = mask.notes
    assert "{0, 1}" in note or f"largest value {max(values)}, so all but 0 is on: 10 pixels" == note


@pytest.mark.parametrize("white", [128, 255, 256, 4095, 65535])
def test_white_is_on_without_a_word(tmp_path: Path, white: int) -> None:
    mask = read_mask(saved(tmp_path / "a.png", ON.astype(np.uint16) * white))
    np.testing.assert_array_equal(mask.array, ON)
    assert mask.notes == ()


# row 22
def test_fractions_are_probabilities(tmp_path: Path) -> None:
    values = np.where(ON, 0.9, 0.2).astype(np.float32)
    (tmp_path / "a.tif").write_bytes(encode_tiff(values))
    mask = read_mask(tmp_path / "a.tif")
    np.testing.assert_array_equal(mask.array, ON)
    assert mask.notes == ("fractions up to 0.9, on is what is above 0.5",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [(np.nan, "not numbers"), (-1, "negative"), (12.5, "fractions up to 12.5"), (np.inf, None)],
)
# row 99
def test_values_that_no_mask_has(tmp_path: Path, value: float, reason: str | None) -> None:
    values = np.where(ON, value, 0).astype(np.float32)
    (tmp_path / "a.tif").write_bytes(encode_tiff(values))
    if reason is None:
        np.testing.assert_array_equal(read_mask(tmp_path / "a.tif").array, ON)
        return
    with pytest.raises(CodecError, match=reason):
        read_mask(tmp_path / "a.tif")


# row 24
def test_a_background_of_another_number_is_an_inverted_mask(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match="is it inverted"):
        read_mask(saved(tmp_path / "a.png", ON.astype(np.uint8) + 1))


# ---------------------------------------------------------------- told aloud


def test_notes_of_one_kind_are_one_sentence() -> None:
    notes = [("a.png", "8 soft values"), ("b.png", "9 soft values"), ("c.png", "colours")]
    assert grouped(notes, "of 3 masks") == [
        "2 of 3 masks: 8 soft values (a.png)",
        "1 of 3 masks: colours (c.png)",
    ]


def test_a_dataset_tells_of_its_masks(tmp_path: Path) -> None:
    for folder, array in (("images", ON * 0 + 9), ("masks", ON * 3)):
        for name in "ab":
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(encode_png(array.astype(np.uint8)))
    dataset = read_dataset(tmp_path)
    assert dataset.notes() == [
        "2 of 2 target masks looked at: largest value 3, so all but 0 is on: 10 pixels (a.png)"
    ]
    (tmp_path / "masks/a.png").write_bytes(b"")
    assert len(dataset.notes()) == 1


def test_a_sample_of_many_masks_is_looked_at(tmp_path: Path) -> None:
    saved(tmp_path / "a.png", ON.astype(np.uint8))
    (note,) = mask_notes([tmp_path / "a.png"] * 1050)
    assert note.startswith("100 of 100 target masks looked at: values {0, 1}")

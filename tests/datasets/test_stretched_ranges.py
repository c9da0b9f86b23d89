"""What stretches the range of a camera: blank frames, borders, overlays, lines of numbers, AGC."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from densesirst_gen.datasets import Dataset, DatasetError, read_dataset
from densesirst_gen.files.images.codec import encode_png

Convert = Callable[[np.ndarray, int], np.ndarray]


def gray(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.linspace(60, 90, 96)[:, None] + rng.normal(0, 2, (96, 96))
    image[40:43, 50:53] += 90
    return image.round().astype(np.uint8)


def counts(image: np.ndarray, seed: int = 0) -> np.ndarray:
    """A narrow band of 14 bits."""
    return 7200 + 2 * image.astype(np.uint16)


def written(root: Path, convert: Convert, n: int = 4) -> Path:
    root.mkdir()
    for k in range(n):
        values = convert(gray(k), k)
        if values.dtype == np.float32:
            tifffile.imwrite(root / f"s{k}.tif", values)
        else:
            (root / f"s{k}.png").write_bytes(encode_png(values))
    return root


def read(root: Path, convert: Convert, nodata: list[float] | None = None) -> Dataset:
    return read_dataset(written(root, convert), nodata=nodata)


def test_blank_frames_say_nothing_of_black_and_white(tmp_path: Path) -> None:
    def blank(image: np.ndarray, k: int) -> np.ndarray:
        return counts(image) * (k != 3)

    plain, found = read(tmp_path / "a", counts), read(tmp_path / "b", blank)
    assert found.counts["uint16"].span == pytest.approx(plain.counts["uint16"].span, abs=4)
    assert any("1 of 4 images looked at are of one value" in note for note in found.remarks)
    assert any(": s3" in note for note in found.remarks)
    assert not any("of one value" in note for note in plain.remarks)


def test_frames_that_are_all_blank_are_read_as_before(tmp_path: Path) -> None:
    found = read(tmp_path / "a", lambda image, k: np.full_like(counts(image), 7000 + k % 2))
    assert found.counts["uint16"].basis == "their own range"
    assert not any("of one value" in note for note in found.remarks)


def bordered(value: float, base: Convert) -> Convert:
    def convert(image: np.ndarray, k: int) -> np.ndarray:
        values = base(image, k)
        values[:6], values[-6:], values[:, :6] = value, value, value
        return values

    return convert


def overlaid(value: float, base: Convert) -> Convert:
    def convert(image: np.ndarray, k: int) -> np.ndarray:
        values = base(image, k)
        values[80:83, 10:60] = value
        return values

    return convert


def degrees(image: np.ndarray, k: int) -> np.ndarray:
    return (image / 10).astype(np.float32)


def as_it_is(image: np.ndarray, k: int) -> np.ndarray:
    return image.copy()


MADE = {
    "border, 16 bit": (bordered(16383, counts), 16383),
    "code of no data": (bordered(65534, counts), 65534),
    "overlay": (overlaid(16383, counts), 16383),
    "border, 8 bit": (bordered(0, as_it_is), 0),
    "overlay, 8 bit": (overlaid(255, as_it_is), 255),
    "degrees": (bordered(-1000, degrees), -1000),
    "far code": (bordered(2.0**66, degrees), 2.0**66),
}


@pytest.mark.parametrize("made", MADE)
def test_a_value_that_lies_apart_is_told_and_can_be_left_out(made: str, tmp_path: Path) -> None:
    convert, value = MADE[made]
    found = read(tmp_path / "a", convert)
    (note,) = (note for note in found.remarks if "lies apart" in note)
    assert f"--nodata {value:.9g}" in note
    assert "4 of 4 images" in note
    given = read(tmp_path / "b", convert, nodata=[value])
    assert not any("lies apart" in note for note in given.remarks)
    (kind,) = given.counts
    assert given.counts[kind].nodata == (value,)
    if kind != "uint8":
        plain = read(tmp_path / "c", counts if kind == "uint16" else degrees)
        assert given.counts[kind].span == pytest.approx(plain.counts[kind].span, rel=0.05)
    else:
        assert given.counts[kind].reach < found.counts[kind].reach / 2


def test_a_line_of_numbers_is_told(tmp_path: Path) -> None:
    def with_header(image: np.ndarray, k: int) -> np.ndarray:
        values = counts(image)
        values[0] = np.random.default_rng(k).integers(0, 65535, values.shape[1])
        return values

    found = read(tmp_path / "a", with_header)
    (note,) = (note for note in found.remarks if "lies apart" in note)
    assert note.startswith("the first row lies apart")
    assert "--span" in note


@pytest.mark.parametrize(
    "base", [counts, degrees, as_it_is, lambda image, k: image.astype(np.uint16) * 64]
)
def test_plain_images_are_not_told_of(base: Convert, tmp_path: Path) -> None:
    def with_few(image: np.ndarray, k: int) -> np.ndarray:
        """Dead pixels, and small targets that are all of the largest value."""
        values = base(image, k)
        values[20:22, 20:24] = values.max()
        return values

    remarks = read(tmp_path / "a", with_few).remarks
    assert not any(word in note for note in remarks for word in ("apart", "one value", "AGC"))


def test_images_of_two_ranges_in_one_folder_are_told(tmp_path: Path) -> None:
    def stretched(image: np.ndarray, k: int) -> np.ndarray:
        part = (image - image.min()) / np.ptp(image)
        return (part * 16383).astype(np.uint16) if k % 2 else counts(image)

    found = read(tmp_path / "a", stretched)
    (note,) = (note for note in found.remarks if "AGC" in note)
    assert "2 of 4 images looked at, such as s0" in note
    assert "--span-table" in note


def test_files_that_are_not_read_are_named_where_only_masks_are(tmp_path: Path) -> None:
    for k in range(2):
        mask = (gray(k) > 120).astype(np.uint8) * np.uint8(255)
        for path, content in (
            (tmp_path / f"images/s{k}.raw", counts(gray(k)).tobytes()),
            (tmp_path / f"masks/s{k}.png", encode_png(mask)),
        ):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    wanted = r"nothing but masks.* not read, \.raw files: 2 files such as images/s0\.raw"
    with pytest.raises(DatasetError, match=wanted):
        read_dataset(tmp_path)


@pytest.mark.parametrize(("step", "told"), [(200, True), (2, False)])
def test_a_zero_that_drifts_is_told(step: int, told: bool, tmp_path: Path) -> None:
    def drifting(image: np.ndarray, k: int) -> np.ndarray:
        return (counts(image) + step * k).astype(np.uint16)

    found = read_dataset(written(tmp_path / "a", drifting, n=8))
    assert (
        any("whose zero drifts" in note and "--span-table" in note for note in found.remarks)
        == told
    )


def test_writing_burnt_into_all_images_is_told_and_flat_targets_are_not(tmp_path: Path) -> None:
    """Both are small pieces of one value; writing is at the same pixels in every image."""

    def dotted(image: np.ndarray, places: range) -> np.ndarray:
        values = image.copy()
        for x in places:
            values[70:74, x : x + 4] = 255
        return values

    written_on = read(tmp_path / "a", lambda image, k: dotted(image, range(10, 38, 6)))
    (note,) = (note for note in written_on.remarks if "lies apart" in note)
    assert note.startswith("what is 255 (0.9% of the pixels)")
    targets = read(tmp_path / "b", lambda image, k: dotted(image, range(6 + k, 34 + k, 6)))
    assert not any("lies apart" in note for note in targets.remarks)

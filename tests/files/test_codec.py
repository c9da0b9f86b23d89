"""Decoding is strict and keeps the bit depth; encoding is lossless."""

from __future__ import annotations

import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from densesirst_gen.files.images.codec import (
    CodecError,
    encode_palette_png,
    encode_png,
    encode_tiff,
    read_image,
    read_mask,
)

GRAY = np.arange(20 * 24, dtype=np.uint8).reshape(20, 24)
SMALL = np.zeros((20, 24), np.uint8)
SMALL[3:5, 4:8] = 1


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def colours(rng_seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(rng_seed).integers(0, top, (20, 24, 3), dtype, endpoint=True)


def palette_image(indices: np.ndarray, *levels: int) -> Image.Image:
    image = Image.fromarray(indices)
    image.putpalette([level for level in levels for _ in range(3)])
    return image


# ---------------------------------------------------------------- images


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
def test_gray_is_read_as_it_is(tmp_path: Path, suffix: str) -> None:
    decoded = read_image(saved(tmp_path / f"a{suffix}", Image.fromarray(GRAY)))
    assert decoded.array.dtype == np.uint8
    assert decoded.notes == ()
    np.testing.assert_array_equal(decoded.array, GRAY)


@pytest.mark.parametrize("mode", ["RGB", "LA", "RGBA", "P"])
# row 11
def test_gray_stored_as_colour_is_that_gray(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(GRAY).convert(mode)
    decoded = read_image(saved(tmp_path / "a.png", image))
    np.testing.assert_array_equal(decoded.array, GRAY)
    assert decoded.notes == (("alpha ignored",) if mode.endswith("A") else ())


# row 12
def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    decoded = read_image(saved(tmp_path / "a.png", Image.fromarray(SMALL > 0)))
    np.testing.assert_array_equal(decoded.array, SMALL * 255)


# row 10
def test_palette_is_expanded(tmp_path: Path) -> None:
    image = palette_image(SMALL, 30, 200)
    decoded = read_image(saved(tmp_path / "a.png", image, transparency=b"\x00\x80"))
    np.testing.assert_array_equal(decoded.array, np.where(SMALL, 200, 30))
    assert decoded.notes == ("alpha ignored",)


# rows 9, 12
def test_transparent_pixels_keep_their_gray(tmp_path: Path) -> None:
    image = Image.fromarray(GRAY).convert("RGB")
    image.putalpha(0)
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.png", image)).array, GRAY)


@pytest.mark.parametrize("with_alpha", [False, True])
# row 11
def test_colour_becomes_the_gray_that_opencv_reads_from_a_png(
    tmp_path: Path, with_alpha: bool
) -> None:
    image = Image.fromarray(np.tile(colours(), (10, 10, 1)))
    if with_alpha:
        image.putalpha(128)
    path = saved(tmp_path / "a.png", image)
    decoded = read_image(path)
    expected = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded.notes[-1] == "true colour"
    difference = np.abs(decoded.array.astype(int) - expected)
    assert difference.max() <= 1  # versions of libpng round their weights differently,
    assert (difference == 0).mean() > 0.99  # which a few pixels feel


# row 6
def test_sixteen_bits_stay(tmp_path: Path) -> None:
    deep = GRAY.astype(np.uint16) * 33
    for suffix in (".png", ".tif"):
        decoded = read_image(saved(tmp_path / f"a{suffix}", Image.fromarray(deep)))
        assert decoded.array.dtype == np.uint16
        np.testing.assert_array_equal(decoded.array, deep)


# row 117
def test_big_endian_and_32_bit_files_of_16_bit_values(tmp_path: Path) -> None:
    deep = GRAY.astype(np.uint16) * 33
    big_endian = saved(tmp_path / "a.tif", Image.fromarray(deep.astype(">u2")))
    wide = saved(tmp_path / "b.tif", Image.fromarray(deep.astype(np.int32)))
    for path in (big_endian, wide):
        decoded = read_image(path)
        assert decoded.array.dtype == np.dtype(np.uint16)
        np.testing.assert_array_equal(decoded.array, deep)


@pytest.mark.parametrize("value", [-1, 65536])
def test_32_bit_values_are_not_cut(tmp_path: Path, value: int) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(np.full((4, 4), value, np.int32)))
    with pytest.raises(CodecError, match=f"{value} to {value} do not fit 16 bits"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("n_channels", [3, 4])
def test_colours_of_sixteen_bits_keep_their_low_bytes(
    tmp_path: Path, suffix: str, n_channels: int
) -> None:
    equal = np.repeat(GRAY.astype(np.uint16)[..., None] * 257 + 3, n_channels, axis=2)
    done, data = cv2.imencode(suffix, equal)
    assert done
    decoded = read_image(written(tmp_path / f"a{suffix}", data.tobytes()))
    np.testing.assert_array_equal(decoded.array, equal[..., 0])
    assert decoded.array.dtype == np.uint16


def test_true_colours_of_sixteen_bits(tmp_path: Path) -> None:
    rgb = colours(dtype=np.uint16)
    _, data = cv2.imencode(".png", rgb[..., ::-1])
    decoded = read_image(written(tmp_path / "a.png", data.tobytes()))
    bt601 = rgb @ np.array([0.299, 0.587, 0.114])
    assert decoded.array.dtype == np.uint16
    assert np.abs(decoded.array - bt601).max() < 6


def test_float_stays_float(tmp_path: Path) -> None:
    warm = GRAY.astype(np.float32) / 7 + 273.15
    decoded = read_image(written(tmp_path / "a.tif", encode_tiff(warm)))
    assert decoded.array.dtype == np.float32
    np.testing.assert_array_equal(decoded.array, warm)


# row 14
def test_orientation_is_told_and_not_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = read_image(saved(tmp_path / "a.png", Image.fromarray(GRAY), exif=exif))
    assert decoded.notes == ("orientation 6 not applied",)
    np.testing.assert_array_equal(decoded.array, GRAY)


def test_broken_exif_does_no_harm(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(GRAY), exif=b"neither II nor MM")
    np.testing.assert_array_equal(read_image(path).array, GRAY)


# row 13
def test_a_sequence_in_one_file_is_not_read_as_its_first_frame(tmp_path: Path) -> None:
    pages = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    path = saved(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages)
    with pytest.raises(CodecError, match=r"a.tif: 3 frames in one file, a sequence: unpack it"):
        read_image(path)


def test_the_first_of_pages_that_are_no_frames_of_it(tmp_path: Path) -> None:
    pages = [Image.fromarray(GRAY), Image.fromarray(GRAY[:9])]
    path = saved(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    decoded = read_image(path)
    assert decoded.notes == ("first of 2 pages",)
    np.testing.assert_array_equal(decoded.array, GRAY)


# row 5
def test_content_counts_not_suffix(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(GRAY), format="TIFF")
    decoded = read_image(path)
    assert decoded.notes == ("holds TIFF data",)
    np.testing.assert_array_equal(decoded.array, GRAY)


# ---------------------------------------------------------------- broken files


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html>404</html>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git-LFS pointer"),
        (b"hello", "not a PNG"),
        (b"GIF89a" + bytes(40), "a GIF: not supported"),
    ],
)
# rows 3, 4
def test_what_is_not_an_image_says_what_it_is(tmp_path: Path, data: bytes, reason: str) -> None:
    path = written(tmp_path / "a.png", data)
    with pytest.raises(CodecError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(CodecError, match="not a regular file"):
        read_image(tmp_path)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
# row 1
def test_truncated_files_are_refused(tmp_path: Path, share: float) -> None:
    data = encode_png(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))
    path = written(tmp_path / "a.png", data[: int(share * len(data))])
    with pytest.raises(CodecError, match=r"(?i)truncated"):
        read_image(path)


# row 2
def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    data = bytearray(encode_png(GRAY))
    data[data.index(b"IEND") - 5] ^= 1  # the checksum of the last block of pixels
    with pytest.raises(CodecError, match="checksum"):
        read_image(written(tmp_path / "a.png", bytes(data)))


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
# row 2
def test_damage_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    data = bytearray(encode_png(GRAY))
    data[position % len(data)] = value
    path = written(tmp_path_factory.getbasetemp() / "damaged.png", bytes(data))
    try:
        decoded = read_image(path)
    except CodecError:
        return
    np.testing.assert_array_equal(decoded.array, GRAY)


# row 17
def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", encode_png(GRAY))
    with pytest.raises(CodecError, match="24 x 20 pixels, the limit is 479"):
        read_image(path, max_pixels=479)
    assert read_image(path, max_pixels=480).array.shape == (20, 24)


# row 57
def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    side = 60_000
    rows = zlib.compress(bytes(1 + side // 8) * 100)
    header = side.to_bytes(4) * 2 + bytes([1, 0, 0, 0, 0])
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
        for kind, body in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    )
    with pytest.raises(CodecError, match="bomb"):
        read_image(written(tmp_path / "a.png", bomb))


def test_unsupported_modes_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.new("CMYK", (4, 4)))
    with pytest.raises(CodecError, match="TIFF, 8-bit unsigned, CMYK, 4 channels: not supported"):
        read_image(path)


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1"])
def test_masks_are_read_by_value(tmp_path: Path, mode: str) -> None:
    mask = read_mask(saved(tmp_path / "a.png", Image.fromarray(SMALL * 255).convert(mode)))
    assert mask.array.dtype == np.bool_
    np.testing.assert_array_equal(mask.array, SMALL > 0)


# row 10
def test_palette_masks_are_read_by_index(tmp_path: Path) -> None:
    dark = palette_image(SMALL, 0, 5)  # index 1 is nearly black
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "a.png", dark)).array, SMALL > 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_masks_of_zeros_and_ones(tmp_path: Path, dtype: type) -> None:
    mask = read_mask(saved(tmp_path / "a.tif", Image.fromarray(SMALL.astype(dtype))))
    np.testing.assert_array_equal(mask.array, SMALL > 0)
    assert mask.notes == ("values {0, 1} read as {0, 255}",)


# row 22
def test_soft_values_are_counted(tmp_path: Path) -> None:
    soft = SMALL * 255
    soft[3, 4:8] = (64, 127, 128, 200)
    mask = read_mask(saved(tmp_path / "a.png", Image.fromarray(soft)))
    np.testing.assert_array_equal(mask.array, soft > 127)
    assert mask.notes == ("4 soft values, 2 of them above 127",)
    assert read_mask(tmp_path / "a.png", threshold=0).array.sum() == 8


def test_a_mask_that_is_too_dark_holds_numbers(tmp_path: Path) -> None:
    mask = read_mask(saved(tmp_path / "a.png", Image.fromarray(SMALL * 64)))
    np.testing.assert_array_equal(mask.array, SMALL > 0)
    assert mask.notes == ("largest value 64, so all but 0 is on: 8 pixels",)


# row 24
def test_inverted_target_masks_are_refused_and_skies_are_not(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray((1 - SMALL) * 255))
    with pytest.raises(CodecError, match="98% of the target mask is white"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, sparse=False).array, SMALL == 0)


def test_black_masks(tmp_path: Path) -> None:
    mask = read_mask(saved(tmp_path / "a.png", Image.fromarray(SMALL * 0)))
    assert not mask.array.any()
    assert mask.notes == ()


# ---------------------------------------------------------------- encoding


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (20, 24)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_is_lossless(tmp_path: Path, shape: tuple[int, int], dtype: type) -> None:
    rng = np.random.default_rng(1)
    array = rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    decoded = read_image(written(tmp_path / "a.png", encode_png(array[::-1, ::-1])))
    assert decoded.array.dtype == dtype
    np.testing.assert_array_equal(decoded.array, array[::-1, ::-1])


@pytest.mark.parametrize(
    "array",
    [SMALL > 0, SMALL.astype(np.int32), SMALL[..., None], SMALL[:0], SMALL.astype(">u2")],
    ids=["bool", "int32", "3-D", "empty", "big-endian"],
)
def test_png_refuses_other_arrays(array: np.ndarray) -> None:
    with pytest.raises(CodecError, match="PNG takes"):
        encode_png(array)


def test_tiff_refuses_other_arrays() -> None:
    with pytest.raises(CodecError, match="float32, got uint8"):
        encode_tiff(GRAY)


@pytest.mark.parametrize("bits", [1, 8])
def test_palette_png_keeps_indices_and_colours(bits: int) -> None:
    palette = [(i, 255 - i, 7) for i in range(2**bits)]
    indices = GRAY & (2**bits - 1)
    image = Image.open(BytesIO(encode_palette_png(indices, palette, bits=bits)))
    assert image.mode == "P"
    assert image.getpalette() == [level for colour in palette for level in colour]
    np.testing.assert_array_equal(np.asarray(image), indices)


def test_palette_png_is_the_gray_one_with_another_header() -> None:
    """Its pixels are OpenCV's, whose bytes don't change with the version of Pillow."""
    data = encode_palette_png(SMALL, [(0, 0, 0), (255, 0, 0)])
    assert data[data.index(b"IDAT") :] == (gray := encode_png(SMALL))[gray.index(b"IDAT") :]


def test_palette_png_refuses_indices_without_colour() -> None:
    with pytest.raises(CodecError, match="indices to 1, 1 colours"):
        encode_palette_png(SMALL, [(0, 0, 0)])
    with pytest.raises(CodecError, match="3 colours, 1 bits"):
        encode_palette_png(SMALL, [(0, 0, 0)] * 3, bits=1)


def test_the_package_does_not_import_codecs() -> None:
    code = "import sys, densesirst_gen; assert not {'cv2', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

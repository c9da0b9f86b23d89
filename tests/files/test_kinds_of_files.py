"""What other tools write: read as it was written, or named for what it is (rows 103, 118, 120)."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.images.codec import (
    CodecError,
    is_image_file,
    read_image,
    read_mask,
    read_size,
)

ROW, COLUMN = np.mgrid[:20, :24]
GRAY = (ROW * 12 + COLUMN % 5).astype(np.uint8)
DEEP = (ROW * 700 + COLUMN * 3 + 20).astype(np.uint16)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def encoded(kind: str, array: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


# ---------------------------------------------------------------- PGM, WebP, NPY, FITS


@pytest.mark.parametrize("white", [4095, 16383, 65535])
def test_deep_pgm_keeps_its_counts(tmp_path: Path, white: int) -> None:
    counts = np.minimum(DEEP, white)
    head = f"P5\n# by a camera\n24 20\n{white}\n".encode()
    path = written(tmp_path / "a.pgm", head + counts.astype(">u2").tobytes())
    decoded = read_image(path)
    assert decoded.array.dtype == np.uint16
    np.testing.assert_array_equal(decoded.array, counts)
    assert read_size(path) == (20, 24)
    text = "\n".join(map(str, counts.ravel())).encode()
    path = written(tmp_path / "b.pgm", f"P2 24 20 {white}\n".encode() + text)
    np.testing.assert_array_equal(read_image(path).array, counts)
    with pytest.raises(CodecError, match=r"truncated: .* of 480 values"):
        read_image(written(path, head + counts.astype(">u2").tobytes()[:-1]))


def test_pgm_with_values_above_its_white_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pgm", b"P5 2 1 4095 " + struct.pack(">HH", 4095, 4096))
    with pytest.raises(CodecError, match="4096 above its white at 4095"):
        read_image(path)
    with pytest.raises(CodecError, match="white at 70000: more than 16 bits"):
        read_image(written(path, b"P5 1 1 70000 "))


def test_pgm_and_webp_of_8_bits(tmp_path: Path) -> None:
    for kind, suffix, options in (("PPM", "pgm", {}), ("WEBP", "webp", {"lossless": True})):
        path = written(tmp_path / f"a.{suffix}", encoded(kind, GRAY, **options))
        decoded = read_image(path)
        np.testing.assert_array_equal(decoded.array, GRAY)
        assert decoded.notes == ()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["PPM", "WEBP", "NPY"])
def test_those_cut_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8)
    data = npy(noise) if kind == "NPY" else encoded(kind, noise)
    with pytest.raises(CodecError):
        read_image(written(tmp_path / "a", data[: int(share * len(data))]))


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "i4", "f4", ">f4", "f8", "f2"])
def test_arrays_of_numpy(tmp_path: Path, dtype: str) -> None:
    array = (DEEP // 64).astype(dtype)
    for order in "CF":
        path = written(tmp_path / "a.npy", npy(np.asarray(array, order=order)))
        np.testing.assert_array_equal(read_image(path).array, array)
    path = written(tmp_path / "b.npy", npy(array[..., None]))
    np.testing.assert_array_equal(read_image(path).array, array)


def test_masks_of_numpy(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npy", npy(DEEP < 60))
    np.testing.assert_array_equal(read_mask(path).array, DEEP < 60)


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.zeros((5, 20, 24), np.float32), r"NPY, 32-bit float, shape \(5, 20, 24\)"),
        (np.zeros((20, 24), np.complex64), "NPY, 64-bit complex"),
        (np.zeros(9), r"NPY, 64-bit float, shape \(9,\)"),
        (np.array([[None]]), "object"),
    ],
)
def test_other_arrays_are_named(tmp_path: Path, array: np.ndarray, named: str) -> None:
    path = written(tmp_path / "a.npy", npy(array))
    with pytest.raises(CodecError, match=named):
        read_image(path)
    assert not is_image_file(path)


def test_fits_is_read_with_its_scale(tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits")
    for array in (DEEP, DEEP.astype(np.float32) / 7, DEEP.astype(np.int16)):
        fits.PrimaryHDU(array).writeto(tmp_path / "a.fits", overwrite=True)
        np.testing.assert_array_equal(read_image(tmp_path / "a.fits").array, array)
        assert read_size(tmp_path / "a.fits") == (20, 24)
    data = (tmp_path / "a.fits").read_bytes()
    with pytest.raises(CodecError, match=r"a\.fits"):
        read_image(written(tmp_path / "a.fits", data[:3000]))
    fits.PrimaryHDU(np.zeros((5, 20, 24))).writeto(tmp_path / "b.fits")
    with pytest.raises(CodecError, match="FITS, 24 x 20 x 5: not supported"):
        read_image(tmp_path / "b.fits")


def test_fits_without_astropy_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "astropy.io", None)
    with pytest.raises(CodecError, match=r"install densesirst_gen\[fits\]"):
        read_image(written(tmp_path / "a.fits", b"SIMPLE  =                    T"))


# ---------------------------------------------------------------- BMP, JPEG


def bmp_565(levels: np.ndarray, greens: np.ndarray | None = None) -> bytes:
    low = levels.astype(np.uint16)
    green = 2 * low if greens is None else greens.astype(np.uint16)
    pixels = (low << 11 | green << 5 | low)[::-1].astype("<u2").tobytes()
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    height, width = levels.shape
    head = struct.pack("<2sIHHI", b"BM", 66 + len(pixels), 0, 0, 66)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 3, len(pixels),
                              0, 0, 0, 0) + masks + pixels  # fmt: skip


# row 119
def test_a_bmp_of_5_6_5_bits(tmp_path: Path) -> None:
    levels = (COLUMN + ROW // 3).clip(0, 31)
    for green in (2 * levels, 2 * levels + (levels > 15), np.minimum(2 * levels + 1, 63)):
        decoded = read_image(written(tmp_path / "a.bmp", bmp_565(levels, green)))
        assert np.abs(decoded.array - levels * 255 / 31).max() <= 1
        assert decoded.notes == ()
    decoded = read_image(written(tmp_path / "a.bmp", bmp_565(levels, levels)))
    assert decoded.notes == ("true colour",)


# row 121
def test_a_radiometric_jpeg_says_that_its_raw_frame_is_not_read(tmp_path: Path) -> None:
    data = encoded("JPEG", GRAY)
    segment = b"FLIR\0\1\0\0" + bytes(40)
    flir = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    for path in (tmp_path / "a.jpg", tmp_path / "b.jpg"):
        written(path, flir)
    assert read_image(path).notes == (
        "FLIR radiometric JPEG: its picture is read, its raw frame is not",
    )
    assert read_dataset(tmp_path).notes() == [
        "2 of 2 images looked at: FLIR radiometric JPEG: its picture is read, its raw frame is not "
        "(a.jpg)"
    ]


@pytest.mark.parametrize(
    ("code", "bits", "named"),
    [(0xC3, 16, "JPEG, lossless, 16 bit, 1 channel"), (0xC1, 12, "JPEG, extended, 12 bit")],
)
def test_jpegs_of_other_kinds_are_named(tmp_path: Path, code: int, bits: int, named: str) -> None:
    frame = struct.pack(">BHHBBBB", bits, 20, 24, 1, 1, 0x11, 0)
    data = b"\xff\xd8\xff" + bytes([code]) + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"
    with pytest.raises(CodecError, match=rf"{named}.*: not supported"):
        read_image(written(tmp_path / "a.jpg", data))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"GIF89a" + bytes(30), "a GIF: not supported"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image: not supported"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"PK\3\4" + bytes(30), "zip archive"),
        (b"\0\0\0\x20ftypavif", "an AVIF image"),
        (b"FFF\0" + bytes(30), "FLIR raw frame"),
        (b"qoif" + bytes(30), "a QOI image"),
    ],
)
def test_other_files_are_named(tmp_path: Path, data: bytes, named: str) -> None:
    with pytest.raises(CodecError, match=rf"a\.png: {'.*'}{named}"):
        read_image(written(tmp_path / "a.png", data))


# ---------------------------------------------------------------- palettes of masks


def palette_file(path: Path, indices: np.ndarray, *colours: tuple[int, int, int]) -> Path:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette([level for colour in colours for level in colour])
    image.save(path)
    return path


# row 99
def test_a_palette_whose_first_colour_is_white_is_read_by_colour(tmp_path: Path) -> None:
    on = (ROW < 5) & (COLUMN < 5)
    path = palette_file(tmp_path / "a.png", ~on, (255, 255, 255), (0, 0, 0))
    decoded = read_mask(path)
    np.testing.assert_array_equal(decoded.array, on)
    assert decoded.notes == ("palette, index 0 is not black: read by colour",)


# row 99
def test_a_palette_of_gray_levels_is_read_as_gray(tmp_path: Path) -> None:
    soft = np.where((ROW < 5) & (COLUMN < 5), 255, 0)
    soft[5, :5] = 60
    path = palette_file(tmp_path / "a.png", soft, *((k, k, k) for k in range(256)))
    gray = written(tmp_path / "b.png", encoded("PNG", soft.astype(np.uint8)))
    np.testing.assert_array_equal(read_mask(path).array, read_mask(gray).array)
    assert read_mask(path).notes == read_mask(gray).notes


# row 99
def test_the_void_of_pascal_voc_is_background(tmp_path: Path) -> None:
    indices = np.where((ROW < 5) & (COLUMN < 5), 1, 0)
    indices[5, :5] = 255
    colours = [(0, 0, 0), (128, 0, 0), *[(1, 2, 3)] * 253, (224, 224, 192)]
    decoded = read_mask(palette_file(tmp_path / "a.png", indices, *colours))
    np.testing.assert_array_equal(decoded.array, indices == 1)
    assert decoded.notes == ("5 void pixels (index 255 of the palette) read as background",)


# ---------------------------------------------------------------- among other files


def test_arrays_beside_images_of_the_same_name_are_passed_over(tmp_path: Path) -> None:
    for k in range(3):
        written(tmp_path / f"f{k}.png", encoded("PNG", GRAY + np.uint8(k)))
        written(tmp_path / f"f{k}.npy", npy(DEEP))
    written(tmp_path / "boxes.npy", npy(np.zeros(4)))
    dataset = read_dataset(tmp_path)
    assert [scene.image.name for scene in dataset.scenes] == ["f0.png", "f1.png", "f2.png"]
    assert any("not read, .npy files: 4 files" in note for note in dataset.notes())


def test_a_folder_of_arrays_is_a_dataset(tmp_path: Path) -> None:
    for k in range(2):
        for folder, array in (("images", DEEP + k), ("masks", (DEEP < 30).astype(np.uint8))):
            (tmp_path / folder).mkdir(exist_ok=True)
            written(tmp_path / folder / f"f{k}.npy", npy(array))
    scenes = [file.load() for file in read_dataset(tmp_path).scenes]
    assert [scene.image.dtype for scene in scenes] == [np.uint16] * 2
    assert [scene.n_targets for scene in scenes] == [1, 1]

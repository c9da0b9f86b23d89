"""Every type, compression, byte order, layout and predictor of a TIFF, by a writer of our own.

What was written is what is read, or the file is refused for what it is (rows 117, 118, 120).
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from tiff_files import tiff_bytes

from densesirst_gen.files.images.codec import (
    CodecError,
    nodata_of,
    read_head,
    read_image,
    read_mask,
)

SHAPE = (19, 22)
ROW, COLUMN = np.mgrid[: SHAPE[0], : SHAPE[1]]
RAMP = ROW * SHAPE[1] + COLUMN
TYPES = {
    "u1": (RAMP % 251).astype(np.uint8),
    "u2": (RAMP * 150 + 7).astype(np.uint16),
    "u4": (RAMP * 150 + 7).astype(np.uint32),
    "i1": (RAMP % 251 - 125).astype(np.int8),
    "i2": (RAMP * 70 - 9000).astype(np.int16),
    "i4": (RAMP * 150 + 7).astype(np.int32),
    "f2": (RAMP / 8 - 20).astype(np.float16),
    "f4": (RAMP / 7 + 273.15).astype(np.float32),
    "f8": RAMP / 8 - 20.5,
}
READ_AS = {"u1": "u1", "u2": "u2", "u4": "u2", "i4": "u2"}
COMPRESSIONS = ("none", "lzw", "deflate", "old deflate", "packbits")
LAYOUTS: dict[str, dict[str, object]] = {
    "one strip": {},
    "strips": {"rows": 5},
    "tiles": {"tile": (16, 16)},
    "big": {"big": True, "rows": 7},
}


def read(tmp_path: Path, data: bytes, name: str = "a.tif") -> np.ndarray:
    (tmp_path / name).write_bytes(data)
    return read_image(tmp_path / name).array


def predictors(name: str) -> tuple[int, ...]:
    return (1, 2, 3) if name.startswith("f") else (1, 2)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("compression", COMPRESSIONS)
# rows 117, 118
def test_values_are_those_that_were_written(tmp_path: Path, name: str, compression: str) -> None:
    array = TYPES[name]
    for order, predictor, layout in product("<>", predictors(name), LAYOUTS):
        data = tiff_bytes(
            array, order=order, compression=compression, predictor=predictor, **LAYOUTS[layout]
        )
        found = read(tmp_path, data)
        assert found.dtype == np.dtype(READ_AS.get(name, "f4")), (order, predictor, layout)
        np.testing.assert_array_equal(found, array, str((order, predictor, layout)))


@pytest.mark.parametrize("name", ["u1", "u2"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_gray_in_three_channels_is_that_gray(tmp_path: Path, name: str, compression: str) -> None:
    colours = np.repeat(TYPES[name][..., None], 3, axis=2)
    for order, predictor, planar, layout in product("<>", (1, 2), (False, True), LAYOUTS):
        data = tiff_bytes(
            colours, order=order, compression=compression, predictor=predictor, planar=planar,
            **LAYOUTS[layout],
        )  # fmt: skip
        found = read(tmp_path, data)
        assert found.dtype == np.dtype(name)
        np.testing.assert_array_equal(found, TYPES[name], str((order, predictor, planar, layout)))


# row 118
def test_planar_colours_are_not_scrambled(tmp_path: Path) -> None:
    colours = np.stack([RAMP, RAMP * 100, RAMP * 0 + 300], axis=2).astype(np.uint16)
    chunky, planar = (
        read(tmp_path, tiff_bytes(colours, planar=planar, rows=4)) for planar in (False, True)
    )
    np.testing.assert_array_equal(planar, chunky)
    assert np.abs(chunky - colours @ np.array([0.299, 0.587, 0.114])).max() < 3


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("compression", ["none", "lzw", "deflate"])
# row 118
def test_packed_counts(tmp_path: Path, bits: int, compression: str) -> None:
    counts = (RAMP * 37 % 2**bits).astype(np.uint16)
    for order, predictor, layout in product("<>", (1, 2), LAYOUTS):
        data = tiff_bytes(
            counts, bits=bits, order=order, compression=compression, predictor=predictor,
            **LAYOUTS[layout],
        )  # fmt: skip
        np.testing.assert_array_equal(read(tmp_path, data), counts, str((order, predictor, layout)))
    assert read_head(tmp_path / "a.tif").depth == f"{bits} bit"


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_gray_levels_up_to_white(tmp_path: Path, bits: int) -> None:
    few = (RAMP % 2**bits).astype(np.uint8)
    found = read(tmp_path, tiff_bytes(few, bits=bits, rows=4))
    np.testing.assert_array_equal(found, few * (255 // (2**bits - 1)))


@pytest.mark.parametrize("name", ["u1", "u2", "i1", "i2"])
@pytest.mark.parametrize("compression", ["none", "deflate", "lzw"])
# row 118
def test_white_is_zero_by_one_rule(tmp_path: Path, name: str, compression: str) -> None:
    array = TYPES[name]
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(array, photometric=0, compression=compression))
    found = read_image(path)
    np.testing.assert_array_equal(found.array, ~array)
    assert found.notes[0] == "white is zero: inverted"


def test_white_is_zero_of_packed_and_of_single_bits(tmp_path: Path) -> None:
    counts = (RAMP * 9).astype(np.uint16)
    found = read(tmp_path, tiff_bytes(counts, bits=12, photometric=0))
    np.testing.assert_array_equal(found, 4095 - counts)
    single = (RAMP % 2).astype(np.uint8)
    found = read(tmp_path, tiff_bytes(single, bits=1, photometric=0))
    np.testing.assert_array_equal(found, (1 - single) * 255)


def test_the_other_order_of_bits(tmp_path: Path) -> None:
    for compression in ("none", "lzw"):
        data = tiff_bytes(TYPES["u2"], fill_order=2, compression=compression)
        np.testing.assert_array_equal(read(tmp_path, data), TYPES["u2"])


# row 118
def test_alpha_beside_deep_values(tmp_path: Path) -> None:
    gray = TYPES["u2"]
    for n, planar in product((1, 3), (False, True)):
        with_alpha = np.dstack([gray] * n + [np.full(SHAPE, 9, np.uint16)])
        path = tmp_path / "a.tif"
        path.write_bytes(tiff_bytes(with_alpha, alpha=2, planar=planar, photometric=n // 2 + 1))
        found = read_image(path)
        np.testing.assert_array_equal(found.array, gray)
        assert found.notes == ("alpha ignored",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
# row 119
def test_premultiplied_alpha_is_undone(tmp_path: Path, dtype: type) -> None:
    white = np.iinfo(dtype).max
    gray = (RAMP % 200).astype(dtype)
    alpha = np.where(COLUMN < 9, white, white // 2 + 1).astype(dtype)
    stored = np.rint(gray * (alpha / white)).astype(dtype)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(np.dstack([stored, alpha]), alpha=1, photometric=1))
    found = read_image(path)
    assert found.notes == ("premultiplied alpha undone",)
    assert np.abs(found.array.astype(int) - gray).max() <= 1
    alpha[0, 0] = 0
    path.write_bytes(tiff_bytes(np.dstack([stored, alpha]), alpha=1, photometric=1))
    with pytest.raises(CodecError, match="premultiplied alpha of 0, the values there are lost"):
        read_image(path)


@pytest.mark.parametrize(
    ("array", "options", "named"),
    [
        (TYPES["f4"].astype(np.complex64), {}, "TIFF, 64-bit complex, 1 channel: not supported"),
        (np.dstack([TYPES["u2"]] * 2), {}, "TIFF, 16-bit unsigned, gray, 2 channels: not supp"),
        (np.dstack([TYPES["u1"]] * 4), {"photometric": 5}, "8-bit unsigned, CMYK, 4 channels: not"),
        (np.dstack([TYPES["f4"]] * 3), {}, "TIFF, 32-bit float, RGB, 3 channels: not supported"),
        (TYPES["f4"], {"photometric": 0}, "white is zero: floats have no black"),
        (TYPES["u4"] * 1000, {}, "32-bit values 7000 to .* do not fit 16 bits"),
        (TYPES["f8"] * 1e300, {}, "64-bit floats .* do not fit 32 bits"),
        (TYPES["f8"] * 1e-6 + 1e9, {}, "64-bit floats .* are too fine for 32 bits"),
        (TYPES["u1"], {"more": {259: ("H", [34712])}}, "compression JPEG2000: not supported"),
        (TYPES["u2"], {"more": {317: ("H", [3])}}, "predictor 3: not supported"),
        (TYPES["u1"], {"more": {32997: ("I", [4])}}, "4 layers deep: not supported"),
    ],
)
# row 118
def test_what_is_not_read_is_named_for_what_it_is(
    tmp_path: Path, array: np.ndarray, options: dict[str, object], named: str
) -> None:
    with pytest.raises(CodecError, match=rf"a\.tif: .*{named}"):
        read(tmp_path, tiff_bytes(array, **options))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_that_are_cut_are_refused(tmp_path: Path, compression: str, layout: str) -> None:
    data = tiff_bytes(TYPES["u2"], compression=compression, **LAYOUTS[layout])
    for share in (0.5, 0.8, 0.97):
        with pytest.raises(CodecError, match=r"truncated|damaged|broken"):
            read(tmp_path, data[: int(share * len(data))])
    with pytest.raises(CodecError, match="truncated"):
        read(
            tmp_path,
            tiff_bytes(TYPES["u2"], compression=compression, **LAYOUTS[layout],
                       more={257: ("I", [SHAPE[0] + 40])}),
        )  # fmt: skip


# ---------------------------------------------------------------- other writers


@pytest.mark.parametrize("mode", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd"])
@pytest.mark.parametrize("name", ["u1", "u2", "f4"])
def test_what_libtiff_writes(tmp_path: Path, mode: str, name: str) -> None:
    big = np.tile(TYPES[name], (9, 9))  # a long table of LZW
    try:
        Image.fromarray(big).save(tmp_path / "a.tif", compression=mode)
    except OSError as error:
        pytest.skip(f"this libtiff has no {mode} ({error})")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, big)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"bigtiff": True}, {"byteorder": ">"}])
@pytest.mark.parametrize("name", TYPES)
def test_what_tifffile_writes(tmp_path: Path, options: dict[str, object], name: str) -> None:
    for compression in (None, "zlib"):
        tifffile.imwrite(tmp_path / "a.tif", TYPES[name], compression=compression, **options)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, TYPES[name])


@pytest.mark.parametrize("name", ["u1", "u2", "f4", "f8"])
def test_what_opencv_writes(tmp_path: Path, name: str) -> None:
    done, data = cv2.imencode(".tif", TYPES[name])
    assert done
    np.testing.assert_array_equal(read(tmp_path, data.tobytes()), TYPES[name])


# ---------------------------------------------------------------- frames, masks, no-data


def frames(n: int) -> np.ndarray:
    return np.stack([TYPES["u2"] + k for k in range(n)])


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"truncate": True}])
# row 120
def test_a_stack_is_refused_by_the_number_of_its_frames(
    tmp_path: Path, options: dict[str, object]
) -> None:
    options = {"metadata": {"axes": "ZYX"}} | options if "imagej" not in options else options
    tifffile.imwrite(tmp_path / "a.tif", frames(5), photometric="minisblack", **options)
    told = "5 frames in one file, a sequence: unpack it .* in a folder of images"
    with pytest.raises(CodecError, match=told):
        read_image(tmp_path / "a.tif")


def test_smaller_copies_are_no_frames(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(TYPES["u2"])
        file.write(TYPES["u2"][::2, ::2], subfiletype=1)
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.array, TYPES["u2"])
    assert found.notes == ()


@pytest.mark.parametrize("name", ["u1", "u2", "i1", "i2", "f4", "f8"])
def test_masks_of_any_type(tmp_path: Path, name: str) -> None:
    mask = (RAMP % 9 == 0).astype(TYPES[name].dtype)
    (tmp_path / "a.tif").write_bytes(tiff_bytes(mask, order=">", compression="lzw"))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif").array, mask != 0)


@pytest.mark.parametrize("text", ["-9999", "-3.4028234663852886e+38", "nan", "0 "])
def test_no_data_by_gdal(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(TYPES["f4"], text={42113: text}))
    np.testing.assert_equal(nodata_of(path), float(text))
    np.testing.assert_equal(read_image(path).nodata, float(text))
    path.write_bytes(tiff_bytes(TYPES["f4"]))
    assert nodata_of(path) is None


def test_no_data_of_doubles_and_of_inverted_values_is_in_the_values_read(tmp_path: Path) -> None:
    path, least = tmp_path / "a.tif", float(np.finfo(np.float64).min)
    doubles = TYPES["f8"].copy()
    doubles[3, 4] = least
    path.write_bytes(tiff_bytes(doubles, text={42113: repr(least)}))
    found = read_image(path)
    assert found.array[3, 4] == found.nodata == np.finfo(np.float32).min
    np.testing.assert_array_equal(found.array[4:], doubles[4:])
    path.write_bytes(tiff_bytes(TYPES["u2"], photometric=0, text={42113: "7"}))
    found = read_image(path)
    assert found.array[0, 0] == found.nodata == 65528

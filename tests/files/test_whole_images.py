"""An image that ends early is refused in every format, closed again or not (row 1)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from densesirst_gen.files.images.codec import CodecError, read_image, read_mask, read_size

RNG = np.random.default_rng(0)
SOFT = ndimage.gaussian_filter(RNG.normal(0, 1, (64, 80)), 3) * 300 + 128
GRAY = SOFT.clip(0, 255).astype(np.uint8)
COLOURS = np.dstack([GRAY, GRAY[::-1], GRAY[:, ::-1]])
END = b"\xff\xd9"
SHARES = (0.2, 0.5, 0.7, 0.9, 0.97)


def encoded(kind: str, array: np.ndarray = GRAY, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


JPEGS = {
    "baseline": encoded("JPEG", quality=90),
    "progressive": encoded("JPEG", quality=90, progressive=True),
    "colours": encoded("JPEG", COLOURS, quality=90),
    "subsampled": encoded("JPEG", COLOURS, quality=60, subsampling="4:2:0", progressive=True),
    "restarts": encoded("JPEG", quality=90, restart_marker_rows=1),
    "flat": encoded("JPEG", np.full((64, 80), 128, np.uint8)),
    "tiny": encoded("JPEG", np.full((1, 1), 9, np.uint8)),
    "optimised": encoded("JPEG", quality=30, optimize=True),
}


def reads(tmp_path: Path, data: bytes) -> np.ndarray | None:
    (tmp_path / "a").write_bytes(data)
    try:
        return read_image(tmp_path / "a").array
    except CodecError:
        return None


@pytest.mark.parametrize("kind", JPEGS)
def test_whole_jpegs_are_read(tmp_path: Path, kind: str) -> None:
    found = reads(tmp_path, JPEGS[kind])
    gray = Image.open(BytesIO(JPEGS[kind])).convert("L")
    assert found is not None
    assert np.abs(found.astype(int) - np.asarray(gray)).max() <= 1
    assert reads(tmp_path, JPEGS[kind] + b"something behind it") is not None


@pytest.mark.parametrize("kind", [kind for kind in JPEGS if kind not in ("flat", "tiny")])
@pytest.mark.parametrize("share", SHARES)
# row 1
def test_jpegs_cut_and_closed_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    data = JPEGS[kind]
    cut = data[: int(share * len(data))].rstrip(b"\xff") + END
    (tmp_path / "a.jpg").write_bytes(cut)
    with pytest.raises(
        CodecError,
        match=r"(?i)a.jpg: .*(truncated|broken|cannot identify|not a |cannot load|not supported)",
    ):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["restarts", "progressive", "subsampled"])
def test_jpegs_cut_between_their_parts_are_refused(tmp_path: Path, kind: str) -> None:
    data = JPEGS[kind]
    start = data.index(b"\xff\xda")
    marks = [at for at in range(start + 2, len(data) - 2) if is_mark(data[at : at + 2])]
    assert marks
    for at in marks:
        assert reads(tmp_path, data[:at] + END) is None


def is_mark(two: bytes) -> bool:
    return two[0] == 0xFF and two[1] not in (0, 0xFF)


def test_every_cut_of_a_jpeg_is_refused_or_harmless(tmp_path: Path) -> None:
    data = JPEGS["optimised"]
    whole = reads(tmp_path, data)
    for at in range(data.index(b"\xff\xda"), len(data) - 2, 7):
        found = reads(tmp_path, data[:at] + END)
        assert found is None or np.array_equal(found, whole)


def tiff(compression: str, array: np.ndarray = GRAY) -> bytes:
    return encoded("TIFF", array, compression=compression)


TIFFS: dict[str, Callable[[], bytes]] = {
    "raw": lambda: encoded("TIFF"),
    "raw 16": lambda: encoded("TIFF", GRAY.astype(np.uint16) * 200),
    "float": lambda: encoded("TIFF", GRAY.astype(np.float32)),
    "lzw": lambda: tiff("tiff_lzw"),
    "deflate": lambda: tiff("tiff_adobe_deflate"),
    "packbits": lambda: tiff("packbits"),
    "jpeg": lambda: tiff("jpeg"),
    "jpeg colours": lambda: tiff("jpeg", COLOURS),
}


def entries(data: bytes) -> dict[int, int]:
    """Tag -> place of its value or offset, of a little-endian TIFF."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    return {
        struct.unpack_from("<H", data, at)[0]: at + 8
        for at in range(start + 2, start + 2 + 12 * count, 12)
    }


@pytest.mark.parametrize("kind", TIFFS)
@pytest.mark.parametrize("share", SHARES)
# row 1
def test_tiffs_cut_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    data = TIFFS[kind]()
    assert reads(tmp_path, data) is not None
    assert reads(tmp_path, data[: int(share * len(data))]) is None


@pytest.mark.parametrize("kind", ["jpeg", "jpeg colours"])
@pytest.mark.parametrize("share", SHARES)
def test_tiffs_with_a_jpeg_that_is_cut_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    data = bytearray(TIFFS[kind]())
    place = entries(data)[279]
    assert struct.unpack_from("<I", data, place - 4) == (1,)
    (size,) = struct.unpack_from("<I", data, place)
    struct.pack_into("<I", data, place, int(size * share))
    assert reads(tmp_path, bytes(data)) is None


def chunk(kind: bytes, body: bytes) -> bytes:
    code = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", code)


@pytest.mark.parametrize("share", SHARES)
# row 1
def test_pngs_cut_and_closed_with_right_checksums_are_refused(tmp_path: Path, share: float) -> None:
    data = encoded("PNG")
    at = data.index(b"IDAT")
    (size,) = struct.unpack_from(">I", data, at - 4)
    body = data[at + 4 : at + 4 + int(size * share)]
    assert reads(tmp_path, data[: at - 4] + chunk(b"IDAT", body) + chunk(b"IEND", b"")) is None


@pytest.mark.parametrize("kind", ["PNG", "BMP", *JPEGS, *TIFFS])
@pytest.mark.parametrize("height", [65, 96, 4000])
def test_images_of_fewer_rows_than_they_say_are_refused(
    tmp_path: Path, kind: str, height: int
) -> None:
    assert reads(tmp_path, taller(kind, height)) is None


def taller(kind: str, height: int) -> bytes:
    """An image of 64 rows, or of 1, that says that it has more, its checksums right."""
    if kind in JPEGS:
        data = bytearray(JPEGS[kind])
        at = next(at for mark in (b"\xff\xc0", b"\xff\xc2") if (at := data.find(mark)) > 0)
        struct.pack_into(">H", data, at + 5, height)
    elif kind in TIFFS:
        data = bytearray(TIFFS[kind]())
        struct.pack_into("<HxxIHxx", data, entries(data)[257] - 6, 3, 1, height)
    else:
        data = bytearray(encoded(kind))
        struct.pack_into(*((">I", data, 20) if kind == "PNG" else ("<i", data, 22)), height)
    if kind == "PNG":
        data[8:33] = chunk(b"IHDR", data[16:29])
    return bytes(data)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pngs_of_every_mode_have_all_rows(tmp_path: Path, mode: str) -> None:
    for shape in ((1, 1), (1, 9), (9, 1), (17, 13)):
        buffer = BytesIO()
        values = RNG.integers(0, 255, shape).astype(np.uint16 if mode == "I;16" else np.uint8)
        image = Image.fromarray(values)
        (image if mode == "I;16" else image.convert(mode)).save(buffer, "PNG")
        assert reads(tmp_path, buffer.getvalue()) is not None


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 4), (8, 8), (9, 17)])
def test_interlaced_pngs_have_all_rows(tmp_path: Path, shape: tuple[int, int]) -> None:
    (height, width), rows = shape, b""
    steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    for left, top, across, down in (*steps, (0, 1, 1, 2)):
        part = GRAY[top:height:down, left:width:across]
        rows += b"".join(b"\0" + row.tobytes() for row in part if part.size)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1))
    for data in (rows, rows[:-1]):
        body = chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
        found = reads(tmp_path, b"\x89PNG\r\n\x1a\n" + head + body)
        if len(data) < len(rows):
            assert found is None
        else:
            np.testing.assert_array_equal(found, GRAY[:height, :width])


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
@pytest.mark.parametrize("share", SHARES)
def test_bmps_cut_are_refused(tmp_path: Path, mode: str, share: float) -> None:
    buffer = BytesIO()
    Image.fromarray(GRAY).convert(mode).save(buffer, "BMP")
    data = buffer.getvalue()
    assert reads(tmp_path, data[: int(share * len(data))]) is None


def run_length_bmp(rows: bytes) -> bytes:
    height, width = GRAY.shape
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    place = 14 + 40 + len(palette)
    head = b"BM" + struct.pack("<IHHI", place + len(rows), 0, 0, place)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 256)
    return head + info + palette + rows


def test_run_length_bmps_cut_and_closed_are_refused(tmp_path: Path) -> None:
    lines = [b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in GRAY[::-1].tolist()]
    found = reads(tmp_path, run_length_bmp(b"".join(lines) + b"\0\1"))
    assert found is not None
    np.testing.assert_array_equal(found, GRAY)
    for n_lines in (10, 32, 63):
        assert reads(tmp_path, run_length_bmp(b"".join(lines[:n_lines]) + b"\0\1")) is None


# ---------------------------------------------------------------- orientation (row 14)


def with_orientation(kind: str, value: int, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encoded(kind, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "LZW", "BIG"])
# row 14
def test_no_format_is_rotated(tmp_path: Path, kind: str, orientation: int) -> None:
    if kind in ("LZW", "BIG"):
        options = {"compression": "tiff_lzw"} if kind == "LZW" else {"big_tiff": True}
        data = with_orientation("TIFF", orientation, **options)
    else:
        data = with_orientation(kind, orientation)
    path = tmp_path / "a"
    path.write_bytes(data)
    decoded = read_image(path)
    assert decoded.notes == (f"orientation {orientation} not applied",)
    assert decoded.array.shape == GRAY.shape == read_size(path)
    assert np.abs(decoded.array.astype(int) - GRAY).max() <= (16 if kind == "JPEG" else 0)


def test_files_of_the_other_byte_order_are_not_rotated_either(tmp_path: Path) -> None:
    height, width = GRAY.shape
    start = 8 + GRAY.size
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 274: 6, 277: 1, 278: height}
    tags[279] = GRAY.size
    rows = b"".join(struct.pack(">HHIHxx", tag, 3, 1, value) for tag, value in tags.items())
    directory = struct.pack(">H", len(tags)) + rows + bytes(4)
    path = tmp_path / "a.tif"
    path.write_bytes(struct.pack(">2sHI", b"MM", 42, start) + GRAY.tobytes() + directory)
    decoded = read_image(path)
    np.testing.assert_array_equal(decoded.array, GRAY)
    assert decoded.notes == ("orientation 6 not applied",)


def test_masks_and_deep_colours_are_not_rotated_either(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    mask = (GRAY > 200).astype(np.uint8) * 255
    path.write_bytes(oriented(encoded("TIFF", mask, exif=Image.Exif())))
    np.testing.assert_array_equal(read_mask(path).array, mask > 0)
    deep = COLOURS.astype(np.uint16) * 257
    done, data = cv2.imencode(".tif", deep)
    assert done
    upright = reads(tmp_path, data.tobytes())
    turned = reads(tmp_path, oriented(data.tobytes()))
    assert upright is not None
    assert turned is not None
    np.testing.assert_array_equal(turned, upright)


def oriented(data: bytes) -> bytes:
    """The TIFF with a directory at its end that has an orientation of 6 besides."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    old = [data[start + 2 + 12 * k : start + 14 + 12 * k] for k in range(count)]
    new = sorted([*old, struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)], key=lambda e: e[1] * 256 + e[0])
    directory = struct.pack("<H", count + 1) + b"".join(new) + bytes(4)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


def test_an_orientation_said_elsewhere_is_not_applied(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    path = tmp_path / "a.tif"
    path.write_bytes(encoded("TIFF", tiffinfo={700: xmp}))
    decoded = read_image(path)
    np.testing.assert_array_equal(decoded.array, GRAY)
    assert decoded.notes == ("orientation 6 not applied",)

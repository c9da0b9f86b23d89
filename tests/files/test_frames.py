"""A stack TIFF as a folder of its frames: each is read as the file that it would be by itself."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from densesirst_gen.files.images.codec import CodecError, nodata_of, read_head, read_image
from densesirst_gen.files.images.frames import (
    frames_in,
    image_bytes,
    image_digest,
    on_disk,
    stack_of,
    unpacked,
)

N, SHAPE = 7, (19, 22)
COUNTS = (np.arange(N * 19 * 22) * 37 % 60000).reshape(N, *SHAPE)
GRAY: dict[str, Any] = {"photometric": "minisblack"}
WRITERS: dict[str, dict[str, Any]] = {
    "pages": {},
    "BigTIFF": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "big-endian BigTIFF in tiles": {"byteorder": ">", "bigtiff": True, "tile": (16, 16)},
    "strips": {"rowsperstrip": 5},
    "deflate with predictor": {"compression": "zlib", "predictor": True},
    "one page and the rest behind it": {"truncate": True},
}


def written(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **{**GRAY, **options})
    return path


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
# row 120
def test_frames_are_what_was_written(tmp_path: Path, writer: str, dtype: type) -> None:
    array = COUNTS.astype(dtype)
    options = WRITERS[writer]
    if dtype is np.float32:  # tifffile alone writes no such differences
        options = options | {"predictor": False}
    path = written(tmp_path / "a.tif", array, **options)
    frames = frames_in(path)
    assert [frame.name for frame in frames] == [f"{k:04d}.tif" for k in range(N)]
    for frame, values in zip(frames, array, strict=True):
        found = read_image(frame)
        assert found.array.dtype == dtype
        assert found.notes == ()
        np.testing.assert_array_equal(found.array, values)
    assert read_head(frames[-1]).depth == ("float" if dtype is np.float32 else read_bits(dtype))


def read_bits(dtype: type) -> str:
    return f"{8 * np.dtype(dtype).itemsize} bit"


IMAGEJ: list[dict[str, Any]] = [
    {},
    {"metadata": {"axes": "TYX"}},
    {"metadata": {"axes": "ZYX"}},
    {"metadata": {"axes": "TYX"}, "truncate": True},
]


@pytest.mark.parametrize("options", IMAGEJ)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
# row 120
def test_stacks_of_imagej(tmp_path: Path, options: dict[str, Any], dtype: type) -> None:
    array = COUNTS.astype(dtype)
    frames = frames_in(written(tmp_path / "a.tiff", array, imagej=True, **options))
    assert len(frames) == N
    for frame, values in zip(frames, array, strict=True):
        np.testing.assert_array_equal(read_image(frame).array, values)


def test_stacks_of_ome_and_of_pages_written_one_by_one(tmp_path: Path) -> None:
    array = COUNTS.astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        for values in array:
            file.write(values, contiguous=False)
    for path in (written(tmp_path / "a.ome.tif", array), tmp_path / "b.tif"):
        found = [read_image(frame).array for frame in frames_in(path)]
        np.testing.assert_array_equal(found, array)


def test_what_the_tags_of_a_page_say_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    white = {"photometric": "miniswhite", "extratags": [(42113, "s", 0, "9", True)]}
    written(path, COUNTS.astype(np.uint8), **white)
    frame = frames_in(path)[3]
    np.testing.assert_array_equal(read_image(frame).array, ~COUNTS[3].astype(np.uint8))
    assert read_image(frame).notes == ("white is zero: inverted",)
    assert nodata_of(frames_in(path)[0]) == 9


NO_STACKS: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
    "channels beside times": (
        COUNTS[:6].reshape(3, 2, *SHAPE).astype(np.uint8),
        {"imagej": True, "metadata": {"axes": "TCYX"}},
        "6 frames in one file.* 2 channels",
    ),
    "channels shown as colours": (
        COUNTS[:3].astype(np.uint8),
        {"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}},
        "3 frames in one file.* 3 channels",
    ),
    "channels by name": (
        COUNTS[:4].astype(np.uint8),
        {"metadata": {"axes": "CYX"}},
        "4 frames in one file.* 4 channels",
    ),
    "slices at each time": (
        COUNTS[:6].reshape(3, 2, *SHAPE).astype(np.uint8),
        {"imagej": True, "metadata": {"axes": "TZYX"}},
        "6 frames in one file.* 2 slices at each of 3 times",
    ),
    "colours": (
        np.repeat(COUNTS[..., None], 3, axis=3).astype(np.uint8),
        {"photometric": "rgb"},
        "7 frames in one file.* colours",
    ),
}


@pytest.mark.parametrize("kind", NO_STACKS)
# row 120
def test_channels_and_colours_are_no_frames(tmp_path: Path, kind: str) -> None:
    array, options, said = NO_STACKS[kind]
    path = written(tmp_path / "a.tif", array, **options)
    assert frames_in(path) == ()
    with pytest.raises(CodecError, match=said):
        read_image(path)


def test_channels_of_ome_are_no_frames_beside_times(tmp_path: Path) -> None:
    array = COUNTS[:6].reshape(3, 2, *SHAPE).astype(np.uint8)
    path = written(tmp_path / "a.ome.tif", array, metadata={"axes": "TCYX"})
    assert frames_in(path) == ()


def test_pages_of_another_kind(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as file:
        for values in [*COUNTS[:3], COUNTS[0][::2, ::2]]:
            file.write(values.astype(np.uint8), contiguous=False)
    with tifffile.TiffWriter(tmp_path / "small.tif") as file:
        for values in COUNTS[:3].astype(np.uint8):
            file.write(values, contiguous=False)
            file.write(values[::2, ::2], subfiletype=1)
    assert frames_in(tmp_path / "mixed.tif") == ()
    with pytest.raises(CodecError, match=r"3 frames in one file.*1 page of another kind"):
        read_image(tmp_path / "mixed.tif")
    frames = frames_in(tmp_path / "small.tif")  # with a smaller copy of each
    np.testing.assert_array_equal([read_image(f).array for f in frames], COUNTS[:3].astype("u1"))


def test_other_files_have_no_frames(tmp_path: Path) -> None:
    one = written(tmp_path / "one.tif", COUNTS[0].astype(np.uint16))
    (tmp_path / "empty.tif").touch()
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "text.tif").write_text("II*")
    for path in (one, *tmp_path.glob("[eft]*.tif"), tmp_path / "no.tif", tmp_path / "a.png"):
        assert frames_in(path) == (), path
    inner = written(tmp_path / "folder.tif" / "0000.tif", COUNTS[0].astype(np.uint16))
    assert stack_of(inner) is None
    assert unpacked(inner) == on_disk(inner) == inner
    with pytest.raises(CodecError, match="no such file"):
        read_image(one / "0000.tif")


def test_the_file_of_a_frame_and_where_it_would_lie(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", COUNTS.astype(np.uint8))
    frame = frames_in(path)[2]
    assert stack_of(frame) == on_disk(frame) == path
    assert unpacked(frame) == tmp_path / "a" / "0002.tif"


# row 120
def test_the_digest_of_a_frame_is_that_of_its_own_bytes(tmp_path: Path) -> None:
    array = COUNTS.astype(np.uint16)
    path = written(tmp_path / "a.tif", array)
    before = [image_digest(frame) for frame in frames_in(path)]
    assert len(set(before)) == N
    array[3, 0, 0] += 1
    written(path, array)
    after = [image_digest(frame) for frame in frames_in(path)]
    assert [k for k in range(N) if before[k] != after[k]] == [3]


def test_frames_as_files_open_in_other_readers(tmp_path: Path) -> None:
    array = COUNTS.astype(np.uint16)
    for name, options in {"a.tif": {}, "b.tif": {"bigtiff": True, "byteorder": ">"}}.items():
        path = written(tmp_path / name, array, **options)
        copy = tmp_path / "copy.tif"
        copy.write_bytes(image_bytes(frames_in(path)[4]))
        np.testing.assert_array_equal(tifffile.imread(copy), array[4])


def test_a_stack_that_is_cut(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", COUNTS.astype(np.uint8), truncate=True)
    path.write_bytes(path.read_bytes()[:-500])
    assert frames_in(path) == ()
    with pytest.raises(
        CodecError, match=r"7 frames in one file.* it has 5 of them, the file is cut"
    ):
        read_image(path)


def test_frames_that_lie_behind_the_end_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for values in COUNTS.astype(np.uint8):
            file.write(values, contiguous=False, compression="zlib")
    with tifffile.TiffFile(path) as file:
        places = [file.pages[-1].tags[code].valueoffset for code in (273, 279)]
    data = bytearray(path.read_bytes())
    data[places[0] : places[0] + 4] = (len(data) - 3).to_bytes(4, "little")
    path.write_bytes(data)
    frames = frames_in(path)
    np.testing.assert_array_equal(read_image(frames[0]).array, COUNTS[0].astype(np.uint8))
    with pytest.raises(CodecError, match=r"a\.tif/0006\.tif: truncated"):
        read_image(frames[-1])


def test_no_description_makes_more_frames_than_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    text = "ImageJ=1.53\nimages=999999999999\nframes=999999999999\n"
    written(path, COUNTS[0].astype(np.uint8), description=text, metadata=None)
    assert frames_in(path) == ()
    with pytest.raises(CodecError, match=r"999999999999 frames in one file.* 1 of them"):
        read_image(path)


def test_no_damage_makes_more_than_an_error(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.tif", COUNTS.astype(np.uint8)).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "b.tif"
    for _ in range(150):
        data = bytearray(whole[: int(rng.integers(9, len(whole)))])
        for place in rng.integers(0, len(data), 12):
            data[place if rng.random() < 0.3 else len(data) - 1 - place % 900] = rng.integers(256)
        path.write_bytes(data)
        for frame in frames_in(path)[:20]:
            with suppress(CodecError):
                read_image(frame)


def test_pages_that_go_round_in_a_circle(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", COUNTS.astype(np.uint8))
    with tifffile.TiffFile(path) as file:
        pages = list(file.pages)
        last = pages[-1].offset + 2 + 12 * len(pages[-1].tags)
        start = pages[1].offset
    data = bytearray(path.read_bytes())
    data[last : last + 4] = start.to_bytes(4, "little")
    path.write_bytes(data)
    assert frames_in(path) == ()
    with pytest.raises(CodecError, match=r"round in a circle|damaged"):
        read_image(path)


# row 120
def test_reading_all_frames_looks_at_each_directory_a_few_times_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 300
    path = written(tmp_path / "a.tif", np.zeros((n, 8, 8), np.uint8))
    looks, n_bytes, before = [0], [0], tifffile.TiffPage.__init__

    def counted(self: Any, *args: Any, **options: Any) -> None:
        looks[0] += 1
        before(self, *args, **options)

    monkeypatch.setattr(tifffile.TiffPage, "__init__", counted)
    for frame in frames_in(path):
        n_bytes[0] += len(image_bytes(frame))
        read_image(frame)
    assert looks[0] < 8 * n
    assert n_bytes[0] < 500 * n

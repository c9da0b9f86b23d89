"""A library that can't be pasted from is refused when it is read, by file, entry and rule."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.paste import npz
from densesirst_gen.paste.extract import TargetFilter, build_library, stack_entries
from densesirst_gen.paste.library import LibraryError, TargetLibrary, load_library
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene


def arrays_of(library: TargetLibrary) -> dict[str, np.ndarray]:
    """What `TargetLibrary.save` writes."""
    buffer = io.BytesIO()
    library.write(buffer)
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as data:
        return {name: data[name] for name in data}


def changed(library: TargetLibrary, path: Path, **arrays: Any) -> Path:
    """The file of a library, with other arrays in it; None takes one out."""
    kept = {k: v for k, v in {**arrays_of(library), **arrays}.items() if v is not None}
    np.savez(path, **kept)
    return path


def value_at_1(array: np.ndarray, value: Any) -> np.ndarray:
    """The array with a value at the first place of its entry 1."""
    array = array.copy()
    array[(1, *[0] * (array.ndim - 1))] = value
    return array


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_gray_levels_that_are_not_finite(
    value: float, targets: TargetLibrary, tmp_path: Path
) -> None:
    path = changed(targets, tmp_path / "a.npz", patches=value_at_1(targets.patches, value))
    with pytest.raises(LibraryError, match=r"a\.npz: entry 1 \(.+\): its gray levels must be fin"):
        TargetLibrary.load(path)


@pytest.mark.parametrize("value", [-1.0, 256.0])
def test_gray_levels_out_of_range(value: float, targets: TargetLibrary, tmp_path: Path) -> None:
    path = changed(targets, tmp_path / "a.npz", patches=value_at_1(targets.patches, value))
    with pytest.raises(LibraryError, match=r"a\.npz: entry 1 .* within 0\.\.255"):
        load_library(path)


# row 40
def test_targets_of_no_brightness(targets: TargetLibrary, tmp_path: Path) -> None:
    patches = targets.patches.copy()
    patches[2] = 0
    path = changed(targets, tmp_path / "a.npz", patches=patches)
    with pytest.raises(LibraryError, match=r"entry 2 .*: nothing of it is brighter than its back"):
        TargetLibrary.load(path)


def test_regions_that_are_all_black(regions: TargetLibrary, tmp_path: Path) -> None:
    path = changed(regions, tmp_path / "a.npz", patches=regions.patches * 0)
    with pytest.raises(LibraryError, match="some region must be brighter than black"):
        TargetLibrary.load(path)
    some = changed(regions, tmp_path / "b.npz", patches=value_at_1(regions.patches, -3))
    assert len(TargetLibrary.load(some)) == len(regions)  # below black is no fault of a region


def test_masks_and_sizes(targets: TargetLibrary, tmp_path: Path) -> None:
    empty, beyond, spill = targets.masks.copy(), targets.masks.copy(), targets.patches.copy()
    small = int(targets.sizes.max(axis=1).argmin())
    empty[small] = False
    beyond[small, -1, -1] = True
    spill[small, -1, -1] = 1
    side = targets.patches.shape[-1]
    cases = (
        ({"masks": empty}, f"entry {small} .*mask must not be empty"),
        ({"masks": beyond}, f"entry {small} .*mask must lie within its size"),
        ({"patches": spill}, f"entry {small} .*patch must be 0 beyond its size"),
        ({"sizes": value_at_1(targets.sizes, 0)}, rf"entry 1 .*size must be within 1\.\.{side}"),
        ({"sizes": value_at_1(targets.sizes, side + 1)}, "entry 1 .*size must be within"),
        ({"sizes": value_at_1(targets.sizes, -1)}, "entry 1 .*size must be within"),
    )
    for arrays, words in cases:
        with pytest.raises(LibraryError, match=rf"a\.npz: {words}"):
            TargetLibrary.load(changed(targets, tmp_path / "a.npz", **arrays))


def test_the_same_rules_hold_in_memory(targets: TargetLibrary) -> None:
    with pytest.raises(LibraryError, match=r"entry 1 .*finite"):
        TargetLibrary(
            value_at_1(targets.patches, np.nan), targets.masks, targets.sizes, targets.sources
        )


def test_a_library_without_entries_is_refused_and_says_why(tmp_path: Path) -> None:
    stack_entries([], "targets", {"size": 3}).save(tmp_path / "empty.npz")
    with pytest.raises(LibraryError, match=r"empty\.npz: a library of no targets .*3 by size"):
        TargetLibrary.load(tmp_path / "empty.npz")
    with pytest.raises(LibraryError, match=r"empty\.npz"):
        BagCopyPaste(tmp_path / "empty.npz")


OTHER_ARRAYS: list[dict[str, Any]] = [
    {"patches": None},
    {"kind": None},
    {"format": np.array("other@1")},
    {"kind": np.array("clouds")},
    {"kind": np.array(["targets", "targets"])},
    {"format": np.array(3)},
    {"patches": np.zeros((2, 3, 4), np.float32)},
    {"patches": np.zeros(8, np.float32)},
    {"patches": np.float32(1)},
    {"patches": np.zeros((8, 0, 0), np.float32), "masks": np.zeros((8, 0, 0), bool)},
    {"patches": np.zeros((8, 9, 9), complex)},
    {"masks": np.ones((8, 9, 9), np.uint8)},
    {"sizes": np.ones((8, 2))},
    {"sizes": np.ones((8, 3), int)},
    {"sources": np.arange(8)},
    {"sources": np.array([b"a"] * 8)},
    {"sources": np.full((8, 1), "a")},
    {"left_out": np.array(["size"])},
    {"left_out": np.array(["size=many"])},
    {"left_out": np.zeros(3)},
    {"sources": np.full(8, 0xFFFFFFFF, np.uint32).view("U1")},
    {"format": np.full(1, 0xFFFFFFFF, np.uint32).view("U1")[0:1]},
    {"patches": np.zeros(8, [("a", "f4")])},
]


@pytest.mark.parametrize("arrays", OTHER_ARRAYS, ids=lambda a: "-".join(a))
def test_other_arrays_are_refused_in_one_line(
    arrays: dict[str, Any], targets: TargetLibrary, tmp_path: Path
) -> None:
    path = changed(targets, tmp_path / "a.npz", **arrays)
    with pytest.raises(LibraryError, match=r"a\.npz: ") as caught:
        TargetLibrary.load(path)
    assert len(str(caught.value).splitlines()) == 1


def test_dtypes_of_the_same_kind_are_taken(targets: TargetLibrary, tmp_path: Path) -> None:
    arrays = {"patches": targets.patches.astype(">f8"), "sizes": targets.sizes.astype(np.uint16)}
    again = TargetLibrary.load(changed(targets, tmp_path / "a.npz", **arrays))
    assert again.digest == targets.digest


def member(name: str, header: dict[str, Any], content: bytes) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, header)
    return f"{name}.npy", buffer.getvalue() + content


# row 57
def test_what_would_fill_the_memory_is_refused_before_it_is_read(
    targets: TargetLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header that promises 4 TB, and zeros that unpack to more than is allowed."""
    monkeypatch.setattr(npz, "MAX_BYTES", 20_000_000)
    arrays, path = arrays_of(targets), tmp_path / "bomb.npz"
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    zeros = bytes(1 << 20)
    for content, n in ((b"", 1), (zeros, 21)):
        np.savez(path, **{k: v for k, v in arrays.items() if k != "patches"})
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            name, start = member("patches", header, b"")
            with archive.open(name, "w") as file:
                file.write(start)
                for _ in range(n):
                    file.write(content)
        tracemalloc.start()
        with pytest.raises(LibraryError, match=r"bomb\.npz"):
            TargetLibrary.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2e6
        tracemalloc.stop()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(LibraryError, match=r"pipe\.npz.*not a regular file"):
        TargetLibrary.load(tmp_path / "pipe.npz")
    with pytest.raises(FileNotFoundError):
        TargetLibrary.load(tmp_path / "missing.npz")


def test_names_that_are_no_unicode_have_a_digest(targets: TargetLibrary) -> None:
    """A file name that is not UTF-8 comes as lone surrogates."""
    sources = np.array([f"s\udce9#{k}" for k in range(len(targets))])
    library = TargetLibrary(targets.patches, targets.masks, targets.sizes, sources)
    assert library.digest != targets.digest


def test_no_target_without_brightness_is_taken_whatever_is_asked() -> None:
    image, mask = np.full((40, 40), 50, np.uint8), np.zeros((40, 40), bool)
    mask[20:23, 20:23] = True
    flat = Scene("flat", image, label_mask(mask))
    library = build_library([flat, make_scene()], TargetFilter(min_contrast=-5))
    assert library.left_out == {"contrast": 1}
    assert len(library) == 2

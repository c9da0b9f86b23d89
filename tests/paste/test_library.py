"""The library: what is taken, what is left out and why, and that files keep it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenes import make_scene, round_targets

from densesirst_gen.paste.extract import (
    TargetFilter,
    build_library,
    extract_targets,
)
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.paste.shapes import shapes_at
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene


# row 31
def test_the_local_background_is_removed() -> None:
    """A target of 25 levels on a slope keeps its 25 levels, whatever lies under it."""
    image = np.tile(np.arange(60, 100, dtype=np.uint8), (40, 1))
    mask = np.zeros(image.shape, bool)
    mask[20:23, 20:23] = True
    image[mask] = 81 + 25
    (entry,), left_out = extract_targets(Scene("s", image, label_mask(mask)), TargetFilter())
    assert entry["patch"].max() == pytest.approx(25, abs=1)
    assert entry["source"] == "s#1"
    assert not left_out


# rows 30, 31
def test_what_is_left_out_is_counted_by_reason() -> None:
    scene = round_targets()
    labels = scene.labels.copy()
    labels[0, 0] = labels.max() + 1
    labels[60, 60:63] = labels.max() + 1
    library = build_library([replace(scene, labels=labels)])
    assert library.left_out == {"border": 1, "contrast": 1, "size": 2}
    assert len(library) + 4 == labels.max()


def test_targets_of_the_same_contrast_are_equal_at_every_depth() -> None:
    shallow = build_library([make_scene()])
    deep = build_library([make_scene(dtype=np.uint16)])
    assert np.abs(shallow.patches - deep.patches).max() <= 2


def test_a_library_survives_its_file(targets: TargetLibrary, tmp_path: Path) -> None:
    targets.save(tmp_path / "a.npz")
    again = TargetLibrary.load(tmp_path / "a.npz")
    assert again.digest == targets.digest
    assert again.left_out == targets.left_out
    assert (again.sources == targets.sources).all()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"<html>", b"\x93NUMPY"])
def test_a_file_that_is_no_library_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(LibraryError, match=r"broken\.npz: not a target library"):
        TargetLibrary.load(path)


def test_an_array_file_is_no_library(tmp_path: Path) -> None:
    path = tmp_path / "array.npz"
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(LibraryError, match="not a target library"):
        TargetLibrary.load(path)


# row 52
def test_a_library_with_pickles_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, format=np.array([{"a": 1}], object))
    with pytest.raises(LibraryError, match="not a target library"):
        TargetLibrary.load(path)


@pytest.mark.parametrize("resize", ["stretch", "shrink"])
@pytest.mark.parametrize("flatten", [1.0, 0.15])
def test_shapes_have_level_one(targets: TargetLibrary, resize: str, flatten: float) -> None:
    shapes, masks, sizes, levels = shapes_at(targets, 5, resize, flatten)
    assert shapes.max(axis=(1, 2)) == pytest.approx(np.ones(len(targets)))
    assert (levels <= targets.patches.max(axis=(1, 2)) + 1e-3).all()
    for k, (height, width) in enumerate(sizes):
        assert masks[k, :height, :width].any()
        assert not masks[k, height:].any()
        assert not shapes[k, :, width:].any()

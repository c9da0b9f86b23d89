"""No scene gets another's mask, whatever the names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densesirst_gen.datasets import DatasetError, read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.datasets.paths import pair_masks
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

SHAPE = (24, 32)
A, B, C = "a", "a_pixels0", "a_pixels0_pixels0"


def paired(masks: str, names: str) -> dict[str, str]:
    stems = [{"a": A, "b": B, "c": C}[key] for key in masks]
    known = [{"a": A, "b": B, "c": C}[key] for key in names]
    return {k: p.stem for k, p in pair_masks({s: Path(f"{s}.png") for s in stems}, known).items()}


@pytest.mark.parametrize(
    ("masks", "names", "expected"),
    [
        ("a", "a", {A: A}),
        ("b", "a", {A: B}),
        ("ab", "a", {A: B}),
        ("ab", "ab", {A: A, B: B}),
        ("bc", "ab", {A: B, B: C}),
        ("a", "ab", {A: A}),
        ("c", "ab", {B: C}),
        ("abc", "abc", {A: A, B: B, C: C}),
        ("ac", "ab", {A: A, B: C}),
        ("", "ab", {}),
    ],
)
def test_names_tell_whose_a_mask_is(masks: str, names: str, expected: dict[str, str]) -> None:
    assert paired(masks, names) == expected


@pytest.mark.parametrize("masks", ["b", "abc"])
def test_where_nothing_tells_it_is_refused(masks: str) -> None:
    with pytest.raises(DatasetError, match=r"a_pixels0.png: is it the mask of a or of a_pixels0"):
        paired(masks, "ab")


@given(st.sets(st.sampled_from("abc")), st.sets(st.sampled_from("abc")))
def test_no_mask_has_two_scenes(masks: set[str], names: set[str]) -> None:
    try:
        found = paired("".join(masks), "".join(names))
    except DatasetError:
        return
    assert len(set(found.values())) == len(found)


def scene(name: str, column: int) -> Scene:
    labels = np.zeros(SHAPE, np.int32)
    labels[3:5, column : column + 2] = 1
    return Scene(name, np.full(SHAPE, 9, np.uint8), labels, labels > 0)


def columns(root: Path) -> dict[str, int]:
    loaded = (file.load() for file in read_dataset(root).scenes)
    return {s.name: int(np.flatnonzero(s.labels.any(axis=0))[0]) for s in loaded}


def test_images_and_masks_in_folders(tmp_path: Path) -> None:
    for s in (scene(A, 4), scene(B, 20)):
        mask = (s.labels > 0).astype(np.uint8) * 255
        files = {f"images/{s.name}.png": s.image, f"masks/{s.name}.png": mask}
        write_files(tmp_path, [(path, encode_png(array)) for path, array in files.items()])
    assert columns(tmp_path) == {A: 4, B: 20}


def test_a_devkit_is_read_as_it_was_written(tmp_path: Path) -> None:
    for s in (scene(A, 4), scene(B, 20)):
        write_files(tmp_path, devkit_files(s, annotate(s.labels)))
    assert columns(tmp_path) == {A: 4, B: 20}
    (tmp_path / f"SIRST/BinaryMask/{A}_pixels0.png").unlink()
    (tmp_path / f"SIRST/BinaryMask/{B}_pixels0.png").unlink()
    assert columns(tmp_path) == {A: 4, B: 20}


def test_sky_masks_of_another_folder(tmp_path: Path) -> None:
    for name, value in ((A, 0), (B, 255)):
        files = {f"d/{name}.png": np.full(SHAPE, 9), f"s/{name}.png": np.full(SHAPE, value)}
        write_files(tmp_path, [(p, encode_png(a.astype(np.uint8))) for p, a in files.items()])
    dataset = read_dataset(tmp_path / "d", layout="plain", sky_dir=tmp_path / "s")
    skies = [file.load().sky for file in dataset.scenes]
    assert [bool(sky.any()) for sky in skies if sky is not None] == [False, True]

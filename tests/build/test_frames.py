"""Libraries of whole images: which images they are made of, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from scenes import make_scene

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.donors import make_library
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.build.replay import replay
from densesirst_gen.build.verify import verify
from densesirst_gen.datasets import Dataset, read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.scene.annotate import annotate

NAMES = ("Misc_1", "Misc_2", "Misc_3", "XDU1", "XDU2")
TRAIN = ("Misc_1", "Misc_2", "XDU1")
RELEASE = Recipe(PROFILES["release"], seed=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five scenes, two of them held back, one of these of SIRST v1."""
    folder = tmp_path_factory.mktemp("frames") / "in"
    for k, name in enumerate(NAMES):
        scene = make_scene((70, 90 + k), name=name, seed=k, base=30 * k)
        write_files(folder, devkit_files(scene, annotate(scene.labels)))
    rest = [name for name in NAMES if name not in TRAIN]
    for split, names in (("train", TRAIN), ("test", rest)):
        write_files(folder, [(f"Splits/{split}.txt", "".join(f"{n}\n" for n in names).encode())])
    return folder


@pytest.fixture(scope="module")
def dataset(root: Path) -> Dataset:
    return read_dataset(root)


def test_frames_are_those_of_sirst_v1_that_may_be_trained_on(dataset: Dataset) -> None:
    library = make_library(dataset, "frames")
    assert (library.kind, library.sources.tolist()) == ("frames", ["Misc_1", "Misc_2"])
    image = next(s for s in dataset.scenes if s.name == "Misc_2").load().image
    rows, cols = (np.arange(5) * n // 5 for n in image.shape)
    assert (library.patches[1] == image[np.ix_(rows, cols)]).all()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"pattern": "*"}, ["Misc_1", "Misc_2", "XDU1"]),
        ({"pattern": "XDU?"}, ["XDU1"]),
        ({"held_back_too": True}, ["Misc_1", "Misc_2", "Misc_3"]),
        ({"held_back_too": True, "pattern": "*"}, list(NAMES)),
        ({"names": ["XDU2", "Misc_3"]}, ["Misc_3"]),
        ({"names": ["XDU2"]}, ["XDU2"]),
    ],
)
def test_other_images_can_be_chosen(dataset: Dataset, options: dict, names: list[str]) -> None:
    assert make_library(dataset, "frames", **options).sources.tolist() == names


def test_images_without_masks_have_frames(root: Path) -> None:
    dataset = read_dataset(root)
    bare = replace(dataset, scenes=tuple(replace(s, mask=None) for s in dataset.scenes))
    assert len(make_library(bare, "frames")) == 2


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("frames", {"pattern": "nope*"}, "none of the 3 scenes that may give frames is called"),
        ("frames", {"pattern": ""}, "is called ''"),
        ("frames", {"names": []}, "none of 5 scenes was chosen to give frames"),
        ("targets", {"held_back_too": True}, "would leak"),
        ("regions", {}, "no longer made"),
        ("nonsense", {}, "must be one of targets, frames"),
    ],
)
def test_what_can_not_be_had_is_named(
    dataset: Dataset, kind: str, options: dict, message: str
) -> None:
    with pytest.raises(LibraryError, match=message):
        make_library(dataset, kind, **options)


def test_release_makes_its_own_frames_and_says_so(dataset: Dataset, tmp_path: Path) -> None:
    told: list[str] = []
    summary = build_dataset(dataset, tmp_path / "out", RELEASE, tell=told.append)
    assert summary.n_pasted > 30
    (note,) = told
    assert note == "pasted are no targets but the skies of whole images: 2 at 5 x 5 px"
    library = TargetLibrary.load(tmp_path / "out" / "library.npz")
    assert library.sources.tolist() == ["Misc_1", "Misc_2"]
    assert not any(result.problem for result in replay(tmp_path / "out"))
    assert list(verify(tmp_path / "out")) == []
    card = (tmp_path / "out" / "README.md").read_text()
    assert "no target was pasted: each paste is the sky of a SIRST v1 image" in card
    assert "Here the skies of whole images are pasted likewise" in card
    assert "| `library.npz` | the skies that were pasted" in card
    assert 'source = "frames"' in card


def test_frames_have_the_side_of_the_patches(dataset: Dataset, tmp_path: Path) -> None:
    recipe = replace(RELEASE, config=replace(RELEASE.config, patch_px=7))
    build_dataset(dataset, tmp_path / "out", recipe)
    assert TargetLibrary.load(tmp_path / "out" / "library.npz").patches.shape == (2, 7, 7)


def test_frames_of_held_back_images_are_told_of(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "f.npz"
    extract = ("library", "extract", root, "-o", file, "--kind", "frames", "--held-back")
    done = run(*extract, "--json")
    assert json.loads(done.stdout)["n"] == 3
    assert "3 at 5 x 5 px, 1 of them of images that splits hold back (Misc_3)" in done.stderr
    options = ("--profile", "release", "--library", file, "--dry-run")
    done = run("build", "-b", root, "-o", tmp_path / "out", *options)
    assert "1 of them of images that splits hold back (Misc_3)" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--held-back"], "--held-back is for --kind frames, not for targets"),
        (["--patch-px", "7"], "--patch-px is for --kind frames, not for targets"),
        (["--kind", "frames", "--min-area", "3"], "--min-area is for --kind targets"),
        (["--kind", "frames", "--max-side", "3"], "--max-side is for --kind targets"),
        (["--kind", "frames", "--min-contrast", "3"], "--min-contrast is for --kind targets"),
        (["--kind", "frames", "--patch-px", "0"], "--patch-px"),
    ],
)
def test_options_of_the_other_kind(
    root: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    done = run("library", "extract", root, "-o", tmp_path / "f.npz", *options, code=2)
    assert message in done.stderr
    assert not (tmp_path / "f.npz").exists()


def test_the_settings_of_a_version_before_are_refused_with_a_word(
    root: Path, tmp_path: Path
) -> None:
    """They say "scene", and no library of regions is made any more."""
    toml = tmp_path / "recipe.toml"
    toml.write_text('source = "scene"\nlevel = "release"\nflatten = 1.0\n')
    done = run("build", "-b", root, "-o", tmp_path / "out", "--config", toml, code=1)
    assert "no longer made" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_library_of_regions_is_still_pasted(
    root: Path, tmp_path: Path, regions: TargetLibrary
) -> None:
    regions.save(tmp_path / "regions.npz")
    options = ("--library", tmp_path / "regions.npz", "--source", "scene", "--level", "release")
    run("build", "-b", root, "-o", tmp_path / "out", *options)
    assert not any(result.problem for result in replay(tmp_path / "out"))


def test_frames_of_a_camera_follow_its_span(tmp_path: Path) -> None:
    """14-bit counts and the same scenes in 8 bits have the same frames but for the finer steps."""
    made = {}
    for dtype in (np.uint8, np.uint16):
        root = tmp_path / dtype.__name__
        for k in range(4):
            scene = make_scene((70, 90), name=f"s{k}", seed=k, base=55 * k, dtype=dtype)
            write_files(root, devkit_files(scene, annotate(scene.labels)))
        made[dtype] = make_library(read_dataset(root), "frames")
    shallow, deep = made[np.uint8].patches, made[np.uint16].patches
    assert np.abs(shallow - deep).max() < 1.01
    assert (deep % 1 != 0).any()

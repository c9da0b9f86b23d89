"""One span for a whole data set, the same everywhere, told and recorded (rows 112 to 123)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from densesirst_gen import Scene, make_plan, read_dataset
from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.donors import make_library
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.build.replay import replay
from densesirst_gen.build.verify import verify
from densesirst_gen.datasets import DatasetError
from densesirst_gen.files.images.codec import encode_png, encode_tiff
from densesirst_gen.paste.config import PROFILES, PasteConfig
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.stats.appearance import appearance

Convert = Callable[[np.ndarray], np.ndarray]
ANYWHERE = PasteConfig(region="anywhere")
SAME = ("scr", "log_scr", "brightness_rank", "profile_mean_over_max", "halo_ratio", "asymmetry")
CAMERAS: dict[str, tuple[Convert, float]] = {
    "14 bit narrow": (lambda v: 7200 + 2 * v.astype(np.uint16), 2),
    "16 bit": (lambda v: 51200 + 4 * v.astype(np.uint16), 4),
    "uint16 of 8": (lambda v: v.astype(np.uint16), 1),
    "degrees": (lambda v: (v / 8 - 20).astype(np.float32), 1 / 8),
    "0..1": (lambda v: (v / 256).astype(np.float32), 1 / 256),
    "radiance": (lambda v: (v * 2.0**-33).astype(np.float32), 2.0**-33),
}


def gray(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An 8-bit image with two targets, and its mask."""
    rng = np.random.default_rng(seed)
    image = np.linspace(5, 200, 96)[:, None] + rng.normal(0, 3, (96, 96))
    mask = np.zeros((96, 96), bool)
    for row, col in ((20, 20), (50, 70)):
        image[row : row + 3, col : col + 4] += 50
        mask[row : row + 3, col : col + 4] = True
    return image.clip(0, 255).round().astype(np.uint8), mask


def folder(root: Path, convert: Convert, n: int = 3, below: str = "") -> Path:
    for k in range(n):
        image, mask = gray(k)
        values = convert(image)
        deep = values.dtype == np.float32
        data = encode_tiff(values) if deep else encode_png(values)
        for path, content in (
            (root / f"images/{below}s{k}.{'tif' if deep else 'png'}", data),
            (root / f"masks/{below}s{k}.png", encode_png(mask.astype(np.uint8) * 255)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return root


def planned(scene: Scene, library: TargetLibrary) -> tuple[list[list[int]], float]:
    """Windows, and the median rise."""
    plan = make_plan(scene, library, ANYWHERE, scene_rng(0, scene.name))
    return plan.windows.tolist(), float(np.median(plan.pastes["increment"]))


@pytest.mark.parametrize("camera", CAMERAS)
# row 112
def test_statistics_library_and_pastes_do_not_depend_on_the_counts(
    tmp_path: Path, camera: str, targets: TargetLibrary
) -> None:
    """The right numbers are those of the 8-bit images that the counts are made of."""
    convert, gain = CAMERAS[camera]
    a = read_dataset(folder(tmp_path / "a", lambda v: v))
    b = read_dataset(folder(tmp_path / "b", convert))
    for one, two in zip(a.scenes, b.scenes, strict=True):
        plain, deep = one.load(), two.load()
        before = appearance(plain, annotate(plain.labels))
        after = appearance(deep, annotate(deep.labels))
        for name in SAME:
            assert after[name] == pytest.approx(before[name], rel=1e-3, abs=1e-3), name
        windows, rise = planned(plain, targets)
        windows_too, rise_too = planned(deep, targets)
        assert windows_too == windows
        assert rise_too / gain == pytest.approx(rise, rel=0.25)
    assert len(make_library(b, "targets")) == len(make_library(a, "targets")) > 0


@pytest.mark.parametrize("camera", ["14 bit narrow", "degrees"])
# row 112
def test_a_span_that_was_found_is_told_recorded_and_found_again(
    tmp_path: Path, camera: str
) -> None:
    dataset = read_dataset(folder(tmp_path / "in", CAMERAS[camera][0]))
    (note,) = (note for note in dataset.notes() if "--span" in note)
    assert "their own range" in note
    build_dataset(dataset, tmp_path / "out", Recipe(ANYWHERE))
    built = read_dataset(tmp_path / "out")
    assert built.counts == dataset.counts
    assert [s.load().levels for s in built.scenes] == [s.load().levels for s in dataset.scenes]
    assert not [r for r in replay(tmp_path / "out") if r.problem]
    assert not list(verify(tmp_path / "out"))


# row 114
def test_no_data_is_neither_measured_nor_pasted_on_and_stays(tmp_path: Path) -> None:
    def convert(image: np.ndarray) -> np.ndarray:
        degrees = CAMERAS["degrees"][0](image)
        degrees[:30, :40] = -9999
        degrees[60:] = -9999
        return degrees

    dataset = read_dataset(folder(tmp_path / "in", convert))
    assert any("-9999" in note for note in dataset.notes())
    build_dataset(dataset, tmp_path / "out", Recipe(ANYWHERE))
    for before, after in zip(dataset.scenes, read_dataset(tmp_path / "out").scenes, strict=True):
        old, new = before.load(), after.load()
        assert old.void is not None
        assert (new.image[old.void] == -9999).all()
        assert ((new.labels > 0)[old.void] == (old.labels > 0)[old.void]).all()
        assert old.levels[0] > -30
    assert not list(verify(tmp_path / "out"))


# row 114
def test_nan_as_no_data_goes_through_a_build(tmp_path: Path) -> None:
    def convert(image: np.ndarray) -> np.ndarray:
        values = CAMERAS["degrees"][0](image)
        values[:10] = np.nan
        return values

    root = folder(tmp_path / "in", convert)
    dataset = read_dataset(root, nodata=[np.nan])
    build_dataset(dataset, tmp_path / "out", Recipe(ANYWHERE))
    built = [scene.load() for scene in read_dataset(tmp_path / "out").scenes]
    assert all(np.isnan(scene.image[:10]).all() for scene in built)
    assert not [r for r in replay(tmp_path / "out") if r.problem]
    assert not list(verify(tmp_path / "out"))


def test_what_a_span_does_not_hold_is_noted_of_its_scene(tmp_path: Path) -> None:
    dataset = read_dataset(folder(tmp_path, CAMERAS["14 bit narrow"][0]), span=(7200, 7400))
    notes = dataset.scenes[0].load_with_notes()[1]
    assert any("above the span's white" in note for note in notes)


# row 123
def test_narrow_8_bit_images_get_pastes_within_their_range(
    tmp_path: Path, targets: TargetLibrary
) -> None:
    root = folder(tmp_path, lambda v: (100 + v // 8).astype(np.uint8))
    dataset = read_dataset(root)
    assert any("fill" in note and "scaled" in note for note in dataset.notes())
    scene = dataset.scenes[0].load()
    absolute = PasteConfig(region="anywhere", level="release")
    plan = make_plan(scene, targets, absolute, scene_rng(0, scene.name))
    assert planned(scene, targets)[1] < 0.25 * np.median(plan.pastes["increment"])
    assert PROFILES["release"].level == "library"  # absolute, too: raw gray levels


def test_signed_counts_have_one_span_whether_they_fall_below_zero_or_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(6):
        counts = rng.normal(-500 if k % 3 == 0 else 400, 60, (64, 80)).astype(np.int16)
        tifffile.imwrite(tmp_path / f"f{k}.tif", counts)
    dataset = read_dataset(tmp_path)
    scenes = [file.load() for file in dataset.scenes]
    assert {scene.image.dtype.name for scene in scenes} == {"uint16", "float32"}
    assert len({scene.levels for scene in scenes}) == 1
    assert scenes[0].levels[0] < -550
    assert scenes[0].levels[1] > 450


# row 122
def test_a_table_gives_each_camera_its_span(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", CAMERAS["14 bit narrow"][0], below="cam_a/")
    folder(root, lambda v: v.astype(np.uint16) * 64, below="cam_b/")
    told = read_dataset(root).notes()
    assert any("another camera" in note for note in told), told
    table = tmp_path / "spans.csv"
    table.write_text("# scenes, black, white\ncam_a/*, 7200, 7710\ncam_b/*,0,16383\n")
    spans = {s.name: s.load().levels for s in read_dataset(root, span_table=table).scenes}
    assert spans["cam_a/s0"] == (7200, 7710)
    assert spans["cam_b/s0"] == (0, 16383)
    for line, words in (("cam_a/*,9,1", "line 1"), ("x*,0,1", "no scene fits"), ("a,b", "line 1")):
        table.write_text(line)
        with pytest.raises(DatasetError, match=words):
            read_dataset(root, span_table=table)


def test_a_library_keeps_what_it_learned_of_its_camera(tmp_path: Path) -> None:
    dataset = read_dataset(folder(tmp_path / "d", CAMERAS["degrees"][0]))
    library = make_library(dataset, "targets")
    library.save(tmp_path / "lib.npz")
    again = TargetLibrary.load(tmp_path / "lib.npz")
    assert again.counts == library.counts == dataset.counts
    assert again.digest == library.digest
    full = folder(tmp_path / "e", lambda v: np.where(v > 130, 255, v).astype(np.uint8))
    assert make_library(read_dataset(full), "targets").counts == {}


def test_counts_in_a_manifest_that_are_none_are_named(tmp_path: Path) -> None:
    dataset = read_dataset(folder(tmp_path / "in", CAMERAS["degrees"][0]))
    build_dataset(dataset, tmp_path / "out", Recipe(ANYWHERE))
    path = tmp_path / "out/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["recipe"]["counts"]["float32"]["span"] = [3, 1]
    path.write_text(json.dumps(manifest))
    assert any("recipe.counts" in p.what for p in verify(tmp_path / "out"))

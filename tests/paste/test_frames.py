"""Whole images as what is pasted, and plans of versions before, which pasted regions of scenes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import make_scene

from densesirst_gen.datasets import read_dataset
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.paste.extract import extract_frame, stack_entries
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.paste.shapes import shapes_at
from densesirst_gen.scene.scene import Scene

RELEASE = PROFILES["release"]
EARLIER = Path(__file__).with_name("earlier_release.json")


def scene_of(image: np.ndarray, **parts: object) -> Scene:
    return replace(Scene("s", image, np.zeros(image.shape, np.int32)), **parts)


def frames_of(*scenes: Scene, patch_px: int = 5) -> TargetLibrary:
    entries = [entry for scene in scenes for entry in extract_frame(scene, patch_px)]
    return stack_entries(entries, "frames", {})


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 9))
def test_pixel_floor_of_i_times_size_over_side(height: int, width: int, side: int) -> None:
    image = np.add.outer(np.arange(height) * 7, np.arange(width)).astype(np.uint8)
    (frame,) = extract_frame(scene_of(image), side)
    for i in range(side):
        for j in range(side):
            assert frame["patch"][i, j] == image[i * height // side, j * width // side]
    assert (frame["mask"].shape, frame["mask"].all()) == ((side, side), True)
    assert frame["source"] == "s"


@pytest.mark.parametrize(("dtype", "span"), [(np.uint16, (0, 16383)), (np.float32, (-40, 80))])
def test_gray_levels_are_those_of_the_span(dtype: type, span: tuple[float, float]) -> None:
    """What a camera calls white is 255, what lies beyond is cut."""
    values = np.linspace(span[0], span[1], 100).reshape(10, 10).astype(dtype)
    (frame,) = extract_frame(scene_of(values, span=span), 10)
    wanted = (values.astype(float) - span[0]) * 255 / (span[1] - span[0])
    assert frame["patch"] == pytest.approx(wanted, abs=1e-4)
    middle = (span[0] + (span[1] - span[0]) / 4, span[1] - (span[1] - span[0]) / 4)
    (cut,) = extract_frame(scene_of(values, span=middle), 10)
    assert (cut["patch"].min(), cut["patch"].max()) == (0, 255)


def test_pixels_without_data_are_the_median_of_the_others() -> None:
    image = np.full((10, 10), 70, np.uint8)
    void = np.zeros(image.shape, bool)
    image[0, 0], void[0, 0] = 255, True
    (frame,) = extract_frame(scene_of(image, void=void), 5)
    assert (frame["patch"] == 70).all()


def test_the_last_piece_of_the_sky_on_black() -> None:
    """Cut to its box; pieces that came before left nothing, images without sky give nothing."""
    image = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30).astype(np.uint8)
    sky = np.zeros(image.shape, bool)
    sky[:4, :4] = sky[6:16, 5:15] = sky[16, 15] = True
    (frame,) = extract_frame(scene_of(image, sky=sky), 11)
    expected = np.where(sky, image, 0)[6:17, 5:16]
    assert (frame["patch"] == expected).all()
    assert frame["mask"].all()
    assert extract_frame(scene_of(image, sky=~sky & sky), 5) == []


def exact(plan: PastePlan, library: TargetLibrary, row: int) -> np.ndarray:
    """floor(lambda T G) of a paste, by the formula of the public code."""
    p = plan.pastes[row]
    x, y = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    x, y = x - p["offset_x"], y - p["offset_y"]
    u = x * np.cos(p["angle"]) + y * np.sin(p["angle"])
    v = y * np.cos(p["angle"]) - x * np.sin(p["angle"])
    g = np.exp(-(u**2 / (2 * p["sigma_x"] ** 2) + v**2 / (2 * p["sigma_y"] ** 2)))
    g = (g - g.min()) / (g.max() - g.min())
    return library.patches[p["donor"]].astype(float) * p["gain"] * g


def test_the_increment_is_lambda_t_g_cut_to_whole_levels() -> None:
    """Of raw gray levels: not lessened, not turned, not brought to a level."""
    rng = np.random.default_rng(0)
    library = frames_of(*(scene_of(rng.integers(0, 256, (30, 40), np.uint8)) for _ in range(9)))
    scene = scene_of(np.zeros((60, 80), np.uint8), sky=np.ones((60, 80), bool))
    for seed in range(8):
        plan = make_plan(scene, library, replace(RELEASE, per_region=1), scene_rng(seed, "s"))
        made = render(scene, library, plan)
        for k, p in enumerate(plan.pastes):
            assert p["level"] == max(library.patches[p["donor"]].max(), 2)
            found = made.image[p["row"] :, p["col"] :][:5, :5]
            wanted = exact(plan, library, k)
            assert np.abs(found - (wanted - 0.5)).max() <= 0.5 + 0.01
            assert (found == np.floor(wanted)).mean() >= 24 / 25  # the weight is fixed point


def test_a_black_frame_adds_nothing_and_is_still_a_target() -> None:
    """As in the released data, of which 0.3 % of the targets can't be seen."""
    black, white = (scene_of(np.full((9, 9), level, np.uint8)) for level in (0, 200))
    library = frames_of(black, white)
    scene = scene_of(np.full((60, 80), 90, np.uint8), sky=np.ones((60, 80), bool))
    plans = [make_plan(scene, library, RELEASE, scene_rng(k, "s")) for k in range(4)]
    pastes = np.concatenate([plan.pastes for plan in plans])
    assert (pastes["increment"][pastes["donor"] == 0] == 0).all()
    assert (pastes["increment"][pastes["donor"] == 1] > 0).all()
    assert {0, 1} == set(pastes["donor"])
    assert not any("invisible" in plan.dropped for plan in plans)


def test_frames_of_another_size_are_brought_to_the_patch(frames: TargetLibrary) -> None:
    shapes = shapes_at(frames, 7, "stretch", 1.0)
    assert shapes.shapes.shape == (len(frames), 7, 7)
    assert shapes.shapes.max(axis=(1, 2)) == pytest.approx(np.ones(len(frames)))


def test_frames_survive_their_file(frames: TargetLibrary, tmp_path: Path) -> None:
    frames.save(tmp_path / "f.npz")
    again = TargetLibrary.load(tmp_path / "f.npz")
    assert (again.kind, again.digest) == ("frames", frames.digest)


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        (np.zeros((2, 5, 5)), "some frame must be brighter than black"),
        (np.full((2, 5, 5), 256.0), r"within 0\.\.255"),
        (np.full((2, 5, 5), -1.0), r"within 0\.\.255"),
        (np.full((2, 5, 5), np.nan), "must be finite"),
    ],
)
def test_what_is_no_library_of_frames(patches: np.ndarray, message: str) -> None:
    sizes, names = np.full((2, 2), 5), np.array(["a", "b"])
    with pytest.raises(LibraryError, match=message):
        TargetLibrary(patches, np.ones(patches.shape, bool), sizes, names, "frames")


@pytest.mark.parametrize("kind", ["targets", "regions"])
def test_frames_are_asked_for(kind: str, libraries: dict[str, TargetLibrary]) -> None:
    with pytest.raises(ValueError, match=f"needs a library of frames, got one of {kind}"):
        make_plan(make_scene(), libraries[kind], RELEASE, scene_rng(0, "s"))


def test_a_plan_of_a_version_before_gives_the_pixels_of_then() -> None:
    """Profile release pasted regions of scenes at levels of a table: it keeps that meaning."""
    patches = (np.arange(4 * 25).reshape(4, 5, 5) * 37 % 211).astype(np.float32)
    names = np.array([f"s@{k},0,80,90" for k in range(4)])
    masks, sizes = np.ones((4, 5, 5), bool), np.full((4, 2), 5, np.int32)
    library = TargetLibrary(patches, masks, sizes, names, "regions")
    image = (np.add.outer(np.arange(64) * 3, np.arange(80)) % 97).astype(np.uint8)
    plan = PastePlan.from_json(json.loads(EARLIER.read_text()))
    made = render(scene_of(image), library, plan)
    digests = [hashlib.sha256(a.tobytes()).hexdigest()[:16] for a in (made.image, made.labels)]
    assert digests == ["69784788c8486b26", "b381882488727d79"]


def test_the_frames_of_the_release(real_data: Path) -> None:
    """To the last pixel, but for images in colour, of which another channel was taken."""
    stored = np.load(real_data / "densesirst" / "misc_frames_5x5.npz")
    wanted = dict(zip(stored["names"].tolist(), stored["patches"], strict=True))
    files = [s for s in read_dataset(real_data / "sirstv2").scenes if s.name in wanted][:40]
    differing = [
        file.name
        for file in files
        if (
            extract_frame(replace(file, mask=None).load(), 5)[0]["patch"] != wanted[file.name]
        ).any()
    ]
    assert len(files) == 40
    assert set(differing) <= {"Misc_17", "Misc_19", "Misc_31", "Misc_34"}

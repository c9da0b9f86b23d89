"""numpy and torch, one image and a batch: the same plans, pixels and labels, to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from paste_cases import config_of, library_for
from scenes import make_scene
from scipy import ndimage

from densesirst_gen.augment.arrays import to_scene
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.paste.config import PROFILES, PasteConfig
from densesirst_gen.paste.draws import n_draws
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.placement import choose_windows, free_positions
from densesirst_gen.paste.plan import COLUMNS, PastePlan
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.scene.annotate import EIGHT, annotate
from densesirst_gen.scene.scene import Scene

torch = pytest.importorskip("torch")

from densesirst_gen.augment.batch import BatchBagCopyPaste  # noqa: E402
from densesirst_gen.paste.batch.bitmap import count, draw_corners, free_corners, pack, union, unpack  # noqa: E402
from densesirst_gen.paste.batch.plan import is_whole  # noqa: E402
from densesirst_gen.paste.batch.render import render_scenes  # noqa: E402

SHAPE = (100, 150)
N_SCENES = 5
DTYPES = (np.uint8, np.uint16, np.float32)
CASES = [("bag-cp", dtype) for dtype in DTYPES] + [
    *(("release", dtype) for dtype in DTYPES),
    ("earlier release", np.uint8),
    ("paper", np.uint16),
    ("anywhere", np.uint8),
    ("copy", np.float32),
    ("sparse", np.uint8),
    ("own levels", np.float32),
    ("small patches", np.uint8),
    ("thin", np.uint8),
    ("large", np.uint16),
]


def some_scenes(dtype: type) -> list[Scene]:
    """Scenes with patchy skies and none to three targets; the last one has no sky."""
    rng, scenes = np.random.default_rng(1), []
    for k in range(N_SCENES):
        coarse = rng.random((4, 5)) < (0.85 if k < N_SCENES - 1 else 0)
        sky = np.kron(coarse, np.ones((25, 30), bool))
        scenes.append(make_scene(SHAPE, dtype=dtype, sky=sky, targets=k % 4, seed=k))
    return scenes


def tensors(scenes: list[Scene]) -> dict[str, torch.Tensor]:
    images = np.stack([scene.image for scene in scenes])[:, None]
    deep = images.dtype == np.uint16
    return {
        "images": torch.from_numpy(images.astype(np.int32) if deep else images),
        "sky": torch.from_numpy(np.stack([scene.sky for scene in scenes])),
        "labels": torch.from_numpy(np.stack([scene.labels for scene in scenes])),
        "span": torch.tensor([scene.levels for scene in scenes], dtype=torch.float64),
    }


def numpy_draws(config: PasteConfig, n: int) -> torch.Tensor:
    """The numbers that `make_plan` takes from the generators of scenes called x, seeds 0..n-1."""
    blocks = [scene_rng(seed, "x").random(n_draws(config)) for seed in range(n)]
    return torch.from_numpy(np.insert(np.stack(blocks), 0, 0.5, axis=1))


def assert_same_plan(found: PastePlan, expected: PastePlan) -> None:
    for name in COLUMNS:
        assert found.pastes[name].tolist() == expected.pastes[name].tolist(), name
    assert found.windows.tolist() == expected.windows.tolist()
    assert (found.requested, found.dropped) == (expected.requested, expected.dropped)
    assert found.skip_reason == expected.skip_reason


@pytest.mark.parametrize(("switch", "dtype"), CASES)
def test_the_same_draws_give_the_same_plans_pixels_and_labels(
    switch: str, dtype: type, libraries: dict[str, TargetLibrary]
) -> None:
    config = config_of(switch)
    library = library_for(config, libraries)
    scenes, aug = some_scenes(dtype), BatchBagCopyPaste(library, config)
    plans = [
        make_plan(scene, library, config, scene_rng(seed, "x")) for seed, scene in enumerate(scenes)
    ]
    assert sum(map(len, plans)) > 20
    assert any(sum(plan.dropped.values()) for plan in plans)
    batch = tensors(scenes)
    found = aug(**batch, draws=numpy_draws(config, N_SCENES))
    for plan, again in zip(found.plan.to_plans(config), plans, strict=True):
        assert_same_plan(plan, again)
    del batch["sky"]
    replayed = aug.render_plans(plans=plans, **batch)
    for k, (scene, plan) in enumerate(zip(scenes, plans, strict=True)):
        out, new = render(scene, library, plan), slice(scene.n_targets, None)
        notes, n = annotate(out.labels), len(plan)
        for result in (found, replayed):
            assert (result.images[k, 0].numpy() == out.image).all()
            assert (result.labels[k].numpy() == out.labels).all()
            assert result.counts[k] == n
            assert (result.boxes[k, :n].numpy() == notes.boxes[new]).all()
            assert (result.points[k, :n].numpy() == notes.points[new].astype(np.float32)).all()
            assert not result.boxes[k, n:].any()


def test_a_device_plan_can_be_rendered_with_numpy(targets: TargetLibrary) -> None:
    scenes, aug = some_scenes(np.uint8), BatchBagCopyPaste(targets)
    result = aug(**tensors(scenes))
    names = [f"scene {k}" for k in range(N_SCENES)]
    for k, plan in enumerate(result.plan.to_plans(aug.config, names)):
        assert plan.scene == names[k]
        out = render(scenes[k], targets, PastePlan.from_json(plan.to_json()))
        assert (result.images[k, 0].numpy() == out.image).all()
        assert (result.labels[k].numpy() == out.labels).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
# row 86
def test_half_precision_is_within_one_rounding(dtype: torch.dtype, targets: TargetLibrary) -> None:
    scenes, aug = some_scenes(np.float32), BatchBagCopyPaste(targets)
    batch = tensors(scenes)
    half = batch["images"].to(dtype)
    draws = aug.draw(N_SCENES, torch.Generator().manual_seed(0))
    full = aug(**batch | {"images": half.float()}, draws=draws).images
    found = aug(**batch | {"images": half}, draws=draws).images
    assert found.dtype == dtype
    step = torch.finfo(dtype).eps * full.abs()
    assert ((found.float() - full).abs() <= step).all()
    assert (found != half).any()


@pytest.mark.filterwarnings("ignore:float images without a span")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("peak", [0.01, 0.1, 1.0])
# row 8
def test_levels_are_those_of_a_scene(dtype: type, peak: float, targets: TargetLibrary) -> None:
    """With the padding of smaller images left out of it."""
    scenes = [replace(scene, span=None) for scene in some_scenes(dtype)]
    scenes = [
        replace(s, image=np.minimum(s.image, int(peak * s.image.max())).astype(dtype))
        for s in scenes
    ]
    batch, small = tensors(scenes), (60, 70)
    whole = BatchBagCopyPaste(targets).plan(batch["images"], batch["sky"])
    assert whole.span.tolist() == [list(scene.levels) for scene in scenes]
    sizes = torch.tensor([small] * N_SCENES)
    part = BatchBagCopyPaste(targets).plan(batch["images"], batch["sky"], sizes=sizes)
    cut = [replace(s, image=s.image[:60, :70], labels=s.labels[:60, :70], sky=None) for s in scenes]
    assert part.span.tolist() == [list(scene.levels) for scene in cut]


def test_scenes_of_any_size_are_rendered_on_a_device_as_with_numpy(targets: TargetLibrary) -> None:
    config = PasteConfig()
    shapes = [(64, 80), (100, 60), (96, 135), (19, 30)]
    scenes = [
        make_scene(shape, dtype=dtype, name=f"{shape}", targets=1)
        for shape, dtype in zip(shapes, (*DTYPES, np.uint8), strict=True)
    ]
    plans = [make_plan(scene, targets, config, scene_rng(0, scene.name)) for scene in scenes]
    assert [bool(len(plan)) for plan in plans] == [True, True, True, False]
    plans[3] = replace(plans[3], skip_reason="unsure_sky")
    found = list(render_scenes(scenes, plans, targets, "cpu"))
    for scene, plan, out in zip(scenes, plans, found, strict=True):
        expected = render(scene, targets, plan)
        assert (out.image == expected.image).all()
        assert (out.labels == expected.labels).all()
        assert out.image.dtype == scene.image.dtype
    assert list(render_scenes([], [], targets, "cpu")) == []


def test_plans_of_another_config_are_refused(targets: TargetLibrary) -> None:
    scene = make_scene()
    plan = make_plan(scene, targets, PasteConfig(), scene_rng(0, "x"))
    aug = BatchBagCopyPaste(targets, PasteConfig(gain=(0.9, 1.0)))
    images = torch.from_numpy(scene.image)[None, None]
    with pytest.raises(ValueError, match="scene scene was made with another config"):
        aug.render_plans(images, [plan])
    with pytest.raises(ValueError, match="a plan for each image, got 2 for 1"):
        aug.render_plans(images, [plan, plan])
    with pytest.raises(ValueError, match=r"scene scene does not fit an image of \(24, 24\)"):
        BatchBagCopyPaste(targets).render_plans(images[..., :24, :24], [plan])


masks = arrays(bool, st.tuples(st.just(2), st.integers(1, 12), st.integers(1, 140)))


@given(masks, st.integers(1, 14), st.floats(0, 1, exclude_max=True))
def test_free_corners_and_draws_are_those_of_numpy(
    free: np.ndarray, side: int, uniform: float
) -> None:
    words = pack(torch.from_numpy(free))
    assert (unpack(words)[..., : free.shape[2]].numpy() == free).all()
    assert (count(words).numpy() == free.sum(axis=2)).all()
    corners = free_corners(words, side, free.shape[2])
    for b in range(len(free)):
        expected = free_positions(~free[b], side, side)
        found = unpack(corners)[b].numpy()
        assert found.sum() == expected.sum()
        if expected.any():
            assert (found[: expected.shape[0], : expected.shape[1]] == expected).all()
            draw = np.array([[uniform]])
            rows, cols, total = draw_corners(corners[b : b + 1], torch.from_numpy(draw))
            window = choose_windows(expected, draw, side, free[b])[0]
            assert [rows.item(), cols.item()] == window.tolist()
            assert total == expected.sum()


@pytest.mark.parametrize("side", [64, 65, 130, 200])
def test_squares_wider_than_a_word(side: int) -> None:
    free = np.random.default_rng(side).random((1, 210, 230)) < 0.99999
    found = unpack(free_corners(pack(torch.from_numpy(free)), side, 230))[0].numpy()
    expected = free_positions(~free[0], side, side)
    assert (found[:, : expected.shape[1]] == expected).all()
    assert found.sum() == expected.sum()


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_the_union_of_bitmaps(n: int) -> None:
    pixels = torch.rand(2, n, 4, 70, generator=torch.Generator().manual_seed(n)) < 0.2
    assert (unpack(union(pack(pixels)))[..., :70] == pixels.any(1)).all()


@pytest.mark.parametrize("side", [1, 2, 5, 6])
def test_pieces_are_counted_as_by_scipy(side: int) -> None:
    rng = np.random.default_rng(side)
    masks = rng.random((2000, side, side)) < rng.random((2000, 1, 1))
    if side == 5:  # the longest way round
        masks[0] = [[int(c) for c in row] for row in ("11110", "00001", "01110", "10000", "01111")]
    expected = [ndimage.label(mask, EIGHT)[1] == 1 for mask in masks]
    assert is_whole(torch.from_numpy(masks), convex=False).tolist() == expected


def test_pieces_of_levels_of_a_gaussian_are_counted_as_by_scipy() -> None:
    rng, n, side = np.random.default_rng(0), 5000, 9
    rows, cols = np.mgrid[:side, :side] - (side - 1) / 2
    angle, radius = rng.uniform(0, np.pi, (n, 1, 1)), rng.uniform(0.05, 8, (2, n, 1, 1))
    y, x = rows - rng.uniform(-2, 2, (n, 1, 1)), cols - rng.uniform(-2, 2, (n, 1, 1))
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    masks = (u / radius[0]) ** 2 + (v / radius[1]) ** 2 < 1
    expected = [ndimage.label(mask, EIGHT)[1] == 1 for mask in masks]
    assert 0.2 < np.mean(expected) < 0.98
    assert is_whole(torch.from_numpy(masks), convex=True).tolist() == expected


@pytest.mark.filterwarnings("ignore:.*float images? without a span")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("profile", ["bag-cp", "paper"])
def test_colours_are_planned_by_their_brightest_channel(
    profile: str, dtype: type, targets: TargetLibrary
) -> None:
    """With ``smoothest_of`` the image itself decides where the windows lie; so does its span."""
    config, rng = PROFILES[profile], np.random.default_rng(0)
    scenes, aug = some_scenes(dtype), BatchBagCopyPaste(targets, config)
    batch, single = tensors(scenes), BagCopyPaste(targets, config)
    del batch["span"]
    gains = torch.from_numpy(rng.uniform(0.4, 1, (N_SCENES, 3, *SHAPE)))
    batch["images"] = (batch["images"] * gains).to(batch["images"].dtype)
    found = aug(**batch, draws=numpy_draws(config, N_SCENES))
    names = ["x"] * N_SCENES
    for k, plan in enumerate(found.plan.to_plans(config, names)):
        colours = np.moveaxis(batch["images"][k].numpy(), 0, -1).astype(dtype)
        scene = to_scene({"image": colours, "sky": scenes[k].sky}, "x", config.patch_px)
        scene = replace(scene, labels=scenes[k].labels)
        expected = make_plan(scene, targets, config, scene_rng(k, "x"))
        assert_same_plan(plan, expected)
        out = single(image=colours, sky=scenes[k].sky, plan=expected)["image"]
        assert (np.moveaxis(found.images[k].numpy(), 0, -1) == out).all()

"""Laws that hold for every scene, library and config."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paste_cases import SWITCHES, chebyshev_gap, config_of, library_for
from scenes import make_scene

from densesirst_gen.paste.config import PROFILES, PasteConfig
from densesirst_gen.paste.extract import stack_entries
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.placement import free_positions
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.planner import allowed, make_plan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.paste.stamps import pixels_of
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene


@pytest.fixture(params=list(SWITCHES))
def config(request: pytest.FixtureRequest) -> PasteConfig:
    return config_of(request.param)


def check_laws(scene: Scene, library: TargetLibrary, config: PasteConfig, seed: int) -> PastePlan:
    before = {k: getattr(scene, k).copy() for k in ("image", "labels")}
    plan = make_plan(scene, library, config, scene_rng(seed, scene.name))
    out = render(scene, library, plan)
    for name, array in before.items():  # law 2: inputs are not modified
        assert (getattr(scene, name) == array).all()
    assert out.image.dtype == scene.image.dtype
    assert out.image.shape == scene.image.shape
    touched = np.zeros(scene.image.size, bool)
    touched[
        np.minimum(pixels_of(plan.pastes, config.patch_px, scene.shape[1]), touched.size - 1)
    ] = 1
    assert (out.image.ravel() == scene.image.ravel())[~touched].all()
    assert (out.image >= scene.image).all()
    # law 3: targets after = before + rows; old labels unchanged; components = labels
    assert out.n_targets == scene.n_targets + len(plan)
    assert ((out.labels == scene.labels) | (scene.labels == 0)).all()
    assert label_mask(out.labels > 0).max() == out.n_targets
    assert len(annotate(out.labels)) == out.n_targets
    for paste in plan.pastes:
        mask = out.labels == paste["label"]
        rise = out.image[mask].astype(float) - scene.image[mask]
        black, white = scene.levels
        assert rise.max() == pytest.approx(paste["increment"], abs=1e-4)
        assert rise.max() >= config.min_increment * (white - black) / 255 - 1e-4
        # law 1: in the image and in the sky, clear of existing targets and of each other
        assert allowed(scene, config)[mask].all()
        others = (out.labels > 0) & ~mask
        if others.any():
            assert chebyshev_gap(mask, others) >= config.gap_px[0]
    assert len(plan) <= plan.requested
    assert plan.requested == len(plan) + sum(plan.dropped.values())
    assert bool(len(plan)) != bool(plan.skip_reason)
    return plan


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_laws_hold(config: PasteConfig, dtype: type, libraries: dict[str, TargetLibrary]) -> None:
    sky = np.zeros((96, 128), bool)
    sky[:60] = True
    scene = make_scene(dtype=dtype, sky=sky)
    library = library_for(config, libraries)
    n_pasted = sum(len(check_laws(scene, library, config, seed)) for seed in range(8))
    assert n_pasted > 8


@given(
    st.sampled_from(list(SWITCHES)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.integers(0, 2**32),
    st.floats(0, 1),
    st.integers(0, 250),
)
def test_laws_hold_on_any_sky(
    libraries: dict[str, TargetLibrary],
    switch: str,
    shape: tuple[int, int],
    seed: int,
    openness: float,
    base: int,
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, base + 5, shape).astype(np.uint8)
    mask = rng.random(shape) < 0.01
    sky = np.kron(rng.random((6, 6)) < openness**0.2, np.ones((10, 10), bool))[
        : shape[0], : shape[1]
    ]
    scene = Scene("any", image, label_mask(mask), sky)
    config = config_of(switch)
    check_laws(scene, library_for(config, libraries), config, seed)


def test_rendering_twice_and_from_json_is_the_same(
    config: PasteConfig, libraries: dict[str, TargetLibrary]
) -> None:
    scene, library = make_scene(), library_for(config, libraries)
    plan = make_plan(scene, library, config, scene_rng(3, "scene"))
    again = PastePlan.from_json(json.loads(json.dumps(plan.to_json())))
    assert (again.pastes == plan.pastes).all()
    assert (again.config, again.windows.tolist()) == (plan.config, plan.windows.tolist())
    assert (again.requested, again.dropped) == (plan.requested, plan.dropped)
    first, second = render(scene, library, plan), render(scene, library, plan)
    third = render(scene, library, again)
    for other in (second, third):
        assert (first.image == other.image).all()
        assert (first.labels == other.labels).all()


def test_the_order_of_rows_does_not_matter(targets: TargetLibrary) -> None:
    scene, config = make_scene(), PROFILES["bag-cp"]
    plan = make_plan(scene, targets, config, scene_rng(5, "scene"))
    turned = replace(plan, pastes=plan.pastes[::-1].copy())
    first, second = render(scene, targets, plan), render(scene, targets, turned)
    assert (first.image == second.image).all()
    assert (first.labels == second.labels).all()


def test_a_plan_depends_on_seed_name_and_copy_only(targets: TargetLibrary) -> None:
    scene, config = make_scene(), PROFILES["bag-cp"]

    def corners(seed: int, name: str, copy: int) -> list[list[int]]:
        return make_plan(scene, targets, config, scene_rng(seed, name, copy)).windows.tolist()

    assert corners(1, "a", 0) == corners(1, "a", 0)
    assert (
        len({str(corners(*key)) for key in [(1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1)]})
        == 4
    )


def test_a_known_placement_map_changes_nothing(targets: TargetLibrary) -> None:
    scene, config = make_scene(), PROFILES["bag-cp"]
    free = free_positions(~allowed(scene, config), config.window_px, config.window_px)
    known = make_plan(scene, targets, config, scene_rng(0, "a"), free=free)
    unknown = make_plan(scene, targets, config, scene_rng(0, "a"))
    assert (known.pastes == unknown.pastes).all()


def test_the_same_draws_serve_other_settings(targets: TargetLibrary) -> None:
    """An ablation changes what it names: the same regions and gains with another fusion."""
    scene, config = make_scene(), PROFILES["bag-cp"]
    soft = make_plan(scene, targets, config, scene_rng(0, "a"))
    hard = make_plan(scene, targets, replace(config, fusion="copy"), scene_rng(0, "a"))
    assert soft.windows.tolist() == hard.windows.tolist()


class TestEdges:
    """Law 8: what a scene may be at its least and its most."""

    @pytest.mark.parametrize(
        "shape", [(1, 1), (1, 40), (19, 200), (96, 135), (20, 20), (1080, 1918)]
    )
    def test_sizes(self, shape: tuple[int, int], targets: TargetLibrary) -> None:
        scene = make_scene(shape, targets=0)
        plan = check_laws(scene, targets, PROFILES["bag-cp"], 0)
        assert bool(len(plan)) == (min(shape) >= 20)
        if not len(plan):
            assert plan.skip_reason == "no_window"

    @pytest.mark.parametrize("sky", [None, np.zeros((96, 128), bool)])
    # row 34
    def test_no_sky(self, sky: np.ndarray | None, targets: TargetLibrary) -> None:
        plan = check_laws(make_scene(sky=sky), targets, PROFILES["bag-cp"], 0)
        assert plan.skip_reason == "no_sky"

    @pytest.mark.parametrize("step", [2, 19])
    # row 34
    def test_a_sky_of_crumbs_has_no_window(self, step: int, targets: TargetLibrary) -> None:
        sky = np.indices((96, 128)).sum(axis=0) % 2 == 0
        if step == 19:
            sky = np.ones((96, 128), bool)
            sky[::20] = sky[:, ::20] = False
        plan = check_laws(make_scene(sky=sky, targets=0), targets, PROFILES["bag-cp"], 0)
        assert plan.skip_reason == "no_window"

    def test_an_empty_library_is_an_error(self) -> None:
        empty = stack_entries([], "targets", {})
        with pytest.raises(ValueError, match="library is empty"):
            make_plan(make_scene(), empty, PROFILES["bag-cp"], scene_rng(0, "a"))

    def test_the_wrong_kind_of_library_is_an_error(self, regions: TargetLibrary) -> None:
        with pytest.raises(ValueError, match="needs a library of targets, got one of regions"):
            make_plan(make_scene(), regions, PROFILES["bag-cp"], scene_rng(0, "a"))

    # row 39
    def test_a_white_sky_takes_no_invisible_targets(self, targets: TargetLibrary) -> None:
        scene = make_scene(targets=0, base=40)
        white = replace(scene, image=np.full_like(scene.image, 255))
        plan = check_laws(white, targets, PROFILES["bag-cp"], 0)
        assert plan.skip_reason == "nothing_visible"
        assert plan.dropped["invisible"] > 0

    # row 6
    def test_deep_images_use_their_own_white(self, targets: TargetLibrary) -> None:
        shallow, deep = make_scene(targets=0), make_scene(targets=0, dtype=np.uint16)
        plans = [
            make_plan(s, targets, PROFILES["bag-cp"], scene_rng(0, "a")) for s in (shallow, deep)
        ]
        ratio = plans[1].pastes["increment"] / plans[0].pastes["increment"]
        assert np.median(ratio) == pytest.approx(16383 / 255, rel=0.05)

    def test_a_plan_for_another_scene_is_refused(self, targets: TargetLibrary) -> None:
        plan = make_plan(make_scene(), targets, PROFILES["bag-cp"], scene_rng(0, "a"))
        with pytest.raises(ValueError, match="does not fit an image of"):
            render(make_scene((24, 24), targets=0), targets, plan)

"""One test for each wrong result of the method's published training-time transform.

The numbers are those of the list of faults that the project keeps; each test fails if the fault
comes back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.paste.config import PROFILES, PasteConfig
from densesirst_gen.paste.extract import build_library
from densesirst_gen.paste.fusion import stamps
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.placement import choose_windows, free_positions
from densesirst_gen.paste.plan import PASTE, PastePlan
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.paste.shapes import shapes_at
from densesirst_gen.paste.stamps import plan_stamps
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene

BAG = PROFILES["bag-cp"]


def made(
    scene: Scene, library: TargetLibrary, config: PasteConfig = BAG, seed: int = 0
) -> tuple[PastePlan, Scene]:
    plan = make_plan(scene, library, config, scene_rng(seed, scene.name))
    return plan, render(scene, library, plan)


def one_paste(scene: Scene, row: int, col: int, **values: float) -> PastePlan:
    paste = np.zeros(1, PASTE)
    defaults = {"height": 5, "width": 5, "level": 100, "gain": 1, "sigma_x": 0.5, "sigma_y": 0.5}
    for name, value in {**defaults, **values, "row": row, "col": col}.items():
        paste[name] = value
    paste["label"] = scene.n_targets + 1
    return PastePlan(scene.name, BAG, paste, np.zeros((1, 2), int), 1)


def test_01_overlap_is_checked_on_the_top_row_and_left_column(targets: TargetLibrary) -> None:
    """An empty slice at x = 0 or y = 0 let targets be pasted over targets there."""
    scene = make_scene((60, 60), targets=0)
    mask = np.zeros(scene.shape, bool)
    mask[0, ::2] = mask[::2, 0] = True
    mask[:22, :22] = True
    scene = replace(scene, labels=label_mask(mask))
    for seed in range(30):
        plan, out = made(scene, targets, seed=seed)
        assert (out.labels[mask] == scene.labels[mask]).all()
        assert (plan.windows > 0).all()


# row 37
def test_02_no_place_means_no_paste(targets: TargetLibrary) -> None:
    """After a hundred tries the last rejected point was used all the same."""
    tiny = np.zeros((64, 64), bool)
    tiny[30:32, 30:32] = True
    full = np.ones((64, 64), np.int32)
    for scene, reason in (
        (make_scene((64, 64), targets=0, sky=tiny), "no_window"),
        (replace(make_scene((64, 64)), labels=full), "no_sky"),
    ):
        plan, out = made(scene, targets)
        assert (len(plan), plan.skip_reason) == (0, reason)
        assert (out.image == scene.image).all()
        assert (out.labels == scene.labels).all()


def test_03_points_are_not_biased_against_their_masks(targets: TargetLibrary) -> None:
    """Every Gaussian leaned to the upper left of the box that was its label."""
    leans = []
    for seed in range(40):
        plan, out = made(make_scene(targets=0), targets, replace(BAG, offset=(-0.2, 0.2)), seed)
        notes = annotate(out.labels)
        assert len(notes) == len(plan)
        centre = (notes.boxes[:, :2] + notes.boxes[:, 2:] - 1) / 2
        leans.append(notes.points - centre)
        patch = np.stack([plan.pastes["col"] + 2, plan.pastes["row"] + 2], axis=1)
        leans.append(notes.points - patch)
    assert np.abs(np.concatenate(leans).mean(axis=0)).max() < 0.04


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (5, 1)])
# row 40
def test_04_thin_targets_are_evaluated_at_their_centre(height: int, width: int) -> None:
    """A 1x1 target became 0/0, and then a white pixel; 1xN ones lay on the Gaussian's edge."""
    paste = one_paste(make_scene(), 0, 0, height=height, width=width).pastes
    ones = np.ones((1, 5, 5))
    for normalise in (True, False):
        config = replace(BAG, normalise=normalise)
        rise, mask = stamps(ones, ones, paste, np.arange(5.0), config)
        used = rise[0, :height, :width]
        assert np.isfinite(rise).all()
        assert used.max() == pytest.approx(100, abs=0.1)
        assert used.argmax() == used.size // 2
        assert mask[0].sum() >= 1


def test_05_the_donors_background_is_not_pasted() -> None:
    """Absolute gray values were added, so a bright donor sky came along."""
    scene = make_scene(base=150, targets=2)
    library = build_library([scene])
    assert len(library) == 2
    assert library.patches.max() < 255 - 150
    edge = library.patches[~library.masks & (library.patches > 0)]
    assert np.median(edge) < 40


def test_06_no_seam_where_the_label_ends(targets: TargetLibrary) -> None:
    """The weight at the border of the patch was far from zero: rectangles were seen."""
    plan, _ = made(make_scene(), targets)
    shapes = shapes_at(targets, BAG.patch_px, BAG.resize, BAG.flatten)
    rise, mask = plan_stamps(plan.pastes, shapes, BAG)
    level = plan.pastes["level"][:, None, None]
    assert (
        rise[~mask] <= (level * BAG.mask_threshold + 0.01).repeat(25).reshape(mask.shape)[~mask]
    ).all()


def test_07_the_label_is_the_target_not_its_rectangle(targets: TargetLibrary) -> None:
    """Whole rectangles were labelled, half of their pixels unchanged."""
    areas, changed = [], []
    for seed in range(20):
        scene = make_scene(targets=0)
        plan, out = made(scene, targets, seed=seed)
        areas += annotate(out.labels).areas.tolist()
        difference = out.image.astype(int) - scene.image
        changed += (difference[out.labels > 0] > 0).tolist()
        assert len(plan)
    assert np.mean(areas) < 15
    assert np.mean(changed) > 0.9


def test_08_meeting_pastes_leave_no_dark_hole() -> None:
    """Where two pastes met, the sum was divided by two: 100 became 65."""
    scene = replace(make_scene(targets=0), image=np.full((96, 128), 100, np.uint8))
    library = build_library([make_scene(targets=1)])
    first, second = one_paste(scene, 40, 40), one_paste(scene, 40, 43)
    both = replace(first, pastes=np.concatenate([first.pastes, second.pastes]))
    both.pastes["label"][1] += 1
    images = [render(scene, library, plan).image for plan in (first, second, both)]
    assert (images[2] == np.maximum(images[0], images[1])).all()
    assert images[2].min() == 100


# row 38
def test_09_the_canvas_is_the_background_and_values_are_cut_once(targets: TargetLibrary) -> None:
    """The canvas began as the donor image; values were truncated on the way."""
    scene = make_scene()
    plan, out = made(scene, targets)
    shapes = shapes_at(targets, BAG.patch_px, BAG.resize, BAG.flatten)
    rise, _ = plan_stamps(plan.pastes, shapes, BAG)
    expected = scene.image.astype(float)
    for paste, stamp in zip(plan.pastes, rise, strict=True):
        window = np.s_[paste["row"] : paste["row"] + 5, paste["col"] : paste["col"] + 5]
        pasted = np.floor(np.minimum(255, scene.image[window] + stamp))
        expected[window] = np.maximum(expected[window], pasted)
    assert (out.image == expected).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_10_dtype_and_shape_do_not_depend_on_luck(dtype: type, targets: TargetLibrary) -> None:
    """The image left as int64 if something was pasted, as uint8 if not."""
    for sky in ("all", np.zeros((96, 128), bool)):
        scene = make_scene(dtype=dtype, sky=sky)
        _, out = made(scene, targets)
        assert (out.image.dtype, out.labels.dtype) == (scene.image.dtype, np.int32)
        assert out.shape == scene.shape


def test_11_shrinking_keeps_the_aspect_and_never_grows(targets: TargetLibrary) -> None:
    """Anything with one side of 10 became 7x7: 12x4 grew in its short side."""
    sizes = shapes_at(targets, 5, "shrink", 1.0).sizes
    assert (sizes <= np.minimum(targets.sizes, 5)).all()
    ratio = targets.sizes[:, 0] / targets.sizes[:, 1]
    large = targets.sizes.max(axis=1) > 5
    assert large.any()
    assert np.abs(np.log((sizes[:, 0] / sizes[:, 1])[large] / ratio[large])).max() < 0.4


def test_12_no_box_is_empty(targets: TargetLibrary) -> None:
    """Targets thinner than a pixel left a box of no area with a label."""
    for seed in range(20):
        _, out = made(make_scene(), targets, replace(BAG, resize="shrink"), seed)
        notes = annotate(out.labels)
        assert (notes.boxes[:, 2:] > notes.boxes[:, :2]).all()
        assert (notes.areas > 0).all()


def test_13_windows_do_not_pile_up_at_the_border() -> None:
    """Corners were clamped: 20 % of clusters fell on the last legal column."""
    free = free_positions(np.zeros((128, 128), bool), 20, 20)
    draws = np.random.default_rng(0).random((20_000, 1, 1))
    corners = np.array([choose_windows(free, draw, 20, free)[0] for draw in draws])
    for axis in (0, 1):
        assert abs((corners[:, axis] == 108).mean() - 1 / 109) < 0.003


def test_14_one_cluster_does_not_change_the_next(targets: TargetLibrary) -> None:
    """The region shrank for one cluster and stayed small for the next."""
    config = replace(BAG, n_regions=(3, 3))
    counts = np.zeros(3)
    for seed in range(150):
        plan, _ = made(make_scene((200, 200), targets=0), targets, config, seed)
        counts += np.bincount(plan.pastes["cluster"], minlength=3)
    assert counts.max() / counts.min() < 1.08


@pytest.mark.parametrize("arrangement", ["clusters", "sparse"])
# row 34
def test_15_a_hopeless_sky_ends_at_once(arrangement: str, targets: TargetLibrary) -> None:
    """Without a free window two modes never ended."""
    sky = np.zeros((96, 128), bool)
    sky[5, 5:110] = sky[50:54, 50:54] = True
    plan, _ = made(make_scene(sky=sky), targets, replace(BAG, arrangement=arrangement))
    assert plan.dropped == {"no_window": plan.requested}


def test_16_one_donor_is_enough_for_clusters() -> None:
    """Donors came from one other image: half a paste was to be expected."""
    library = build_library([make_scene(targets=1)])
    assert len(library) == 1
    sizes = [len(made(make_scene(targets=0), library, seed=s)[0]) for s in range(20)]
    assert min(sizes) >= 4


def test_17_original_targets_survive(targets: TargetLibrary) -> None:
    """Targets of three pixels met thresholds made for three hundred."""
    for seed in range(20):
        scene = make_scene((60, 80), targets=2)
        _, out = made(scene, targets, replace(BAG, region="anywhere"), seed)
        old = scene.labels > 0
        assert (out.labels[old] == scene.labels[old]).all()
        assert (out.image[old] == scene.image[old]).all()


def test_18_the_sky_is_the_one_that_the_scene_carries(targets: TargetLibrary) -> None:
    """Sky masks were read again from disk and flipped one way whatever the image had done."""
    sky = np.zeros((96, 128), bool)
    sky[:40, :64] = True
    for flip in (np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1]):
        scene = make_scene(sky=sky.copy(), targets=0)
        turned = replace(scene, image=scene.image[flip].copy(), sky=sky[flip].copy())
        plan, out = made(turned, targets)
        assert len(plan)
        assert turned.sky is not None
        assert turned.sky[out.labels > 0].all()
        assert turned.sky[out.image != turned.image].all()

"""The augmentation for training: its laws, its randomness in many processes, its errors."""

from __future__ import annotations

import copy
import importlib
import json
import multiprocessing
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paste_cases import chebyshev_gap
from scenes import make_scene

from densesirst_gen.augment import notices
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.extract import stack_entries
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import SKIPPED, PastePlan
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene, SceneError
from densesirst_gen.settings import ConfigError
from densesirst_gen.sky.limits import SKY_CONFIDENCE, SKY_MARGIN
from densesirst_gen.sky.predict import predict_sky

SHAPE = (96, 128)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings said once in a process are said once in each test; most tests expect skips."""
    monkeypatch.setattr(notices, "_told", set(SKIPPED))


def sky_mask(rows: int = 60) -> np.ndarray:
    sky = np.zeros(SHAPE, bool)
    sky[:rows] = True
    return sky


def sample(dtype: type = np.uint8, channels: int = 0, targets: int = 2) -> dict[str, np.ndarray]:
    """All arrays of a scene with targets."""
    scene = make_scene(SHAPE, dtype=dtype, sky=sky_mask(), targets=targets)
    found = annotate(scene.labels)
    image = np.stack([scene.image] * channels, axis=-1) if channels else scene.image
    return {
        "image": image,
        "sky": scene.sky,
        "mask": scene.labels,
        "bboxes": found.boxes.astype(np.float32),
        "points": found.points,
        "labels": np.full(len(found), 3),
    }


def check_sample(given: dict[str, Any], out: dict[str, Any], aug: BagCopyPaste) -> None:
    """The laws of `test_laws`, on arrays; `out` must hold the plan."""
    plan, n_old = out["plan"], len(given["bboxes"])
    assert set(out) == {*given, "n_pasted", "skip_reason", "plan"}
    assert out["n_pasted"] == len(plan)
    assert bool(len(plan)) != bool(out["skip_reason"])
    for name in given:
        assert out[name].dtype == given[name].dtype
        assert np.shares_memory(out[name], given[name]) == (name == "sky")
    gray = given["image"].reshape(*SHAPE, -1).astype(float)
    made = out["image"].reshape(*SHAPE, -1).astype(float)
    assert out["image"].shape == given["image"].shape
    covered = np.zeros(SHAPE, bool)
    for row in plan.pastes:
        covered[row["row"] :, row["col"] :][: row["height"], : row["width"]] = True
    assert (made == gray)[~covered].all()
    assert (made >= gray).all()
    mask = out["mask"].reshape(SHAPE)
    assert (mask == given["mask"].reshape(SHAPE))[~covered].all()
    n_all = n_old + len(plan)
    assert [len(out[k]) for k in ("bboxes", "points", "labels")] == [n_all] * 3
    for name in ("bboxes", "points", "labels"):
        assert (out[name][:n_old] == given[name]).all()
    assert (out["labels"][n_old:] == aug.label).all()
    for k in range(n_old, n_all):
        x0, y0, x1, y1 = out["bboxes"][k].astype(int)
        one = np.zeros(SHAPE, bool)
        one[y0:y1, x0:x1] = (mask != 0)[y0:y1, x0:x1]
        if mask.dtype == np.int32:
            assert (one == (mask == k + 1)).all()
        assert (annotate(one.astype(np.int32)).boxes[0] == (x0, y0, x1, y1)).all()
        increment = plan.pastes[k - n_old]["increment"]
        assert (made - gray)[one].max() == pytest.approx(increment, abs=1e-4)
        assert increment > 0
        assert given["sky"][one].all()
        others = (mask != 0) & ~one
        if others.any():
            assert chebyshev_gap(one, others) >= aug.config.gap_px[0]
        assert out["points"][k] == pytest.approx(annotate(one.astype(np.int32)).points[0])


class TestLaws:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    @pytest.mark.parametrize("channels", [0, 1, 3])
    def test_they_hold_on_arrays(self, dtype: type, channels: int, targets: TargetLibrary) -> None:
        span = {np.float32: (0.0, 25.5), np.uint16: (0.0, 16383.0)}.get(dtype)
        aug = BagCopyPaste(targets, label=7, span=span)
        given = sample(dtype, channels)
        before = copy.deepcopy(given)
        total = 0
        for index in range(4):
            out = aug(**given, index=index, return_plan=True)
            check_sample(given, out, aug)
            total += out["n_pasted"]
        assert total > 10
        for name in given:
            assert (given[name] == before[name]).all()

    @settings(max_examples=30)
    @given(
        seed=st.integers(0, 2**32),
        rows=st.integers(0, 96),
        targets_there=st.integers(0, 2),
        switch=st.sampled_from(
            [{}, {"config": "paper"}, {"arrangement": "sparse"}, {"p": 0.5}, {"gap_px": (2, 3)}]
        ),
    )
    def test_they_hold_on_any_sky_and_setting(
        self,
        targets: TargetLibrary,
        seed: int,
        rows: int,
        targets_there: int,
        switch: dict[str, Any],
    ) -> None:
        aug = BagCopyPaste(targets, seed=seed, label=4, **switch)
        given = sample(targets=targets_there) | {"sky": sky_mask(rows)}
        check_sample(given, aug(**given, index=0, return_plan=True), aug)

    def test_channels_get_the_same_stamps(self, targets: TargetLibrary) -> None:
        given = sample(channels=3)
        given["image"] = given["image"] + np.array([0, 20, 60], np.uint8)
        out = BagCopyPaste(targets, label=3)(**given, index=0)
        rise = out["image"].astype(int) - given["image"]
        unclipped = (out["image"] < 255).all(axis=2)
        assert (rise[unclipped].min(axis=1) == rise[unclipped].max(axis=1)).all()
        assert rise.max() > 20

    def test_arrays_and_scenes_agree(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets)
        scene = make_scene(SHAPE, sky=sky_mask())
        made, plan = aug(scene, index=5, return_plan=True)
        out = aug(image=scene.image, sky=scene.sky, mask=scene.labels, index=5)
        assert (made.image == out["image"]).all()
        assert (made.labels == out["mask"]).all()
        assert made.name == scene.name
        assert made.sky is scene.sky
        again = aug.render(scene, aug.plan(scene, index=5))
        assert (again.image == made.image).all()
        assert (aug(scene, index=5).labels == made.labels).all()
        assert len(plan) == made.n_targets - scene.n_targets

    def test_a_plan_is_replayed(self, targets: TargetLibrary) -> None:
        aug, given = BagCopyPaste(targets, label=3), sample()
        first = aug(**given, return_plan=True)
        plan = PastePlan.from_json(json.loads(json.dumps(first["plan"].to_json())))
        second = BagCopyPaste(targets, seed=9, label=3)(**given, plan=plan)
        for name in given:
            assert (first[name] == second[name]).all()
        third = BagCopyPaste(targets)(image=given["image"], plan=plan)
        assert (third["image"] == first["image"]).all()

    def test_a_known_placement_map_changes_nothing(self, targets: TargetLibrary) -> None:
        aug, scene = BagCopyPaste(targets), make_scene(SHAPE)
        free = aug.placement_map(scene)
        first, second = aug(scene, index=1), aug(scene, index=1, free=free)
        assert (first.image == second.image).all()
        with pytest.raises(ValueError, match=r"free must be bool of shape \(77, 109\)"):
            aug(scene, free=free[1:])

    def test_p_is_the_share_of_calls_that_paste(self, targets: TargetLibrary) -> None:
        scene = make_scene(SHAPE)
        aug = BagCopyPaste(targets, p=0.3)
        plans = [aug.plan(scene, index=i) for i in range(400)]
        assert np.mean([len(plan) > 0 for plan in plans]) == pytest.approx(0.3, abs=0.07)
        assert {plan.skip_reason for plan in plans} == {"", "not_drawn"}
        always = BagCopyPaste(targets)
        drawn = next(i for i, plan in enumerate(plans) if len(plan))
        assert (plans[drawn].pastes == always.plan(scene, index=drawn).pastes).all()
        assert not len(BagCopyPaste(targets, p=0).plan(scene))


class TestMasksAndLists:
    @pytest.mark.parametrize(
        ("mask", "mask_value", "on"),
        [
            (np.zeros(SHAPE, bool), None, True),
            (np.zeros(SHAPE, np.uint8), None, 255),
            (np.zeros((*SHAPE, 1), np.uint8), 1, 1),
            (np.zeros(SHAPE, np.int64), 1, 1),
        ],
    )
    def test_binary_masks_stay_binary(
        self, mask: np.ndarray, mask_value: int | None, on: int, targets: TargetLibrary
    ) -> None:
        mask[10:13, 10:13] = on
        aug = BagCopyPaste(targets, mask_value=mask_value)
        out = aug(image=make_scene(SHAPE).image, sky=sky_mask(), mask=mask, index=0)
        assert out["mask"].shape == mask.shape
        assert out["mask"].dtype == mask.dtype
        assert set(np.unique(out["mask"])) == {0, on}
        assert label_mask(out["mask"].reshape(SHAPE) != 0).max() == 1 + out["n_pasted"] > 3

    # row 140
    def test_what_is_to_be_ignored_is_kept_and_kept_free(self, targets: TargetLibrary) -> None:
        mask = np.zeros(SHAPE, np.uint8)
        mask[:, :64] = 255
        given = {"image": make_scene(SHAPE).image, "sky": sky_mask(), "mask": mask}
        out = BagCopyPaste(targets, mask_value=1)(**given, index=0)
        assert (out["mask"][:, :64] == 255).all()
        assert set(np.unique(out["mask"][:, 64:])) == {0, 1}

    @pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
    def test_label_images_go_on_counting(self, dtype: type, targets: TargetLibrary) -> None:
        given = sample()
        given["mask"] = given["mask"].astype(dtype)
        out = BagCopyPaste(targets, label=3)(**given, index=0)
        assert out["mask"].dtype == dtype
        assert np.unique(out["mask"]).tolist() == list(range(2 + out["n_pasted"] + 1))

    @pytest.mark.parametrize("name", ["bboxes", "points"])
    def test_without_a_mask_boxes_and_points_keep_their_place(
        self, name: str, targets: TargetLibrary
    ) -> None:
        boxes = np.array([[20 * i, 0, 20 * i + 9, 60] for i in range(7)], float)
        points = np.array([[x, y] for x in range(4, 128, 9) for y in range(0, 60, 5)], float)
        given = {"bboxes": boxes, "points": points}
        aug = BagCopyPaste(targets, region_px=9)
        out = aug(
            image=make_scene(SHAPE, targets=0).image,
            sky=sky_mask(),
            index=2,
            **{name: given[name]},
            return_plan=True,
        )
        assert out["n_pasted"] or name == "points"
        for x, y in zip(out["plan"].pastes["col"], out["plan"].pastes["row"], strict=True):
            corners = np.array([x, y, x + 5, y + 5])
            if name == "bboxes":
                apart = (boxes[:, :2] >= corners[2:]) | (boxes[:, 2:] <= corners[:2])
                assert apart.any(axis=1).all()
        if name == "points":
            assert out["skip_reason"] == "no_window"

    @pytest.mark.parametrize(
        ("bboxes", "points", "labels"),
        [
            (np.zeros((0, 4), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.int64)),
            ([], [], []),
            (np.array([[1, 2, 4, 5]]), np.array([[2, 3]]), np.array([1.0], np.float32)),
        ],
    )
    def test_empty_and_whole_tables(
        self, bboxes: Any, points: Any, labels: Any, targets: TargetLibrary
    ) -> None:
        image = make_scene(SHAPE, targets=0).image
        out = BagCopyPaste(targets, label=1)(
            image=image, sky=sky_mask(), bboxes=bboxes, points=points, labels=labels, index=0
        )
        n = len(labels) + out["n_pasted"]
        assert out["n_pasted"] > 3
        assert out["bboxes"].shape == (n, 4)
        assert out["points"].shape == (n, 2)
        assert out["labels"].shape == (n,)
        for name, value in {"bboxes": bboxes, "points": points, "labels": labels}.items():
            assert out[name].dtype == np.asarray(value).dtype
        new, boxes = out["points"][len(labels) :], out["bboxes"][len(labels) :]
        assert (new >= boxes[:, :2]).all()
        assert (new < boxes[:, 2:]).all()

    def test_none_stays_none(self, targets: TargetLibrary) -> None:
        out = BagCopyPaste(targets, region="anywhere")(
            image=make_scene(SHAPE).image, sky=None, mask=None, bboxes=None, index=0
        )
        assert (out["sky"], out["mask"], out["bboxes"]) == (None, None, None)
        assert "labels" not in out


class TestSky:
    def test_a_missing_sky_is_an_error_unless_chosen_otherwise(
        self, targets: TargetLibrary
    ) -> None:
        image = make_scene(SHAPE).image
        with pytest.raises(ValueError, match="sample 3: sky is missing; give a sky mask, or say"):
            BagCopyPaste(targets)(image=image, index=3)
        anywhere = BagCopyPaste(targets, region="anywhere")(image=image, index=3)
        assert anywhere["n_pasted"]
        predicted = BagCopyPaste(targets, sky="predict")(image=image, index=3, return_plan=True)
        estimate = predict_sky(make_scene(SHAPE)).certain(SKY_CONFIDENCE, SKY_MARGIN)
        assert estimate.any()
        assert predicted["n_pasted"]
        for row in predicted["plan"].pastes:
            assert estimate[row["row"], row["col"]]
        assert "sky" not in predicted

    @pytest.mark.parametrize("on", [1, 255])
    def test_numbers_may_say_what_is_sky(self, on: int, targets: TargetLibrary) -> None:
        aug, image = BagCopyPaste(targets), make_scene(SHAPE).image
        first = aug(image=image, sky=sky_mask(), index=0)
        second = aug(image=image, sky=sky_mask().astype(np.uint8) * on, index=0)
        assert (first["image"] == second["image"]).all()


class TestNoSilence:
    @pytest.mark.parametrize(
        ("reason", "change"),
        [
            ("no_sky", {"sky": np.zeros(SHAPE, bool)}),
            ("no_window", {"sky": np.eye(*SHAPE, dtype=bool)}),
            ("nothing_visible", {"image": np.full(SHAPE, 255, np.uint8)}),
        ],
    )
    def test_a_process_warns_once_for_a_reason(
        self,
        reason: str,
        change: dict[str, Any],
        targets: TargetLibrary,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(notices, "_told", set())
        aug, given = BagCopyPaste(targets, label=1), sample(targets=0) | change
        with pytest.warns(UserWarning, match=rf"sample 1: .* pasted nothing \({reason}: ") as seen:
            outs = [aug(**given, index=i) for i in (1, 2, 3)]
        assert len(seen) == 1
        assert seen[0].filename == __file__
        assert [(out["n_pasted"], out["skip_reason"]) for out in outs] == [(0, reason)] * 3
        assert (outs[0]["image"] == given["image"]).all()

    def test_chance_is_no_reason_to_warn(
        self, targets: TargetLibrary, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notices, "_told", set())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            out = BagCopyPaste(targets, p=0, label=1)(**sample())
        assert out["skip_reason"] == "not_drawn"


GOOD = {"image": np.zeros(SHAPE, np.uint8), "sky": np.ones(SHAPE, bool)}
BAD_SAMPLES: dict[str, tuple[dict[str, Any], str]] = {
    "no image": ({"image": None}, "a sample needs an image"),
    "a typo": ({"boxes": []}, "a sample needs an image and may have .*; got image, sky, boxes"),
    "a list": ({"image": [[1]]}, "image must be an array .* got list"),
    "four channels": ({"image": np.zeros((*SHAPE, 4), np.uint8)}, "image must .*96, 128, 4"),
    "float64": ({"image": np.zeros(SHAPE)}, "image must be uint8, uint16 or float32, got float64"),
    "NaN": ({"image": np.full(SHAPE, np.nan, np.float32)}, "12288 image values are NaN"),
    "sky size": ({"sky": np.ones((96, 127), bool)}, r"sky must .*\(96, 128\), got bool of shape"),
    "sky values": ({"sky": np.full(SHAPE, 7, np.uint8)}, "sky must be bool, or uint8 .* up to 7"),
    "mask size": ({"mask": np.ones((9, 9), bool)}, r"mask must .*\(96, 128\), got bool of shape"),
    "mask dtype": ({"mask": np.zeros(SHAPE, np.float32)}, "mask must be bool, uint8 .* float32"),
    "mask values": ({"mask": np.ones(SHAPE, np.uint8)}, "a uint8 mask .* got 1; say mask_value=1"),
    "box columns": ({"bboxes": np.ones((2, 5))}, r"bboxes must be numbers of shape \(N, 4\)"),
    "box reversed": (
        {"bboxes": [[0, 0, 1, 1], [5, 0, 4, 1]]},
        r"bboxes .* \[5, 0, 4, 1\] in row 1",
    ),
    "box NaN": ({"bboxes": [[0, 0, 1, np.nan]]}, "bboxes must be finite .* in row 0"),
    "point text": ({"points": np.array([["a", "b"]])}, "points must be numbers"),
    "label text": ({"labels": np.array(["a"])}, "labels must be numbers"),
    "lengths": ({"bboxes": np.ones((2, 4)), "labels": [1]}, "same length, got {'bboxes': 2, 'lab"),
}
BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "p": ({"p": 1.5}, r"p must be a number in \[0, 1\], got 1.5"),
    "seed": ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
    "sky": ({"sky": "maybe"}, "sky must be one of required, predict, got 'maybe'"),
    "mask_value": ({"mask_value": 0}, "mask_value must be at least 1, got 0"),
    "span": ({"span": (1, 0)}, "span must be .* got"),
    "config": ({"config": "bagcp"}, "config must be one of bag-cp, .*, got 'bagcp'"),
    "mapping": ({"config": {"gains": 1}}, "unknown setting 'gains'"),
    "range": ({"gain": (1.0, 0.5)}, r"PasteConfig.gain must be .* got \(1.0, 0.5\)"),
    "counts": ({"n_regions": (-1, 2)}, "PasteConfig.n_regions must be"),
}


class TestErrors:
    @pytest.mark.parametrize("case", BAD_SAMPLES)
    # row 7
    def test_a_bad_sample(self, case: str, targets: TargetLibrary) -> None:
        arrays, message = BAD_SAMPLES[case]
        with pytest.raises(ValueError, match=message):
            BagCopyPaste(targets)(**GOOD | arrays)

    @pytest.mark.parametrize("case", BAD_SETTINGS)
    def test_a_bad_setting(self, case: str, targets: TargetLibrary) -> None:
        arguments, message = BAD_SETTINGS[case]
        with pytest.raises(ValueError, match=message):
            BagCopyPaste(targets, **arguments)

    def test_a_bad_library(self, regions: TargetLibrary, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="the target library is empty"):
            BagCopyPaste(stack_entries([], "targets", {}))
        with pytest.raises(ValueError, match="needs a library of targets, got one of regions"):
            BagCopyPaste(regions)
        with pytest.raises(FileNotFoundError, match=r"none\.npz"):
            BagCopyPaste(tmp_path / "none.npz")

    def test_a_bad_call(self, targets: TargetLibrary) -> None:
        aug, scene = BagCopyPaste(targets), make_scene(SHAPE)
        with pytest.raises(ValueError, match="give a Scene, or arrays by name; got ndarray"):
            aug(scene.image)
        with pytest.raises(ValueError, match="got Scene and image"):
            aug(scene, image=scene.image)
        with pytest.raises(ValueError, match="index must be a whole number >= 0, got -2"):
            aug(scene, index=-2)
        with pytest.raises(ValueError, match="epoch must be"):
            aug.set_epoch(-1)
        assert issubclass(SceneError, ValueError)
        assert issubclass(ConfigError, ValueError)

    def test_a_dtype_too_small_for_the_labels(self, targets: TargetLibrary) -> None:
        mask = np.zeros(SHAPE, np.uint16)
        mask[90, 0] = 65535
        with pytest.raises(ValueError, match="mask of uint16 can't hold the value 655"):
            BagCopyPaste(targets)(**GOOD | {"mask": mask}, index=0)
        with pytest.raises(ValueError, match=r"labels of int64 can't hold 0\.5"):
            BagCopyPaste(targets, label=0.5)(**GOOD, labels=np.zeros(0, np.int64), index=0)


class TestRandomness:
    def images(self, aug: BagCopyPaste, n: int = 6, **keywords: Any) -> list[bytes]:
        scene = make_scene(SHAPE, targets=0)
        return [aug(scene, **keywords).image.tobytes() for _ in range(n)]

    def test_an_index_gives_the_same_again_whatever_happened_before(
        self, targets: TargetLibrary
    ) -> None:
        aug = BagCopyPaste(targets, seed=3)
        assert len(set(self.images(aug, index=4))) == 1
        self.images(aug)
        assert self.images(aug, 1, index=4) == self.images(
            BagCopyPaste(targets, seed=3), 1, index=4
        )
        keys: list[dict[str, Any]] = [{"index": i} for i in (0, 1, "a", "b", 2**63)]
        assert len({self.images(aug, 1, **key)[0] for key in keys}) == 5

    def test_seed_epoch_and_index_all_matter(self, targets: TargetLibrary) -> None:
        seen = set()
        for seed in (0, 1):
            aug = BagCopyPaste(targets, seed=seed)
            for epoch in (0, 1):
                aug.set_epoch(epoch)
                assert aug.epoch == epoch
                seen |= {self.images(aug, 1, index=i)[0] for i in (0, 1)}
        assert len(seen) == 8

    def test_without_an_index_calls_differ_and_runs_agree(self, targets: TargetLibrary) -> None:
        first = self.images(BagCopyPaste(targets))
        assert len(set(first)) == len(first)
        assert self.images(BagCopyPaste(targets)) == first

    def test_no_global_random_state(self, targets: TargetLibrary) -> None:
        before = np.random.get_state()[1].tolist()  # noqa: NPY002
        self.images(BagCopyPaste(targets))
        assert np.random.get_state()[1].tolist() == before  # noqa: NPY002

    # row 83
    def test_threads_share_one_object(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets)
        alone = copy.deepcopy(aug)
        with ThreadPoolExecutor(4) as pool:
            by_index = list(pool.map(lambda i: self.images(aug, 1, index=i)[0], range(16)))
            in_stream = list(pool.map(lambda _: self.images(aug, 1)[0], range(16)))
        assert by_index == [self.images(aug, 1, index=i)[0] for i in range(16)]
        assert sorted(in_stream) == sorted(self.images(alone, 16))


class TestCopies:
    def test_copies_share_the_library_and_pickles_of_a_file_are_small(
        self, targets: TargetLibrary, tmp_path: Path
    ) -> None:
        targets.save(tmp_path / "targets.npz")
        aug = BagCopyPaste(tmp_path / "targets.npz")
        assert copy.deepcopy(aug).library is aug.library
        assert pickle.loads(pickle.dumps(aug)).library is aug.library
        assert BagCopyPaste(str(tmp_path / "targets.npz")).library is aug.library
        assert len(pickle.dumps(aug)) < 2000 < len(pickle.dumps(BagCopyPaste(targets)))
        assert aug.library.digest == targets.digest

    # row 141
    def test_a_file_that_changed_is_read_again(
        self, targets: TargetLibrary, tmp_path: Path
    ) -> None:
        path = tmp_path / "targets.npz"
        targets.save(path)
        first = BagCopyPaste(path)
        half = TargetLibrary(
            *(getattr(targets, k)[:3] for k in ("patches", "masks", "sizes", "sources"))
        )
        half.save(path)
        assert len(BagCopyPaste(path).library) == 3 < len(first.library)


def draw_in_child(aug: BagCopyPaste, scene: Scene) -> bytes:
    """Run by a process of a pool."""
    return aug(scene).image.tobytes()


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class TestWorkers:
    """Real DataLoaders, with every way to start workers and to keep them."""

    @pytest.fixture(scope="class")
    @staticmethod
    def loaders() -> Any:
        pytest.importorskip("torch")
        return importlib.import_module("torch_loading")

    @pytest.mark.parametrize(
        ("n_workers", "start", "persistent"),
        [
            (0, None, False),
            (1, "fork", False),
            (2, "fork", True),
            (4, "fork", False),
            (1, "spawn", False),
            (1, "spawn", True),
        ],
    )
    # rows 77, 83
    def test_an_index_gives_the_same_in_every_worker(
        self,
        n_workers: int,
        start: str | None,
        persistent: bool,
        targets: TargetLibrary,
        loaders: Any,
    ) -> None:
        aug, scene = BagCopyPaste(targets, seed=4), make_scene((40, 48), targets=0)
        dataset = loaders.Pasted(scene, aug, 5, with_index=True)
        options = {"num_workers": n_workers, "persistent_workers": persistent}
        got = loaders.two_epochs(dataset, aug.set_epoch, multiprocessing_context=start, **options)
        for epoch in range(2):
            alone = BagCopyPaste(targets, seed=4)
            alone.set_epoch(epoch)
            assert got[epoch] == [alone(scene, index=i).image.tobytes() for i in range(5)]
        assert len({*got[0], *got[1]}) == 10

    @pytest.mark.parametrize(("n_workers", "persistent"), [(0, False), (2, False), (2, True)])
    # row 83
    def test_without_an_index_workers_and_epochs_differ(
        self, n_workers: int, persistent: bool, targets: TargetLibrary, loaders: Any
    ) -> None:
        """A common fault: workers, or epochs, that all repeat the same random numbers."""
        options = {"num_workers": n_workers, "persistent_workers": persistent}

        def run() -> list[list[bytes]]:
            scene = make_scene((40, 48), targets=0)
            dataset = loaders.Pasted(scene, BagCopyPaste(targets), 6, with_index=False)
            return loaders.two_epochs(dataset, **options)

        first, second = run()
        assert len({*first, *second}) == 12
        assert run() == [first, second]

    def test_processes_of_others_differ_too(self, targets: TargetLibrary) -> None:
        aug, scene = BagCopyPaste(targets), make_scene((40, 48), targets=0)
        drawn = []
        for _ in range(2):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                drawn.append(pool.apply(draw_in_child, (aug, scene)))
        assert len({*drawn, aug(scene).image.tobytes()}) == 3


def test_settings_come_from_profiles_mappings_and_keywords(targets: TargetLibrary) -> None:
    assert BagCopyPaste(targets).config == PasteConfig()
    assert BagCopyPaste(targets, "paper", gain=1).config.gain == (1, 1)
    by_values = BagCopyPaste(targets, {"angle": [-90, 90], "gap_px": 2})
    assert by_values.config == replace(PasteConfig(), gap_px=(2, 2))


def test_a_scene_keeps_its_span(targets: TargetLibrary) -> None:
    scene = make_scene(SHAPE, dtype=np.uint16)
    assert isinstance(scene, Scene)
    assert BagCopyPaste(targets)(scene).span == (0, 16383)

"""Every label with its target: lists, masks, dtypes, levels, and what is kept free."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment import notices
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.paste.plan import SKIPPED
from densesirst_gen.scene.annotate import annotate

SHAPE = (96, 128)
ANYWHERE: dict[str, Any] = {"region": "anywhere", "n_regions": 3}


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_told", set(SKIPPED))


def image(shape: tuple[int, int] = SHAPE, targets: int = 0) -> np.ndarray:
    return make_scene(shape, targets=targets).image


def new_pixels(out: dict[str, Any], given: np.ndarray) -> np.ndarray:
    """Where the image has changed."""
    return (out["image"] != given).reshape(given.shape)


class TestKeptFree:
    box = np.array([[0.0, 0.0, 128.0, 48.0]])

    def pasted(self, targets: TargetLibrary, **arrays: Any) -> np.ndarray:
        """(H, W) share of 20 calls that change a pixel."""
        given, aug = image(), BagCopyPaste(targets, label=1, **ANYWHERE)
        outs = [aug(image=given, **arrays, index=k) for k in range(20)]
        return np.mean([new_pixels(out, given) for out in outs], axis=0)

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32])
    # row 140
    def test_a_box_beside_a_mask(self, dtype: type, targets: TargetLibrary) -> None:
        mask = np.zeros(SHAPE, dtype)
        mask[80:83, 5:8] = 255 if dtype is np.uint8 else 1
        changed = self.pasted(targets, mask=mask, bboxes=self.box)
        assert not changed[:48].any()
        assert not changed[mask != 0].any()
        assert changed[48:].any()

    def test_points_beside_mask_and_boxes(self, targets: TargetLibrary) -> None:
        points = np.array([[x, y] for x in range(4, 128, 9) for y in range(52, 96, 9)], float)
        boxes = np.concatenate([self.box, np.zeros((len(points) - 1, 4))])
        mask = np.zeros(SHAPE, bool)
        assert not self.pasted(targets, mask=mask, bboxes=boxes, points=points).any()
        assert self.pasted(targets, mask=mask, bboxes=boxes).any()

    def test_a_point_on_its_mask_takes_no_more(self, targets: TargetLibrary) -> None:
        scene = make_scene(SHAPE)
        aug = BagCopyPaste(targets, **ANYWHERE)
        alone = aug(image=scene.image, mask=scene.labels, index=0)
        points = annotate(scene.labels).points
        both = aug(image=scene.image, mask=scene.labels, points=points, index=0)
        assert (alone["image"] == both["image"]).all()

    @pytest.mark.parametrize("dtype", [bool, np.int32])
    def test_a_box_of_a_masked_target_takes_no_more(
        self, dtype: type, targets: TargetLibrary
    ) -> None:
        scene, aug = make_scene(SHAPE), BagCopyPaste(targets, **ANYWHERE)
        mask, boxes = scene.labels.astype(dtype), annotate(scene.labels).boxes
        alone = aug(image=scene.image, mask=mask, index=0)
        both = aug(image=scene.image, mask=mask, bboxes=boxes, index=0)
        assert (alone["image"] == both["image"]).all()
        around = np.array([[*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]])
        made = [
            aug(image=scene.image, mask=mask, bboxes=around, index=k)["image"] for k in range(20)
        ]
        (x0, y0, x1, y1), changed = around[0], (np.array(made) != scene.image).any(axis=0)
        assert changed.any()
        assert not changed[y0:y1, x0:x1].any()

    def test_boxes_do_not_number_targets(self, targets: TargetLibrary) -> None:
        mask = np.zeros(SHAPE, np.int32)
        aug = BagCopyPaste(targets, label=1, **ANYWHERE)
        out = aug(image=image(), mask=mask, bboxes=self.box, index=0, return_plan=True)
        numbers = np.unique(out["mask"])[1:].tolist()
        assert numbers == out["plan"].pastes["label"].tolist() == [*range(1, out["n_pasted"] + 1)]

    def test_a_box_of_all(self, targets: TargetLibrary) -> None:
        boxes, mask = np.array([[0, 0, 128, 96]]), np.zeros(SHAPE, np.int32)
        out = BagCopyPaste(targets, p=0, **ANYWHERE)(image=image(), mask=mask, bboxes=boxes)
        assert out["n_pasted"] == 0
        assert len(out["bboxes"]) == 1


class TestLabels:
    def sample(self, labels: Any) -> dict[str, Any]:
        scene = make_scene(SHAPE)
        boxes = annotate(scene.labels).boxes[: len(labels)]
        return {"image": scene.image, "bboxes": boxes, "labels": labels, "index": 0}

    @pytest.mark.parametrize("labels", [np.array([1, 1]), np.zeros(0, np.int64), [2, 3]])
    def test_the_class_is_asked_for(self, labels: Any, targets: TargetLibrary) -> None:
        with pytest.raises(
            ValueError, match=r"labels holds .* no class is said .* give label=\.\."
        ):
            BagCopyPaste(targets, **ANYWHERE)(**self.sample(labels))
        with pytest.raises(ValueError, match="no class is said"):
            BagCopyPaste(targets, p=0, **ANYWHERE)(**self.sample(labels))

    def test_a_column_stays_a_column(self, targets: TargetLibrary) -> None:
        given = self.sample(np.array([[4.0], [4.0]], np.float32))
        out = BagCopyPaste(targets, label=5, **ANYWHERE)(**given)
        assert out["labels"].shape == (len(out["bboxes"]), 1)
        assert out["labels"].dtype == np.float32
        assert out["labels"][:3].tolist() == [[4], [4], [5]]

    @pytest.mark.parametrize("labels", [np.eye(2, 3), np.zeros((0, 3)), np.zeros((2, 1, 1))])
    # row 137
    def test_one_hot_classes_are_refused(self, labels: Any, targets: TargetLibrary) -> None:
        with pytest.raises(ValueError, match=r"labels must be \(N,\), a class number for each"):
            BagCopyPaste(targets, label=1, **ANYWHERE)(**self.sample(labels))

    def test_no_list(self, targets: TargetLibrary) -> None:
        with pytest.raises(ValueError, match="labels must have a row for each target, got int 3"):
            BagCopyPaste(targets, label=1)(image=image(), labels=3)

    @pytest.mark.parametrize(
        ("dtype", "label"),
        [
            (np.uint8, 300),
            (np.uint8, -1),
            (np.int64, 1.7),
            (np.float16, 2049),
            (np.float32, 2**24 + 1),
            (np.float32, np.nan),
        ],
    )
    def test_a_label_that_does_not_fit(
        self, dtype: type, label: Any, targets: TargetLibrary
    ) -> None:
        with pytest.raises(ValueError, match=r"labels of .* can't hold"):
            BagCopyPaste(targets, label=label, **ANYWHERE)(**self.sample(np.ones(2, dtype)))


class TestDtypes:
    @pytest.mark.parametrize(
        ("name", "dtype"),
        [
            ("bboxes", np.uint8),
            ("bboxes", np.int8),
            ("bboxes", np.float16),
            ("points", np.uint8),
            ("points", np.int8),
        ],
    )
    def test_corners_that_do_not_fit(self, name: str, dtype: type, targets: TargetLibrary) -> None:
        rows = np.zeros((0, {"bboxes": 4, "points": 2}[name]), dtype)
        wide = np.tile(image(), (1, 20))
        aug = BagCopyPaste(targets, **ANYWHERE)
        with pytest.raises(ValueError, match=rf"{name} of .* can't hold \[?\d+"):
            [aug(image=wide, index=k, **{name: rows}) for k in range(20)]

    def test_centroids_are_rounded_to_the_floats_at_hand(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets, **ANYWHERE)
        exact = aug(image=image(), points=np.zeros((0, 2)), index=0)["points"]
        half = aug(image=image(), points=np.zeros((0, 2), np.float16), index=0)["points"]
        assert half.dtype == np.float16
        assert np.abs(half - exact).max() < 0.1


class TestLevels:
    unit = (make_scene(SHAPE, targets=0).image / 255).astype(np.float32)

    # row 116
    def test_floats_of_0_to_1_rise_to_1(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets, **ANYWHERE)
        out = aug(image=self.unit, index=0)["image"]
        assert (
            out == BagCopyPaste(targets, span=(0, 1), **ANYWHERE)(image=self.unit, index=0)["image"]
        ).all()
        assert self.unit.max() < 0.3 < out.max() <= 1
        scene = replace(make_scene(SHAPE, targets=0), image=self.unit)
        assert (aug(scene, index=0).image == out).all()

    def test_a_crop_and_its_frame_have_the_same(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets, **ANYWHERE)
        made = [aug(replace(make_scene(SHAPE), image=self.unit, labels=np.zeros(SHAPE, np.int32)))]
        part = np.s_[:60, :60]
        crop = replace(made[0], image=self.unit[part], labels=made[0].labels[part], sky=None)
        made.append(aug(replace(crop, span=None)))
        assert [scene.levels for scene in made] == [(0, 1)] * 2

    # row 116
    def test_others_are_told_once(self, targets: TargetLibrary) -> None:
        aug, wide = BagCopyPaste(targets, **ANYWHERE), self.unit * 255
        with pytest.warns(UserWarning, match="sample 1: float image without a span: .* said once"):
            first = aug(image=wide, index=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert (aug(image=wide, index=1)["image"] == first["image"]).all()
            aug(replace(make_scene(SHAPE, targets=0), image=wide))
        assert first["image"].max() == wide.max()

    def test_nothing_is_told_where_a_span_is_given(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets, span=(0, 255), **ANYWHERE)
        float_scene = replace(make_scene(SHAPE, targets=0), image=self.unit * 255)
        given = make_scene(SHAPE, targets=0).image
        rise = aug(image=given, index=0)["image"].astype(float) - given
        for made in (aug(image=self.unit * 255, index=0)["image"], aug(float_scene, index=0).image):
            assert np.abs(made - self.unit * 255 - rise).max() <= 1
        with pytest.raises(ValueError, match="span must be"):
            BagCopyPaste(targets, span=(0, np.inf))


class TestNumbers:
    @pytest.mark.parametrize(("dtype", "on"), [(np.int64, 1), (np.int32, 255), (np.uint16, 7)])
    def test_one_number_for_many_pieces_is_told(
        self, dtype: type, on: int, targets: TargetLibrary
    ) -> None:
        scene, aug = make_scene(SHAPE), BagCopyPaste(targets, **ANYWHERE)
        mask = (scene.labels > 0).astype(dtype) * dtype(on)
        with pytest.warns(
            UserWarning, match=f"one number, {on}, on 2 pieces; .*mask_value={on} if"
        ):
            aug(image=scene.image, mask=mask, index=0)
        out = BagCopyPaste(targets, mask_value=on, **ANYWHERE)(image=scene.image, mask=mask)
        assert np.unique(out["mask"]).tolist() == [0, on]

    def test_numbers_are_not(self, targets: TargetLibrary) -> None:
        scene, aug = make_scene(SHAPE), BagCopyPaste(targets, **ANYWHERE)
        for labels in (scene.labels, scene.labels * (scene.labels == 2), scene.labels * 0):
            aug(image=scene.image, mask=labels, index=0)


class TestSettings:
    # row 141
    def test_numbers_of_numpy(self, targets: TargetLibrary, tmp_path: Path) -> None:
        aug = BagCopyPaste(
            targets,
            p=np.float32(0.5),
            seed=np.int64(3),
            gain=np.array([0.5, 1.0]),
            flatten=np.float32(0.5),
            n_regions=np.int32(2),
            gap_px=(np.int64(1), np.uint8(2)),
            normalise=np.bool_(True),
            sky_store=str(tmp_path),
        )
        assert (aug.p, aug.seed, aug.sky_store) == (0.5, 3, tmp_path)
        assert aug.config == PasteConfig(flatten=0.5, n_regions=(2, 2), gap_px=(1, 2))
        assert PasteConfig.from_dict({"angle": np.array([-90, 90])}) == PasteConfig()

    @pytest.mark.parametrize("p", [np.float32(1.5), np.nan, True, np.True_, "0.5", None])
    def test_no_probability(self, p: Any, targets: TargetLibrary) -> None:
        with pytest.raises(ValueError, match=r"p must be a number in \[0, 1\]"):
            BagCopyPaste(targets, p=p)

    @pytest.mark.parametrize("values", [{"n_regions": np.float32(1)}, {"gain": np.array([1.0, 0])}])
    def test_numbers_of_numpy_obey_the_rules(self, values: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="must be"):
            PasteConfig(**values)


class TestReplacedLibrary:
    # row 141
    def test_another_process_refuses_it(self, targets: TargetLibrary, tmp_path: Path) -> None:
        path = tmp_path / "targets.npz"
        targets.save(path)
        content = pickle.dumps(BagCopyPaste(path))
        assert pickle.loads(content).library.digest == targets.digest
        arrays = [getattr(targets, k)[:3] for k in ("patches", "masks", "sizes", "sources")]
        TargetLibrary(*arrays).save(path)
        with pytest.raises(LibraryError, match=r"targets\.npz: the library was replaced while"):
            pickle.loads(content)
        code = "import pickle, sys; pickle.load(sys.stdin.buffer)"
        done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True)
        assert b"the library was replaced while in use" in done.stderr

"""Albumentations' own invariants: each of its checks, on a table of our settings."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import hosts
import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment import notices
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import SKIPPED
from densesirst_gen.scene.annotate import annotate, label_mask

SHAPE = (96, 128)
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "anywhere": {"region": "anywhere"},
    "paper": {"config": "paper"},
    "hard copies": {"config": "copy-paste"},
    "one sparse": {"arrangement": "sparse", "n_regions": 1},
    "half of them": {"p": 0.5},
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_told", {*SKIPPED, "span"})


class Peer:
    """The host, the adapter and a library, for the tests below."""

    @pytest.fixture(autouse=True)
    def load(self, monkeypatch: pytest.MonkeyPatch, targets: TargetLibrary) -> None:
        self.A, self.module = hosts.albumentations(monkeypatch)
        self.library = targets

    def paste(self, **settings: Any) -> Any:
        label = {"labels": 9, "kinds": "new"}
        return self.module.BagCopyPaste(self.library, label=label, **settings)

    def compose(self, *transforms: Any, **options: Any) -> Any:
        A = self.A
        fixed: dict[str, Any] = {"additional_targets": {"sky": "mask"}, "seed": 137}
        return A.Compose(
            list(transforms),
            bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"]),
            keypoint_params=A.KeypointParams("xy", label_fields=["kinds"]),
            **fixed | options,
        )

    def sample(self, n: int = 2, dtype: type = np.uint8, channels: int = 3) -> dict[str, Any]:
        scene = make_scene(SHAPE, targets=n)
        found, image = annotate(scene.labels), scene.image
        if dtype is np.float32:
            image = (image / 255).astype(np.float32)
        return {
            "image": np.stack([image] * channels, axis=-1) if channels else image,
            "mask": (scene.labels > 0).astype(np.uint8) * 255,
            "sky": np.ones(SHAPE, np.uint8),
            "bboxes": found.boxes.astype(np.float32),
            "labels": [5] * n,
            "keypoints": found.points.astype(np.float32),
            "kinds": ["old"] * n,
        }


@pytest.mark.parametrize("name", SETTINGS)
class TestEveryTransform(Peer):
    def test_the_input_stays(self, name: str) -> None:
        given = self.sample()
        before = copy.deepcopy(given)
        self.compose(self.paste(**SETTINGS[name]))(**given)
        assert all(np.array_equal(given[key], before[key]) for key in given)

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    @pytest.mark.parametrize("channels", [0, 1, 3])
    def test_keys_shapes_and_dtypes_stay(self, name: str, dtype: type, channels: int) -> None:
        given = self.sample(dtype=dtype, channels=channels)
        out = self.compose(self.paste(**SETTINGS[name]))(**given)
        assert out.keys() == given.keys()
        for key in ("image", "mask", "sky"):
            assert out[key].shape == given[key].shape
            assert out[key].dtype == given[key].dtype
            assert out[key].flags["C_CONTIGUOUS"]
        assert dtype is np.uint8 or 0 <= out["image"].min() <= out["image"].max() <= 1

    def test_masks_get_no_new_values(self, name: str) -> None:
        out = self.compose(self.paste(**SETTINGS[name]))(**self.sample())
        assert set(np.unique(out["mask"])) <= {0, 255}

    def test_a_seed_gives_the_same(self, name: str) -> None:
        def run(seed: int) -> list[bytes]:
            pipeline = self.compose(self.paste(**SETTINGS[name]), seed=seed)
            return [pipeline(**self.sample())["image"].tobytes() for _ in range(3)]

        assert run(1) == run(1)
        assert run(1) != run(2)

    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_boxes_and_points_match(self, name: str, n: int) -> None:
        out = self.compose(self.paste(**SETTINGS[name]), self.A.Transpose(p=1))(**self.sample(n))
        assert len(out["bboxes"]) == len(out["keypoints"]) == len(out["labels"])
        assert len(out["kinds"]) == len(out["bboxes"])
        for (x0, y0, x1, y1), (x, y) in zip(out["bboxes"], out["keypoints"], strict=True):
            assert x0 - 1e-4 <= x < x1
            assert y0 - 1e-4 <= y < y1
        tight = {tuple(box) for box in annotate(label_mask(out["mask"] > 0)).boxes.tolist()}
        assert {tuple(map(round, map(float, box))) for box in out["bboxes"]} == tight

    def test_a_dictionary_makes_it_again(self, name: str) -> None:
        transform = self.paste(**SETTINGS[name])
        made = self.A.from_dict(self.A.to_dict(self.compose(transform)))
        for pipeline in (made, one := self.compose(transform)):
            pipeline.set_random_seed(7)
        given = self.sample()
        assert (made(**given)["image"] == one(**given)["image"]).all()

    def test_a_pickle_is_the_same(self, name: str) -> None:
        one = self.compose(self.paste(**SETTINGS[name]))
        other, given = pickle.loads(pickle.dumps(one)), self.sample()
        assert (other(**given)["image"] == one(**given)["image"]).all()

    @pytest.mark.parametrize("kind", ["OneOf", "SomeOf", "Sequential", "RandomOrder"])
    def test_inside_other_compositions(self, name: str, kind: str) -> None:
        further: dict[str, Any] = {"n": 1} if kind in ("SomeOf", "RandomOrder") else {}
        inner = getattr(self.A, kind)([self.paste(**SETTINGS[name])], p=1, **further)
        out = self.compose(inner, self.A.HorizontalFlip(p=1))(**self.sample())
        assert len(out["bboxes"]) == len(out["labels"]) == len(out["kinds"])

    def test_a_text_shows_it(self, name: str) -> None:
        assert "BagCopyPaste" in repr(self.compose(self.paste(**SETTINGS[name])))


class TestOnce(Peer):
    def test_p_0_is_the_identity(self) -> None:
        given = self.sample()
        out = self.compose(self.paste(p=0))(**given)
        assert out["bboxes"] == pytest.approx(given.pop("bboxes"))
        assert all(np.array_equal(out[key], given[key]) for key in given)

    def test_memory_that_is_not_contiguous(self) -> None:
        given = self.sample()
        turned = given | {"image": np.asfortranarray(given["image"])}
        images = [self.compose(self.paste())(**each)["image"] for each in (given, turned)]
        assert (images[0] == images[1]).all()

    def test_further_images_get_the_same(self) -> None:
        given = self.sample()
        pipeline = self.compose(self.paste(), additional_targets={"sky": "mask", "second": "image"})
        out = pipeline(**given, second=given["image"])
        assert (out["second"] == out["image"]).all()
        assert (out["image"] != given["image"]).any()

    def test_applied_parameters_are_told(self) -> None:
        pipeline = self.compose(self.paste(), save_applied_params=True)
        out = pipeline(**self.sample())
        (name, params), *_ = out["applied_transforms"]
        assert name == "BagCopyPaste"
        assert params["n_pasted"] == len(out["bboxes"]) - 2
        assert json.dumps(params["plan"].to_json())

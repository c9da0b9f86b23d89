"""torchvision v2's laws of a transform, in our words, on tables of containers, types and dtypes."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from typing import Any

import hosts
import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment import notices
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import SKIPPED
from densesirst_gen.scene.annotate import annotate

SHAPE = (96, 128)
SCENE = make_scene(SHAPE)
FOUND = annotate(SCENE.labels)


@pytest.fixture(autouse=True)
def load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_told", {*SKIPPED, "span"})


class TestLaws:
    @pytest.fixture(autouse=True)
    def load(self, targets: TargetLibrary) -> None:
        self.tv, self.v2, self.module = hosts.torchvision()
        self.torch = pytest.importorskip("torch")
        self.transform = self.module.BagCopyPaste(targets, region="anywhere", label=4)

    def run(self, *sample: Any, seed: int = 3, transform: Any = None) -> Any:
        self.torch.manual_seed(seed)
        return (transform or self.transform)(*sample)

    def image(self, dtype: str = "uint8", channels: int = 1) -> Any:
        image = self.torch.from_numpy(SCENE.image)[None].expand(channels, -1, -1)
        dtype = getattr(self.torch, dtype)
        return self.tv.Image(self.v2.functional.to_dtype(image, dtype, scale=True))

    def target(self, form: str = "XYXY") -> dict[str, Any]:
        torch, tv = self.torch, self.tv
        boxes = self.v2.functional.convert_bounding_box_format(
            torch.tensor(FOUND.boxes, dtype=torch.float32), old_format="XYXY", new_format=form
        )
        stack = torch.from_numpy(SCENE.labels == np.arange(1, 3)[:, None, None])
        return {
            "boxes": tv.BoundingBoxes(boxes, format=form, canvas_size=SHAPE),
            "masks": tv.Mask(stack),
            "points": tv.KeyPoints(torch.tensor(FOUND.points), canvas_size=SHAPE),
            "labels": torch.ones(2, dtype=torch.int64),
            "image_id": 7,
            "path": "a.png",
            "none": None,
        }

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_an_image_keeps_type_shape_and_dtype(self, dtype: str, channels: int) -> None:
        given = self.image(dtype, channels)
        made = self.run(given)
        assert type(made) is self.tv.Image
        assert (made.shape, made.dtype, made.device) == (given.shape, given.dtype, given.device)
        assert (made != given).any()

    @pytest.mark.parametrize("form", ["XYXY", "XYWH", "CXCYWH"])
    def test_targets_keep_type_and_metadata(self, form: str) -> None:
        given = self.target(form)
        _, made = self.run(self.image(), given)
        assert made.keys() == given.keys()
        for key in ("boxes", "masks", "points", "labels"):
            assert type(made[key]) is type(given[key])
            assert made[key].dtype == given[key].dtype
        assert made["boxes"].format == given["boxes"].format
        assert made["boxes"].canvas_size == made["points"].canvas_size == SHAPE

    def test_what_is_none_of_its_business_passes(self) -> None:
        given = self.target()
        _, made = self.run(self.image(), given)
        for key in ("image_id", "path", "none"):
            assert made[key] is given[key]

    @pytest.mark.parametrize("kind", ["tuple", "list", "dict", "ordered", "nested"])
    def test_containers_stay(self, kind: str) -> None:
        image, target = self.image(), self.target()
        sample = {
            "tuple": (image, target),
            "list": [image, target],
            "dict": {"image": image, **target},
            "ordered": OrderedDict(image=image, **target),
            "nested": {"a": [(image,)], "b": {"c": target}},
        }[kind]
        made = self.run(sample)
        assert type(made) is type(sample)
        expected = self.run(image, target)[0]
        got = {
            "tuple": lambda: made[0],
            "list": lambda: made[0],
            "dict": lambda: made["image"],
            "ordered": lambda: made["image"],
            "nested": lambda: made["a"][0][0],
        }[kind]()
        assert (got == expected).all()

    def test_the_input_stays(self) -> None:
        given = (self.image(), self.target())
        before = copy.deepcopy(given)
        self.run(*given)
        assert (given[0] == before[0]).all()
        for key in ("boxes", "masks", "points", "labels"):
            assert self.torch.equal(given[1][key], before[1][key])

    def test_torchs_seed_rules_and_moves_on(self) -> None:
        images = [self.run(self.image()), self.run(self.image()), self.transform(self.image())]
        assert (images[0] == images[1]).all()
        assert (images[1] != images[2]).any()
        assert (self.run(self.image(), seed=4) != images[0]).any()

    def test_copies_and_pickles_are_the_same(self) -> None:
        expected = self.run(self.image())
        for other in (copy.deepcopy(self.transform), pickle.loads(pickle.dumps(self.transform))):
            assert (self.run(self.image(), transform=other) == expected).all()
            assert not list(other.parameters())
            assert not other.state_dict()

    def test_new_boxes_are_sane_and_labelled(self) -> None:
        target = self.target()
        pipeline = self.v2.Compose(
            [
                self.transform,
                self.v2.SanitizeBoundingBoxes(labels_getter=lambda sample: [sample[1]["labels"]]),
            ]
        )
        _, pasted = self.run(self.image(), target)
        _, made = self.run(self.image(), target, transform=pipeline)
        assert len(made["boxes"]) == len(pasted["boxes"]) == len(made["labels"]) > 2

    @pytest.mark.parametrize("name", ["hflip", "vflip"])
    def test_a_flip_after_it_keeps_all_together(self, name: str) -> None:
        flip = {"hflip": self.v2.RandomHorizontalFlip, "vflip": self.v2.RandomVerticalFlip}[name]
        pipeline = self.v2.Compose([self.transform, flip(1.0)])
        _, made = self.run(self.image(), self.target(), transform=pipeline)
        for box, mask, (x, y) in zip(
            made["boxes"].tolist(), made["masks"], made["points"].tolist(), strict=True
        ):
            found = annotate(mask.numpy().astype(np.int32))
            assert found.boxes[0].tolist() == box
            assert found.points[0] == pytest.approx((x, y))

    def test_by_chance_or_not(self) -> None:
        rarely = self.v2.RandomApply([self.transform], p=0.5)
        given = self.image()
        same = [bool((self.run(given, transform=rarely, seed=k) == given).all()) for k in range(20)]
        assert 2 < sum(same) < 18

"""What adapters refuse instead of giving wrong training data, and what they keep free."""

from __future__ import annotations

from pathlib import Path
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
ANYWHERE: dict[str, Any] = {"region": "anywhere", "n_regions": 3, "label": 1}
SCENE = make_scene(SHAPE)
FOUND = annotate(SCENE.labels)
BOXES = FOUND.boxes.astype(np.float32)
STACK = (SCENE.labels == np.arange(1, 3)[:, None, None]).astype(np.uint8)
UPPER = np.array([[0, 0, 128, 48]], np.float32)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_told", set(SKIPPED))


def half_sky() -> np.ndarray:
    sky = np.zeros(SHAPE, np.uint8)
    sky[:, :64] = 1
    return sky


class TestAlbumentations:
    @pytest.fixture(autouse=True)
    def load(self, monkeypatch: pytest.MonkeyPatch, targets: TargetLibrary) -> None:
        self.A, self.module = hosts.albumentations(monkeypatch)
        self.library = targets

    def paste(self, **settings: Any) -> Any:
        return self.module.BagCopyPaste(self.library, **settings)

    def compose(self, *transforms: Any, sky: str | None = None, **options: Any) -> Any:
        further = options.pop("masks", {}) | ({"sky": sky} if sky else {})
        params = self.A.BboxParams("pascal_voc", label_fields=options.pop("fields", ["labels"]))
        given: dict[str, Any] = {"bbox_params": params, "seed": 0} | options
        return self.A.Compose(list(transforms), additional_targets=further, **given)

    def boxed(self, **more: Any) -> dict[str, Any]:
        return {"image": SCENE.image, "bboxes": BOXES, "labels": [1, 1]} | more

    @pytest.mark.parametrize("kind", [None, "image"])
    # row 135
    def test_a_sky_that_does_not_travel(self, kind: str | None) -> None:
        pipeline = self.compose(self.A.HorizontalFlip(p=1), self.paste(label=1), sky=kind)
        with pytest.raises(ValueError, match=r"additional_targets=\{'sky': 'mask'\}"):
            pipeline(**self.boxed(sky=half_sky()))

    def test_a_sky_that_does(self) -> None:
        pipeline = self.compose(self.A.HorizontalFlip(p=1), self.paste(label=1), sky="mask")
        out = pipeline(**self.boxed(sky=half_sky()))
        changed = out["image"] != SCENE.image[:, ::-1]
        assert changed.any()
        assert not changed[:, :64].any()

    @pytest.mark.parametrize("name", ["images", "volume"])
    # row 136
    def test_images_that_would_stay_unpasted(self, name: str) -> None:
        stack = np.stack([SCENE.image] * 2)
        pipeline = self.A.Compose([self.paste(region="anywhere")])
        with pytest.raises(ValueError, match=f"pastes into image alone, and {name} would stay"):
            pipeline(image=SCENE.image, **{name: stack})

    def test_images_alone(self) -> None:
        pipeline = self.A.Compose([self.paste(region="anywhere")])
        with pytest.raises(ValueError, match="pastes into image alone, and images would"):
            pipeline(images=np.stack([SCENE.image] * 2))

    @pytest.mark.parametrize("name", ["area", "iscrowd", "anything", "class_labels"])
    @pytest.mark.parametrize("n", [0, 2])
    @pytest.mark.parametrize("kind", [list, np.array])
    # row 137
    def test_lists_that_would_stay_short(self, name: str, n: int, kind: Any) -> None:
        pipeline = self.compose(self.paste(**ANYWHERE))
        given = {"image": SCENE.image, "bboxes": BOXES[:n], "labels": [1] * n, name: kind([5] * n)}
        with pytest.raises(ValueError, match=rf"'{name}' has {n} rows, as many as bboxes"):
            pipeline(**given)

    def test_what_is_no_list_of_targets(self) -> None:
        more = {"image_id": [7], "size": (96, 128), "path": "ab", "scores": [1, 2, 3], "n": 2}
        out = self.compose(self.paste(**ANYWHERE))(**self.boxed(**more))
        assert len(out["labels"]) == len(out["bboxes"]) > 2
        assert {key: out[key] for key in more} == more

    def test_boxes_and_points_whose_form_is_not_said(self) -> None:
        pipeline = self.A.Compose([self.paste(**ANYWHERE)])
        with pytest.raises(ValueError, match="bbox"):
            pipeline(image=SCENE.image, bboxes=BOXES)
        with pytest.raises(ValueError, match="bboxes need bbox_params"):
            self.paste(**ANYWHERE)(image=SCENE.image, bboxes=BOXES)
        with pytest.raises(ValueError, match="keypoints need keypoint_params"):
            self.paste(**ANYWHERE)(image=SCENE.image, keypoints=FOUND.points)

    # row 136
    def test_no_list_at_all(self) -> None:
        pipeline = self.compose(self.paste(**ANYWHERE), fields=[])
        with pytest.raises(ValueError, match="new targets would have no labels: give empty bboxes"):
            pipeline(image=SCENE.image)
        bare = self.A.Compose([self.paste(**ANYWHERE)], seed=0)
        assert (bare(image=SCENE.image)["image"] != SCENE.image).any()

    def test_the_class_is_asked_for(self) -> None:
        with pytest.raises(ValueError, match=r"label field 'labels' .* no class is said"):
            self.compose(self.paste(region="anywhere"))(**self.boxed())

    @pytest.mark.parametrize(
        ("mask", "words"),
        [
            (SCENE.labels.astype(np.uint8), "a uint8 classes must hold 0 and 255, got 1"),
            (SCENE.labels, "classes of int32 may hold classes"),
        ],
    )
    # row 139
    def test_class_maps_as_further_masks(self, mask: np.ndarray, words: str) -> None:
        pipeline = self.compose(self.paste(**ANYWHERE), masks={"classes": "mask"})
        with pytest.raises(ValueError, match=words):
            pipeline(**self.boxed(mask=SCENE.labels, classes=mask))

    @pytest.mark.parametrize("own", [None, SCENE.labels, (SCENE.labels > 0).astype(np.uint8) * 255])
    def test_further_binary_masks_are_pasted_and_kept_free(self, own: np.ndarray | None) -> None:
        further = np.zeros(SHAPE, np.uint8)
        further[:48] = 255
        pipeline = self.compose(self.paste(**ANYWHERE), masks={"more": "mask"})
        given = {} if own is None else {"mask": own}
        out = pipeline(**self.boxed(more=further, **given))
        assert (out["image"][:48] == SCENE.image[:48]).all()
        changed = out["more"] != further
        assert changed.any()
        assert set(np.unique(out["more"])) == {0, 255}
        if own is not None:
            assert ((out["mask"] != own) == changed).all()

    def test_boxes_beside_a_mask_are_kept_free(self) -> None:
        out = self.compose(self.paste(**ANYWHERE))(
            image=SCENE.image, mask=SCENE.labels, bboxes=UPPER, labels=[1]
        )
        assert len(out["bboxes"]) > 1
        assert (out["image"][:48] == SCENE.image[:48]).all()

    # row 141
    def test_a_seed_is_refused_and_a_store_kept(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="seed=3 has no use here: chance comes from A"):
            self.paste(seed=3)
        self.library.save(tmp_path / "targets.npz")
        made = self.module.BagCopyPaste(tmp_path / "targets.npz", sky_store=tmp_path / "sky")
        values = self.A.to_dict(self.A.Compose([made]))
        again = self.A.from_dict(values)[0]
        assert again.core.sky_store == made.core.sky_store == tmp_path / "sky"


class TestTorchvision:
    @pytest.fixture(autouse=True)
    def load(self, targets: TargetLibrary) -> None:
        self.tv, self.v2, self.module = hosts.torchvision()
        self.torch = pytest.importorskip("torch")
        self.library = targets

    def paste(self, *inputs: Any, **settings: Any) -> Any:
        self.torch.manual_seed(1)
        return self.module.BagCopyPaste(self.library, **ANYWHERE | settings)(*inputs)

    def image(self) -> Any:
        return self.tv.Image(self.torch.from_numpy(SCENE.image)[None])

    def boxes(self, rows: Any = BOXES, form: str = "XYXY", dtype: Any = None) -> Any:
        boxes = self.torch.from_numpy(np.asarray(rows, np.float32))
        made = self.v2.functional.convert_bounding_box_format(
            boxes, old_format=self.tv.BoundingBoxFormat.XYXY, new_format=form
        )
        made = made if dtype is None else made.to(getattr(self.torch, dtype))
        return self.tv.BoundingBoxes(made, format=form, canvas_size=SHAPE)

    def mask(self, values: np.ndarray) -> Any:
        return self.tv.Mask(self.torch.from_numpy(values))

    def target(self, **more: Any) -> dict[str, Any]:
        return {"boxes": self.boxes(), "labels": self.torch.ones(2, dtype=self.torch.int64)} | more

    # row 135
    def test_a_sky_that_does_not_travel(self) -> None:
        plain = self.torch.from_numpy(half_sky())
        for sky in (plain, plain.numpy(), plain.tolist()[0][0]):
            with pytest.raises(
                ValueError, match=r"sky must be a tv_tensors\.Mask, or it would not"
            ):
                self.paste(self.image(), self.target(sky=sky), region="sky")
        _, out = self.paste(self.image(), self.target(sky=plain))
        assert len(out["boxes"]) > 2

    @pytest.mark.parametrize(
        "target", [{"image_id": 17}, {}, {"image_id": 17, "annotations": []}, {"labels": None}]
    )
    # row 136
    def test_no_list_at_all(self, target: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="so new targets would have no labels"):
            self.paste(self.image(), target)
        sample = {"image": self.image(), "image_id": 17}
        with pytest.raises(ValueError, match="so new targets would have no labels"):
            self.paste(sample)

    def test_images_alone_are_pasted(self) -> None:
        for sample in (self.image(), {"image": self.image(), "path": "a.png"}):
            made = self.paste(sample)
            made = made["image"] if isinstance(made, dict) else made
            assert (made != self.image()).any()

    @pytest.mark.parametrize("n", [0, 2])
    # row 137
    def test_lists_that_would_stay_short(self, n: int) -> None:
        torch = self.torch
        few = {"boxes": self.boxes(BOXES[:n]), "labels": torch.ones(n)}
        for name, values in {
            "ids": torch.arange(n),
            "names": ["a"] * n,
            "scores": np.ones(n),
            "corners": torch.zeros(n, 3),
        }.items():
            with pytest.raises(ValueError, match=f"'{name}' has {n} rows, as many as there are"):
                self.paste(self.image(), few | {name: values})
        for name in ("labels", "area", "iscrowd"):
            with pytest.raises(ValueError, match=f"{name} must be a tensor with a row for each"):
                self.paste(self.image(), few | {name: [1] * n})
        with pytest.raises(ValueError, match=r"2 has .* rows"):
            self.paste(self.image(), self.boxes(BOXES[:n]), torch.ones(n))

    # row 137
    def test_lists_that_are_named_grow(self) -> None:
        target = self.target(ids=self.torch.arange(2), size=self.torch.tensor([96, 128]))
        _, out = self.paste(self.image(), target, fill={"ids": -1})
        assert out["ids"].tolist() == [0, 1] + [-1] * (len(out["boxes"]) - 2)
        assert out["size"].tolist() == [96, 128]
        with pytest.raises(ValueError, match="boxes and labels must have the same length"):
            self.paste(self.image(), {"boxes": self.boxes(), "labels": self.torch.ones(3)})

    @pytest.mark.parametrize("on", [1, 255, 7])
    @pytest.mark.parametrize("n", [1, 2])
    # row 139
    def test_a_stack_says_what_is_on(self, on: int, n: int) -> None:
        target = {"boxes": self.boxes(BOXES[:n]), "masks": self.mask(STACK[:n] * np.uint8(on))}
        _, out = self.paste(self.image(), target)
        assert len(out["masks"]) == len(out["boxes"]) > 2
        assert out["masks"].amax((1, 2)).tolist() == [on] * len(out["masks"])

    def test_a_stack_that_does_not(self) -> None:
        mixed = np.stack([STACK[0], STACK[1] * 255])
        with pytest.raises(ValueError, match="masks hold 1 and 255, and which is on is not known"):
            self.paste(self.image(), {"masks": self.mask(mixed)})
        _, out = self.paste(self.image(), {"masks": self.mask(mixed)}, mask_value=255)
        assert (out["masks"][2:].amax((1, 2)) == 255).all()
        with pytest.raises(ValueError, match="bboxes, mask and labels must have the same length"):
            self.paste(self.image(), self.target(masks=self.mask(STACK[:1])))

    # row 140
    def test_ignored_boxes_are_kept_free(self) -> None:
        target = {"boxes": self.boxes(UPPER), "masks": self.mask(STACK[:1] * 0)}
        made, out = self.paste(self.image(), target)
        assert len(out["boxes"]) > 1
        assert (made[:, :48] == self.image()[:, :48]).all()

    @pytest.mark.parametrize(
        ("form", "dtype"), [("CXCYWH", "int64"), ("XYXY", "int8"), ("XYWH", "bfloat16")]
    )
    def test_boxes_that_a_dtype_cannot_hold(self, form: str, dtype: str) -> None:
        wide = self.tv.Image(self.torch.from_numpy(np.tile(SCENE.image, (3, 9)))[None])
        with pytest.raises(ValueError, match=rf"boxes of torch\.{dtype} can't hold"):
            self.paste(wide, {"boxes": self.boxes(form=form, dtype=dtype)})

    @pytest.mark.parametrize("form", ["XYXY", "XYWH", "CXCYWH"])
    @pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
    def test_boxes_that_it_can(self, form: str, dtype: str) -> None:
        if (form, dtype) == ("CXCYWH", "int32"):
            pytest.skip("half pixels")
        one = self.paste(self.image(), {"boxes": self.boxes()})[1]["boxes"]
        other = self.paste(self.image(), {"boxes": self.boxes(form=form, dtype=dtype)})[1]["boxes"]
        assert other.dtype == getattr(self.torch, dtype)
        back = self.v2.functional.convert_bounding_box_format(other, new_format="XYXY")
        assert (back.double() == one.double()).all()

    @pytest.mark.parametrize(("dtype", "label"), [("bfloat16", 257), ("float16", 2049)])
    def test_classes_that_it_cannot(self, dtype: str, label: int) -> None:
        labels = self.torch.ones(2, dtype=getattr(self.torch, dtype))
        with pytest.raises(ValueError, match=r"labels of .* can't hold"):
            self.paste(self.image(), self.target(labels=labels), label=label)

    def test_the_class_is_asked_for_and_a_seed_refused(self) -> None:
        with pytest.raises(ValueError, match=r"labels .* no class is said for new targets"):
            self.paste(self.image(), self.target(), label=None)
        with pytest.raises(ValueError, match=r"seed=3 has no use here: .* torch\.manual_seed"):
            self.paste(self.image(), seed=3)


class TestMmdet:
    @pytest.fixture(autouse=True)
    def load(self, monkeypatch: pytest.MonkeyPatch, targets: TargetLibrary) -> None:
        self.module, self.library = hosts.mmdet_stand_in(monkeypatch), targets

    def paste(self, results: dict[str, Any], **settings: Any) -> dict[str, Any]:
        return self.module.BagCopyPaste(self.library, **ANYWHERE | settings)(results)

    def results(self, **more: Any) -> dict[str, Any]:
        given = {"gt_bboxes": BOXES, "gt_bboxes_labels": np.ones(2, np.int64)}
        return {"img": SCENE.image, "instances": [{}, {}], **given, **more}

    @pytest.mark.parametrize("n", [0, 2])
    # row 137
    def test_lists_that_would_stay_short(self, n: int) -> None:
        few = {"gt_bboxes": BOXES[:n], "gt_bboxes_labels": np.ones(n, int)}
        for name in ("gt_instances_ids", "gt_keypoints"):
            for rows in (np.arange(n), [5] * n):
                with pytest.raises(ValueError, match=rf"{name} has {n} rows, one for each target"):
                    self.paste(self.results(**few, **{name: rows}))
        fill = {"gt_instances_ids": -1}
        made = self.paste(self.results(**few, gt_instances_ids=np.arange(n)), fill=fill)
        assert made["gt_instances_ids"].tolist() == [*range(n)] + [-1] * made["n_pasted"]
        with pytest.raises(ValueError, match="must have the same length"):
            self.paste(self.results(gt_ignore_flags=np.zeros(3, bool)))

    # row 136
    def test_no_list_at_all(self) -> None:
        with pytest.raises(ValueError, match="results have no gt_bboxes and no gt_masks"):
            self.paste({"img": SCENE.image})

    @pytest.mark.parametrize("on", [1, 255])
    def test_masks_say_what_is_on(self, on: int) -> None:
        masks = hosts.BitmapMasks(STACK * np.uint8(on), *SHAPE)
        made = self.paste(self.results(gt_masks=masks))["gt_masks"].masks
        assert made.max(axis=(1, 2)).tolist() == [on] * len(made)
        assert len(made) > 2
        mixed = hosts.BitmapMasks(np.stack([STACK[0], STACK[1] * 255]), *SHAPE)
        with pytest.raises(ValueError, match="gt_masks hold 1 and 255"):
            self.paste(self.results(gt_masks=mixed))

    # row 140
    def test_ignored_boxes_are_kept_free(self) -> None:
        given = self.results(
            gt_bboxes=UPPER,
            gt_bboxes_labels=np.ones(1, int),
            gt_ignore_flags=np.ones(1, bool),
            gt_masks=hosts.BitmapMasks(STACK[:1] * 0, *SHAPE),
        )
        made = self.paste(given)
        assert made["n_pasted"]
        assert (made["img"][:48] == SCENE.image[:48]).all()
        assert made["gt_ignore_flags"].tolist() == [True] + [False] * made["n_pasted"]

    def test_boxes_that_a_dtype_cannot_hold(self) -> None:
        wide = np.tile(SCENE.image, (1, 4))
        given = self.results(gt_bboxes=BOXES.astype(np.uint8), img=wide)
        with pytest.raises(ValueError, match="bboxes of uint8 can't hold"):
            self.paste(given)

    def test_the_class_is_asked_for(self) -> None:
        with pytest.raises(ValueError, match=r"gt_bboxes_labels .* no class is said"):
            self.paste(self.results(), label=None)

    def test_several_keys_make_an_index(self) -> None:
        aug = self.module.BagCopyPaste(
            self.library, index_key=("img_path", "sample_idx"), **ANYWHERE
        )
        made = [
            aug(self.results(img_path=path, sample_idx=k))["img"].tobytes()
            for path in ("a/0.png", "b/0.png")
            for k in range(2)
        ]
        assert len(set(made)) == 4
        with pytest.warns(UserWarning, match=r"index \('a/0.png', 0\) came again in epoch 0"):
            again = aug(self.results(img_path="a/0.png", sample_idx=0))
        assert again["img"].tobytes() == made[0]
        aug(self.results(img_path="a/0.png", sample_idx=0))
        aug.set_epoch(1)
        other = aug(self.results(img_path="a/0.png", sample_idx=0))
        assert other["img"].tobytes() != made[0]

"""Labels that are there stay as they are; a label of another kind for new targets is refused."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.annotate import annotate

SHAPE = (96, 128)
ANYWHERE: dict[str, Any] = {"region": "anywhere", "n_regions": 1, "per_region": 2}
REFUSED = "of the same kind|can't hold"


def boxes() -> np.ndarray:
    return annotate(make_scene(SHAPE, targets=3).labels).boxes.astype(np.float32)


class TestAlbumentations:
    @pytest.fixture(autouse=True)
    def load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
        self.A = pytest.importorskip("albumentations")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.module = importlib.import_module("densesirst_gen.adapters.albumentations")

    def labels_after(self, library: TargetLibrary, given: Any, label: Any, **more: Any) -> Any:
        transform = self.module.BagCopyPaste(library, label=label, **ANYWHERE)
        params = self.A.BboxParams("pascal_voc", label_fields=["kinds", *more])
        pipeline = self.A.Compose([transform], bbox_params=params, seed=0)
        image = make_scene(SHAPE, targets=3).image
        return pipeline(image=image, bboxes=boxes()[: len(given)], kinds=given, **more)["kinds"]

    @pytest.mark.parametrize(
        ("given", "label"),
        [
            (["a", "b", "c"], "new"),
            ([1, 2, 3], 0),
            ([1.5, 2, 3], 7.5),
            (np.array(["aaa", "b", "c"]), "new"),
            (np.array(["a", "b", "c"], object), "new"),
            (np.array([1, 2, 3], np.uint8), 255),
            (np.array([1, 2, 3]), np.int64(4)),
            (np.array([True, False, True]), False),
            (np.array([1, 2, 3], np.float32), 0.1),
        ],
    )
    def test_given_labels_stay(self, given: Any, label: Any, targets: TargetLibrary) -> None:
        after = self.labels_after(targets, given, label)
        assert type(after) is type(given)
        assert len(after) == 5
        assert list(after[:3]) == list(given)
        assert list(after[3:]) == pytest.approx([label] * 2) or list(after[3:]) == [label] * 2

    @pytest.mark.parametrize(
        ("given", "label"),
        [
            (["a", "b", "c"], 0),
            (["a", "b", "c"], 1.5),
            (["a", "b", "c"], None),
            (np.array(["a", "b", "c"]), 0),
            (np.array(["a", "b", "c"]), "new"),
            (np.array(["a", "b", "c"], object), 0),
            ([1, 2, 3], "new"),
            ([1, 2, 3], None),
            (np.array([1, 2, 3]), 1.5),
            (np.array([1, 2, 3], np.uint8), 300),
            (np.array([1, 2, 3], np.uint8), -1),
            (np.array([1, 2, 3]), "new"),
            (np.array([True, False, True]), 2),
            ([None, 1, 2], 0),
            ([0, "a", 2], 0),
            (np.zeros(0, "<U5"), 0),
            (np.zeros(0, int), "new"),
        ],
    )
    # row 138
    def test_a_label_of_another_kind(self, given: Any, label: Any, targets: TargetLibrary) -> None:
        with pytest.raises(ValueError, match=rf"label field 'kinds' .*({REFUSED})"):
            self.labels_after(targets, given, label)

    # row 138
    def test_the_default_is_refused_beside_text(self, targets: TargetLibrary) -> None:
        transform = self.module.BagCopyPaste(targets, **ANYWHERE)
        pipeline = self.A.Compose(
            [self.A.HorizontalFlip(p=1), transform],
            keypoint_params=self.A.KeypointParams("xy", label_fields=["names"]),
        )
        scene = make_scene(SHAPE)
        points = annotate(scene.labels).points
        with pytest.raises(ValueError, match=r"'names' holds text, .* 0: give label=\.\.\. of the"):
            pipeline(image=scene.image, keypoints=points, names=["a", "b"])

    def test_a_field_without_its_label(self, targets: TargetLibrary) -> None:
        with pytest.raises(ValueError, match="label says nothing of the label field 'kinds'"):
            self.labels_after(targets, [1, 2, 3], {"other": 3})
        made = self.labels_after(targets, ["a", "b", "c"], {"kinds": "d", "n": 4}, n=[1, 2, 3])
        assert made == ["a", "b", "c", "d", "d"]

    def test_text_in_a_plain_column(self, targets: TargetLibrary) -> None:
        transform = self.module.BagCopyPaste(targets, label="new", **ANYWHERE)
        pipeline = self.A.Compose([transform], bbox_params=self.A.BboxParams("pascal_voc"))
        rows = np.hstack([boxes(), np.ones((3, 1))])
        with pytest.raises(ValueError, match=r"the last column of bboxes holds numbers"):
            pipeline(image=make_scene(SHAPE, targets=3).image, bboxes=rows)


class TestTorchvision:
    @pytest.fixture(autouse=True)
    def load(self) -> None:
        self.torch = pytest.importorskip("torch")
        if importlib.util.find_spec("torchvision") is None:
            pytest.skip("torchvision is not installed")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.module = importlib.import_module("densesirst_gen.adapters.torchvision")
            except ImportError as error:
                pytest.skip(str(error))

    def labels_after(self, library: TargetLibrary, given: Any, label: Any = 0) -> Any:
        tv, torch = self.module.tv_tensors, self.torch
        image = tv.Image(torch.from_numpy(make_scene(SHAPE, targets=3).image)[None])
        made = tv.BoundingBoxes(torch.tensor(boxes()), format="XYXY", canvas_size=SHAPE)
        transform = self.module.BagCopyPaste(library, label=label, **ANYWHERE)
        return transform(image, {"boxes": made, "labels": given})[1]["labels"]

    def test_given_labels_stay(self, targets: TargetLibrary) -> None:
        for dtype in (self.torch.int64, self.torch.uint8, self.torch.float32, self.torch.bfloat16):
            given = self.torch.tensor([1, 2, 3], dtype=dtype)
            after = self.labels_after(targets, given, 4)
            assert after.dtype == dtype
            assert after.tolist() == [1, 2, 3, 4, 4]

    @pytest.mark.parametrize(
        ("dtype", "label"),
        [("uint8", 300), ("int64", 1.5), ("int64", "new"), ("int64", None), ("bool", 2)],
    )
    # row 138
    def test_a_label_of_another_kind(self, dtype: str, label: Any, targets: TargetLibrary) -> None:
        given = self.torch.ones(3, dtype=getattr(self.torch, dtype))
        with pytest.raises(ValueError, match=rf"labels .*({REFUSED})"):
            self.labels_after(targets, given, label)

    def test_labels_that_cannot_grow_are_refused(self, targets: TargetLibrary) -> None:
        """They would be fewer than the boxes."""
        for given in (["a", "b", "c"], np.ones(3), [1, 2, 3]):
            with pytest.raises(ValueError, match="labels must be a tensor with a row for each"):
                self.labels_after(targets, given)
        with pytest.raises(ValueError, match=r"labels must be \(N,\), got \(3, 2\)"):
            self.labels_after(targets, self.torch.ones(3, 2))


@pytest.fixture
def mmdet(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The adapter, on as much of MMDetection as it relies on."""
    registry = types.SimpleNamespace(register_module=lambda: lambda cls: cls)
    modules: dict[str, dict[str, Any]] = {
        "mmcv": {},
        "mmcv.transforms": {"BaseTransform": type("BaseTransform", (), {})},
        "mmdet": {},
        "mmdet.registry": {"TRANSFORMS": registry},
        "mmdet.structures": {},
        "mmdet.structures.bbox": {"BaseBoxes": type("BaseBoxes", (), {})},
        "mmdet.structures.mask": {"BitmapMasks": type("BitmapMasks", (), {})},
    }
    for name, content in modules.items():
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**content))
    spec = importlib.util.find_spec("densesirst_gen.adapters.mmdet")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("given", "label", "words"),
    [
        (np.ones(3, np.uint8), 300, "can't hold 300"),
        (np.ones(3, np.int64), 1.5, r"can't hold 1\.5"),
        (np.ones(3, np.int64), "new", "of the same kind"),
        (np.array(["a", "b", "c"]), 0, "of the same kind"),
        (["a", "b", "c"], 0, "of the same kind"),
        (np.ones(3, np.int64), 2, ""),
        ([1, 1, 1], 2, ""),
    ],
)
def test_labels_in_mmdet(
    given: Any, label: Any, words: str, mmdet: Any, targets: TargetLibrary
) -> None:
    transform = mmdet.BagCopyPaste(targets, label=label, **ANYWHERE)
    results = {"img": make_scene(SHAPE, targets=3).image, "gt_bboxes_labels": given}
    results["gt_bboxes"] = boxes()
    if words:
        with pytest.raises(ValueError, match=f"gt_bboxes_labels .*{words}"):
            transform.transform(results)
    else:
        after = transform.transform(results)["gt_bboxes_labels"]
        assert after.tolist() == [1, 1, 1, 2, 2]


@pytest.mark.parametrize(("label", "n"), [(300, 1), (1.5, 1), ("new", 1), (None, 1), (300, 0)])
def test_labels_of_the_core(label: Any, n: int, targets: TargetLibrary) -> None:
    """Also where no box is there yet."""
    aug = BagCopyPaste(targets, label=label, **ANYWHERE)
    with pytest.raises(ValueError, match=rf"labels .*({REFUSED})"):
        aug(
            image=make_scene(SHAPE, targets=3).image,
            bboxes=boxes()[:n],
            labels=np.ones(n, np.uint8),
        )

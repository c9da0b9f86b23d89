"""The augmentation inside other libraries: their own classes, where these are installed."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import json
import pickle
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment import notices
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import SKIPPED
from densesirst_gen.scene.annotate import annotate, label_mask

SHAPE = (96, 128)
NEEDS = ("albumentations", "torchvision", "mmdet")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips are part of these tests; their warning is tested elsewhere."""
    monkeypatch.setattr(notices, "_told", set(SKIPPED))


@pytest.fixture
def library_file(targets: TargetLibrary, tmp_path: Path) -> str:
    targets.save(tmp_path / "targets.npz")
    return str(tmp_path / "targets.npz")


def adapter(name: str) -> Any:
    """An adapter's module; the test is skipped where its library is not installed."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    with warnings.catch_warnings():  # other libraries' own, at import
        warnings.simplefilter("ignore")
        return importlib.import_module(f"densesirst_gen.adapters.{name}")


def boxes_of(mask: np.ndarray) -> set[tuple[int, ...]]:
    """Tight boxes of the pieces of a mask."""
    return {tuple(box) for box in annotate(label_mask(mask != 0)).boxes.tolist()}


def as_set(boxes: Any) -> set[tuple[int, ...]]:
    return {tuple(int(v) for v in np.round(box[:4])) for box in boxes}


def flat_sky() -> np.ndarray:
    sky = np.zeros(SHAPE, np.uint8)
    sky[:60, :100] = 1
    return sky


@pytest.mark.parametrize("name", NEEDS)
def test_without_the_library_the_import_says_what_is_needed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"densesirst_gen.adapters.{name}", raising=False)
    if name == "torchvision":
        pytest.importorskip("torch")
    with pytest.raises(ImportError, match=rf"densesirst_gen\.adapters\.{name} needs"):
        importlib.import_module(f"densesirst_gen.adapters.{name}")


def test_the_core_does_without_them() -> None:
    code = "import densesirst_gen.augment.bag_copy_paste, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in done.stdout.split()} & {"torch", *NEEDS}


def stand_ins() -> dict[str, types.SimpleNamespace]:
    """As much of MMDetection's modules as its adapter relies on."""

    class BaseTransform:
        def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
            return self.transform(results)

    class BitmapMasks:
        def __init__(self, masks: np.ndarray, height: int, width: int) -> None:
            self.masks, self.height, self.width = masks, height, width

    registry = types.SimpleNamespace(register_module=lambda: lambda cls: cls)
    return {
        "mmcv": types.SimpleNamespace(),
        "mmcv.transforms": types.SimpleNamespace(BaseTransform=BaseTransform),
        "mmdet": types.SimpleNamespace(),
        "mmdet.registry": types.SimpleNamespace(TRANSFORMS=registry),
        "mmdet.structures": types.SimpleNamespace(),
        "mmdet.structures.bbox": types.SimpleNamespace(BaseBoxes=type("BaseBoxes", (), {})),
        "mmdet.structures.mask": types.SimpleNamespace(BitmapMasks=BitmapMasks),
    }


def test_the_contract_with_mmdet_holds_without_it(
    library_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = stand_ins()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.find_spec("densesirst_gen.adapters.mmdet")
    adapted = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(adapted)
    scene = make_scene(SHAPE)
    stacked = (scene.labels == np.arange(1, 3)[:, None, None]).astype(np.uint8)
    results = {
        "img": np.stack([scene.image] * 3, axis=-1),
        "gt_bboxes": annotate(scene.labels).boxes.astype(np.float32),
        "gt_bboxes_labels": np.zeros(2, np.int64),
        "gt_ignore_flags": np.zeros(2, bool),
        "gt_masks": modules["mmdet.structures.mask"].BitmapMasks(stacked, *SHAPE),
        "gt_seg_map": flat_sky(),
    }
    out = adapted.BagCopyPaste(library_file, label=0)(results)
    masks = out["gt_masks"].masks
    assert out["n_pasted"] > 3
    lengths = [len(out[k]) for k in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags")]
    assert [*lengths, len(masks)] == [2 + out["n_pasted"]] * 4
    assert as_set(out["gt_bboxes"]) == boxes_of(masks.any(axis=0))
    assert (flat_sky()[masks[2:].any(axis=0)] == 1).all()


class TestAlbumentations:
    @pytest.fixture(autouse=True)
    def load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
        self.module = adapter("albumentations")
        self.A = importlib.import_module("albumentations")

    def sample(self, targets: int = 2, channels: int = 3, labels: Any = None) -> dict[str, Any]:
        scene = make_scene(SHAPE, targets=targets)
        found = annotate(scene.labels)
        n = len(found)
        return {
            "image": np.stack([scene.image] * channels, axis=-1),
            "mask": (scene.labels > 0).astype(np.uint8) * 255,
            "sky": flat_sky(),
            "bboxes": found.boxes.astype(np.float32),
            "labels": np.full(n, 5) if labels is None else labels,
            "keypoints": found.points.astype(np.float32),
            "kinds": ["old"] * n,
        }

    def compose(self, *transforms: Any, kind: str = "Compose", **options: Any) -> Any:
        A = self.A
        return getattr(A, kind)(
            list(transforms),
            bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"]),
            keypoint_params=A.KeypointParams("xy", label_fields=["kinds"]),
            additional_targets={"sky": "mask"},
            **options,
        )

    def transform(self, library: Any, **options: Any) -> Any:
        return self.module.BagCopyPaste(library, label={"labels": 9, "kinds": "new"}, **options)

    def check(self, out: dict[str, Any], n_old: int) -> int:
        n = len(out["bboxes"])
        assert as_set(out["bboxes"]) == boxes_of(out["mask"])
        assert len(out["labels"]) == len(out["keypoints"]) == len(out["kinds"]) == n
        assert sorted(out["labels"]) == [5] * n_old + [9] * (n - n_old)
        assert sorted(out["kinds"]) == ["new"] * (n - n_old) + ["old"] * n_old
        for (x, y), kind in zip(out["keypoints"], out["kinds"], strict=True):
            assert out["mask"][round(y), round(x)] == 255
            assert kind == "old" or out["sky"][round(y), round(x)] == 1
        return n - n_old

    @pytest.mark.parametrize("targets_there", [0, 2])
    def test_new_targets_in_all_lists(self, targets_there: int, library_file: str) -> None:
        A, given = self.A, self.sample(targets_there)
        before = copy.deepcopy(given)
        pipeline = self.compose(
            A.HorizontalFlip(p=1), self.transform(library_file), A.VerticalFlip(p=1), seed=1
        )
        total = 0
        for _ in range(5):
            out = pipeline(**given)
            total += self.check(out, targets_there)
            assert (out["sky"] == given["sky"][::-1, ::-1]).all()
            assert out["image"].dtype == np.uint8
        assert total > 10
        for name, value in before.items():
            assert np.array_equal(given[name], value)

    def test_empty_first_and_then_not(self, library_file: str) -> None:
        """Albumentations forgets label fields beside empty tables."""
        pipeline = self.compose(self.transform(library_file), seed=0)
        for n in (0, 2, 0, 2):
            out = pipeline(**self.sample(n))
            self.check(out, n)
            assert isinstance(out["labels"], np.ndarray)
            assert out["labels"].dtype == np.int64

    def test_nothing_pasted_leaves_all_as_it_was(self, library_file: str) -> None:
        for n in (0, 2):
            given = self.sample(n) | {"sky": np.zeros(SHAPE, np.uint8)}
            out = self.compose(self.transform(library_file))(**given)
            assert self.check(out, n) == 0
            assert (out["image"] == given["image"]).all()

    def test_seed_rules_and_p_counts(self, library_file: str) -> None:
        def run(seed: int) -> list[bytes]:
            pipeline = self.compose(self.transform(library_file, p=0.5), seed=seed)
            return [pipeline(**self.sample())["image"].tobytes() for _ in range(12)]

        assert run(3) == run(3) != run(4)
        untouched = self.sample()["image"].tobytes()
        assert 1 < run(3).count(untouched) < 11

    def test_replay(self, library_file: str) -> None:
        A, given = self.A, self.sample()
        with warnings.catch_warnings():  # "could work incorrectly ... params depend on targets"
            warnings.simplefilter("ignore")
            pipeline = self.compose(
                A.HorizontalFlip(), self.transform(library_file), kind="ReplayCompose"
            )
            first = pipeline(**given)
            second = A.ReplayCompose.replay(first["replay"], **given)
        step = first["replay"]["transforms"][1]["params"]
        assert (step["n_pasted"], step["skip_reason"]) == (len(step["plan"]), "")
        assert step["n_pasted"] == self.check(first, 2) > 0
        for name in given:
            assert np.array_equal(first[name], second[name])

    def test_to_and_from_dict_and_file(self, library_file: str, tmp_path: Path) -> None:
        A = self.A
        pipeline = self.compose(self.transform(library_file, gain=(0.7, 0.9), sky="predict"))
        A.save(pipeline, tmp_path / "pipeline.json")
        values = A.to_dict(pipeline)
        assert json.loads(json.dumps(values)) == json.loads(json.dumps(values))
        outs = []
        for other in (pipeline, A.from_dict(values), A.load(tmp_path / "pipeline.json")):
            other.set_random_seed(5)
            assert other.transforms[0].core.config == pipeline.transforms[0].core.config
            outs.append(other(**self.sample())["image"])
        assert (outs[0] == outs[1]).all()
        assert (outs[0] == outs[2]).all()
        assert "BagCopyPaste" in repr(pipeline)

    def test_pickles(self, targets: TargetLibrary) -> None:
        pipeline = pickle.loads(pickle.dumps(self.compose(self.transform(targets), seed=2)))
        same = self.compose(self.transform(targets), seed=2)
        assert (pipeline(**self.sample())["image"] == same(**self.sample())["image"]).all()

    def test_other_box_formats_and_no_fields(self, library_file: str) -> None:
        A, scene = self.A, make_scene(SHAPE)
        boxes = annotate(scene.labels).boxes
        rows = [[x0, y0, x1 - x0, y1 - y0, 4] for x0, y0, x1, y1 in boxes.tolist()]
        pipeline = A.Compose(
            [self.module.BagCopyPaste(library_file, region="anywhere", label=8)],
            bbox_params=A.BboxParams("coco"),
        )
        out = pipeline(image=scene.image, mask=scene.labels, bboxes=rows)
        as_corners = [[x, y, x + w, y + h] for x, y, w, h, _ in out["bboxes"]]
        assert as_set(as_corners) >= boxes_of(out["mask"]) - boxes_of(scene.labels)
        assert [int(row[4]) for row in out["bboxes"]] == [4] * 2 + [8] * (len(out["bboxes"]) - 2)
        assert out["mask"].max() == len(out["bboxes"]) > 2

    def test_lists_of_masks_are_refused(self, library_file: str) -> None:
        pipeline = self.A.Compose([self.module.BagCopyPaste(library_file, region="anywhere")])
        image = make_scene(SHAPE).image
        with pytest.raises(NotImplementedError, match="takes one mask"):
            pipeline(image=image, masks=np.zeros((2, *SHAPE), np.uint8))

    def test_workers_draw_differently(self, library_file: str, monkeypatch: Any) -> None:
        """Forked workers start with equal generators of Albumentations."""
        images = []
        for worker in (1, 2):
            monkeypatch.setattr(self.module, "process_key", lambda worker=worker: worker)
            pipeline = self.compose(self.transform(library_file), seed=0)
            images.append(pipeline(**self.sample())["image"])
        assert (images[0] != images[1]).any()


def load_torchvision() -> Any:
    """torchvision, also one that was built for another torch: its operators are not needed here."""
    torch = pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("torchvision")
        except RuntimeError:
            for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            load_torchvision.operators = torch.library.Library("torchvision", "FRAGMENT")
            for name in ("nms", "qnms"):
                load_torchvision.operators.define(
                    f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
            return importlib.import_module("torchvision")


class TestTorchvision:
    @pytest.fixture(autouse=True)
    def load(self) -> None:
        load_torchvision()
        self.module = adapter("torchvision")
        self.torch = importlib.import_module("torch")
        self.v2 = importlib.import_module("torchvision.transforms.v2")
        self.tv = importlib.import_module("torchvision.tv_tensors")

    def target(self, n: int = 2, box_format: str = "XYXY", stack: bool = True) -> dict[str, Any]:
        torch, tv, scene = self.torch, self.tv, make_scene(SHAPE, targets=n)
        found = annotate(scene.labels)
        boxes = tv.BoundingBoxes(
            torch.tensor(found.boxes, dtype=torch.float32), format="XYXY", canvas_size=SHAPE
        )
        boxes = self.v2.functional.convert_bounding_box_format(boxes, new_format=box_format)
        stacked = scene.labels == np.arange(1, n + 1)[:, None, None]
        mask = stacked if stack else scene.labels
        return {
            "boxes": boxes,
            "masks": tv.Mask(torch.from_numpy(mask)),
            "labels": torch.full((n,), 3),
            "iscrowd": torch.zeros(n, dtype=torch.int64),
            "area": torch.tensor(found.areas, dtype=torch.float32),
            "points": tv.KeyPoints(
                torch.tensor(found.points, dtype=torch.float32).reshape(-1, 2), canvas_size=SHAPE
            ),
            "sky": tv.Mask(torch.from_numpy(flat_sky())),
            "image_id": torch.tensor([17]),
            "n_pasted": 0,
        }

    def image(self, n: int = 2) -> Any:
        return self.tv.Image(self.torch.from_numpy(make_scene(SHAPE, targets=n).image)[None])

    @pytest.mark.parametrize("box_format", ["XYXY", "XYWH", "CXCYWH"])
    @pytest.mark.parametrize("n", [0, 2])
    def test_all_that_has_a_row_for_a_target(
        self, box_format: str, n: int, library_file: str
    ) -> None:
        image, target = self.image(n), self.target(n, box_format)
        before = copy.deepcopy((image, target))
        self.torch.manual_seed(1)
        out_image, out = self.module.BagCopyPaste(library_file, label=7)(image, target)
        pasted = out["n_pasted"]
        assert pasted > 3
        assert out_image.shape == image.shape
        assert (out_image >= image).all()
        for name in ("boxes", "masks", "labels", "iscrowd", "area", "points"):
            assert len(out[name]) == n + pasted
            assert type(out[name]) is type(target[name])
            assert out[name].dtype == target[name].dtype
            assert (out[name][:n] == target[name]).all()
        xyxy = self.v2.functional.convert_bounding_box_format(out["boxes"], new_format="XYXY")
        assert out["boxes"].format.value == box_format
        assert as_set(xyxy.numpy()) == boxes_of(out["masks"].any(0).numpy())
        assert (out["area"] == out["masks"].sum((1, 2))).all()
        assert out["labels"].tolist() == [3] * n + [7] * pasted
        assert out["image_id"] is target["image_id"]
        assert out["sky"] is target["sky"]
        assert (flat_sky()[out["masks"][n:].any(0).numpy()] == 1).all()
        assert (before[0] == image).all()
        for name in ("boxes", "masks", "labels"):
            assert self.torch.equal(before[1][name], target[name])

    def test_label_images_colour_and_nesting(self, library_file: str) -> None:
        image = self.tv.Image(self.image().expand(3, -1, -1))
        nested = {"a": [image, {"deep": (self.target(stack=False),)}], "b": "text"}
        out = self.module.BagCopyPaste(library_file, label=1)(nested)
        target = out["a"][1]["deep"][0]
        assert out["b"] == "text"
        assert target["masks"].dtype == self.torch.int32
        assert target["masks"].max() == 2 + target["n_pasted"] == len(target["boxes"])
        assert out["a"][0].shape == (3, *SHAPE)

    def test_inside_a_pipeline_the_sky_follows(self, library_file: str) -> None:
        v2 = self.v2
        steps = [v2.RandomHorizontalFlip(1.0), self.module.BagCopyPaste(library_file, label=1)]
        after = [v2.RandomVerticalFlip(1.0), v2.SanitizeBoundingBoxes()]
        self.torch.manual_seed(0)
        _, out = v2.Compose(steps + after)(self.image(), self.target())
        pasted = out["masks"][2:].any(0).numpy()
        assert pasted.any()
        assert (flat_sky()[::-1, ::-1][pasted] == 1).all()
        assert as_set(out["boxes"].numpy()) == boxes_of(out["masks"].any(0).numpy())

    def test_chance_is_torchs(self, library_file: str) -> None:
        transform = self.module.BagCopyPaste(library_file, region="anywhere")

        def run(seed: int) -> list[bytes]:
            self.torch.manual_seed(seed)
            return [transform(self.image()).numpy().tobytes() for _ in range(3)]

        assert run(0) == run(0) != run(1)
        assert len(set(run(0))) == 3

    def test_no_image_or_two_masks_are_errors(self, library_file: str) -> None:
        transform = self.module.BagCopyPaste(library_file)
        with pytest.raises(ValueError, match=r"needs a tv_tensors\.Image"):
            transform(self.target())
        with pytest.raises(ValueError, match="got two: mask"):
            transform(self.image(), self.target(), self.target()["masks"])
        with pytest.raises(ValueError, match=r"image must be \(C, H, W\), got \(2, 1, 96, 128\)"):
            transform(self.tv.Image(self.torch.zeros((2, 1, *SHAPE), dtype=self.torch.uint8)))

    def test_pickles(self, library_file: str) -> None:
        transform = self.module.BagCopyPaste(library_file, region="anywhere")
        outs = []
        for one in (transform, pickle.loads(pickle.dumps(transform)), copy.deepcopy(transform)):
            self.torch.manual_seed(4)
            outs.append(one(self.image()))
        assert (outs[0] == outs[1]).all()
        assert (outs[0] == outs[2]).all()
        assert "BagCopyPaste" in repr(transform)


def load_mmdet() -> None:
    """MMDetection, also on an mmcv without compiled operators: they are not needed here."""
    for name in ("mmdet", "mmcv", "mmengine"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    load_torchvision()
    if importlib.util.find_spec("mmcv._ext") is None:
        operators = types.ModuleType("mmcv._ext")
        operators.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)
        operators.__file__, operators.__path__ = "mmcv/_ext.py", []
        operators.__getattr__ = lambda name: NotImplemented  # type: ignore[method-assign]
        sys.modules["mmcv._ext"] = operators


class TestMmdet:
    @pytest.fixture(autouse=True)
    def load(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_mmdet()
            importlib.import_module("mmdet.datasets.transforms")
        self.module = adapter("mmdet")
        self.TRANSFORMS = importlib.import_module("mmdet.registry").TRANSFORMS
        self.BitmapMasks = importlib.import_module("mmdet.structures.mask").BitmapMasks
        self.HorizontalBoxes = importlib.import_module("mmdet.structures.bbox").HorizontalBoxes

    def results(self, n: int = 2, masks: bool = True, boxes: str = "HorizontalBoxes") -> dict:
        scene = make_scene(SHAPE, targets=n)
        found = annotate(scene.labels)
        stacked = (scene.labels == np.arange(1, n + 1)[:, None, None]).astype(np.uint8)
        as_array = found.boxes.astype(np.float32)
        made = {
            "img": np.stack([scene.image] * 3, axis=-1),
            "img_shape": SHAPE,
            "ori_shape": SHAPE,
            "img_id": 4,
            "sample_idx": 4,
            "img_path": "4.png",
            "gt_bboxes": self.HorizontalBoxes(as_array) if boxes else as_array,
            "gt_bboxes_labels": np.zeros(n, np.int64),
            "gt_ignore_flags": np.zeros(n, bool),
            "gt_seg_map": flat_sky(),
        }
        return made | ({"gt_masks": self.BitmapMasks(stacked, *SHAPE)} if masks else {})

    def build(self, library: str, **options: Any) -> Any:
        given = {"type": "BagCopyPaste", "library": library, "label": 0, **options}
        return self.TRANSFORMS.build(given)

    @pytest.mark.parametrize("boxes", ["HorizontalBoxes", ""])
    @pytest.mark.parametrize("n", [0, 2])
    def test_results_are_extended(self, n: int, boxes: str, library_file: str) -> None:
        given = self.results(n, boxes=boxes)
        before = copy.deepcopy(given)
        out = self.build(library_file, seed=1)(given)
        pasted = out["n_pasted"]
        assert pasted > 3
        assert set(out) == {*given, "n_pasted", "skip_reason"}
        for name in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_masks"):
            assert len(out[name]) == n + pasted
            assert type(out[name]) is type(given[name])
            assert getattr(out[name], "dtype", None) == getattr(given[name], "dtype", None)
        as_rows = out["gt_bboxes"].tensor.numpy() if boxes else out["gt_bboxes"]
        assert as_set(as_rows) == boxes_of(out["gt_masks"].masks.any(axis=0))
        assert (flat_sky()[out["gt_masks"].masks[n:].any(axis=0)] == 1).all()
        assert not out["gt_ignore_flags"].any()
        assert (given["img"] == before["img"]).all()
        assert len(given["gt_masks"]) == n

    def test_the_sky_of_the_pipeline_is_followed(self, library_file: str) -> None:
        flip = self.TRANSFORMS.build({"type": "RandomFlip", "prob": 1.0})
        pack = self.TRANSFORMS.build({"type": "PackDetInputs"})
        out = self.build(library_file)(flip(self.results(masks=False)))
        assert (out["gt_seg_map"] == flat_sky()[:, ::-1]).all()
        changed = (out["img"] != self.results()["img"][:, ::-1]).any(axis=2)
        assert changed.any()
        assert (out["gt_seg_map"][changed] == 1).mean() == 1
        instances = pack(out)["data_samples"].gt_instances
        assert len(instances.bboxes) == len(instances.labels) == 2 + out["n_pasted"]

    def test_calls_differ_unless_an_index_is_named(self, library_file: str) -> None:
        streaming = self.build(library_file)
        by_index = self.build(library_file, index_key="sample_idx")

        def run(transform: Any) -> bytes:
            return transform(self.results())["img"].tobytes()

        assert run(streaming) != run(streaming)
        first = run(by_index)
        with pytest.warns(UserWarning, match="index 4 came again in epoch 0"):
            assert first == run(by_index)
        by_index.set_epoch(1)
        assert first != run(by_index)

    def test_what_cannot_be_extended_is_refused(self, library_file: str) -> None:
        transform, given = self.build(library_file), self.results()
        with pytest.raises(ValueError, match="sky is missing"):
            transform({k: v for k, v in given.items() if k != "gt_seg_map"})
        with pytest.raises(ValueError, match=r"gt_masks must be BitmapMasks .* got list"):
            transform(given | {"gt_masks": [[]]})
        ids = self.build(library_file, sky_ids=(0,))(given)
        assert (flat_sky()[ids["gt_masks"].masks[2:].any(axis=0)] == 0).all()

"""Batches: what boxes can hold, batches of nothing, and float images without a span."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment import notices
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import TargetLibrary

torch = pytest.importorskip("torch")

from densesirst_gen.augment.batch import BatchBagCopyPaste  # noqa: E402

ANYWHERE = PasteConfig(region="anywhere", n_regions=2)


def images(shape: tuple[int, int], n: int = 2) -> Any:
    found = [make_scene(shape, targets=0, seed=k).image for k in range(n)]
    return torch.from_numpy(np.stack(found)[:, None])


def draws(aug: Any, n: int = 2) -> Any:
    return aug.draw(n, torch.Generator().manual_seed(0))


class TestBoxes:
    @pytest.mark.parametrize(
        ("dtype", "shape"),
        [
            ("uint8", (64, 300)),
            ("int8", (64, 130)),
            ("bfloat16", (300, 64)),
            ("bfloat16", (64, 257)),
        ],
    )
    def test_a_dtype_that_cannot_hold_them(
        self, dtype: str, shape: tuple[int, int], targets: TargetLibrary
    ) -> None:
        boxes = torch.zeros((2, 1, 4), dtype=getattr(torch, dtype))
        with pytest.raises(ValueError, match=rf"boxes of torch\.{dtype} can't hold all corners in"):
            BatchBagCopyPaste(targets, ANYWHERE)(images(shape), boxes=boxes)

    @pytest.mark.parametrize("dtype", ["bool", "complex64"])
    def test_no_numbers(self, dtype: str, targets: TargetLibrary) -> None:
        boxes = torch.zeros((2, 1, 4), dtype=getattr(torch, dtype))
        with pytest.raises(ValueError, match=r"boxes must be \(2, any, 4\) of torch.uint8 or"):
            BatchBagCopyPaste(targets, ANYWHERE)(images((64, 96)), boxes=boxes)

    @pytest.mark.parametrize(
        "dtype", ["uint8", "int16", "int32", "bfloat16", "float16", "float32", "float64"]
    )
    def test_all_others_give_the_same(self, dtype: str, targets: TargetLibrary) -> None:
        aug, given = BatchBagCopyPaste(targets, ANYWHERE), images((100, 250))
        boxes = torch.tensor([[[200, 40, 211, 51]], [[3, 4, 6, 7]]])
        wide = aug(given, boxes=boxes, draws=draws(aug))
        found = aug(given, boxes=boxes.to(getattr(torch, dtype)), draws=draws(aug))
        assert found.boxes.dtype == getattr(torch, dtype)
        assert torch.equal(found.boxes.long(), wide.boxes)
        assert torch.equal(found.points, wide.points)
        assert wide.points[0, 0].tolist() == [205, 45]


@pytest.mark.parametrize("region", ["sky", "anywhere"])
# row 141
def test_a_batch_of_nothing(region: str, targets: TargetLibrary) -> None:
    aug = BatchBagCopyPaste(targets, PasteConfig(region=region))
    shapes: dict[str, Any] = {"sky": torch.ones((0, 64, 80), dtype=torch.bool)}
    result = aug(images((64, 80))[:0], **(shapes if region == "sky" else {}))
    assert [len(part) for part in result[:5]] == [0] * 5


def test_p_is_checked(targets: TargetLibrary) -> None:
    assert BatchBagCopyPaste(targets, p=np.float32(0.5)).p == 0.5
    for p in (np.nan, True, "1", -0.1):
        with pytest.raises(ValueError, match=r"p must be in \[0, 1\]"):
            BatchBagCopyPaste(targets, p=p)


def test_floats_of_0_to_1(targets: TargetLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_told", set())
    aug = BatchBagCopyPaste(targets, ANYWHERE)
    given = images((64, 80)).float()
    given[0] /= 255
    with pytest.warns(UserWarning, match="float images without a span: .* said once"):
        plan = aug.plan(given, draws=draws(aug))
    extremes = [float(given[1].min()), float(given[1].max())]
    assert plan.span.tolist() == [[0, 1], extremes]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aug.plan(given, draws=draws(aug))
    single = aug.plan(given[:1], draws=draws(aug)[:1], span=(0, 1))
    assert torch.equal(single.span[0], plan.span[0])

"""The libraries that adapters are for, as far as they can be imported; tests without them skip."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest


def imported(name: str) -> Any:
    """A module, without the warnings that it gives at import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def albumentations(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Albumentations and our adapter for it."""
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    if importlib.util.find_spec("albumentations") is None:
        pytest.skip("albumentations is not installed")
    host = imported("albumentations")
    return host, imported("densesirst_gen.adapters.albumentations")


_operators: list[Any] = []


def torchvision() -> tuple[Any, Any, Any]:
    """tv_tensors, v2 and our adapter; torchvision may be built for another torch.

    Its compiled operators are not needed here.
    """
    torch = pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    try:
        imported("torchvision")
    except RuntimeError:
        for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _operators.append(torch.library.Library("torchvision", "FRAGMENT"))
        for name in ("nms", "qnms"):
            _operators[-1].define(
                f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        imported("torchvision")
    adapter = imported("densesirst_gen.adapters.torchvision")
    return imported("torchvision.tv_tensors"), imported("torchvision.transforms.v2"), adapter


class BitmapMasks:
    """MMDetection's class, as far as its adapter relies on it."""

    def __init__(self, masks: np.ndarray, height: int, width: int) -> None:
        self.masks, self.height, self.width = masks, height, width

    def __len__(self) -> int:
        return len(self.masks)


def mmdet_stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The adapter for MMDetection on as much of it as it relies on."""

    class BaseTransform:
        def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
            return self.transform(results)  # type: ignore[attr-defined, no-any-return]

    registry = types.SimpleNamespace(register_module=lambda: lambda cls: cls)
    modules: dict[str, dict[str, Any]] = {
        "mmcv": {},
        "mmcv.transforms": {"BaseTransform": BaseTransform},
        "mmdet": {},
        "mmdet.registry": {"TRANSFORMS": registry},
        "mmdet.structures": {},
        "mmdet.structures.bbox": {"BaseBoxes": type("BaseBoxes", (), {})},
        "mmdet.structures.mask": {"BitmapMasks": BitmapMasks},
    }
    for name, content in modules.items():
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**content))
    spec = importlib.util.find_spec("densesirst_gen.adapters.mmdet")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

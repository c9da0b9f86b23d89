"""Make and annotate infrared small target datasets with dense clusters of targets.

The names below are the public API; each is imported when it is first used, so that importing the
package costs nothing. Functions named like their module are imported from it:
``from densesirst_gen.render import render``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from densesirst_gen.version import __version__

_HOMES = {
    "Annotations": "annotate",
    "BagCopyPaste": "augment",
    "BatchBagCopyPaste": "batch",
    "Dataset": "formats",
    "DatasetStats": "stats",
    "PROFILES": "config",
    "PasteConfig": "config",
    "PastePlan": "plan",
    "Recipe": "produce",
    "Scene": "scene",
    "SceneFile": "formats",
    "SkyPrediction": "sky",
    "TargetFilter": "library",
    "TargetLibrary": "library",
    "build_dataset": "build",
    "build_library": "library",
    "compare": "fidelity",
    "dataset_stats": "stats",
    "demo_dataset": "demo",
    "demo_scene": "demo",
    "free_positions": "placement",
    "label_mask": "annotate",
    "make_library": "donors",
    "make_plan": "plan",
    "predict_sky": "sky",
    "read_dataset": "formats",
    "scene_rng": "plan",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

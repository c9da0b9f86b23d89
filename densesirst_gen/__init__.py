"""Make and annotate infrared small target datasets with dense clusters of targets.

The names below are the public API; each is imported when it is first used, so that importing the
package costs nothing. Functions named like their module are imported from it:
``from densesirst_gen.paste.render import render``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from densesirst_gen.version import __version__

_HOMES = {
    "Annotations": "scene.annotate",
    "BagCopyPaste": "augment.bag_copy_paste",
    "BatchBagCopyPaste": "augment.batch",
    "Dataset": "datasets",
    "DatasetStats": "stats.tables",
    "PROFILES": "paste.config",
    "PasteConfig": "paste.config",
    "PastePlan": "paste.plan",
    "Recipe": "build.recipe",
    "Scene": "scene.scene",
    "SceneFile": "datasets",
    "SkyPrediction": "sky.predict",
    "TargetFilter": "paste.extract",
    "TargetLibrary": "paste.library",
    "annotate": "scene.annotate",
    "build_dataset": "build.dataset",
    "build_library": "paste.extract",
    "compare": "stats.compare.fidelity",
    "dataset_stats": "stats.tables",
    "demo_dataset": "datasets.demo",
    "demo_scene": "datasets.demo",
    "free_positions": "paste.placement",
    "label_mask": "scene.annotate",
    "make_library": "build.donors",
    "make_plan": "paste.planner",
    "predict_sky": "sky.predict",
    "read_dataset": "datasets",
    "render": "paste.render",
    "replay": "build.replay",
    "scene_rng": "paste.seeds",
    "verify": "build.verify",
}

_NEEDS = {"BatchBagCopyPaste": "torch"}


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


__all__ = ["__version__", *(n for n in _HOMES if n not in _NEEDS or _is_there(_NEEDS[n]))]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ImportError as error:
        if name not in _NEEDS:
            raise
        raise AttributeError(f"{name}: {error}") from error  # what hasattr and pydoc expect


def __dir__() -> list[str]:
    return sorted(__all__)

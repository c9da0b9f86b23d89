"""The demo scenes as a dataset, each drawn when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from densesirst_gen.datasets import Dataset, SceneFile
from densesirst_gen.datasets.demo.scenes import (
    N_DEMO_SCENES,
    demo_counts,
    demo_names,
    demo_scene,
    demo_splits,
)
from densesirst_gen.scene.scene import Scene


@dataclass(frozen=True)
class DemoFile(SceneFile):
    """A demo scene in place of a file: its number and its seed."""

    index: int = 0
    seed: int = 0

    def files(self) -> tuple[Path, ...]:
        """None: there is nothing on disk."""
        return ()

    @property
    def has_labels(self) -> bool:
        """Targets are drawn with their labels."""
        return True

    def has_targets(self) -> bool:
        """True: cheaper to draw than to ask."""
        return True

    def load_with_notes(self) -> tuple[Scene, list[str]]:
        """The drawn scene; no notes."""
        scene = _drawn(self.index, self.seed)
        arrays = {name: getattr(scene, name).copy() for name in ("image", "labels", "sky")}
        return replace(scene, **arrays), []


_drawn = lru_cache(maxsize=N_DEMO_SCENES)(demo_scene)
"""A build loads a scene for its targets and again as a background."""


def demo_dataset(seed: int = 0) -> Dataset:
    """The default set of demo scenes.

    Parameters
    ----------
    seed : int
        Another seed, another set; from 0.

    Returns
    -------
    Dataset
        With the splits train, val and test.
    """
    names = enumerate(demo_names(N_DEMO_SCENES))
    scenes = tuple(DemoFile(name, Path(name), index=i, seed=seed) for i, name in names)
    return Dataset(Path("demo"), "demo", scenes, demo_splits(), counts=demo_counts())

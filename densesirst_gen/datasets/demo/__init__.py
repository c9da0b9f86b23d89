"""Infrared scenes drawn by our own code from a seed: something to build on without any data."""

from densesirst_gen.datasets.demo.dataset import demo_dataset
from densesirst_gen.datasets.demo.scenes import (
    KINDS,
    N_DEMO_SCENES,
    demo_names,
    demo_scene,
    demo_splits,
)

__all__ = ["KINDS", "N_DEMO_SCENES", "demo_dataset", "demo_names", "demo_scene", "demo_splits"]

"""Regions of a background of which nobody knows what is in them: nothing is pasted there."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np

from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.placement import free_positions
from densesirst_gen.paste.planner import allowed
from densesirst_gen.scene.scene import Scene

Regions = Sequence[Sequence[float]]


def positions_outside(scene: Scene, config: PasteConfig, regions: Regions) -> np.ndarray | None:
    """Where windows may lie, clear of some regions, for `make_plan`.

    Parameters
    ----------
    scene : Scene
    config : PasteConfig
    regions : sequence of (x0, y0, x1, y1)
        px, half-open; such as `SceneFile.ignored`.

    Returns
    -------
    ndarray, bool, or None
        See `free_positions`; None without regions: the planner finds out by itself.
    """
    if not regions:
        return None
    blocked = ~allowed(scene, config)
    for x0, y0, x1, y1 in regions:
        blocked[max(floor(y0), 0) : max(ceil(y1), 0), max(floor(x0), 0) : max(ceil(x1), 0)] = True
    return free_positions(blocked, config.window_px, config.window_px)

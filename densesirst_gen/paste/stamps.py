"""What the rows of a plan add to an image: their stamps, the pixels below, the effect on them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.fusion import stamps
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import COLUMNS, PastePlan
from densesirst_gen.paste.shapes import Shapes, shapes_at
from densesirst_gen.scene.scene import Scene, gray_step

SHAPED = ("donor", *COLUMNS[COLUMNS.index("height") : -2])
"""Columns that say what a stamp looks like."""


@lru_cache(maxsize=8)
def _grid(patch_px: int) -> np.ndarray:
    return np.arange(patch_px, dtype=np.float64)


def plan_stamps(
    pastes: np.ndarray | dict[str, np.ndarray], shapes: Shapes, config: PasteConfig
) -> tuple[np.ndarray, np.ndarray]:
    """`densesirst_gen.paste.fusion.stamps` of rows of a plan, or of its columns, with numpy."""
    columns = {name: pastes[name] for name in SHAPED}
    return stamps(shapes.shapes, shapes.masks, columns, _grid(config.patch_px), config)


def pixels_of(pastes: np.ndarray, patch_px: int, width: int) -> np.ndarray:
    """(N, P, P) flat indices into an image of that width; meaningful inside height x width."""
    grid = np.arange(patch_px)
    return (pastes["row"] * width + pastes["col"])[:, None, None] + grid[:, None] * width + grid


def effect(under: Any, values: Any, masks: Any, white: Any, xp: Any = np) -> tuple[Any, Any]:
    """What pastes do to the pixels that they cover.

    Parameters
    ----------
    under : array, (..., P, P), float64
        Pixels below the patches.
    values : array, (..., P, P), float64
        What is added to them.
    masks : array, (..., P, P), bool
        Pixels of the targets.
    white : float, or array that broadcasts
        Where values are cut.
    xp : module
        numpy or torch.

    Returns
    -------
    increment : array, (...), float64
        Rise of the brightest pixel of the target, at least 0.
    n_clipped : array, (...), int64
        Pixels of the target that are cut at white.
    """
    risen = under + values
    change = (xp.minimum(risen, white) - under) * masks
    n_clipped = ((risen > white) & masks).sum((-2, -1))
    return xp.amax(change, (-2, -1)).clip(0), n_clipped


def to_values(rise: np.ndarray, scene: Scene) -> np.ndarray:
    """Gray levels to add -> the scene's own values; whole numbers (cut) for integer images."""
    black, white = scene.levels
    return scaled(rise, black, white, scene.image.dtype != np.float32)


def scaled(rise: Any, black: Any, white: Any, whole: bool, xp: Any = np) -> Any:
    """Gray levels to add -> values of an image of these levels, cut to whole numbers or not."""
    values = rise * gray_step(black, white)
    return xp.floor(values) if whole else values


def stamps_of(plan: PastePlan, library: TargetLibrary) -> tuple[np.ndarray, np.ndarray]:
    """What each row of a plan adds, and its mask; see `densesirst_gen.paste.fusion.stamps`."""
    config = plan.config
    shapes = shapes_at(library, config.patch_px, config.resize, config.flatten)
    return plan_stamps(plan.pastes, shapes, config)


def risen(under: Any, rise: Any, white: Any, xp: Any = np) -> Any:
    """Pixels with a rise added and cut at white; those that were above white stay as they were.

    Parameters
    ----------
    under, rise : array
        In the image's own values.
    white : float, or array that broadcasts
    xp : module
        numpy or torch.
    """
    return xp.minimum(under + rise, xp.maximum(white, under))

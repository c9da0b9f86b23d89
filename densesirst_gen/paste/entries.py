"""What an entry of a target library must be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

WHITE = 255


def broken_rule(
    patches: np.ndarray, masks: np.ndarray, sizes: np.ndarray, kind: str
) -> tuple[int, str] | None:
    """The first entry that breaks a rule, and the rule; None where all is well.

    Parameters
    ----------
    patches : ndarray, (K, S, S), float
    masks : ndarray, (K, S, S), bool
    sizes : ndarray, (K, 2), int
    kind : str
        One of `densesirst_gen.paste.library.KINDS`.
    """
    if len(patches) == 0:
        return None
    for broken, rule in _rules(patches, masks, sizes, kind):
        if broken.any():
            return int(np.argmax(broken)), rule
    return None


def _rules(
    patches: np.ndarray, masks: np.ndarray, sizes: np.ndarray, kind: str
) -> Iterator[tuple[Any, str]]:
    """Which entries break a rule, rule by rule; each relies on those before it."""
    side = patches.shape[-1]
    yield ((sizes < 1) | (sizes > side)).any(axis=1), f"its size must be within 1..{side}"
    least, most = patches.min(axis=(1, 2)), patches.max(axis=(1, 2))
    yield ~(np.isfinite(least) & np.isfinite(most)), "its gray levels must be finite"
    yield ~masks.any(axis=(1, 2)), "its mask must not be empty"
    beyond = _beyond(sizes, side)
    yield (masks & beyond).any(axis=(1, 2)), "its mask must lie within its size"
    yield ((patches != 0) & beyond).any(axis=(1, 2)), "its patch must be 0 beyond its size"
    if kind != "regions":
        yield (least < 0) | (most > WHITE), f"its gray levels must be within 0..{WHITE}"
    if kind == "targets":
        peaks = np.where(masks, patches, 0).max(axis=(1, 2))
        yield peaks <= 0, "nothing of it is brighter than its background"
    else:
        yield np.full(len(most), most.max() <= 0), f"some {kind[:-1]} must be brighter than black"


def _beyond(sizes: np.ndarray, side: int) -> np.ndarray:
    """(K, S, S), True outside the rows and columns in use."""
    rows, cols = (np.arange(side) >= sizes[:, k, None] for k in (0, 1))
    return rows[:, :, None] | cols[:, None, :]

"""Settings of every kind, the library each needs, and how far apart two masks are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from densesirst_gen.paste.config import PROFILES, PasteConfig
from densesirst_gen.paste.library import TargetLibrary

SWITCHES: dict[str, dict[str, Any]] = {
    **{name: {"profile": name} for name in PROFILES},
    "earlier release": {"profile": "release", "source": "scene", "level": "release"},
    "anywhere": {"region": "anywhere"},
    "copy": {"fusion": "copy"},
    "sparse": {"arrangement": "sparse"},
    "own levels": {"level": "library", "flatten": 1.0},
    "small patches": {"resize": "shrink", "gap_px": (1, 3)},
    "thin": {"sigma": (0.05, 0.6)},
    "large": {"patch_px": 9, "region_px": 33, "per_region": (1, 20)},
}


def config_of(switch: str) -> PasteConfig:
    values = dict(SWITCHES[switch])
    return replace(PROFILES[values.pop("profile", "bag-cp")], **values)


def library_for(config: PasteConfig, libraries: dict[str, TargetLibrary]) -> TargetLibrary:
    return libraries[config.library_kind]


def chebyshev_gap(a: np.ndarray, b: np.ndarray) -> int:
    """Free pixels between two masks; -1 if they share a pixel."""
    p, q = np.argwhere(a), np.argwhere(b)
    return int(np.abs(p[:, None] - q[None]).max(axis=2).min()) - 1

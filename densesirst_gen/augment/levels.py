"""Black and white of images that come without a span: assumed by one rule, and told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from densesirst_gen.augment.notices import tell_once
from densesirst_gen.scene.counts import Counts

UNIT = (0.0, 1.0)
SUBJECT = "span"
"""Of the warning, see `densesirst_gen.augment.notices`."""


def assumed_span(
    image: np.ndarray, span: tuple[float, float] | None, name: str
) -> tuple[float, float] | None:
    """The span of an image while training.

    Parameters
    ----------
    image : ndarray, (H, W)
    span : tuple of float, optional
        If it was given.
    name : str
        Of the image, for the warning.

    Returns
    -------
    tuple of float, or None
        `span`; else (0, 1) for float images within these. None: as `Scene.levels` says, of which
        a process warns once where it goes by the values of an image.
    """
    if span is not None or image.dtype not in (np.uint16, np.float32) or image.size == 0:
        return span
    if image.dtype == np.uint16:
        tell_once(
            SUBJECT,
            f"{name}: 16-bit image without a span: white is taken as that of the smallest of 8, "
            f"10, 12, 14 and 16 bits that holds it ({image.max()}); give span=(black, white), or "
            "a library made of images of this camera, which knows it",
        )
        return None
    low, high = float(image.min()), float(image.max())
    if UNIT[0] <= low < high <= UNIT[1]:
        return UNIT
    if low < high and np.isfinite([low, high]).all():
        tell_once(
            SUBJECT,
            f"{name}: float image without a span: its own extremes, {low:g} and {high:g}, are "
            "taken as black and white, so a crop has others than its frame; give "
            "span=(black, white)",
        )
    return None


def known_span(kind: str, span: Any, counts: Mapping[str, Counts]) -> Any:
    """The span of images of a dtype: as given, else as a library of their camera has it.

    None for 8-bit images, whose black and white are fixed, and where nothing is known.
    """
    known = None if kind == "uint8" else counts.get(kind)
    return known.span if span is None and known else span


def known_reach(kind: str, counts: Mapping[str, Counts]) -> float:
    """How much of black to white images of a dtype fill, as a library of their camera knows it.

    8-bit images are often made into floats before they are augmented, so of these a library of
    8-bit images knows it too. 1 where nothing is known.
    """
    known = counts.get(kind) or (counts.get("uint8") if kind == "float32" else None)
    return known.reach if known else 1.0


def checked_span(span: Any) -> tuple[float, float] | None:
    """A span as two floats; ValueError unless it is (black, white) with black < white."""
    if span is None:
        return None
    try:
        pair = tuple(float(v) for v in span)
    except (TypeError, ValueError):
        pair = ()
    if len(pair) != 2 or not -math.inf < pair[0] < pair[1] < math.inf:
        raise ValueError(f"span must be (black, white) with black < white, got {span!r}")
    return pair[0], pair[1]

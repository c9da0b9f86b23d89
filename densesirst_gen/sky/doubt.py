"""Is what was taken for sky anything else? A doubt that grows where confidence does not fall.

Confidence says how well the outline is likely to lie, and is true of images like those learnt from.
A wall, a road or water that fills an image far from them is taken for sky surely. Two things give
it away: chances that stay a little below one in the midst of the sky, away from its boundary; and
parts that are no sky any more when the network sees the image at half size, or at half size with
black and white exchanged. `scripts/sky_doubt.py` weighs them, on images whose truth is known.
"""

from __future__ import annotations

import math
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky.graph import GRID, HALF_GRID
from densesirst_gen.sky.limits import LITTLE_SKY
from densesirst_gen.sky.network import Network, features, shipped
from densesirst_gen.sky.predict import SkyPrediction, is_blank, prediction_from, unit_gray
from densesirst_gen.sky.store import kept

CELLS = 64, 80
"""All answers are compared at this size."""
BOUNDARY = 4
"""Cells along the boundary of the sky that say nothing of its midst."""
UNIT = 2**20
"""A chance of one, where chances are added."""
LEAST = 0.003
"""Added to shares before their logarithm is taken."""
WEIGHTS = 1.972, 0.397
OFFSET = 9.221
"""Of the logarithms of `Signs`, and what is added: about a tenth of right skies is above 0."""
PLAIN = 0.05
"""Of the image: what is lost in another view is worth to be named."""
VIEWS = "at half size", "in negative"
BLANK = "one or two values, nothing to go by"
UNSURE = "a little unsure of its midst"


class Doubt(NamedTuple):
    """How doubtful a predicted sky is.

    Parameters
    ----------
    value : float
        0 to 1, in steps of 0.0001; from 0.5 on a person should look at it.
    reason : str
        In words; empty below 0.5.
    """

    value: float = 0.0
    reason: str = ""


class Signs(NamedTuple):
    """What gives a wrong sky away.

    Parameters
    ----------
    unsure : float
        Chances of no sky in the midst of the sky, added and divided by the root of both areas.
    lost : float
        Share of the image that is taken for sky, and not so in another view.
    """

    unsure: float
    lost: float


def predict_with_doubt(scene: Scene, *, store: Path | None = None) -> tuple[SkyPrediction, Doubt]:
    """Predict the sky of an image, and say how doubtful it is.

    Parameters
    ----------
    scene : Scene
    store : Path, optional
        See `densesirst_gen.predict_sky`, which gives the same prediction in less time.

    Returns
    -------
    prediction : SkyPrediction
    doubt : Doubt
        None of an image with little sky, `LITTLE_SKY` of it at most; certain of one that is blank,
        but for a pixel in a thousand.
    """
    gray = unit_gray(scene)
    if is_blank(gray):
        return SkyPrediction(np.zeros(gray.shape, np.float32), 0.0), Doubt(1.0, BLANK)
    network, seen = shipped(), cache(partial(features, gray))
    coarse = kept(gray, store, network.digest, GRID, lambda: network.model.log_odds(seen()))
    found = prediction_from(coarse, gray)
    if found.sky.mean() <= LITTLE_SKY:
        return found, Doubt()
    if _is_nearly_blank(gray):
        return found, Doubt(1.0, BLANK)
    shape, digest = (len(VIEWS) * HALF_GRID[0], HALF_GRID[1]), f"{network.digest} views"
    views = kept(gray, store, digest, shape, lambda: views_of(network, seen()))
    return found, doubt_from(network, coarse, views)


def _is_nearly_blank(gray: np.ndarray) -> bool:
    """Whether all but a thousandth of the pixels have one of two levels of 256."""
    counts = np.bincount(np.rint(gray * 255).astype(np.intp).ravel(), minlength=2)
    return bool(np.sort(counts)[-2:].sum() * 1000 >= gray.size * 999)


def doubt_from(network: Network, coarse: np.ndarray, views: np.ndarray) -> Doubt:
    """The doubt that follows from log-odds: (256, 320), and those of `VIEWS` below each other."""
    chance, others, inner = chances(network, coarse, views)
    value = 1 / (1 + math.exp(-score(signs(chance, others, inner))))
    return Doubt(round(value, 4), _reason(others, inner) if value >= 0.5 else "")


def chances(
    network: Network, coarse: np.ndarray, views: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chance of sky by cells, that of each view, and what lies in the midst of the sky."""
    chance = network.chance(_cells(coarse))
    others = np.stack([network.chance(_cells(view)) for view in np.split(views, len(VIEWS))])
    box = np.ones((2 * BOUNDARY + 1, 2 * BOUNDARY + 1), np.uint8)
    inner = cv2.erode((chance >= 0.5).astype(np.uint8), box, borderValue=1)
    return chance, others, inner.astype(np.bool_)


def signs(chance: np.ndarray, others: np.ndarray, inner: np.ndarray) -> Signs:
    """See `chances`; only whole numbers are added."""
    area, size = int(inner.sum()), inner.size
    unsure = _missing(chance[inner]) / math.sqrt(max(area, 1) * size)
    least = np.minimum(chance, others.min(axis=0))
    return Signs(unsure, _missing(least[inner]) / size)


def score(found: Signs) -> float:
    """The log-odds of a doubt."""
    return OFFSET + sum(
        weight * math.log(sign + LEAST) for weight, sign in zip(WEIGHTS, found, strict=True)
    )


def _missing(chance: np.ndarray) -> float:
    """The sum of what chances lack to one."""
    steps = np.rint((1 - chance.astype(np.float64)) * UNIT).astype(np.int64)
    return int(steps.sum()) / UNIT


def _cells(log_odds: np.ndarray) -> np.ndarray:
    """Means over `CELLS`, in steps of 1/16."""
    rows, cols = CELLS
    parts = log_odds.reshape(rows, log_odds.shape[0] // rows, cols, log_odds.shape[1] // cols)
    return np.rint(parts.mean((1, 3)) * 16) / 16


def views_of(network: Network, seen: np.ndarray) -> np.ndarray:
    """Log-odds at half size, and at half size in negative, below each other."""
    rows, cols = HALF_GRID
    half = seen.reshape(len(seen), rows, 2, cols, 2).mean((2, 4))
    negative = np.concatenate([-half[:-1], half[-1:]])
    return np.concatenate([network.half_model.log_odds(view) for view in (half, negative)])


def _reason(others: np.ndarray, inner: np.ndarray) -> str:
    lost = [(inner & (other < 0.5)).mean() for other in others]
    if max(lost) < PLAIN:
        return UNSURE
    which = int(np.argmax(lost))
    return f"{lost[which]:.0%} of the image is no sky {VIEWS[which]}"

"""Where the sky is: given, or predicted by a small network, with its doubt.

The network (`densesirst_gen.sky.network`) answers on a coarse grid. The answer follows the image's
own edges by a guided filter (He et al., 2013), and the stated probability is calibrated on images
that the network was not trained on; the model card ``weights/sky.md`` says how well both work.

All of it is exact: the same image gives the same bits on every machine. Only whole numbers are
added (`densesirst_gen.sky.whole`); single operations on numbers are the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from densesirst_gen.files.cache import cache_folder
from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky.graph import GRID
from densesirst_gen.sky.limits import DOUBTFUL, SKY_CONFIDENCE, SKY_MARGIN
from densesirst_gen.sky.network import WHITE, features, shipped
from densesirst_gen.sky.store import kept
from densesirst_gen.sky.whole import box_sums, doubled, halved, resized, whole

RADIUS = 2
"""Of the guided filter, in cells of the grid."""
EDGE = 1e-3
"""Variance of gray (0 to 1) above which the guided filter takes a step for an edge."""
SOFT = 100
"""Cells added to both sides of the expected overlap, as in training."""
PART = 2**30
"""A chance of one, where chances are added."""
CELL, LIGHT, FIT = 2**20, 4 * WHITE, 2.0**-16
"""What is one in whole numbers: a chance, white at half size; and the steps of the filter."""


@dataclass(frozen=True, eq=False)
class SkyPrediction:
    """Where the sky is thought to be.

    Parameters
    ----------
    probability : ndarray, (H, W), float32
        That a pixel is sky, 0 to 1.
    confidence : float
        Expected intersection over union of `sky` with the truth, 0 to 1. An image without sky in
        which none is found counts 1.
    """

    probability: np.ndarray
    confidence: float

    @property
    def sky(self) -> np.ndarray:
        """(H, W), bool: more likely sky than not."""
        return self.probability >= 0.5

    def certain(self, confidence: float, margin: int) -> np.ndarray:
        """Where it is safe to paste.

        Parameters
        ----------
        confidence : float
            Least probability of a pixel.
        margin : int
            Pixels kept free along the boundary; the image's border is none.

        Returns
        -------
        ndarray, (H, W), bool
            Empty if the image's own confidence is below `DOUBTFUL`.
        """
        if self.confidence < DOUBTFUL:
            return np.zeros(self.probability.shape, np.bool_)
        likely = (self.probability >= confidence).astype(np.uint8)
        box = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
        return cv2.erode(likely, box, borderValue=1).astype(np.bool_)


def predict_sky(scene: Scene, *, store: Path | None = None) -> SkyPrediction:
    """Predict the sky of an image.

    Parameters
    ----------
    scene : Scene
        Its image is used, of any depth, size and polarity; its sky mask is not.
    store : Path, optional
        Folder in which the network's answers are kept by the content of the image, about 6 kB
        each, so that an image is predicted once; see `default_store`.

    Returns
    -------
    SkyPrediction
        Without sky and of no confidence if the image has but one or two values: nothing to go by.
    """
    gray = unit_gray(scene)
    if is_blank(gray):
        return SkyPrediction(np.zeros(gray.shape, np.float32), 0.0)
    return prediction_from(stored_answer(gray, store) if store else answer(gray), gray)


def is_blank(gray: np.ndarray) -> bool:
    """Whether all pixels have one of two values, as in masks and empty frames."""
    return bool(((gray == gray.min()) | (gray == gray.max())).all())


def usable_sky(
    scene: Scene,
    *,
    region: str = "sky",
    confidence: float = SKY_CONFIDENCE,
    margin: int = SKY_MARGIN,
    store: Path | None = None,
) -> tuple[Scene, np.ndarray | None, dict[str, Any]]:
    """Where one may paste: the one rule for builds, pipelines and training.

    Parameters
    ----------
    scene : Scene
        A given sky is used as it is; without one it is predicted, unless it is not needed.
    region : str
        Of `densesirst_gen.PasteConfig`: ``sky``, or ``anywhere``, which needs none.
    confidence, margin : float, int
        What of a predicted sky is pasted on, see `SkyPrediction.certain`.
    store : Path, optional
        See `predict_sky`.

    Returns
    -------
    scene : Scene
        With a sky mask, if there is one.
    usable : ndarray, (H, W), bool, or None
        The part of its sky that may be pasted on.
    record : dict
        ``sky``: given, predicted or none; ``sky_confidence``: of a prediction, else None.
    """
    if scene.sky is not None:
        return scene, scene.sky, {"sky": "given", "sky_confidence": None}
    if region == "anywhere":
        return scene, None, {"sky": "none", "sky_confidence": None}
    prediction = predict_sky(scene, store=store)
    usable = prediction.certain(confidence, margin)
    record = {"sky": "predicted", "sky_confidence": round(prediction.confidence, 4)}
    return replace(scene, sky=prediction.sky), usable, record


def prediction_from(coarse: np.ndarray, gray: np.ndarray) -> SkyPrediction:
    """The prediction that the network's log-odds (256, 320) make of an image."""
    network = shipped()
    chance = network.chance(coarse)
    return SkyPrediction(refined(chance, gray), network.confidence(expected_overlap(chance)))


def unit_gray(scene: Scene) -> np.ndarray:
    """The image from 0 (black) to 1 (white), float32.

    8-bit images by their levels. Deeper ones seldom fill their range: from the 0.1 % to the 99.9 %
    quantile of their data, values that are there; where there is none, their median.
    """
    black, white = scene.levels
    if scene.image.dtype != np.uint8:
        black, white = _inner_extremes(scene.data)
    scale = np.float32(1 / max(float(white - black), 1e-30))
    return np.clip((scene.filled - np.float32(black)) * scale, 0, 1)


def _inner_extremes(data: np.ndarray) -> tuple[float, float]:
    """Two values that are there: a thousandth of all is below the one, and above the other."""
    outer = data.size // 1000
    places = outer, data.size - 1 - outer
    ordered = np.partition(data, places, axis=None)
    return float(ordered[places[0]]), float(ordered[places[1]])


def answer(gray: np.ndarray) -> np.ndarray:
    """The network's log-odds.

    Parameters
    ----------
    gray : ndarray, (H, W), float32
        0 to 1.

    Returns
    -------
    ndarray, (256, 320), float32
        In steps of 1/16, from -8 to 127/16: in a cache they take a byte each.
    """
    return shipped().model.log_odds(features(gray))


def stored_answer(gray: np.ndarray, store: Path) -> np.ndarray:
    """`answer`, read from the store if it is there, else put into it.

    A store that can't be read or written only costs time.
    """
    return kept(gray, store, shipped().digest, GRID, lambda: answer(gray))


def default_store() -> Path | None:
    """``sky`` in `densesirst_gen.files.cache.cache_folder`; None where there is none."""
    folder = cache_folder()
    return folder / "sky" if folder else None


def expected_overlap(chance: np.ndarray) -> float:
    """Intersection over union to expect of the more likely sky, if the chances were true.

    Where no pixel is likely it is 1 or 0, as there is sky or not: the chance that there is none,
    which the likeliest pixel bounds, for neighbours are right or wrong together.
    """
    likely = chance >= 0.5
    if not likely.any():
        return float(1 - chance.max())
    parts = np.rint(chance.astype(np.float64) * PART).astype(np.int64)
    both, soft = int(parts[likely].sum()), SOFT * PART
    either = int(likely.sum()) * PART + int(parts[~likely].sum())
    return (both + soft) / (either + soft)


def refined(chance: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """The coarse chances at the image's size, following its edges.

    The guided filter is fitted at half size and applied at full size (He and Sun, 2015).

    Parameters
    ----------
    chance : ndarray, (256, 320), float32
    gray : ndarray, (H, W), float32

    Returns
    -------
    ndarray, (H, W), float32
        0 to 1.
    """
    guide, values = halved(whole(gray, WHITE)), whole(chance, CELL)
    radius = max(1, round(RADIUS * max(guide.shape) / max(GRID)))
    slope, offset = _local_fit(guide, resized(values, guide.shape), radius)
    filtered = doubled(slope, gray.shape) * gray + doubled(offset, gray.shape)
    return np.clip(filtered * np.float32(FIT), 0, 1)


def _local_fit(guide: np.ndarray, values: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset of values over guide in a window around each pixel, then averaged.

    All are whole numbers: of gray, of `LIGHT`; of chances, of `CELL`; what is returned, of `FIT`,
    less than 2^20 of it, since a slope is at most 0.25 / sqrt(EDGE).
    """
    side, count = 2 * radius + 1, (2 * radius + 1) ** 2
    guide, values = guide.astype(np.float64), values.astype(np.float64)
    level, mean = box_sums(guide, side), box_sums(values, side)
    together = count * box_sums(guide * values, side) - level * mean
    variance = count * box_sums(guide * guide, side) - level * level
    slope = together * (LIGHT / CELL) / (variance + EDGE * (LIGHT * count) ** 2)
    offset = (mean / CELL - slope * (level / LIGHT)) / count
    averages = (box_sums(np.rint(fit / FIT), side) / count for fit in (slope, offset))
    slope, offset = (np.rint(average).astype(np.float32) for average in averages)
    return slope, offset

"""Where the sky is: given, or predicted by a small network, with its doubt.

The network (`densesirst_gen.sky.network`) answers on a coarse grid. The answer follows the image's
own edges by a guided filter (He et al., 2013), and the stated probability is calibrated on images
that the network was not trained on; the model card ``weights/sky.md`` says how well both work.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from densesirst_gen.files.atomic import write_atomically
from densesirst_gen.files.cache import cache_folder
from densesirst_gen.files.codec import CodecError, encode_png, read_image
from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky.graph import GRID
from densesirst_gen.sky.limits import DOUBTFUL, SKY_CONFIDENCE, SKY_MARGIN
from densesirst_gen.sky.network import features, resized, shipped

STEP = 1 / 16
"""Log-odds are kept in steps of this, from -8 to 8: in a cache they take a byte each."""
RADIUS = 2
"""Of the guided filter, in cells of the grid."""
EDGE = 1e-3
"""Variance of gray (0 to 1) above which the guided filter takes a step for an edge."""
SOFT = 100
"""Cells added to both sides of the expected overlap, as in training."""


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
    """
    gray = unit_gray(scene)
    return prediction_from(stored_answer(gray, store) if store else answer(gray), gray)


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
    quantile of their data; where there is none, their median.
    """
    black, white = scene.levels
    if scene.image.dtype != np.uint8:
        black, white = np.percentile(scene.data, (0.1, 99.9))
    scale = np.float32(1 / max(float(white - black), 1e-30))
    return np.clip((scene.filled - np.float32(black)) * scale, 0, 1)


def answer(gray: np.ndarray) -> np.ndarray:
    """The network's log-odds.

    Parameters
    ----------
    gray : ndarray, (H, W), float32
        0 to 1.

    Returns
    -------
    ndarray, (256, 320), float32
        In steps of 1/16, from -8 to 127/16.
    """
    steps = np.round(shipped().model.log_odds(features(gray)) / STEP)
    return np.clip(steps, -128, 127).astype(np.float32) * STEP


def stored_answer(gray: np.ndarray, store: Path) -> np.ndarray:
    """`answer`, read from the store if it is there, else put into it.

    A store that can't be read or written only costs time.
    """
    content = hashlib.sha256(f"{shipped().digest} {gray.shape}".encode())
    content.update(gray.data)
    name = content.hexdigest()
    path = store / name[:2] / f"{name}.png"
    with suppress(OSError, CodecError):
        values = read_image(path).array
        if values.shape == GRID:
            return (values.astype(np.float32) - 128) * STEP
    found = answer(gray)
    with suppress(OSError):
        write_atomically(path, encode_png((found / STEP + 128).astype(np.uint8)))
    return found


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
    both = chance[likely].sum()
    either = likely.sum() + chance[~likely].sum()
    return float((both + SOFT) / (either + SOFT))


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
    height, width = gray.shape
    half = max(1, height // 2), max(1, width // 2)
    radius = max(1, round(RADIUS * max(half) / max(GRID)))
    slope, offset = _local_fit(resized(gray, half), resized(chance, half), radius)
    size = (width, height)
    filtered = cv2.resize(slope, size) * gray + cv2.resize(offset, size)
    return np.clip(filtered, 0, 1)


def _local_fit(guide: np.ndarray, values: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset of values over guide in a window around each pixel, then averaged."""
    box = (2 * radius + 1, 2 * radius + 1)
    mean, level = cv2.blur(guide, box), cv2.blur(values, box)
    together = cv2.blur(guide * values, box) - mean * level
    variance = cv2.blur(guide * guide, box) - mean * mean
    slope = together / (variance + EDGE)
    return cv2.blur(slope, box), cv2.blur(level - slope * mean, box)

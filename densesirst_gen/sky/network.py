"""The small network that finds the sky: its input, its weights, and running it.

`densesirst_gen.sky.graph` says what it is made of; OpenCV's network module runs it, so that no
framework is needed. `scripts/train_sky.py` trains it and writes the weights. All of it is exact:
the same image gives the same bits on every machine (`densesirst_gen.sky.whole` and ``filters``).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache, cached_property
from importlib.resources import as_file, files
from threading import Lock

import cv2
import numpy as np

from densesirst_gen.sky.graph import BLOCK, GRID, HALF_GRID, ODDS, SEEN, Weights, model_of
from densesirst_gen.sky.whole import box_sums, resized, whole

WHITE = 65535
"""Gray levels are whole numbers up to it."""
CHANCE = Decimal(1) / 2**20
"""Steps of probabilities."""
PREDICTOR = 2
"""Of the way from an image to its sky; goes up whenever the same weights may answer otherwise."""


def features(gray: np.ndarray) -> np.ndarray:
    """What the network sees of an image.

    Parameters
    ----------
    gray : ndarray, (H, W), float32
        0 (black) to 1 (white); any size, brought to 256x320 here. Taken in steps of 1/65535.

    Returns
    -------
    ndarray, (5, 256, 320), float32
        Standardised gray, gray by rank, locally standardised gray, fine detail, and the row from
        -1 to 1, in steps of 1/128. All are nearly blind to gain and offset.
    """
    level = resized(whole(gray, WHITE), GRID)
    deep = level.astype(np.float64)
    last = GRID[0] - 1
    row = np.repeat((2 * np.arange(GRID[0]) - last)[:, None] / last, GRID[1], 1)
    channels = _standardised(deep), _ranked(level), _locally_standardised(deep), _detail(deep), row
    return np.stack([_in_steps(channel) for channel in channels]) * np.float32(SEEN.step)


def _in_steps(values: np.ndarray) -> np.ndarray:
    """What the network's input is made of, in whole numbers."""
    steps = np.clip(values.astype(np.float32) * np.float32(1 / SEEN.step), SEEN.least, SEEN.most)
    return np.rint(steps, out=steps)


def _standardised(level: np.ndarray) -> np.ndarray:
    count = level.size
    total, squares = int(level.sum()), int((level * level).sum())
    deviation = math.sqrt((count * squares - total * total) / count**2)
    return (level - total / count) / (deviation + 0.02 * WHITE)


def _ranked(level: np.ndarray) -> np.ndarray:
    """1.7 times each pixel's rank among all, -1 to 1; equal pixels share one."""
    rough = level.astype(np.int32) >> 4
    counts = np.bincount(rough.ravel(), minlength=(WHITE + 1) >> 4)
    twice = 2 * np.cumsum(counts) - counts
    return (1.7 * (twice / level.size - 1))[rough]


def _locally_standardised(level: np.ndarray) -> np.ndarray:
    count = 41**2
    total, squares = box_sums(level, 41), box_sums(level * level, 41)
    variance = count * squares - total * total
    least = 1e-4 * float(WHITE * count) ** 2
    return (count * level - total) / np.sqrt(np.maximum(variance, 0) + least)


def _detail(level: np.ndarray) -> np.ndarray:
    """Area sine of 30 times how much brighter a pixel is than the square around it."""
    count = 17**2
    brighter = np.rint((count * level - box_sums(level, 17)) / count).astype(np.int64)
    return _area_sines()[brighter + WHITE]


@cache
def _area_sines() -> np.ndarray:
    """(131071,), float64, in steps of 1/128: of 30 times -1 to 1 in steps of 1/65535.

    By the bounds between steps, which are sines of halves; `decimal` rounds them the same
    everywhere.
    """
    with localcontext(prec=30):
        halves = [((2 * k + 1) * Decimal(SEEN.step) / 2).exp() for k in range(525)]
        bounds = [float((e - 1 / e) / 2 * WHITE / 30) for e in halves]
    above = np.searchsorted(bounds, np.arange(WHITE + 1)) * SEEN.step
    return np.concatenate([-above[:0:-1], above])


class Model:
    """A network that is ready to run; threads take turns.

    Parameters
    ----------
    weights : mapping of str to ndarray, float32
    grid : (int, int)
        See `model_of`.
    """

    def __init__(self, weights: Weights, grid: tuple[int, int] = GRID) -> None:
        content = np.frombuffer(model_of(weights, grid), np.uint8)
        self._net = cv2.dnn.readNetFromONNX(content)
        self._net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        self._net.enableWinograd(False)
        self._turn = Lock()

    def log_odds(self, inputs: np.ndarray) -> np.ndarray:
        """Log-odds of sky.

        Parameters
        ----------
        inputs : ndarray, (5, 256, 320), float32
            From `features`; of another size if its grid is one.

        Returns
        -------
        ndarray, (256, 320), float32
            In steps of 1/16, from -8 to 127/16; the same bits on every machine.
        """
        with self._turn:
            self._net.setInput(_in_steps(inputs[None]))
            return _shuffled(self._net.forward()[0]) * np.float32(ODDS.step)


@dataclass(frozen=True, eq=False)
class Network:
    """A model, made ready when it is first asked, and what its calibration found.

    Parameters
    ----------
    weights : mapping of str to ndarray, float32
        See `model_of`.
    temperature : float
        Log-odds are divided by it.
    slope, offset : float
        Of the log-odds of the true overlap over those of the expected one.
    digest : str
        SHA-256 of the file and of `PREDICTOR`: where it is the same, so are all answers.
    """

    weights: Weights
    temperature: float
    slope: float
    offset: float
    digest: str

    @cached_property
    def model(self) -> Model:
        """The network that answers; images whose answers are stored never need it."""
        return Model(self.weights)

    @cached_property
    def half_model(self) -> Model:
        """The same network for images at half size: a quarter of the work."""
        return Model(self.weights, HALF_GRID)

    def chance(self, log_odds: np.ndarray) -> np.ndarray:
        """Probabilities, float32, 0 to 1 in steps of `CHANCE`, of log-odds in steps of 1/16."""
        steps = np.clip(np.rint(log_odds / ODDS.step), ODDS.least, ODDS.most)
        return self._chances[steps.astype(np.int64) - ODDS.least]

    @cached_property
    def _chances(self) -> np.ndarray:
        """(256,), of all log-odds that there are."""
        with localcontext(prec=30):
            odds = [Decimal(k * ODDS.step) / Decimal(self.temperature) for k in ODDS.values()]
            return np.array([float(round(_chance(o) / CHANCE) * CHANCE) for o in odds], np.float32)

    def confidence(self, expected: float) -> float:
        """The overlap that images of this expected overlap had."""
        clipped = Decimal(min(max(expected, 1e-4), 1 - 1e-4))
        with localcontext(prec=30):
            odds = Decimal(self.slope) * (clipped / (1 - clipped)).ln() + Decimal(self.offset)
            return float(_chance(odds))


def _chance(log_odds: Decimal) -> Decimal:
    """`decimal` rounds it the same everywhere, which exponentials of the processor do not."""
    return 1 / (1 + (-log_odds).exp())


@cache
def shipped() -> Network:
    """The network that comes with the package (see the model card, ``weights/sky.md``)."""
    weights, calibration, digest = stored_weights()
    return Network(weights, **calibration, digest=digest)


def stored_weights() -> tuple[dict[str, np.ndarray], dict[str, float], str]:
    """Weights, calibration and digest of the network that comes with the package."""
    from safetensors import safe_open

    with as_file(files("densesirst_gen.sky") / "weights" / "sky.safetensors") as path:
        content = hashlib.sha256(f"{PREDICTOR} ".encode() + path.read_bytes())
        with safe_open(path, "numpy") as stored:
            values = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            calibration = {k: float(v) for k, v in stored.metadata().items()}
    return unpacked(values), calibration, content.hexdigest()


def packed(weights: Weights) -> dict[str, np.ndarray]:
    """The weights as they are stored: filters in 8 bits, each with its own scale."""
    stored = {}
    for name, values in weights.items():
        if values.ndim > 1:
            scale = np.abs(values).max(axis=(1, 2, 3), keepdims=True) / np.float32(127)
            stored[f"{name}.scale"] = scale
            values = np.round(values / np.maximum(scale, np.finfo(np.float32).tiny)).astype(np.int8)
        stored[name] = values
    return stored


def unpacked(stored: Weights) -> dict[str, np.ndarray]:
    """The weights, float32, of what `packed` gave."""
    return {
        name: values * stored[f"{name}.scale"] if f"{name}.scale" in stored else values
        for name, values in stored.items()
        if not name.endswith(".scale")
    }


def _shuffled(x: np.ndarray) -> np.ndarray:
    """Sixteen channels of a pixel as 4x4 pixels."""
    _, height, width = x.shape
    blocks = x.reshape(BLOCK, BLOCK, height, width).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(blocks).reshape(height * BLOCK, width * BLOCK)

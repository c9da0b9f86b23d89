"""The small network that finds the sky: its input, its weights, and running it.

`densesirst_gen.sky.graph` says what it is made of; OpenCV's network module runs it, so that no
framework is needed. `scripts/train_sky.py` trains it and writes the weights.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from threading import Lock

import cv2
import numpy as np

from densesirst_gen.sky.graph import BLOCK, GRID, Weights, model_of


def features(gray: np.ndarray) -> np.ndarray:
    """What the network sees of an image.

    Parameters
    ----------
    gray : ndarray, (H, W), float32
        0 (black) to 1 (white); any size, brought to 256x320 here.

    Returns
    -------
    ndarray, (5, 256, 320), float32
        Standardised gray, gray by rank, locally standardised gray, fine detail, and the row from
        -1 to 1. All are nearly blind to gain and offset.
    """
    gray = resized(gray, GRID)
    standardised = (gray - gray.mean()) / (gray.std() + 0.02)
    detail = np.arcsinh(30 * (gray - cv2.blur(gray, (17, 17))))
    row = np.repeat(np.linspace(-1, 1, GRID[0])[:, None], GRID[1], 1)
    channels = standardised, 1.7 * _ranked(gray), _locally_standardised(gray), detail, row
    return np.stack(channels).astype(np.float32)


def resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The image at (rows, columns): averaged when it shrinks, interpolated when it grows."""
    shrinks = image.shape[0] >= shape[0] and image.shape[1] >= shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, shape[::-1], interpolation=method)


def _ranked(gray: np.ndarray) -> np.ndarray:
    """Each pixel's rank among all, -1 to 1; equal pixels share one."""
    level = (np.clip(gray, 0, 1) * 4095).astype(np.int32)
    counts = np.bincount(level.ravel(), minlength=4096)
    middle = np.cumsum(counts) - counts / 2
    return (2 * middle / level.size - 1).astype(np.float32)[level]


def _locally_standardised(gray: np.ndarray) -> np.ndarray:
    mean = cv2.blur(gray, (41, 41))
    variance = cv2.blur(gray * gray, (41, 41)) - mean * mean
    return (gray - mean) / np.sqrt(np.maximum(variance, 0) + 1e-4)


class Model:
    """A network that is ready to run; threads take turns.

    Parameters
    ----------
    weights : mapping of str to ndarray, float32
        See `model_of`.
    """

    def __init__(self, weights: Weights) -> None:
        content = np.frombuffer(model_of(weights), np.uint8)
        self._net = cv2.dnn.readNetFromONNX(content)
        self._turn = Lock()

    def log_odds(self, inputs: np.ndarray) -> np.ndarray:
        """Log-odds of sky.

        Parameters
        ----------
        inputs : ndarray, (5, 256, 320), float32
            From `features`.

        Returns
        -------
        ndarray, (256, 320), float32
        """
        with self._turn:
            self._net.setInput(np.ascontiguousarray(inputs[None]))
            return _shuffled(self._net.forward()[0])


@dataclass(frozen=True, eq=False)
class Network:
    """A model, and what its calibration found.

    Parameters
    ----------
    model : Model
    temperature : float
        Log-odds are divided by it.
    slope, offset : float
        Of the log-odds of the true overlap over those of the expected one.
    digest : str
        SHA-256 of the file.
    """

    model: Model
    temperature: float
    slope: float
    offset: float
    digest: str

    def chance(self, log_odds: np.ndarray) -> np.ndarray:
        """Probabilities, 0 to 1, of log-odds."""
        return 1 / (1 + np.exp(-log_odds / self.temperature))

    def confidence(self, expected: float) -> float:
        """The overlap that images of this expected overlap had."""
        clipped = min(max(expected, 1e-4), 1 - 1e-4)
        odds = self.slope * np.log(clipped / (1 - clipped)) + self.offset
        return float(1 / (1 + np.exp(-odds)))


@cache
def shipped() -> Network:
    """The network that comes with the package (see the model card, ``weights/sky.md``)."""
    from safetensors import safe_open

    with as_file(files("densesirst_gen.sky") / "weights" / "sky.safetensors") as path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with safe_open(path, "numpy") as stored:
            values = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            calibration = {k: float(v) for k, v in stored.metadata().items()}
    return Network(Model(unpacked(values)), **calibration, digest=digest)


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

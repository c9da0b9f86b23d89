"""The small network that finds the sky: its input, and its arithmetic in plain numpy.

A U-Net of 3x3 convolutions sees the whole image at 128x160 and answers with one log-odds per
pixel of that grid. It works on blocks of 4x4 pixels, so that its widest layers are 32x40. Batch
normalisation is folded into the weights. `scripts/train_sky.py` trains it and writes the weights;
the forward pass here needs no framework.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

GRID = 128, 160
BLOCK = 4
CHANNELS = 6
FINE = 2 * GRID[0], 2 * GRID[1]

Weights = Mapping[str, np.ndarray]


def features(gray: np.ndarray) -> np.ndarray:
    """What the network sees of an image.

    Parameters
    ----------
    gray : ndarray, (H, W), float32
        0 (black) to 1 (white); any size, brought to 256x320 here.

    Returns
    -------
    ndarray, (128, 160, 6), float32
        Standardised gray, gray by rank, fine detail, locally standardised gray, log gradient, and
        the row from -1 to 1. All but the gradient are nearly blind to gain and offset.
    """
    fine = resized(gray, FINE)
    coarse = resized(fine, GRID)
    detail = np.arcsinh(60 * (coarse - cv2.blur(coarse, (9, 9))))
    gradient = cv2.magnitude(
        cv2.Sobel(fine, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(fine, cv2.CV_32F, 0, 1, scale=0.25)
    )
    standardised = (coarse - fine.mean()) / (fine.std() + 0.02)
    row = np.repeat(np.linspace(-1, 1, GRID[0])[:, None], GRID[1], 1)
    channels = (
        standardised,
        resized(_ranked(fine), GRID),
        detail,
        resized(_locally_standardised(fine), GRID),
        np.log(resized(gradient, GRID) + 0.002) + 4,
        row,
    )
    return np.stack(channels, axis=-1).astype(np.float32)


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


def log_odds(inputs: np.ndarray, weights: Weights) -> np.ndarray:
    """Log-odds of sky.

    Parameters
    ----------
    inputs : ndarray, (128, 160, 6), float32
        From `features`.
    weights : mapping of str to ndarray, float32
        ``NAME.weight`` is (9 C, D), the taps of a 3x3 convolution in row order; ``NAME.bias`` (D,).

    Returns
    -------
    ndarray, (128, 160), float32
    """
    x, skips = _unshuffled(inputs), []
    for level in range(_levels(weights)):
        x = _relu(_convolved(x, weights, f"down.{level}.enter", stride=1 + (level > 0)))
        inner = _relu(_convolved(x, weights, f"down.{level}.first"))
        x = _relu(x + _convolved(inner, weights, f"down.{level}.second"))
        skips.append(x)
    skips.pop()
    x = x + _dense(_relu(_dense(x.mean((0, 1)), weights, "context.0")), weights, "context.2")
    while skips:
        skip = skips.pop()
        larger = cv2.resize(x, skip.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        x = np.concatenate([larger, skip], axis=-1)
        x = _relu(_convolved(x, weights, f"up.{len(skips)}.first"))
        x = _relu(_convolved(x, weights, f"up.{len(skips)}.second"))
    return _shuffled(_dense(x, weights, "answer"))


@dataclass(frozen=True, eq=False)
class Network:
    """Weights, and what their calibration found.

    Parameters
    ----------
    members : tuple of mapping of str to ndarray, float32
        Weights of networks that were trained apart; their log-odds are averaged.
    temperature : float
        Log-odds are divided by it.
    slope, offset : float
        Of the log-odds of the true overlap over those of the expected one.
    digest : str
        SHA-256 of the file.
    """

    members: tuple[Weights, ...]
    temperature: float
    slope: float
    offset: float
    digest: str

    def confidence(self, expected: float) -> float:
        """The overlap that images of this expected overlap had."""
        clipped = min(max(expected, 1e-4), 1 - 1e-4)
        odds = self.slope * np.log(clipped / (1 - clipped)) + self.offset
        return float(1 / (1 + np.exp(-odds)))


@cache
def shipped() -> Network:
    """The network that comes with the package (see the model card, ``weights/sky.md``)."""
    from safetensors import safe_open

    with as_file(files("densesirst_gen") / "weights" / "sky.safetensors") as path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with safe_open(path, "numpy") as stored:
            values = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            calibration = {k: float(v) for k, v in stored.metadata().items()}
    count = 1 + max(int(name.split(".")[0]) for name in values)
    members = tuple(_unpacked(values, f"{k}.") for k in range(count))
    return Network(members, **calibration, digest=digest)


def packed(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    """A weight as it is stored: matrices in 8 bits, each column with its own scale."""
    if value.ndim < 2:
        return {name: value.astype(np.float32)}
    scale = (np.abs(value).max(axis=0) / 127).astype(np.float32)
    steps = np.round(value / np.maximum(scale, np.finfo(np.float32).tiny)).astype(np.int8)
    return {name: steps, f"{name}.scale": scale}


def _unpacked(values: Weights, prefix: str) -> Weights:
    own = {n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)}
    return {
        n: v * own[f"{n}.scale"] if f"{n}.scale" in own else v
        for n, v in own.items()
        if not n.endswith(".scale")
    }


def _levels(weights: Weights) -> int:
    return sum(name.startswith("down") and name.endswith("enter.bias") for name in weights)


def _convolved(x: np.ndarray, weights: Weights, name: str, stride: int = 1) -> np.ndarray:
    """3x3 convolution of (H, W, C) as one matrix product, zeros around the image."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    taps = sliding_window_view(padded, (3, 3), axis=(0, 1))[::stride, ::stride]
    height, width = taps.shape[:2]
    columns = taps.transpose(0, 1, 3, 4, 2).reshape(height * width, -1)
    return _dense(columns, weights, name).reshape(height, width, -1)


def _dense(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0, out=x)


def _unshuffled(x: np.ndarray) -> np.ndarray:
    """Blocks of 4x4 pixels as one pixel of 16 times the channels."""
    height, width, channels = x.shape
    blocks = x.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, channels)
    return blocks.transpose(0, 2, 4, 1, 3).reshape(height // BLOCK, width // BLOCK, -1)


def _shuffled(x: np.ndarray) -> np.ndarray:
    height, width, _ = x.shape
    blocks = x.reshape(height, width, BLOCK, BLOCK).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(blocks.reshape(height * BLOCK, width * BLOCK))

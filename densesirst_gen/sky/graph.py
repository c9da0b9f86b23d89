"""The network that finds the sky, operator by operator.

The encoder is EfficientNet-Lite0 (Liu, 2020; Tan and Le, 2019) without its last stage: a
convolution and inverted residual blocks. It sees the whole image at 256x320. The decoder brings
what the stages end with to a quarter of that size and answers with one log-odds per pixel of the
grid, 4x4 of them at a time. Batch normalisation is folded into the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

import numpy as np

from densesirst_gen.sky.onnx import Graph

GRID = 256, 320
BLOCK = 4
CHANNELS = 5

Weights = Mapping[str, np.ndarray]


class Stage(NamedTuple):
    """Inverted residual blocks of one width; the first of them takes the stage's stride."""

    kernel: int
    stride: int
    expansion: int
    width: int
    repeats: int


STEM = 32
STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
)
DEEPEST = GRID[0] // 32, GRID[1] // 32
SKIPS = 1, 2, 4
"""Stages whose ends the decoder joins: the last ones at a quarter, an eighth and a sixteenth."""


def model_of(weights: Weights) -> bytes:
    """The network in ONNX: (1, 5, 256, 320) to (1, 16, 64, 80), log-odds by blocks of 4x4.

    Parameters
    ----------
    weights : mapping of str to ndarray, float32
        ``NAME.weight``, (out, in, height, width), and ``NAME.bias``, (out,), of every convolution.
    """
    net = _Layers(weights, (1, CHANNELS, *GRID))
    *skips, deepest = _encoded(net)
    context = net.add("GlobalAveragePool", deepest)
    context = net.convolved(net.convolved(context, "context.0"), "context.2", relu=False)
    x = net.convolved(deepest, f"lateral.{len(skips)}", relu=False)
    x = net.relu6(net.add("Add", x, net.spread(context, DEEPEST)))
    for k in reversed(range(len(skips))):
        lateral = net.convolved(skips[k], f"lateral.{k}", relu=False)
        x = net.relu6(net.add("Add", net.doubled(x), lateral))
        for part in range(2):
            x = net.convolved(x, f"fuse.{k}.{part}", kernel=3)
    coarse = GRID[0] // BLOCK, GRID[1] // BLOCK
    return net.model(net.convolved(x, "answer", relu=False), (1, BLOCK**2, *coarse))


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an even number of pixels, so that ``stride`` divides it."""
    zeros = kernel - stride
    return zeros // 2, zeros - zeros // 2


class _Layers(Graph):
    """A graph whose convolutions are the weights' own."""

    def __init__(self, weights: Weights, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self._weights = weights
        self._bounds = [self.constant(np.array(bound, np.float32)) for bound in (0, 6)]
        self._scales = self.constant(np.array([1, 1, 2, 2], np.float32))

    def convolved(
        self,
        x: str,
        name: str,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        relu: bool = True,
    ) -> str:
        before, after = same_padding(kernel, stride)
        values = (self.constant(self._weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        found = self.add(
            "Conv",
            x,
            *values,
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[before, before, after, after],
            group=groups,
        )
        return self.relu6(found) if relu else found

    def relu6(self, x: str) -> str:
        return self.add("Clip", x, *self._bounds)

    def spread(self, x: str, shape: tuple[int, int]) -> str:
        """One pixel as many: OpenCV 5 adds to a convolution only what has its shape."""
        return self.add("Expand", x, self.constant(np.array([1, 1, *shape])))

    def doubled(self, x: str) -> str:
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", x, "", self._scales, **how)


def blocks_of(stage: Stage, inside: int) -> Iterator[tuple[int, int, bool]]:
    """Of each block of a stage: width of its input, stride, and whether it adds its input."""
    for k in range(stage.repeats):
        stride = 1 if k else stage.stride
        yield inside, stride, stride == 1 and inside == stage.width
        inside = stage.width


def _encoded(net: _Layers) -> list[str]:
    """What the decoder joins: the ends of the stages `SKIPS`, and the end."""
    x, width, number = net.convolved(net.INPUT, "stem", 3, 2), STEM, count()
    ends = []
    for stage in STAGES:
        for inside, stride, shortcut in blocks_of(stage, width):
            found = _block(net, x, f"blocks.{next(number)}", stage, stride, inside)
            x = net.add("Add", x, found) if shortcut else found
        width = stage.width
        ends.append(x)
    return [ends[k] for k in (*SKIPS, -1)]


def _block(net: _Layers, x: str, name: str, stage: Stage, stride: int, inside: int) -> str:
    if stage.expansion > 1:
        x = net.convolved(x, f"{name}.expand")
    inner = inside * stage.expansion
    x = net.convolved(x, f"{name}.depth", stage.kernel, stride, groups=inner)
    return net.convolved(x, f"{name}.project", relu=False)

"""The network that finds the sky, operator by operator.

The encoder is EfficientNet-Lite0 (Liu, 2020; Tan and Le, 2019) without its last stage: a
convolution and inverted residual blocks. It sees the whole image at 256x320. The decoder brings
what the stages end with to a quarter of that size and answers with one log-odds per pixel of the
grid, 4x4 of them at a time. Batch normalisation is folded into the weights.

Between operators flow whole numbers (`densesirst_gen.sky.filters`): every operator ends with
rounding down and a clip. Their steps follow from what the operators give on SIRST v2: ReLU6 gives 0
to 6, the ends of blocks seldom leave -60 to 60, the decoder's branches -8 to 8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

import numpy as np

from densesirst_gen.sky.filters import Signal, whole_filters
from densesirst_gen.sky.onnx import Graph

GRID = 256, 320
HALF_GRID = 128, 160
BLOCK = 4
CHANNELS = 5

Weights = Mapping[str, np.ndarray]


class Range(NamedTuple):
    """Of a kind of signal: see `densesirst_gen.sky.filters.Signal`."""

    step: float
    least: int
    most: int

    def values(self) -> range:
        """All whole numbers in it."""
        return range(self.least, self.most + 1)


SEEN = Range(1 / 128, -2047, 2047)
"""What goes into the network."""
WIDE, NARROW = Range(6 / 511, 0, 511), Range(6 / 255, 0, 255)
"""After ReLU6: what filters of few inputs see, and those of up to 1152."""
ENDS = Range(1 / 16, -2047, 2047)
"""Of blocks, which end without ReLU6."""
BRANCHES = Range(WIDE.step, -2047, 2047)
"""Of the decoder, before they are added."""
ODDS = Range(1 / 16, -128, 127)
"""What comes out."""


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
DECODER = 64
SKIPS = 1, 2, 4
"""Stages whose ends the decoder joins: the last ones at a quarter, an eighth and a sixteenth."""


def model_of(weights: Weights, grid: tuple[int, int] = GRID) -> bytes:
    """The network in ONNX: (1, 5, 256, 320) to (1, 16, 64, 80), log-odds by blocks of 4x4.

    Parameters
    ----------
    weights : mapping of str to ndarray, float32
        ``NAME.weight``, (out, in, height, width), and ``NAME.bias``, (out,), of every convolution.
    grid : (int, int)
        Rows and columns of what it sees, multiples of 32; `GRID` is what it was trained at.

    Returns
    -------
    bytes
        Takes whole numbers in `SEEN`, gives whole numbers in `ODDS`.
    """
    graph = Graph((1, CHANNELS, *grid))
    answer = add_network(graph, weights, grid)
    return graph.model(answer, (1, BLOCK**2, grid[0] // BLOCK, grid[1] // BLOCK))


def add_network(graph: Graph, weights: Weights, grid: tuple[int, int] = GRID) -> str:
    """Append all operators to a graph; the name of what the last one gives is returned."""
    net = Layers(graph, weights)
    *skips, deepest = _encoded(net)
    x = net.convolved(deepest, f"lateral.{len(skips)}", BRANCHES)
    x = net.added(x, _context(net, deepest, (grid[0] // 32, grid[1] // 32)), WIDE)
    for k in reversed(range(len(skips))):
        lateral = net.convolved(skips[k], f"lateral.{k}", BRANCHES)
        x = net.added(net.doubled(x, DECODER), lateral, WIDE)
        for part in range(2):
            x = net.convolved(x, f"fuse.{k}.{part}", WIDE, kernel=3)
    return net.convolved(x, "answer", ODDS).name


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an even number of pixels, so that ``stride`` divides it."""
    zeros = kernel - stride
    return zeros // 2, zeros - zeros // 2


class Layers:
    """Adds operators on signals to a graph, with weights of the network's own."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self._graph, self._weights = graph, weights
        self._bounds: dict[int, str] = {}
        self.input = Signal(graph.INPUT, *SEEN)

    def convolved(
        self,
        x: Signal,
        name: str,
        to: Range,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
    ) -> Signal:
        """By the weights of this name, at the step of what comes out."""
        before, after = same_padding(kernel, stride)
        weight, bias = (self._weights[f"{name}.{part}"] for part in ("weight", "bias"))
        values = (self._graph.constant(v) for v in whole_filters(weight, bias, x, to.step))
        found = self._graph.add(
            "Conv",
            x.name,
            *values,
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[before, before, after, after],
            group=groups,
        )
        return self._whole(found, to)

    def averaged(self, x: Signal, shape: tuple[int, int], width: int) -> Signal:
        """The whole map as one pixel: its sum, divided by a power of two, at the step of a mean."""
        size = shape[0] * shape[1]
        part = 2.0 ** -(size.bit_length() - 1)
        share = np.full((width, 1, *shape), part, np.float32)
        half = np.full(width, 0.5, np.float32)
        values = self._graph.constant(share), self._graph.constant(half)
        found = self._graph.add("Conv", x.name, *values, kernel_shape=shape, group=width)
        reach = int(x.reach * size * part) + 1
        return self._whole(found, Range(x.step / (size * part), -reach, reach))

    def spread(self, x: Signal, shape: tuple[int, int]) -> Signal:
        """One pixel as many: OpenCV 5 adds to a convolution only what has its shape."""
        size = self._graph.constant(np.array([1, 1, *shape]))
        return x._replace(name=self._graph.add("Expand", x.name, size))

    def doubled(self, x: Signal, width: int) -> Signal:
        """At twice the size, between the centres of pixels: sixteenths of whole numbers.

        Each pixel four times, then a filter of 1, 2, 1: its weights are exact, unlike those of
        Resize in some versions of OpenCV.
        """
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
        scales = self._graph.constant(np.array([1, 1, 2, 2], np.float32))
        four = self._graph.add("Resize", x.name, "", scales, nearest_mode="floor", **how)
        near = np.array([1, 2, 1], np.float32) / 4
        weight = np.tile(np.outer(near, near), (width, 1, 1, 1))
        values = self._graph.constant(weight), self._graph.constant(np.zeros(width, np.float32))
        wider = self._bordered(self._bordered(four, 2), 3)
        found = self._graph.add("Conv", wider, *values, kernel_shape=[3, 3], group=width)
        return x._replace(name=found)

    def _bordered(self, x: str, axis: int) -> str:
        """The first and the last along an axis once more."""
        ends = [(0, 1), (-1, np.iinfo(np.int64).max)]
        first, last = (self._cut(x, axis, *places) for places in ends)
        return self._graph.add("Concat", first, x, last, axis=axis)

    def _cut(self, x: str, axis: int, start: int, end: int) -> str:
        places = (self._graph.constant(np.array([value])) for value in (start, end, axis))
        return self._graph.add("Slice", x, *places)

    def added(self, x: Signal, y: Signal, to: Range) -> Signal:
        """The sum of signals of the same step."""
        return self._whole(self._graph.add("Add", x.name, y.name), to)

    def _whole(self, found: str, to: Range) -> Signal:
        floor = self._graph.add("Floor", found)
        bounds = (self._bound(value) for value in (to.least, to.most))
        return Signal(self._graph.add("Clip", floor, *bounds), *to)

    def _bound(self, value: int) -> str:
        if value not in self._bounds:
            self._bounds[value] = self._graph.constant(np.array(value, np.float32))
        return self._bounds[value]


def _context(net: Layers, deepest: Signal, shape: tuple[int, int]) -> Signal:
    """What the whole image says to each pixel of the smallest map."""
    mean = net.averaged(deepest, shape, STAGES[-1].width)
    context = net.convolved(net.convolved(mean, "context.0", WIDE), "context.2", BRANCHES)
    return net.spread(context, shape)


def blocks_of(stage: Stage, inside: int) -> Iterator[tuple[int, int, bool]]:
    """Of each block of a stage: width of its input, stride, and whether it adds its input."""
    for k in range(stage.repeats):
        stride = 1 if k else stage.stride
        yield inside, stride, stride == 1 and inside == stage.width
        inside = stage.width


def _encoded(net: Layers) -> list[Signal]:
    """What the decoder joins: the ends of the stages `SKIPS`, and the end."""
    x, width, number = net.convolved(net.input, "stem", WIDE, 3, 2), STEM, count()
    ends = []
    for stage in STAGES:
        for inside, stride, shortcut in blocks_of(stage, width):
            found = _block(net, x, f"blocks.{next(number)}", stage, stride, inside)
            x = net.added(x, found, ENDS) if shortcut else found
        width = stage.width
        ends.append(x)
    return [ends[k] for k in (*SKIPS, -1)]


def _block(net: Layers, x: Signal, name: str, stage: Stage, stride: int, inside: int) -> Signal:
    if stage.expansion > 1:
        x = net.convolved(x, f"{name}.expand", WIDE)
    inner = inside * stage.expansion
    x = net.convolved(x, f"{name}.depth", NARROW, stage.kernel, stride, groups=inner)
    return net.convolved(x, f"{name}.project", ENDS)

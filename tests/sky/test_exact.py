"""The same image gives the same sky, to the last bit: by arithmetic, and against whole numbers.

`ByHand` is a second way to run the network: plain int64. `Bounds` proves from the shipped weights
that no sum in float32 can be rounded, whatever the image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import drawn
from scipy import ndimage

from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky import network, predict
from densesirst_gen.sky.filters import EXACT, FINEST, Signal, whole_filters
from densesirst_gen.sky.graph import BLOCK, CHANNELS, GRID, SEEN, Layers, add_network
from densesirst_gen.sky.network import features, shipped
from densesirst_gen.sky.onnx import Graph
from densesirst_gen.sky.predict import predict_sky, unit_gray
from densesirst_gen.sky.whole import box_sums, doubled, halved, resized

SIZES = [(1, 1), (1, 7), (7, 1), (96, 135), (256, 320), (255, 321), (300, 1000), (513, 641)]


def bare(image: np.ndarray) -> Scene:
    return Scene("bare", image, np.zeros(image.shape, np.int32))


def noise(shape: tuple[int, ...], most: int = 65535, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, most + 1, shape)


# ---------------------------------------------------------------- the network


class Fixed(NamedTuple):
    """Whole numbers, int64, of which 2^bits are one; an array of bits goes by channel."""

    values: np.ndarray
    bits: Any = 0


def fixed(values: np.ndarray) -> Fixed:
    """Of real filters, (out, values): as many bits behind the point as each of them needs."""
    whole = np.ldexp(values.astype(np.float64), FINEST).astype(np.int64)
    every = np.bitwise_or.reduce(whole, axis=1, keepdims=True)
    lowest = np.maximum(every & -every, 1)
    return Fixed(whole // lowest, FINEST - np.round(np.log2(lowest)).astype(np.int64))


class Interpreter(Graph):
    """Runs operators as they are added, on arrays of its own kind."""

    def __init__(self) -> None:
        super().__init__((1, CHANNELS, *GRID))
        self.stored: dict[str, Any] = {}

    def constant(self, values: np.ndarray) -> str:
        name = super().constant(values)
        self.stored[name] = values
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator}{len(self.stored)}"
        given = [self.stored[source] for source in inputs if source]
        self.stored[name] = getattr(self, operator.lower())(*given, **attributes)
        return name


class ByHand(Interpreter):
    """int64, (channels, rows, columns) without a batch."""

    def __init__(self, inputs: np.ndarray) -> None:
        super().__init__()
        self.stored[self.INPUT] = Fixed(inputs.astype(np.int64))

    def conv(
        self,
        x: Fixed,
        weight: np.ndarray,
        bias: np.ndarray,
        *,
        kernel_shape: Sequence[int],
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        group: int,
    ) -> Fixed:
        assert x.bits == 0
        filters = fixed(np.column_stack([weight.reshape(len(bias), -1), bias]))
        assert (filters.bits >= 0).all()
        padded = np.pad(x.values, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
        rows, cols = (
            (side - kernel) // stride + 1
            for side, kernel, stride in zip(padded.shape[1:], kernel_shape, strides, strict=True)
        )
        total = np.repeat(filters.values[:, -1], rows * cols).reshape(len(bias), rows, cols)
        parts = filters.values[:, :-1].reshape(weight.shape)
        for i, j in np.ndindex(*kernel_shape):
            seen = padded[:, i : i + rows * strides[0] : strides[0]]
            seen = seen[:, :rows, j : j + cols * strides[1] : strides[1]][:, :, :cols]
            total += self._mixed(parts[:, :, i, j], seen, group)
        assert np.abs(total).max() < EXACT
        return Fixed(total, filters.bits[:, :, None])

    @staticmethod
    def _mixed(weight: np.ndarray, seen: np.ndarray, group: int) -> np.ndarray:
        if group > 1:
            return weight[:, 0, None, None] * seen
        flat = seen.reshape(len(seen), -1).astype(np.float64)
        mixed = (weight.astype(np.float64) @ flat).astype(np.int64)  # below 2^53: see Bounds
        return mixed.reshape(-1, *seen.shape[1:])

    def floor(self, x: Fixed) -> Fixed:
        return Fixed(x.values >> x.bits)

    def clip(self, x: Fixed, least: np.ndarray, most: np.ndarray) -> Fixed:
        return Fixed(np.clip(x.values, int(least), int(most)), x.bits)

    def expand(self, x: Fixed, shape: np.ndarray) -> Fixed:
        return Fixed(np.broadcast_to(x.values, (len(x.values), *shape[2:])), x.bits)

    def slice(self, x: Fixed, start: Any, end: Any, axis: Any) -> Fixed:
        along = [slice(None)] * 3
        along[int(axis[0]) - 1] = slice(int(start[0]), int(end[0]))
        return Fixed(x.values[tuple(along)], x.bits)

    def concat(self, *parts: Fixed, axis: int) -> Fixed:
        return Fixed(np.concatenate([part.values for part in parts], axis - 1))

    def resize(self, x: Fixed, scales: np.ndarray, **how: str) -> Fixed:
        assert scales.tolist() == [1, 1, 2, 2]
        assert how["mode"] == "nearest"
        return Fixed(x.values.repeat(2, 1).repeat(2, 2), x.bits)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        if operator != "Add":
            return super().add(operator, *inputs, **attributes)
        x, y = (self.stored[source] for source in inputs)
        bits = np.maximum(x.bits, y.bits)
        total = (x.values << (bits - x.bits)) + (y.values << (bits - y.bits))
        name = f"sum{len(self.stored)}"
        self.stored[name] = Fixed(total, bits)
        return name


def twice(values: np.ndarray) -> np.ndarray:
    """Four times the values at twice the rows, between their centres."""
    padded = np.pad(values, ((0, 0), (1, 1), (0, 0)), mode="edge")
    above, here, below = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    both = np.stack([3 * here + above, 3 * here + below], 2)
    return both.reshape(len(values), -1, values.shape[2])


def doubled_by_hand(values: np.ndarray) -> np.ndarray:
    """Sixteen times the values at twice rows and columns."""
    return twice(twice(values).swapaxes(1, 2)).swapaxes(1, 2)


def by_hand(inputs: np.ndarray) -> np.ndarray:
    """Log-odds in sixteenths."""
    run = ByHand(np.rint(inputs / SEEN.step))
    x = run.stored[add_network(run, weights())].values
    blocks = x.reshape(BLOCK, BLOCK, *x.shape[1:]).transpose(2, 0, 3, 1)
    return blocks.reshape(GRID)


def weights() -> dict[str, np.ndarray]:
    return network.stored_weights()[0]


@pytest.fixture(params=["demo", "noise"])
def inputs(request: pytest.FixtureRequest) -> np.ndarray:
    if request.param == "demo":
        return features(unit_gray(drawn(3)))
    return (noise((CHANNELS, *GRID), 4094).astype(np.float32) - 2047) / 128


# row 125
def test_opencv_gives_what_whole_numbers_give(inputs: np.ndarray) -> None:
    found = shipped().model.log_odds(inputs) * 16
    np.testing.assert_array_equal(found, by_hand(inputs))
    assert len(np.unique(found)) > 20


class Bounds(Interpreter):
    """Least and most that an operator can give, (channels,), and the finest bit of it."""

    def __init__(self) -> None:
        super().__init__()
        self.sums: list[float] = []
        self.stored[self.INPUT] = Signal(self.INPUT, 0, SEEN.least, SEEN.most)

    def conv(self, x: Signal, weight: np.ndarray, bias: np.ndarray, **how: Any) -> Signal:
        assert x.step == 0  # of signals: bits behind the point
        whole, bits = fixed(np.column_stack([weight.reshape(len(bias), -1), bias]))
        largest = np.abs(whole[:, :-1]).sum(1) * x.reach + np.abs(whole[:, -1])
        self.sums.append(int(largest.max()))
        reach = int(np.ceil(np.ldexp(largest, -bits[:, 0])).max())
        return Signal("", int(bits.max()), -reach, reach)

    def floor(self, x: Signal) -> Signal:
        return x._replace(step=0)

    def clip(self, x: Signal, least: np.ndarray, most: np.ndarray) -> Signal:
        return Signal("", x.step, max(int(least), x.least), min(int(most), x.most))

    def expand(self, x: Signal, shape: np.ndarray) -> Signal:
        return x

    def slice(self, x: Signal, *places: np.ndarray) -> Signal:
        return x

    def concat(self, *parts: Signal, axis: int) -> Signal:
        return parts[0]

    def resize(self, x: Signal, scales: np.ndarray, **how: str) -> Signal:
        return x

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        if operator != "Add":
            return super().add(operator, *inputs, **attributes)
        x, y = (self.stored[source] for source in inputs)
        assert y.step == 0
        self.sums.append((x.reach + y.reach) << int(x.step))
        name = f"sum{len(self.stored)}"
        self.stored[name] = Signal("", x.step, x.least + y.least, x.most + y.most)
        return name


# row 125
def test_no_sum_of_the_shipped_network_can_be_rounded() -> None:
    bounds = Bounds()
    add_network(bounds, weights())
    assert len(bounds.sums) > 60
    assert max(bounds.sums) < EXACT


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 5000), st.floats(-12, 6))
def test_no_sum_of_any_filters_can_be_rounded(
    seed: int, inside: int, reach: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 10**scale, (4, inside, 3, 3)) * (rng.random((4, inside, 3, 3)) < 0.9)
    bias = rng.normal(0, 10**scale, 4)
    whole, offset = whole_filters(weight, bias, Signal("", 1.0, -reach, reach), 0.1)
    values = np.abs(fixed(np.column_stack([whole.reshape(4, -1), offset])).values)
    assert (values[:, :-1].sum(1) * reach + values[:, -1] < EXACT).all()


def test_doubling_lies_between_the_centres_of_pixels() -> None:
    graph, run = Graph((1, 2, 3, 4)), np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    twice_ = Layers(graph, {}).doubled(Signal(graph.INPUT, 1, 0, 24), 2)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(graph.model(twice_.name, (1, 2, 6, 8)), np.uint8))
    net.setInput(run)
    np.testing.assert_array_equal(net.forward()[0] * 16, doubled_by_hand(run[0].astype(np.int64)))


def test_a_shuffled_network_answers_the_same(inputs: np.ndarray) -> None:
    """The stem's inputs in another order, and the first blocks' channels: other sums on the way."""
    rng, mixed = np.random.default_rng(1), dict(weights())
    order = rng.permutation(CHANNELS)
    mixed["stem.weight"] = mixed["stem.weight"][:, order]
    for block in range(1, 15):
        inner = rng.permutation(len(mixed[f"blocks.{block}.expand.bias"]))
        for part in ("expand.weight", "expand.bias", "depth.weight", "depth.bias"):
            mixed[f"blocks.{block}.{part}"] = mixed[f"blocks.{block}.{part}"][inner]
        project = f"blocks.{block}.project.weight"
        mixed[project] = mixed[project][:, inner]
    found = network.Model(mixed).log_odds(inputs[order])
    np.testing.assert_array_equal(found, shipped().model.log_odds(inputs))


# ---------------------------------------------------------------- images


def area_mean(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Every pixel cut into as many parts as there are cells, counted one by one."""
    fine = np.repeat(np.repeat(image, shape[0], 0), shape[1], 1)
    cells = fine.reshape(shape[0], image.shape[0], shape[1], image.shape[1]).sum((1, 3))
    area = image.size
    return (cells + area // 2) // area


@pytest.mark.parametrize(
    ("size", "shape"), [((7, 9), (3, 4)), ((6, 6), (3, 2)), ((11, 5), (11, 3))]
)
def test_smaller_images_are_exact_means(size: tuple[int, int], shape: tuple[int, int]) -> None:
    image = noise(size)
    np.testing.assert_array_equal(resized(image.astype(np.float32), shape), area_mean(image, shape))


@pytest.mark.parametrize("size", [(300, 400), (3000, 4000), (100, 120), (100, 4000), (1, 1)])
def test_sizes_are_those_of_opencv_but_for_rounding(size: tuple[int, int]) -> None:
    image = noise(size).astype(np.float32)
    shrinks = size[0] >= GRID[0] and size[1] >= GRID[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    expected = cv2.resize(image.astype(np.float64), GRID[::-1], interpolation=method)
    np.testing.assert_allclose(resized(image, GRID), expected, atol=0.6)


def test_sums_of_squares_and_doubling_are_whole() -> None:
    image = noise((61, 83), 2**18)
    square = image.astype(np.float64) ** 2
    expected = ndimage.correlate(image**2, np.ones((9, 9), np.int64), mode="mirror")
    np.testing.assert_array_equal(box_sums(square, 9), expected)
    small = noise((13, 17), 2**20 - 1) - 2**19
    found = doubled(small.astype(np.float32), (26, 34))
    np.testing.assert_array_equal(found * 16, doubled_by_hand(small[None])[0])


def test_an_odd_border_counts_twice() -> None:
    found = halved(np.arange(15, dtype=np.float32).reshape(3, 5))
    np.testing.assert_array_equal(found, [[12, 20, 26], [42, 50, 56]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", SIZES)
def test_plain_paths_of_opencv_and_threads_change_no_bit(
    shape: tuple[int, int], dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = noise(shape, 255).astype(dtype)
    image[: shape[0] // 2] //= 4
    coarse = noise(GRID, 255, seed=1).astype(np.float32) / 16 - 8
    monkeypatch.setattr(predict, "answer", lambda gray: coarse)

    def bits() -> tuple[bytes, bytes, float]:
        found = predict_sky(bare(image))
        seen = features(unit_gray(bare(image)))
        return seen.tobytes(), found.probability.tobytes(), found.confidence

    first, threads = bits(), cv2.getNumThreads()
    try:
        cv2.setUseOptimized(False)
        cv2.setNumThreads(3)
        assert bits() == first
    finally:
        cv2.setUseOptimized(True)
        cv2.setNumThreads(threads)


def test_plain_paths_of_the_network_change_no_bit() -> None:
    inputs = features(unit_gray(drawn(1)))
    first, threads = shipped().model.log_odds(inputs), cv2.getNumThreads()
    try:
        cv2.setUseOptimized(False)
        cv2.setNumThreads(3)
        again = network.Model(weights()).log_odds(inputs)
    finally:
        cv2.setUseOptimized(True)
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(again, first)


def test_rows_and_columns_in_another_order_have_the_same_ranks_and_deviation() -> None:
    gray = noise(GRID, 255).astype(np.float32) / 255
    order = np.random.default_rng(2).permutation(gray.size)
    mixed = gray.ravel()[order].reshape(GRID)
    for channel in (0, 1):
        one, other = (features(image)[channel] for image in (gray, mixed))
        np.testing.assert_array_equal(one.ravel()[order], other.ravel())


# ---------------------------------------------------------------- chances


def test_chances_and_confidence_are_what_exponentials_give() -> None:
    odds = np.arange(-128, 128) / 16
    expected = 1 / (1 + np.exp(-odds / shipped().temperature))
    found = shipped().chance(odds)
    np.testing.assert_allclose(found, expected, atol=2**-20)
    assert (found * 2**20 % 1 == 0).all()
    assert ((found >= 0.5) == (odds >= 0)).all()
    for share in (0.0, 0.3, 0.75, 0.999, 1.0):
        clipped = min(max(share, 1e-4), 1 - 1e-4)
        logit = shipped().slope * np.log(clipped / (1 - clipped)) + shipped().offset
        assert shipped().confidence(share) == pytest.approx(1 / (1 + np.exp(-logit)))


def test_deep_images_lie_between_values_that_they_have() -> None:
    values = np.arange(4000, dtype=np.uint16).reshape(40, 100) * 3
    gray = unit_gray(bare(values))
    assert gray.min() == 0
    assert gray.max() == 1
    assert (gray == 0).sum() == (gray == 1).sum() == 5


# ---------------------------------------------------------------- what has been promised


SKIES = {
    0: "8325cb2ee9072f50",
    1: "dc224d4b4496b588",
    2: "3e558fa4ab266494",
}
"""Of demo scenes: SHA-256 of probabilities and confidence. They change only with `PREDICTOR`."""


@pytest.mark.parametrize("number", SKIES)
# row 125
def test_skies_are_what_they_were_on_every_machine(number: int) -> None:
    found = predict_sky(bare(drawn(number).image))
    content = found.probability.tobytes() + repr(found.confidence).encode()
    assert hashlib.sha256(content).hexdigest()[:16] == SKIES[number]


def test_the_digest_knows_the_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    before = network.stored_weights()[2]
    monkeypatch.setattr(network, "PREDICTOR", network.PREDICTOR + 1)
    assert network.stored_weights()[2] != before

"""Enough of ONNX for OpenCV to run a network: operators and their weights, written as bytes.

Every version of OpenCV's network module reads this format from memory. The numbers of messages and
fields are those of ``onnx.proto`` (IR version 7, operators of version 13).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

IR_VERSION = 7
OPERATORS = 13
FLOAT, INT64 = 1, 7
ELEMENT = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64}
ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_INTS = 2, 3, 7

Attribute = int | str | Sequence[int]


class Graph:
    """A network that grows by one operator at a time.

    Parameters
    ----------
    shape : tuple of int
        Of the one input, float32.
    """

    INPUT = "input"

    def __init__(self, shape: Sequence[int]) -> None:
        self._shape = shape
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, values: np.ndarray) -> str:
        """Store an array, float32 or int64; its name is returned."""
        name = f"constant{len(self._constants)}"
        dims = b"".join(_field(1, size) for size in values.shape)
        raw = np.ascontiguousarray(values).tobytes()
        element = _field(2, ELEMENT[values.dtype])
        self._constants.append(dims + element + _field(8, name) + _field(9, raw))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """Append an operator; the name of what it gives is returned. An input "" is left out."""
        name = f"{operator}{len(self._nodes)}"
        node = b"".join(_field(1, source) for source in inputs) + _field(2, name)
        node += _field(3, name) + _field(4, operator)
        node += b"".join(_field(5, _attribute(k, v)) for k, v in attributes.items())
        self._nodes.append(node)
        return name

    def model(self, output: str, shape: Sequence[int]) -> bytes:
        """The file that ends in this output of this shape."""
        graph = b"".join(_field(1, node) for node in self._nodes) + _field(2, "graph")
        graph += b"".join(_field(5, constant) for constant in self._constants)
        graph += _field(11, _value(self.INPUT, self._shape)) + _field(12, _value(output, shape))
        return _field(1, IR_VERSION) + _field(7, graph) + _field(8, _field(2, OPERATORS))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        content = _field(4, value) + _field(20, ATTRIBUTE_STRING)
    elif isinstance(value, int):
        content = _field(3, value) + _field(20, ATTRIBUTE_INT)
    else:
        content = b"".join(_field(8, v) for v in value) + _field(20, ATTRIBUTE_INTS)
    return _field(1, name) + content


def _value(name: str, shape: Sequence[int]) -> bytes:
    """A named tensor of float32."""
    dims = b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, dims)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a message: a whole number, or anything that has a length."""
    if isinstance(value, int):
        return _key(number, 0) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _key(number, 2) + _varint(len(content)) + content


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])

"""MATLAB files: the same matrices as SciPy's reader has, and no length is believed."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from densesirst_gen.detection.evaluation.readers.mat5 import is_mat5, matrices

RNG = np.random.default_rng(0)
VALUES: list[Any] = [
    RNG.random((5, 7)),
    RNG.random((5, 7)).astype(np.float32),
    RNG.random((4, 3)) > 0.5,
    RNG.integers(0, 255, (3, 9), dtype=np.uint8),
    RNG.integers(0, 9, (3, 9), dtype=np.int16),
    np.arange(6.0).reshape(2, 3),
    np.float64(3),
    RNG.random((2, 3, 4)),
    np.zeros((0, 3)),
]


def saved(*, packed: bool = False, **variables: Any) -> bytes:
    buffer = BytesIO()
    savemat(buffer, variables, do_compression=packed)
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("value", VALUES, ids=lambda v: f"{np.asarray(v).dtype}-{np.shape(v)}")
def test_the_same_as_scipy(value: Any, packed: bool) -> None:
    others = {"t": "text", "c": np.array([1, "a"], object), "s": {"a": 1}, "z": np.array([1j])}
    content = saved(packed=packed, prob=value, **others)
    assert is_mat5(content)
    found = matrices(content)
    wanted = loadmat(BytesIO(saved(prob=value)), mat_dtype=True)["prob"]
    assert list(found) == ["prob"]
    assert found["prob"].dtype == wanted.dtype
    assert np.array_equal(found["prob"], wanted)


def test_big_endian() -> None:
    head = b"x".ljust(124) + b"\x01\x00MI"
    parts = [(6, struct.pack(">2I", 6, 0)), (5, struct.pack(">2i", 1, 2)), (1, b"a")]
    parts.append((9, struct.pack(">2d", 0.5, 1.5)))
    body = b"".join(
        struct.pack(">2I", kind, len(data)) + data + b"\0" * (-len(data) % 8)
        for kind, data in parts
    )
    content = head + struct.pack(">2I", 14, len(body)) + body
    assert matrices(content)["a"].tolist() == [[0.5, 1.5]]


def test_every_cut_and_every_wrong_length_is_refused() -> None:
    content = saved(prob=np.arange(12.0).reshape(3, 4))
    for end in range(129, len(content)):
        with pytest.raises(ValueError, match=r"cut off|longer|lacks|type|not \["):
            matrices(content[:end])
    for at in range(128, len(content), 4):
        spoilt = bytearray(content)
        spoilt[at : at + 4] = struct.pack("<I", 0x7FFFFFFF)
        try:
            found = matrices(bytes(spoilt))
        except ValueError:
            continue
        assert all(array.size <= 12 for array in found.values())


def test_what_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("densesirst_gen.detection.evaluation.readers.mat5.MAX_BYTES", 10_000)
    packed = zlib.compress(bytes(100_000))
    content = saved(a=1)[:128] + struct.pack("<2I", 15, len(packed)) + packed
    with pytest.raises(ValueError, match="larger than 10000"):
        matrices(content)

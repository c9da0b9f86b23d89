"""Every reader of the method and of detection reads mutated files, or raises its own errors."""

from __future__ import annotations

import random
import warnings

import pytest
from fuzz_readers import readers

N_MUTATIONS = 200
SLOW = {"weights": 40, "resume": 80}
WORDS = (b"null", b"-1", b"1e400", b"[]", b"{}", b'"a"', b"NaN", b"9" * 400, b"\xff", b"\0", b",,")


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, taken out, doubled or put in; now and then cut off."""
    made = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, n = rng.randrange(len(made) + 1), rng.randrange(1, 12)
        kind = rng.randrange(6)
        if kind == 0 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            made[at : at + n] = rng.randbytes(n)
        elif kind == 2:
            del made[at : at + n]
        elif kind == 3:
            made[at:at] = made[at : at + n]
        elif kind == 4:
            made[at : at + n] = rng.choice(WORDS)
        elif rng.random() < 0.2:
            del made[at:]
    return bytes(made)


@pytest.mark.parametrize("name", sorted(readers()))
def test_a_good_file_is_read(name: str) -> None:
    reader = readers()[name]
    assert reader.read(reader.seed) is not None


@pytest.mark.parametrize("name", sorted(readers()))
def test_mutations_are_read_or_refused(name: str) -> None:
    reader, rng, n_read = readers()[name], random.Random(name), 0
    for k in range(SLOW.get(name, N_MUTATIONS)):
        content = mutated(reader.seed, rng)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader.read(content)
        except reader.errors:
            continue
        except Exception as error:
            raise AssertionError(f"{name}, mutation {k}: {content[:300]!r}") from error
        n_read += 1
    assert n_read < SLOW.get(name, N_MUTATIONS)

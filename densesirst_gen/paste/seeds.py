"""Seeds: which numbers make which scene, and which call."""

from __future__ import annotations

import hashlib

import numpy as np


def scene_rng(seed: int, name: str, copy: int = 0) -> np.random.Generator:
    """The generator of one scene: it depends on nothing but seed, name and copy.

    Parameters
    ----------
    seed : int
        At least 0.
    name : str
        Of the scene.
    copy : int
        Which of several renderings of the same background.
    """
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(copy, key))))


def name_key(name: str) -> int:
    """A fixed 64-bit hash of a name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def generator(seed: int, key: tuple[int, ...]) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))

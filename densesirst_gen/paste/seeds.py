"""Seeds: which numbers make which scene, and which call."""

from __future__ import annotations

import hashlib

import numpy as np

RNG_SCHEME = "PCG64(SeedSequence(seed, (copy, blake2b-64(name))))"
"""What `scene_rng` does, for manifests."""


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
    return generator(seed, (copy, name_key(name)))


def generator(seed: int, key: tuple[int, ...]) -> np.random.Generator:
    """A generator whose numbers depend on a seed and a key of whole numbers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def name_key(name: str) -> int:
    """A fixed 64-bit hash of a name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")

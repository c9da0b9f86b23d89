"""How many images a dataset has, in the words of Hugging Face's cards."""

from __future__ import annotations

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def size_category(n: int) -> str:
    """Such as ``1K<n<10K``, for `n` images."""
    return next((text for limit, text in SIZES if n < limit), "n>1M")

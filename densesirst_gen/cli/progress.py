"""A progress bar that says only what it knows.

It is not there before it knows of how many; and how long the rest takes it says when some seconds
have gone by, for at first processes start and the first results tell little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from tqdm import tqdm

SETTLED_S = 3.0
AT_FIRST = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}]"
THEN = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left, {rate_fmt}]"


class Bar(tqdm):
    """tqdm with the time that is left only where it can be told."""

    @property
    def format_dict(self) -> Mapping[str, Any]:
        """What the bar shows."""
        found = super().format_dict
        is_settled = found["n"] > 1 and found["elapsed"] >= SETTLED_S
        return {**found, "bar_format": THEN if is_settled else AT_FIRST}


def watched(results: Iterable[Any], total: int, *, unit: str, file: IO[str]) -> Iterator[Any]:
    """Results as they come, with a bar that is gone when they end.

    Parameters
    ----------
    results : iterable
    total : int
        How many there are.
    unit : str
        What one of them is.
    file : file
        Of the terminal.
    """
    several = f" {unit}{'es' if unit.endswith('ch') else 's'}"
    with Bar(total=total, unit=several, file=file, leave=False, smoothing=0.1) as bar:
        for result in results:
            yield result
            bar.update()

"""Which scenes go into one file where many do: not too many, and not too many bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MOST_SCENES = 10_000
MOST_BYTES = 256 * 2**20


def shards(sizes: Iterable[tuple[str, int]], most_bytes: int = MOST_BYTES) -> Iterator[list[str]]:
    """Names in groups, in their order.

    Parameters
    ----------
    sizes : iterable of (str, int)
        Name and bytes.
    most_bytes : int
        Of a group; one that is larger by itself is a group by itself.
    """
    group: list[str] = []
    total = 0
    for name, size in sizes:
        if group and (total + size > most_bytes or len(group) == MOST_SCENES):
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group

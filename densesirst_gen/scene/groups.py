"""Which of some things hang together: the groups that links between them make."""

from __future__ import annotations

import numpy as np


def linked_groups(links: np.ndarray, n: int) -> np.ndarray:
    """Number the groups of things that are linked, directly or by way of others.

    In plain numpy: a graph library takes longer to load than most scenes take to be linked.

    Parameters
    ----------
    links : ndarray, (E, 2), int
        Pairs of things, 0..n-1; (0, 2) for no links.
    n : int
        Number of things.

    Returns
    -------
    ndarray, (n,), int32
        Group of each, 0..K-1 in order of the first member.
    """
    lowest = np.arange(n)  # of each thing, a member of its group; in the end the first one
    while len(links):
        ends = lowest[links]
        apart = ends[:, 0] != ends[:, 1]
        links, ends = links[apart], ends[apart]
        np.minimum.at(lowest, ends, ends.min(axis=1, keepdims=True))
        while (lowest[lowest] != lowest).any():
            lowest = lowest[lowest]
    return (np.cumsum(lowest == np.arange(n), dtype=np.int32) - 1)[lowest]

"""The recovered parameters of a split in one small file: numbers only, no pixels.

One row a paste, in the order of pasting: a donor, five parameters in 65535ths of their ranges,
whole degrees, a corner.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from release.image import Inverted
from release.model import Paste

Parameters = dict[str, tuple[str, list[Paste]]]


def write_parameters(file: Path, images: list[Inverted]) -> None:
    """Write what `read_parameters` reads."""
    pastes = [paste for image in images for paste in image.pastes]
    donors = sorted({paste.donor for paste in pastes})
    place = {donor: k for k, donor in enumerate(donors)}
    np.savez_compressed(
        file,
        names=np.array([image.name for image in images]),
        conversions=np.array([image.conversion for image in images]),
        counts=np.array([len(image.pastes) for image in images], np.uint8),
        donors=np.array(donors),
        donor=np.array([place[paste.donor] for paste in pastes], np.uint16),
        steps=np.array([paste.steps for paste in pastes], np.uint16).reshape(-1, 5),
        theta=np.array([paste.theta for paste in pastes], np.int8),
        corner=np.array([(paste.row, paste.col) for paste in pastes], np.uint16).reshape(-1, 2),
    )


def read_parameters(file: Path) -> Parameters:
    """Image to its conversion to gray and its pastes in order."""
    with np.load(file, allow_pickle=False) as arrays:
        a = {key: arrays[key] for key in arrays}
    rows = zip(a["donor"], a["steps"], a["theta"], a["corner"], strict=True)
    pastes = [
        Paste(str(a["donors"][donor]), tuple(map(int, steps)), int(theta), *map(int, corner))
        for donor, steps, theta, corner in rows
    ]
    ends = np.cumsum(a["counts"], dtype=int)
    parts = zip(a["names"], a["conversions"], ends - a["counts"], ends, strict=True)
    return {str(name): (str(how), pastes[i:j]) for name, how, i, j in parts}

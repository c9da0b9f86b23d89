"""Boxes as a file of predictions has them, whatever its format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Values = tuple[float, float, float, float, float]
"""x0, y0, x1, y1, score."""


class Image(NamedTuple):
    """How a result calls its image.

    Parameters
    ----------
    id : str or int
        A name or a number; empty if the file has none.
    file_name : str, optional
        Counts more than the id.
    """

    id: str | int
    file_name: str | None = None

    @property
    def text(self) -> str:
        """For messages."""
        if self.file_name is not None:
            return self.file_name
        return self.id if isinstance(self.id, str) else f"image_id {self.id}"


@dataclass(frozen=True, eq=False)
class Results:
    """The boxes of a file or of a folder of files.

    Parameters
    ----------
    rows : list of (Image, Values)
    listed : iterable of Image
        Images that were looked at, also those in which nothing was found, as far as the format
        tells.
    in_fractions : bool
        Whether boxes are in fractions of the image and not in px.
    notes : tuple of str
        How the file was read, where that had to be decided.
    extra : tuple of str
        Files of no scene, which were not read.
    categories : tuple of str
        Ids of their categories, if the file leaves it to the dataset what these are.
    """

    rows: list[tuple[Image, Values]]
    listed: tuple[Image, ...] = ()
    in_fractions: bool = False
    notes: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    def images(self) -> dict[Image, None]:
        """Each once, in the order of the file."""
        return dict.fromkeys([*self.listed, *(image for image, _ in self.rows)])


def joined(parts: Iterable[Results]) -> Results:
    """The results of several files that are read alike."""
    all_parts = list(parts)
    return Results(
        [row for part in all_parts for row in part.rows],
        tuple(image for part in all_parts for image in part.listed),
        any(part.in_fractions for part in all_parts),
        tuple(dict.fromkeys(note for part in all_parts for note in part.notes)),
    )


def is_box(values: Values) -> bool:
    """Whether all numbers are finite and the corners in order."""
    return bool(np.isfinite(values).all()) and values[2] >= values[0] and values[3] >= values[1]

"""What the values of maps mean, which one map can't say: 0 and 1 may be a mask, or very little."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.readers.arrays import DEPTHS, SUFFIXES, read_array
from densesirst_gen.files.images.codec import BRIGHTNESS, TRUE_COLOUR, read_image

N_SAMPLED = 8
MOST = 0.5


class Meaning(NamedTuple):
    """How all maps are to be read.

    Parameters
    ----------
    zero_one : bool
        They are masks of 0 and 1.
    notes : tuple of str
    """

    zero_one: bool = False
    notes: tuple[str, ...] = ()


def read_values(path: Path) -> np.ndarray:
    """The values of a map as they stand in its file.

    Raises
    ------
    CodecError, PredictionError
        If it can't be read, or is in colours.
    """
    return read_array(path) if path.suffix.lower() in SUFFIXES else _read_gray(path)


def meaning_of(paths: Iterable[Path]) -> Meaning:
    """Look at maps until one says how all are to be read, which is mostly the first.

    Whole numbers of which none is above 1 are masks. Where no map comes near the middle of its
    range, all would be empty at most thresholds, and that is told.

    Parameters
    ----------
    paths : iterable of Path
        Of one detector.
    """
    maps = list(paths)
    found = _meaning(maps)
    sample = maps[:: max(1, len(maps) // N_SAMPLED)][:N_SAMPLED]
    looks = [_look(path, found) for path in sample]
    return found._replace(notes=(*found.notes, *_inverted(looks), *_of_two_kinds(looks, found)))


class _Look(NamedTuple):
    """A map of the sample: its largest value if that is whole, and the share that is found."""

    name: str
    peak: int | None
    share_on: float


def _look(path: Path, meaning: Meaning) -> _Look:
    values = read_values(path)
    return _Look(path.name, _peak(values), _share_on(values, meaning))


def _of_two_kinds(looks: Sequence[_Look], meaning: Meaning) -> list[str]:
    """A note if of a sample half or more are of 0 and 1, and others are not."""
    if meaning.zero_one:
        return []
    ones = [look.name for look in looks if look.peak == 1]
    if len(ones) < 2 or 2 * len(ones) < len(looks):
        return []
    return [
        f"{len(ones)} of {len(looks)} maps looked at, such as {ones[0]}, hold 0 and 1 alone, "
        "and others more: they are read as probabilities, of which 1 is nearly nothing; if they "
        "are masks, all must hold 0 and 1, or 0 and 255"
    ]


def _peak(values: np.ndarray) -> int | None:
    """The largest of whole numbers."""
    return int(values.max(initial=0)) if values.dtype in DEPTHS else None


def _inverted(looks: Sequence[_Look]) -> list[str]:
    """A note if most maps of a sample find something nearly everywhere."""
    white = [look.name for look in looks if look.share_on > MOST]
    if 2 * len(white) <= len(looks):
        return []
    return [
        f"{len(white)} of {len(looks)} maps looked at are white in more than {MOST:.0%} of their "
        f"pixels, such as {white[0]}: are they inverted? what is found must be white"
    ]


def _share_on(values: np.ndarray, meaning: Meaning) -> float:
    middle = 0.5 if meaning.zero_one else DEPTHS.get(values.dtype, 1) / 2
    return float(np.count_nonzero(values > middle)) / max(values.size, 1)


def _meaning(paths: Iterable[Path]) -> Meaning:
    peak, n_maps = 0, 0
    for path in paths:
        values = read_values(path)
        most = _peak(values)
        if most is None or 2 * most > DEPTHS[values.dtype]:
            return Meaning()
        peak, depth, n_maps = max(peak, most), DEPTHS[values.dtype], n_maps + 1
    if peak == 1:
        return Meaning(True, (f"values {{0, 1}} of all {n_maps} maps are read as masks",))
    if peak == 0:
        return Meaning()
    return Meaning(
        notes=(
            f"the greatest value of all {n_maps} maps is {peak} of {depth}: nearly nothing is "
            f"found; masks must hold 0 and {depth}, or 0 and 1",
        )
    )


def _read_gray(path: Path) -> np.ndarray:
    """An image that is gray, whatever its mode; false colours have no way back."""
    decoded = read_image(path, colormap=BRIGHTNESS)
    if TRUE_COLOUR in decoded.notes:
        raise PredictionError(
            f"{path}: a map in colours; a map is gray, from black for 0 to white for 1 (a heat map "
            "in jet or other colours must be saved again, without them)"
        )
    return decoded.array

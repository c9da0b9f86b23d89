"""Text files of one line a box: reading them, and which column is what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densesirst_gen.detection.evaluation.errors import PredictionError

SEPARATOR = re.compile(r"[,;\s]+")
NO_WORD = -1.0


@dataclass(frozen=True, eq=False)
class Columns:
    """A grammar of lines of numbers.

    Parameters
    ----------
    name : str
        For messages.
    width : int
        Numbers in a line.
    box, score : (int, int, int, int) and int
        Which of them; -1: there is no score.
    is_centre : bool
        Whether the box is its centre and its size, as fractions of the image.
    fits : callable
        (N, width) -> whether it may be meant.
    """

    name: str
    width: int
    box: tuple[int, int, int, int]
    score: int
    is_centre: bool
    fits: Callable[[np.ndarray], bool]


def words_of(path: Path) -> list[list[str]]:
    """The words of each line that is not blank.

    Raises
    ------
    PredictionError
        If it is no UTF-8 text.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PredictionError(f"{path}: not a readable UTF-8 text ({error})") from error
    return [SEPARATOR.split(line.strip()) for line in lines if line.strip()]


def numbers(path: Path, row: int, words: Iterable[str]) -> list[float]:
    """Finite numbers; PredictionError, naming the line (from 0), if one is none."""
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise PredictionError(f"{path}: line {row + 1}: {error}") from error
    if not np.isfinite(values).all():
        raise PredictionError(f"{path}: line {row + 1}: {values}, numbers must be finite")
    return values


def _in_unit(values: np.ndarray) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _is_whole(values: np.ndarray) -> bool:
    return bool((values == np.round(values)).all())


def _are_fractions(table: np.ndarray) -> bool:
    return _is_whole(table[:, 0]) and _in_unit(table[:, 1:])


def _are_pixels(table: np.ndarray, box: tuple[int, ...], score: int) -> bool:
    return _are_corners(table[:, box]) and _in_unit(table[:, score])


def _are_corners(corners: np.ndarray) -> bool:
    return bool((corners[:, 2:] >= corners[:, :2]).all()) and bool(corners.max(initial=0) > 1)


def _conf_first(table: np.ndarray) -> bool:
    """Of which not all say 0, as classes do."""
    return bool(table[:, 0].any()) and _are_pixels(table, CORNERS_SECOND, 0)


def _class_first(table: np.ndarray) -> bool:
    """Whole numbers that are not all 1, which says the same of all boxes either way."""
    classes = table[:, 0]
    plain = _is_whole(classes) and not bool((classes == 1).all())
    return plain and _are_corners(table[:, CORNERS_SECOND])


CORNERS_FIRST, CORNERS_SECOND, CORNERS_THIRD = (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)
GRAMMARS = (
    Columns("class cx cy w h", 5, CORNERS_SECOND, -1, True, _are_fractions),
    Columns("class cx cy w h conf", 6, CORNERS_SECOND, 5, True, _are_fractions),
    Columns("conf x1 y1 x2 y2", 5, CORNERS_SECOND, 0, False, _conf_first),
    Columns("class x1 y1 x2 y2", 5, CORNERS_SECOND, -1, False, _class_first),
    Columns(
        "x1 y1 x2 y2 conf", 5, CORNERS_FIRST, 4, False, lambda t: _are_pixels(t, CORNERS_FIRST, 4)
    ),
    Columns(
        "class conf x1 y1 x2 y2",
        6,
        CORNERS_THIRD,
        1,
        False,
        lambda t: _is_whole(t[:, 0]) and _are_pixels(t, CORNERS_THIRD, 1),
    ),
    Columns(
        "class x1 y1 x2 y2 conf",
        6,
        CORNERS_SECOND,
        5,
        False,
        lambda t: _is_whole(t[:, 0]) and _are_pixels(t, CORNERS_SECOND, 5),
    ),
    Columns(
        "x1 y1 x2 y2 conf class",
        6,
        CORNERS_FIRST,
        4,
        False,
        lambda t: _is_whole(t[:, 5]) and _are_pixels(t, CORNERS_FIRST, 4),
    ),
)


def grammar_of(where: str, table: np.ndarray) -> Columns:
    """The one grammar that all lines of all files fit.

    Parameters
    ----------
    where : str
        For messages.
    table : ndarray, (N, width), float
        At least one line.

    Raises
    ------
    PredictionError
        If none fits, or several do.
    """
    fitting = [g for g in GRAMMARS if g.width == table.shape[1] and g.fits(table)]
    if len(fitting) == 1:
        return fitting[0]
    line = " ".join(f"{value:g}" for value in table[0])
    if fitting:
        both = " or as ".join(f"'{g.name}'" for g in fitting)
        raise PredictionError(f"{where}: lines such as '{line}' can be read as {both}")
    known = ", ".join(f"'{grammar.name}'" for grammar in GRAMMARS)
    raise PredictionError(f"{where}: lines such as '{line}' are none of {known}")

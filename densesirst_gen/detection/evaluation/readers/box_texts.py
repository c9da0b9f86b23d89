"""A text file for each image, one line a box: YOLO, or confidence and corners in px."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.readers.lines import (
    Columns,
    grammar_of,
    numbers,
    words_of,
)
from densesirst_gen.detection.evaluation.readers.results import Image, Results, Values

Lines = dict[str, list[list[float]]]


def read_box_texts(folder: Path, files: Mapping[str, Path]) -> Results:
    """The boxes of each image.

    A line is, in all files alike, ``class cx cy w h`` with or without ``conf`` behind (YOLO, in
    fractions of the image), or in px ``class x1 y1 x2 y2`` with or without ``conf`` behind,
    ``conf x1 y1 x2 y2``, ``x1 y1 x2 y2 conf``, ``class conf x1 y1 x2 y2`` or ``x1 y1 x2 y2 conf
    class``. A class may be a word.

    Parameters
    ----------
    folder : Path
        For messages.
    files : dict of str to Path
        By scene. An empty file says that nothing was found.

    Raises
    ------
    PredictionError
        If a file is none, or lines differ or can be read in two ways.
    """
    lines = {name: _lines(path) for name, path in files.items()}
    listed = tuple(Image("", name) for name in files)
    everything = [line for part in lines.values() for line in part]
    if not everything:
        return Results([], listed)
    widths = {len(line) for line in everything}
    if len(widths) > 1:
        raise PredictionError(f"{folder}: lines of {sorted(widths)} numbers, all must be alike")
    grammar = grammar_of(str(folder), np.array(everything))
    rows = [
        (Image("", name), _values(grammar, line)) for name, part in lines.items() for line in part
    ]
    return Results(rows, listed, grammar.is_centre, _notes(grammar))


def _lines(path: Path) -> list[list[float]]:
    """Numbers; a class that is a word counts as 0."""
    return [
        numbers(path, row, ["0" if k == 0 and _is_word(word) else word for k, word in enumerate(w)])
        for row, w in enumerate(words_of(path))
    ]


def _is_word(text: str) -> bool:
    return text[:1].isalpha() and text.lower() not in ("nan", "inf", "infinity")


def _values(grammar: Columns, line: list[float]) -> Values:
    a, b, c, d = (line[k] for k in grammar.box)
    score = 1.0 if grammar.score < 0 else line[grammar.score]
    if grammar.is_centre:
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2, score
    return a, b, c, d, score


def _notes(grammar: Columns) -> tuple[str, ...]:
    note = f"lines are read as '{grammar.name}'"
    return (f"{note}; without conf all boxes score 1" if grammar.score < 0 else note,)

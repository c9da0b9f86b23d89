"""Lists of the VOC challenge, ``comp3_det_test_CLASS.txt``: ``image conf x1 y1 x2 y2``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.readers.lines import numbers, words_of
from densesirst_gen.detection.evaluation.readers.results import Image, Results, joined

WIDTH = 6


def read_voc_lists(files: Iterable[Path]) -> Results:
    """The boxes of one file for each class, all classes as one.

    Pixels are counted from 1 and the last ones are inside, as VOC has it.

    Raises
    ------
    PredictionError
        If a line is anything else.
    """
    return joined([_read(path) for path in files])


def first_words(path: Path) -> set[str]:
    """What the lines call their images; empty where lines are of another kind."""
    try:
        lines = words_of(path)
    except PredictionError:
        return set()
    return {words[0] for words in lines} if all(len(w) == WIDTH for w in lines) else set()


def _read(path: Path) -> Results:
    rows = []
    for number, (image, *words) in enumerate(words_of(path)):
        values = numbers(path, number, words)
        if len(values) != WIDTH - 1:
            raise PredictionError(
                f"{path}: line {number + 1}: {len(values) + 1} words, must be "
                "'image conf x1 y1 x2 y2'"
            )
        score, x0, y0, x1, y1 = values
        if x1 < x0 or y1 < y0:
            raise PredictionError(f"{path}: line {number + 1}: box {values[1:]}, corners swapped")
        rows.append((Image(image), (x0 - 1, y0 - 1, x1, y1, score)))
    note = "lines are read as VOC's 'image conf x1 y1 x2 y2', pixels counted from 1"
    return Results(rows, notes=(note,))

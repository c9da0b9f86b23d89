"""Notes on many scenes in a few lines: by kind, with a count and one example."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

NUMBER = re.compile(r"\d+(\.\d+)?")


def summed_notes(notes: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each kind of note.

    Parameters
    ----------
    notes : iterable of (str, str)
        Scene, and what is to be noted of it. Notes that differ in numbers only are of one kind.

    Returns
    -------
    list of str
        Such as ``3 scenes: image: alpha ignored, such as a``; the kinds in the order of their
        first scenes, with the numbers of these.
    """
    kinds: dict[str, dict[str, str]] = defaultdict(dict)
    for scene, note in sorted(notes):
        kinds[NUMBER.sub("#", note)].setdefault(scene, note)
    return [_line(list(scenes.items())) for scenes in kinds.values()]


def _line(scenes: list[tuple[str, str]]) -> str:
    first, note = scenes[0]
    if len(scenes) == 1:
        return f"scene {first}: {note}"
    return f"{len(scenes)} scenes, such as {first}: {note}"

"""Frames of one sequence are nearly the same image: what one is held back for, all are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

LEAST = 5
"""Frames of a sequence."""
FULL = 0.5
"""Share of the numbers from the first to the last frame that must be there."""
NUMBERED = re.compile(r"^(.*?)(\d+)(\D*)$")
"""A number and what stands around it: ``00012``, ``clip_12``, ``3(12)``."""


def sequences(names: Iterable[str], known: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """The scenes of each sequence, if scenes lie in sequences.

    A sequence is a folder in which all files are called alike but for a number that goes on, such
    as ``seq3/00001`` to ``seq3/00100``; there must be two of them.

    Parameters
    ----------
    names : iterable of str
        Of scenes.
    known : collection of str
        Folders of which it is known that they are sequences, however many or few: stacks.

    Returns
    -------
    dict of str to tuple of str
        Folder -> names.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for name in names:
        folder, _, stem = name.rpartition("/")
        folders[folder].append(stem)
    found = {
        folder: tuple(f"{folder}/{stem}" for stem in stems)
        for folder, stems in folders.items()
        if folder and _goes_on(stems)
    }
    found = found if len(found) > 1 else {}
    stacks = {
        folder: tuple(f"{folder}/{stem}" for stem in folders[folder])
        for folder in known
        if folder not in found and len(folders[folder]) > 1
    }
    return found | stacks


def _goes_on(stems: Collection[str]) -> bool:
    matches = [NUMBERED.match(stem) for stem in stems]
    frames = [
        (match.group(1, 3), int(match[2])) for match in matches if match and len(match[2]) < 16
    ]
    if len(frames) < max(LEAST, len(stems)) or len({around for around, _ in frames}) > 1:
        return False
    numbers = [number for _, number in frames]
    return len(numbers) >= FULL * (max(numbers) - min(numbers) + 1)


def torn(
    names: Iterable[str], held_back: Collection[str], known: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """The sequences of which some frames are held back and some are not; see `sequences`."""
    found = sequences(names, known) if held_back else {}
    return {
        folder: frames
        for folder, frames in found.items()
        if 0 < sum(frame in held_back for frame in frames) < len(frames)
    }

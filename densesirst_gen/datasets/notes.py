"""What is told of many files at once: each kind of note with its number and one example."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from densesirst_gen.files.images.codec import CodecError, read_head, read_image, read_mask
from densesirst_gen.files.images.frames import shown

Item = TypeVar("Item")

SAMPLE = 100
"""Target masks that are looked at before work begins, and images."""
SAMPLE_PX = 50_000_000
"""Pixels of images that are decoded for it, at most."""


def grouped(notes: Iterable[tuple[str, str]], of: str) -> list[str]:
    """One sentence for all notes that say the same, whatever the numbers in them.

    Parameters
    ----------
    notes : iterable of (str, str)
        Name of a file or scene, and what is said of it.
    of : str
        What they are among, such as "of 24 target masks".

    Returns
    -------
    list of str
        Such as "3 of 24 target masks: 8 soft values, 2 of them above 127 (b.png)".
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name, note in notes:
        kinds.setdefault(re.sub(r"[0-9.]+", "#", note), []).append((name, note))
    return [f"{len(same)} {of}: {same[0][1]} ({same[0][0]})" for same in kinds.values()]


def nothing_left(done: str, set_aside: Mapping[str, str]) -> str:
    """Why nothing came out: ``nothing measured, all 2 scenes are set aside; f0: not a PNG``.

    Parameters
    ----------
    done : str
        What was to be done, such as "measured".
    set_aside : mapping of str to str
        Scene -> reason; not empty.
    """
    first, reason = next(iter(set_aside.items()))
    n = len(set_aside)
    which = "the one scene is" if n == 1 else f"all {n} scenes are"
    return f"nothing {done}, {which} set aside; {first}: {reason}"


def spread(items: Sequence[Item], n: int) -> list[Item]:
    """Up to `n` of some items, evenly spread."""
    n = min(n, len(items))
    return [items[k * len(items) // n] for k in range(n)]


def mask_notes(masks: Sequence[Path]) -> list[str]:
    """What is to be said of target masks, by a sample of them, evenly spread.

    A mask that can't be decoded is passed over: its scene will be set aside and told of.
    """
    looked = spread(masks, SAMPLE)
    notes = [(shown(path), note) for path in looked for note in _notes_of(path)]
    return grouped(notes, f"of {len(looked)} target masks looked at")


def not_yet_told(notes: Iterable[str], masks: Sequence[Path | None]) -> list[str]:
    """Notes of `grouped` on scenes, without those of which a sample of the files told already.

    Parameters
    ----------
    notes : iterable of str
    masks : sequence of Path or None
        One for each scene of the dataset.
    """
    told = ["scenes: mask: "] * (sum(mask is not None for mask in masks) <= SAMPLE)
    told += ["scenes: image: "] * (len(masks) <= SAMPLE)
    return [note for note in notes if not any(words in note for words in told)]


def _notes_of(mask: Path) -> tuple[str, ...]:
    try:
        return read_mask(mask).notes
    except CodecError:
        return ()


def image_notes(images: Sequence[tuple[Path, str | None]]) -> list[str]:
    """What is to be said of images, by a sample of them, evenly spread.

    Only those are decoded that are not plainly gray by their heads. An image that can't be decoded
    is passed over: its scene will be set aside and told of.

    Parameters
    ----------
    images : sequence of (Path, str or None)
        Files, and what each is painted with, see `read_image`.
    """
    looked, left = spread(images, SAMPLE), SAMPLE_PX
    notes = []
    for path, colormap in looked:
        try:
            head = read_head(path)
            left -= 0 if head.is_plain else head.height * head.width
            if not head.is_plain and left >= 0:
                notes += [(shown(path), note) for note in read_image(path, colormap=colormap).notes]
        except CodecError:
            continue
    return grouped(notes, f"of {len(looked)} images looked at")

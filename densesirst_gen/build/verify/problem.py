"""What verifying a dataset finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RULES = {
    "manifest": "the manifest does not fit what is there",
    "library": "the library is not the one that was pasted from",
    "missing": "files that are not there",
    "unreadable": "files that can't be read",
    "extra": "files that no build wrote",
    "split": "splits that do not fit the scenes",
    "plan": "plans that are broken, or do not fit scene and library",
    "image": "images that are not what background and plan give",
    "mask": "target masks that do not fit plan or each other",
    "sky": "sky masks that do not fit plan or each other",
    "boxes": "box files that do not fit the masks",
    "points": "point files that do not fit the masks",
    "coco": "COCO annotations that do not fit the masks",
    "checksum": "files whose content has changed since they were written",
    "left": "files that a system or an interrupted program leaves; they do no harm",
    "unsplit": "gaps in the splits; a build writes them only where its source has them",
    "unchecked": "what could not be looked at",
}
"""What each rule asks, in the order in which a reader wants to know."""

NOTES = ("left", "unsplit", "unchecked")
"""Rules that say what a careful reader should know, and that nothing is wrong."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing in a dataset that is not as it should be.

    Parameters
    ----------
    file : str
        Relative to the dataset, POSIX.
    rule : str
        A key of `RULES`.
    what : str
        What is there, and what should be.
    """

    file: str
    rule: str
    what: str

    @property
    def is_note(self) -> bool:
        """Whether it is only to be known: the rule is one of `NOTES`."""
        return self.rule in NOTES


def words_of(error: Exception, path: Path) -> str:
    """An error's message without the path that it begins with."""
    return str(error).removeprefix(f"{path}").lstrip(":, ")

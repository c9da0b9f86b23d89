"""What the names of lists and folders say of the part that they hold."""

from __future__ import annotations

import re

PARTS = {
    "train": ("train", "training", "trainset", "trn"),
    "trainval": ("trainval",),
    "val": ("val", "valid", "validation", "valset", "dev"),
    "test": ("test", "testing", "testset", "tst"),
}
"""Part -> the words that say it, in lower case."""

_PART_OF = {word: part for part, words in PARTS.items() for word in words}
_YEAR = re.compile(r"\d+$")


def part_of(name: str) -> str:
    """train, trainval, val or test, said by the first or the last word of a name; else empty.

    Parameters
    ----------
    name : str
        Of a list without suffix, or of a folder; of a path its last part. Any case; words are
        parted by what is neither letter nor digit, and may end with a year: ``train2017``.
    """
    words = re.findall(r"[^\W_]+", name.rsplit("/", 1)[-1].casefold())
    for word in words[:1] + words[-1:]:
        if part := _PART_OF.get(word) or _PART_OF.get(_YEAR.sub("", word)):
            return part
    return ""

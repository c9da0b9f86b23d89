"""Which categories of a COCO file are targets, and which never are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from densesirst_gen.datasets.coco.ids import Record, by_id
from densesirst_gen.datasets.paths import DatasetError

NEVER_TARGETS = re.compile(
    r"^(sky|skies|background|bg|cloud|ground|sea|water|ocean|land|horizon|terrain|earth|mountain|"
    r"forest|tree|sun|moon)s?$|^(天空|背景|云)$"
)
NEGATED_OR_EXTENT = re.compile(r"^(not?|non) | (region|area|mask)s?$")
IGNORED = re.compile(r"^(ignored?|crowd|void|do ?n t care|dontcare)( (region|area|mask|box)s?)?$")
TARGET_WORD = re.compile(r"(^| )(targets?|tgts?)( |$)|目标")


def category_names(records: Iterable[Record]) -> dict[Any, str]:
    """The name of each category by id; its id, where it has none."""
    return {
        key: str(record.get("name") or key) for key, record in by_id(records, "category").items()
    }


def plain(name: str) -> str:
    """A name in lower case, its words one blank apart."""
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


def is_ignored(name: str) -> bool:
    """Whether a category is called like regions that are not judged: ``ignored regions``."""
    return bool(IGNORED.search(plain(name)))


def is_never_target(name: str) -> bool:
    """Whether a category is called like sky, ground or the like."""
    bare = plain(name)
    while (shorter := NEGATED_OR_EXTENT.sub("", bare)) != bare:
        bare = shorter
    return bool(NEVER_TARGETS.search(bare))


def target_names(used: Mapping[str, int], wanted: str | Iterable[str] | None) -> set[str]:
    """The names of the categories whose annotations are targets.

    The categories that were asked for; else the only one that may be targets; else the only one
    that is called so.

    Parameters
    ----------
    used : mapping of str to int
        Categories that have annotations -> how many; names that differ in case only are one.
    wanted : str or iterable of str, optional
        Categories asked for, in any case.

    Returns
    -------
    set of str
        Names as in `used`; empty if that is.

    Raises
    ------
    DatasetError
        If a category asked for is not there or is sky, or if it can't be told which are targets.
    """
    if wanted is not None:
        return _asked_for(used, [wanted] if isinstance(wanted, str) else wanted)
    judged = {name for name in used if not is_ignored(name)}
    possible = {name for name in judged if not is_never_target(name)}
    named = {name for name in possible if TARGET_WORD.search(plain(name))}
    chosen = possible if len(_plain(possible)) == 1 else named
    if judged and not possible:
        raise DatasetError(f"no targets: the only categories are {listed(used)}")
    if judged and len(_plain(chosen)) != 1:
        raise DatasetError(
            f"several categories: {listed(used)}; say which are targets: --category NAME "
            "(category=...), as often as needed"
        )
    return chosen


def _asked_for(used: Mapping[str, int], wanted: Iterable[str]) -> set[str]:
    chosen = set()
    for text in wanted:
        found = {name for name in used if plain(name) == plain(text)}
        if is_never_target(text):
            raise DatasetError(f"category {text!r} is never a target; there are {listed(used)}")
        if used and not found:
            raise DatasetError(f"no annotation of category {text!r}; there are {listed(used)}")
        chosen |= found
    return chosen


def _plain(names: Iterable[str]) -> set[str]:
    return set(map(plain, names))


def listed(used: Mapping[str, int]) -> str:
    """Such as "target (12), bird (3)", the most frequent first."""
    return ", ".join(f"{name} ({n})" for name, n in Counter(used).most_common())


def left_out(used: Mapping[str, int], chosen: set[str]) -> list[str]:
    """The note on what is not read; none if all is."""
    rest = {name: n for name, n in used.items() if name not in chosen and not is_ignored(name)}
    if not rest:
        return []
    return [f"categories: only {', '.join(sorted(chosen))} read as targets, not {listed(rest)}"]

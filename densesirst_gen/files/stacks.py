"""With which versions of Python and its packages a build was begun and gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from densesirst_gen.files.atomic import canonical_json, write_atomically
from densesirst_gen.files.objects import read_object

STACKS = "stacks.json"


class Stacks:
    """The file that says it, as long as the build is at work.

    Parameters
    ----------
    path : Path
        Need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def others(self, now: Mapping[str, str], parts: Path) -> list[str]:
        """What is different in each that is not the one of now, which is added."""
        known = self._read()
        if dict(now) not in known:
            text = canonical_json({"stacks": [*known, dict(now)]})
            write_atomically(self.path, text.encode(), parts)
        return [text for stack in known if (text := _difference(stack, now))]

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        stacks = read_object(self.path, "the versions of a build").get("stacks")
        return [s for s in stacks if isinstance(s, dict)] if isinstance(stacks, list) else []


def _difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = sorted(n for n in {*before, *now} if before.get(n) != now.get(n))
    return ", ".join(f"{n} {before.get(n, 'unknown')} (now {now.get(n, 'unknown')})" for n in names)

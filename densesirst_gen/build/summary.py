"""What a build did, added up from its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Summary:
    """What a build did.

    Parameters
    ----------
    n_scenes, n_original, n_pasted, n_regions : int
        Scenes written, targets that were there, targets pasted, regions pasted into.
    unpasted : dict of str to int
        Scenes left as they were, by reason.
    dropped : dict of str to int
        Targets asked for and not pasted, by reason.
    sky : dict of str to int
        Scenes by where their sky comes from.
    set_aside : dict of str to str
        Backgrounds that could not be read: name -> reason.
    """

    n_scenes: int
    n_original: int
    n_pasted: int
    n_regions: int
    unpasted: dict[str, int]
    dropped: dict[str, int]
    sky: dict[str, int]
    set_aside: dict[str, str]

    @property
    def n_targets(self) -> int:
        """All targets."""
        return self.n_original + self.n_pasted

    def line(self) -> str:
        """One line for a person."""
        parts = [
            f"{self.n_scenes:,} scenes",
            f"{self.n_targets:,} targets ({self.n_original:,} original, {self.n_pasted:,} pasted "
            f"in {self.n_regions:,} regions)",
        ]
        if self.unpasted:
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.unpasted.items())
            parts.append(f"unpasted: {reasons}")
        if self.set_aside:
            parts.append(f"{len(self.set_aside)} set aside")
        return "; ".join(parts)


def summarise(entries: Iterable[Mapping[str, Any]]) -> Summary:
    """Add up journal entries."""
    counts, unpasted, dropped, sky = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    set_aside = {}
    for entry in entries:
        if "error" in entry:
            set_aside[entry["name"]] = entry["error"]
            continue
        counts.update({"scenes": 1, **entry["counts"]})
        dropped.update(entry["dropped"])
        sky[entry["sky"]] += 1
        if entry["skip_reason"]:
            unpasted[entry["skip_reason"]] += 1
    totals = (counts[name] for name in ("scenes", "original", "pasted", "regions"))
    tables = (dict(sorted(table.items())) for table in (unpasted, dropped, sky, set_aside))
    return Summary(*totals, *tables)  # type: ignore[arg-type]

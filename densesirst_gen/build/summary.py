"""What a build did, added up from its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

from densesirst_gen.build.record import Record

TOTALS = ("scenes", "original", "pasted", "regions", "original_above", "pasted_above")


@dataclass(frozen=True)
class BuildSummary:
    """What a build did.

    Parameters
    ----------
    n_scenes, n_original, n_pasted, n_regions : int
        Scenes written, targets that were there, targets pasted, regions pasted into.
    n_original_above, n_pasted_above : int
        Of the targets those that are brighter than anything else in their image; 0 where nothing
        was written.
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
    n_original_above: int
    n_pasted_above: int
    unpasted: dict[str, int]
    dropped: dict[str, int]
    sky: dict[str, int]
    set_aside: dict[str, str]

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """The summary of plain values, as in a manifest. ValueError says why it is none."""
        kinds = {f.name: int if f.type == "int" else dict for f in fields(cls)}
        if not isinstance(values, dict) or values.keys() != kinds.keys():
            raise ValueError(f"a summary has {', '.join(kinds)}")
        wrong = [name for name, kind in kinds.items() if not isinstance(values[name], kind)]
        if wrong:
            raise ValueError(f"{wrong[0]} can't be {str(values[wrong[0]])[:40]!r}")
        return cls(**values)

    @property
    def n_targets(self) -> int:
        """All targets."""
        return self.n_original + self.n_pasted

    @property
    def above_text(self) -> str:
        """What share of the targets is brighter than anything else in their image."""
        shares = [f"{self.n_pasted_above / max(self.n_pasted, 1):.0%} of the pasted targets"]
        if self.n_original:
            shares.append(f"{self.n_original_above / self.n_original:.0%} of the original ones")
        return ", ".join(shares)

    def line(self) -> str:
        """One line for a person."""
        parts = [
            f"{self.n_scenes:,} scenes",
            f"{self.n_targets:,} targets ({self.n_original:,} original, {self.n_pasted:,} pasted "
            f"in {self.n_regions:,} regions)",
        ]
        if self.n_pasted_above:
            parts.append(f"brighter than all else in their image: {self.above_text}")
        if self.unpasted:
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.unpasted.items())
            parts.append(f"unpasted: {reasons}")
        if self.set_aside:
            parts.append(f"{len(self.set_aside)} set aside")
        return "; ".join(parts)


def summarise(records: Iterable[Record]) -> BuildSummary:
    """Add up the records of scenes."""
    counts, unpasted, dropped, sky = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    set_aside = {}
    for record in records:
        if record.error:
            set_aside[record.name] = record.error
            continue
        counts.update({"scenes": 1, **record.counts})
        dropped.update(record.dropped)
        sky[record.sky] += 1
        if record.skip_reason:
            unpasted[record.skip_reason] += 1
    totals = (counts[name] for name in TOTALS)
    tables = (dict(sorted(table.items())) for table in (unpasted, dropped, sky, set_aside))
    return BuildSummary(*totals, *tables)  # type: ignore[arg-type]

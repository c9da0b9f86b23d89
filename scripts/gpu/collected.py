"""What a run has found as tables (report.md) and a figure (worth.png), however far it has come.

python scripts/gpu/collected.py OUT
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.special import stdtrit
from told import read

Row = Mapping[str, Any]
SCORES = ("ap07", "ap", "recall", "f1", "pd", "fa", "iou", "auc")
MAIN = {"bafenet": "ap", "eflnet": "ap"}
"""What is drawn; of detectors of masks their IoU."""


def main() -> None:
    """Write both."""
    out = Path(sys.argv[1])
    rows = read(out)
    text = "\n\n".join(part for part in (checks(rows), bulk(rows), worth(rows)) if part)
    (out / "report.md").write_text(text + "\n")
    print(text)
    trained = of(rows, "worth", "trained")
    if trained:
        draw(trained, out / "worth.png")


def of(rows: Iterable[Row], part: str, what: str | None = None) -> list[Row]:
    """The results of a part that went well."""
    wanted = [r for r in rows if r["part"] == part and what in (None, r["what"])]
    return [row for row in wanted if not row.get("wrong") or part == "correctness"]


def checks(rows: Sequence[Row]) -> str:
    """Part 1."""
    found = of(rows, "correctness")
    lines = [[r["what"], "ok" if r["ok"] else f"NOT: {str(r['wrong'])[:200]}"] for r in found]
    return _table(["check", "as a CPU"], lines, found)


def bulk(rows: Sequence[Row]) -> str:
    """Part 2."""
    found = [r for r in of(rows, "bulk") if "share_of_copy" in r]
    lines = []
    for r in found:
        rate, share = r["images_per_s"], r["share_of_copy"]
        told = f"{rate['median']:,.0f} ({rate['least']:,.0f} to {rate['greatest']:,.0f})"
        lines.append([r["batch"], r["what"], told, "-" if share is None else f"{share:.1%}"])
    return _table(["batch", "call", "images/s", "of the copy bandwidth"], lines, found)


def worth(rows: Sequence[Row]) -> str:
    """Parts 3 and 4: means over seeds and their 95 % intervals."""
    found = of(rows, "worth", "trained")
    lines = []
    for (detector, data, epochs), group in grouped(found).items():
        cells = [interval([r["scores"][s] for r in group if s in r["scores"]]) for s in SCORES]
        printed = interval([r["printed"]["ap07"] for r in group])
        lines.append([detector, data, epochs, len(group), *cells, printed])
    head = ["detector", "trained on", "epochs", "seeds", *SCORES, "ap07 as published scores"]
    return _table(head, lines, found)


def grouped(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """Trainings that differ by their seed only."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["detector"], row["data"], row["epochs"]), []).append(row)
    return groups


def interval(values: Sequence[float]) -> str:
    """Mean and half the width of its 95 % interval by Student's t; - where there is nothing."""
    if not values:
        return "-"
    half = half_width(values)
    return f"{mean(values):.3f}" + ("" if math.isnan(half) else f" ± {half:.3f}")


def half_width(values: Sequence[float]) -> float:
    """NaN for a single value."""
    n = len(values)
    return float(stdtrit(n - 1, 0.975)) * stdev(values) / math.sqrt(n) if n > 1 else math.nan


def _table(head: Sequence[str], lines: Sequence[Sequence[Any]], rows: Sequence[Row]) -> str:
    if not lines:
        return ""
    where = sorted({f"{r['device']}, torch {r['torch']}" for r in rows})
    written = [head, ["---"] * len(head), *lines]
    return "\n".join([*where, "", *(f"| {' | '.join(map(str, line))} |" for line in written)])


def draw(rows: Sequence[Row], path: Path) -> None:
    """A bar for each detector and source, a dot for each seed."""
    from matplotlib.figure import Figure

    groups = grouped(rows)
    figure = Figure(figsize=(8, 1 + 0.3 * len(groups)), layout="constrained")
    axes = figure.add_subplot()
    names = []
    for k, ((detector, data, _), group) in enumerate(groups.items()):
        name = MAIN.get(detector, "iou")
        values = [row["scores"][name] for row in group]
        axes.barh(k, mean(values), color="0.8")
        axes.plot(values, [k] * len(values), "k.")
        names.append(f"{detector}: {data} ({name})")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()

"""What ``densesirst-gen stats`` says and writes: text, JSON, CSV, figures, page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from densesirst_gen.datasets import SceneFile
    from densesirst_gen.stats.compare.fidelity import StatisticDistance
    from densesirst_gen.stats.compare.probe import ProbeResult
    from densesirst_gen.stats.report.figures import Figure
    from densesirst_gen.stats.tables import DatasetStats

N_SHOWN = 12
PLAIN_NAMES = ("this", "reference")


@dataclass(frozen=True, eq=False)
class Side:
    """A dataset with its numbers; no `files` where only numbers were saved."""

    label: str
    stats: DatasetStats
    files: Sequence[SceneFile] | None
    set_aside: dict[str, str]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The reference, and what comparing with it gave."""

    reference: Side
    distances: list[StatisticDistance]
    sentence: str
    probe: ProbeResult | None


def document_of(mine: Side, comparison: Comparison | None) -> dict[str, Any]:
    """What ``--json`` prints."""
    from densesirst_gen.stats.compare.verdict import comparison_document
    from densesirst_gen.stats.saved import SCHEMA
    from densesirst_gen.version import __version__

    document = {"schema": SCHEMA, "version": __version__, **_numbers(mine), "against": None}
    if comparison:
        document["against"] = {
            **_numbers(comparison.reference),
            **comparison_document(comparison.distances),
            "sentence": comparison.sentence,
            "probe": asdict(comparison.probe) if comparison.probe else None,
        }
    return document


def _numbers(side: Side) -> dict[str, Any]:
    from densesirst_gen.stats.headline import distributions

    return {
        "dataset": side.label,
        "summary": side.stats.summary(),
        "distributions": distributions(side.stats.targets),
        "set_aside": side.set_aside,
    }


def write_outputs(
    mine: Side,
    comparison: Comparison | None,
    document: dict[str, Any],
    *,
    save: Path | None,
    csv_prefix: str | None,
    plots: Path | None,
    html: Path | None,
) -> None:
    """Write the files that were asked for; those of the same name are replaced."""
    from densesirst_gen.files.atomic import write_atomically

    for path, content in _tables(mine, document, save, csv_prefix):
        write_atomically(path, content)
    figures = _figures(mine, comparison) if plots or html else []
    for figure in figures if plots else ():
        path = Path(plots or "", figure.name)
        write_atomically(path.with_suffix(".png"), figure.png)
        write_atomically(path.with_suffix(".svg"), figure.captioned_svg.encode())
    if html:
        write_atomically(html, _page(mine, comparison, figures).encode())


def _tables(
    mine: Side, document: dict[str, Any], save: Path | None, csv_prefix: str | None
) -> Iterator[tuple[Path, bytes]]:
    from densesirst_gen.stats.saved import csv_files, tables_document

    if save:
        full = {**document, "tables": tables_document(mine.stats)}
        yield save, json.dumps(full, allow_nan=False).encode()
    for name, content in csv_files(mine.stats) if csv_prefix else ():
        yield Path(f"{csv_prefix}-{name}"), content


def _figures(mine: Side, comparison: Comparison | None) -> list[Figure]:
    from densesirst_gen.stats.report.figures import draw_figures

    if comparison is None:
        return draw_figures(mine.stats)
    other = comparison.reference
    names = _name(mine), _name(other)
    return draw_figures(mine.stats, other.stats, names if names[0] != names[1] else PLAIN_NAMES)


def _name(side: Side) -> str:
    """The last part of the path."""
    return Path(side.label).resolve().name


def _page(mine: Side, comparison: Comparison | None, figures: list[Figure]) -> str:
    from densesirst_gen.stats.report.page import report_html
    from densesirst_gen.stats.report.text import merged, table_rows

    rows = table_rows(mine.stats)
    if comparison:
        rows = merged(rows, table_rows(comparison.reference.stats))
    shown = _gallery(mine)
    return report_html(
        _name(mine),
        rows,
        figures,
        (file.load() for file in shown),
        comparison=comparison.distances if comparison else None,
        sentence=_said(comparison) if comparison else "",
    )


def text_of(mine: Side, comparison: Comparison | None) -> str:
    """What people read on the terminal."""
    from densesirst_gen.stats.compare.verdict import comparison_text
    from densesirst_gen.stats.report.text import table_rows, table_text

    if comparison is None:
        return table_text([table_rows(mine.stats)])
    sides = mine, comparison.reference
    names = f"this       {mine.label}\nreference  {comparison.reference.label}\n"
    tables = table_text([table_rows(side.stats) for side in sides], PLAIN_NAMES)
    return "\n\n".join([names + tables, comparison_text(comparison.distances), _said(comparison)])


def _gallery(side: Side) -> list[SceneFile]:
    """Up to twelve scenes with targets, evenly spaced."""
    counts = side.stats.scenes["n_targets"]
    files = [file for file, n in zip(side.files or (), counts, strict=True) if n]
    return files[:: max(1, -(-len(files) // N_SHOWN))]


def _said(comparison: Comparison) -> str:
    result = comparison.probe
    if result is None:
        return comparison.sentence
    return (
        f"{comparison.sentence} A classifier tells the clusters of the two apart with an AUC of "
        f"{result.auc:.2f} ({result.low:.2f} to {result.high:.2f}); 0.5 is chance."
    )

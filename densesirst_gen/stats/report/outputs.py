"""What ``densesirst-gen stats`` says and writes: text, JSON, CSV, figures, page.

From Python the same in a few lines::

    mine, other = (measure(read_dataset(d).scenes, label=d) for d in ("dense/", "DenseSIRST/"))
    comparison = compare_datasets(mine, other)
    print(text_of(mine, comparison))
    write_page(Path("page.html"), mine, comparison)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from densesirst_gen.datasets import SceneFile
    from densesirst_gen.stats.compare.side_by_side import Comparison
    from densesirst_gen.stats.measure import Measured
    from densesirst_gen.stats.report.figures import Figure

N_SHOWN = 12
PLAIN_NAMES = ("this", "reference")


def text_of(mine: Measured, comparison: Comparison | None = None) -> str:
    """What people read on the terminal."""
    from densesirst_gen.stats.compare.verdict import comparison_text
    from densesirst_gen.stats.report.text import table_rows, table_text

    if comparison is None:
        return table_text([table_rows(mine.stats)])
    sides = mine, comparison.reference
    names = f"this       {mine.label}\nreference  {comparison.reference.label}\n"
    tables = table_text([table_rows(side.stats) for side in sides], PLAIN_NAMES)
    return "\n\n".join(
        [names + tables, comparison_text(comparison.distances), comparison.sentence()]
    )


def document_of(mine: Measured, comparison: Comparison | None = None) -> dict[str, Any]:
    """What ``--json`` prints."""
    from densesirst_gen.stats.compare.verdict import comparison_document
    from densesirst_gen.stats.saved import SCHEMA
    from densesirst_gen.version import __version__

    document = {"schema": SCHEMA, "version": __version__, **_numbers(mine), "against": None}
    if comparison:
        document["against"] = {
            **_numbers(comparison.reference),
            **comparison_document(comparison.distances),
            "sentence": comparison.verdict,
            "probe": asdict(comparison.probe) if comparison.probe else None,
        }
    return document


def _numbers(side: Measured) -> dict[str, Any]:
    from densesirst_gen.stats.headline import distributions

    return {
        "dataset": side.label,
        "summary": side.stats.summary(),
        "distributions": distributions(side.stats.targets),
        "set_aside": side.set_aside,
    }


def write_rows(path: Path, mine: Measured, document: dict[str, Any]) -> None:
    """All rows beside what `document_of` gave, as JSON that ``--against`` takes; replaced."""
    from densesirst_gen.files.atomic import write_atomically
    from densesirst_gen.stats.saved import tables_document

    full = {**document, "tables": tables_document(mine.stats)}
    write_atomically(path, json.dumps(full, allow_nan=False).encode())


def write_csv(prefix: str, mine: Measured) -> None:
    """``PREFIX-targets.csv`` and ``PREFIX-clusters.csv``; replaced."""
    from densesirst_gen.files.atomic import write_atomically
    from densesirst_gen.stats.saved import csv_files

    for name, content in csv_files(mine.stats):
        write_atomically(Path(f"{prefix}-{name}"), content)


def figures_of(mine: Measured, comparison: Comparison | None = None) -> list[Figure]:
    """The figures of a dataset, or of both; see `densesirst_gen.stats.report.figures`."""
    from densesirst_gen.stats.report.figures import draw_figures

    if comparison is None:
        return draw_figures(mine.stats)
    other = comparison.reference
    names = _name(mine), _name(other)
    return draw_figures(mine.stats, other.stats, names if names[0] != names[1] else PLAIN_NAMES)


def write_figures(folder: Path, figures: Sequence[Figure]) -> None:
    """Each as PNG and SVG; files of the same name are replaced."""
    from densesirst_gen.files.atomic import write_atomically

    for figure in figures:
        path = Path(folder, figure.name)
        write_atomically(path.with_suffix(".png"), figure.png)
        write_atomically(path.with_suffix(".svg"), figure.captioned_svg.encode())


def write_page(
    path: Path,
    mine: Measured,
    comparison: Comparison | None = None,
    figures: Sequence[Figure] | None = None,
) -> None:
    """One HTML file with everything: table, figures, and scenes to look at; replaced.

    Parameters
    ----------
    path : Path
    mine : Measured
    comparison : Comparison, optional
    figures : sequence of Figure, optional
        By default those of `figures_of`.
    """
    from densesirst_gen.files.atomic import write_atomically

    figures = figures_of(mine, comparison) if figures is None else figures
    write_atomically(path, _page(mine, comparison, figures).encode())


def _page(mine: Measured, comparison: Comparison | None, figures: Sequence[Figure]) -> str:
    from densesirst_gen.stats.report.page import report_html
    from densesirst_gen.stats.report.text import merged, table_rows

    rows = table_rows(mine.stats)
    if comparison:
        rows = merged(rows, table_rows(comparison.reference.stats))
    return report_html(
        _name(mine),
        rows,
        list(figures),
        (file.load() for file in _gallery(mine)),
        comparison=comparison.distances if comparison else None,
        sentence=comparison.sentence() if comparison else "",
    )


def _name(side: Measured) -> str:
    """The last part of the path."""
    return Path(side.label).resolve().name


def _gallery(side: Measured) -> list[SceneFile]:
    """Up to twelve scenes with targets, evenly spaced."""
    if side.files is None:
        return []
    counts = side.stats.scenes["n_targets"]
    files = [file for file, n in zip(side.files, counts, strict=True) if n]
    return files[:: max(1, -(-len(files) // N_SHOWN))]

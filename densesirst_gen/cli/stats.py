"""``densesirst-gen stats``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from densesirst_gen.cli.options import (
    EXIT_CODES,
    LAYOUTS,
    PROBLEMS,
    SET_ASIDE,
    common,
    open_dataset,
    path_in,
    path_out,
    printable,
    progress_bar,
    select,
)

if TYPE_CHECKING:
    from densesirst_gen.fidelity import StatisticDistance
    from densesirst_gen.figures import Figure
    from densesirst_gen.formats import SceneFile
    from densesirst_gen.probe import ProbeResult
    from densesirst_gen.stats import DatasetStats

N_SHOWN = 12


@dataclass(frozen=True, eq=False)
class _Side:
    """A dataset with its numbers; no `files` where only numbers were saved."""

    label: str
    stats: DatasetStats
    files: Sequence[SceneFile] | None
    set_aside: dict[str, str]


@dataclass(frozen=True, eq=False)
class _Comparison:
    """The reference, and what comparing with it gave."""

    reference: _Side
    distances: list[StatisticDistance]
    sentence: str
    probe: ProbeResult | None


@click.command(epilog=EXIT_CODES)
@click.argument("folder", metavar="DIR")
@click.option("--layout", type=click.Choice(LAYOUTS), help="of DIR  [recognised]")
@click.option("--sky", type=path_in, help="folder of sky masks  [default: the dataset's own]")
@click.option("--split", type=path_in, help="file of the scenes to measure")
@click.option("--limit", type=click.IntRange(0), help="measure the first N scenes only")
@click.option(
    "--jobs", "-j", type=click.IntRange(1), default=1, show_default=True, help="processes"
)
@click.option("--save", type=path_out, help="write all numbers of all rows as JSON, for --against")
@click.option(
    "--csv",
    "csv_prefix",
    metavar="PREFIX",
    help="write PREFIX-targets.csv and PREFIX-clusters.csv",
)
@click.option("--plots", type=path_out, help="folder to write the figures to, PNG and SVG")
@click.option("--html", type=path_out, help="write a page: table, figures, images to look at")
@click.option("--against", metavar="DIR|FILE", help="compare with a dataset, or what --save wrote")
@click.option("--fail-over", type=float, help=f"exit code {PROBLEMS} above this mean ratio")
@click.option("--probe", is_flag=True, help="can a classifier tell the pixels of the two apart?")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of comparisons")
@click.option("--strict", is_flag=True, help=f"exit code {SET_ASIDE} if a scene was set aside")
@common
def stats(
    folder: str,
    layout: str | None,
    sky: Path | None,
    split: Path | None,
    limit: int | None,
    jobs: int,
    save: Path | None,
    csv_prefix: str | None,
    plots: Path | None,
    html: Path | None,
    against: str | None,
    fail_over: float | None,
    probe: bool,
    seed: int,
    strict: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say what a dataset is, and how near to another.

    \b
    densesirst-gen stats dense/
    densesirst-gen stats dense/ --plots figures --html dense.html
    densesirst-gen stats dense/ --against SIRSTdevkit/ --fail-over 1

    --layout, --sky, --split and --limit are for DIR. To compare with a part of a dataset, save its
    numbers first: stats DIR2 --split FILE --save part.json. With --against, a ratio of 1 is the
    noise floor: as far away as another draw of the reference could be.
    """
    if against is None and (probe or fail_over is not None):
        raise click.UsageError("--probe and --fail-over need --against")
    watch = partial(_measured, jobs=jobs, quiet=quiet)
    mine = watch(folder, layout, sky, split, limit)
    other = _reference(against, watch, probe) if against else None
    comparison = _compared(mine, other, seed, probe) if other else None
    document = _document(mine, comparison)
    _write(mine, comparison, document, save=save, csv_prefix=csv_prefix, plots=plots, html=html)
    if as_json:
        click.echo(json.dumps(document, allow_nan=False))
    elif not quiet:
        click.echo(printable(_text(mine, comparison)))
    _exit(mine, comparison, fail_over, strict=strict)


def _measured(
    folder: str,
    layout: str | None = None,
    sky: Path | None = None,
    split: Path | None = None,
    limit: int | None = None,
    *,
    jobs: int,
    quiet: bool,
    hint: str = "DIR",
) -> _Side:
    from densesirst_gen.measure import measure

    dataset = open_dataset(folder, layout, sky, hint)
    for note in () if quiet else dataset.notes():
        click.echo(printable(f"note: {note}"), err=True)
    names = set(select(dataset, split, limit))
    files = [file for file in dataset.scenes if file.name in names]
    with progress_bar(quiet) as progress:
        measured = measure(files, jobs=jobs, progress=progress)
    for name, reason in measured.set_aside.items():
        click.echo(printable(f"set aside {name}: {reason}"), err=True)
    files = [file for file in files if file.name not in measured.set_aside]
    return _Side(folder, measured.stats, files, measured.set_aside)


def _reference(against: str, watch: Callable[..., _Side], probe: bool) -> _Side:
    from densesirst_gen.statsfile import read_saved

    saved = read_saved(Path(against)) if Path(against).is_file() else None
    if saved is None:
        return watch(against, hint="--against")
    if probe:
        raise click.UsageError(f"--probe looks at pixels, {against} holds only numbers")
    return _Side(against, saved, None, {})


def _compared(mine: _Side, other: _Side, seed: int, probe: bool) -> _Comparison:
    from densesirst_gen.comparison import sentence
    from densesirst_gen.fidelity import compare

    distances = compare(mine.stats, other.stats, seed=seed)
    n_images = min(len(mine.stats.scenes), len(other.stats.scenes))
    result = _probed(mine, other, seed) if probe else None
    return _Comparison(other, distances, sentence(distances, other.label, n_images), result)


def _probed(mine: _Side, other: _Side, seed: int) -> ProbeResult:
    from densesirst_gen.probe import probe

    return probe(*((file.load() for file in side.files or ()) for side in (mine, other)), seed=seed)


def _document(mine: _Side, comparison: _Comparison | None) -> dict[str, Any]:
    """What ``--json`` prints."""
    from densesirst_gen.comparison import comparison_document
    from densesirst_gen.statsfile import SCHEMA
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


def _numbers(side: _Side) -> dict[str, Any]:
    from densesirst_gen.headline import distributions

    return {
        "dataset": side.label,
        "summary": side.stats.summary(),
        "distributions": distributions(side.stats.targets),
        "set_aside": side.set_aside,
    }


def _write(
    mine: _Side,
    comparison: _Comparison | None,
    document: dict[str, Any],
    *,
    save: Path | None,
    csv_prefix: str | None,
    plots: Path | None,
    html: Path | None,
) -> None:
    from densesirst_gen.output import write_atomically
    from densesirst_gen.statsfile import csv_files, tables_document

    if save:
        full = {**document, "tables": tables_document(mine.stats)}
        write_atomically(save, json.dumps(full, allow_nan=False).encode())
    for name, content in csv_files(mine.stats) if csv_prefix else ():
        write_atomically(Path(f"{csv_prefix}-{name}"), content)
    figures = _figures(mine, comparison) if plots or html else []
    for figure in figures if plots else ():
        write_atomically(plots / f"{figure.name}.png", figure.png)
        write_atomically(plots / f"{figure.name}.svg", figure.captioned_svg.encode())
    if html:
        write_atomically(html, _page(mine, comparison, figures).encode())


def _figures(mine: _Side, comparison: _Comparison | None) -> list[Figure]:
    from densesirst_gen.figures import draw_figures

    if comparison is None:
        return draw_figures(mine.stats)
    other = comparison.reference
    return draw_figures(mine.stats, other.stats, (mine.label, other.label))


def _page(mine: _Side, comparison: _Comparison | None, figures: list[Figure]) -> str:
    from densesirst_gen.readout import merged, table_rows
    from densesirst_gen.report import report_html

    rows = table_rows(mine.stats)
    if comparison:
        rows = merged(rows, table_rows(comparison.reference.stats))
    files = [file for file, n in zip(mine.files or (), mine.stats.scenes["n_targets"]) if n]
    shown = files[:: max(1, -(-len(files) // N_SHOWN))]
    return report_html(
        Path(mine.label).resolve().name,
        rows,
        figures,
        (file.load() for file in shown),
        comparison=comparison.distances if comparison else None,
        sentence=_said(comparison) if comparison else "",
    )


def _text(mine: _Side, comparison: _Comparison | None) -> str:
    """What people read on the terminal."""
    from densesirst_gen.comparison import comparison_text
    from densesirst_gen.readout import table_rows, table_text

    if comparison is None:
        return table_text([table_rows(mine.stats)])
    sides = mine, comparison.reference
    names = f"this       {mine.label}\nreference  {comparison.reference.label}\n"
    tables = table_text([table_rows(side.stats) for side in sides], ("this", "reference"))
    return "\n\n".join([names + tables, comparison_text(comparison.distances), _said(comparison)])


def _said(comparison: _Comparison) -> str:
    result = comparison.probe
    if result is None:
        return comparison.sentence
    return (
        f"{comparison.sentence} A classifier tells the clusters of the two apart with an AUC of "
        f"{result.auc:.2f} ({result.low:.2f} to {result.high:.2f}); 0.5 is chance."
    )


def _exit(mine: _Side, comparison: _Comparison | None, over: float | None, *, strict: bool) -> None:
    from densesirst_gen.fidelity import score

    if comparison and over is not None:
        total = score(comparison.distances)
        if total.n_compared == 0 or total.mean_ratio > over:
            click.echo(f"mean ratio {total.mean_ratio:.2f}, at most {over} was asked for", err=True)
            sys.exit(PROBLEMS)
    if strict and mine.set_aside:
        sys.exit(SET_ASIDE)

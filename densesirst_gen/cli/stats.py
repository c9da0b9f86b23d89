"""``densesirst-gen stats``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from densesirst_gen.cli.options import (
    EXIT_CODES,
    NOTHING_SAID,
    PROBLEMS,
    SET_ASIDE,
    SaidOfCounts,
    common,
    introduce,
    jobs_option,
    open_dataset,
    path_in,
    path_out,
    place,
    printable,
    progress_bar,
    reading_options,
    select,
    span_option,
    tell_notes,
)
from densesirst_gen.stats.report.outputs import (
    document_of,
    figures_of,
    text_of,
    write_csv,
    write_figures,
    write_page,
    write_rows,
)

if TYPE_CHECKING:
    from densesirst_gen.datasets import ReadAs, SceneFile
    from densesirst_gen.stats.compare.side_by_side import Comparison
    from densesirst_gen.stats.measure import Measured

EXTRAS = {"matplotlib": "plot", "jinja2": "report"}


@click.command(epilog=EXIT_CODES)
@click.argument("folder", metavar="DIR", type=place)
@reading_options("DIR")
@click.option("--sky", type=path_in, help="folder of sky masks  [default: the dataset's own]")
@span_option
@click.option(
    "--against-span", type=float, nargs=2, metavar="BLACK WHITE", help="of the images of --against"
)
@click.option("--split", type=path_in, help="file of the scenes to measure")
@click.option("--limit", type=click.IntRange(0), help="measure the first N scenes only")
@jobs_option
@click.option("--save", type=path_out, help="write all numbers of all rows as JSON, for --against")
@click.option(
    "--csv",
    "csv_prefix",
    metavar="PREFIX",
    help="write PREFIX-targets.csv and PREFIX-clusters.csv",
)
@click.option("--plots", type=path_out, help="folder to write the figures to, PNG and SVG")
@click.option("--html", type=path_out, help="write a page: table, figures, images to look at")
@click.option(
    "--against", metavar="DIR|FILE", type=place, help="compare with a dataset, or what --save wrote"
)
@click.option(
    "--fail-over",
    type=click.FloatRange(0),
    metavar="X",
    help=f"exit code {PROBLEMS} above this mean ratio",
)
@click.option("--probe", is_flag=True, help="can a classifier tell the pixels of the two apart?")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of comparisons")
@click.option("--strict", is_flag=True, help=f"exit code {SET_ASIDE} if a scene was set aside")
@common
def stats(
    folder: str,
    read_as: ReadAs,
    sky: Path | None,
    counts: SaidOfCounts,
    against_span: tuple[float, float] | None,
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

    --sky, --split, --limit and what says how to read are for DIR only. To compare with a part,
    save its numbers first: stats DIR2 --split FILE --save part.json. With --against, a ratio of 1
    is the noise floor: as far away as another draw of the reference could be.
    """
    if against is None and (probe or fail_over is not None):
        raise click.UsageError("--probe and --fail-over need --against")
    if against_span and not (against and Path(against).is_dir()):
        raise click.UsageError("--against-span is of the images of --against, a folder")
    _check_installed(["matplotlib"] * bool(plots or html) + ["jinja2"] * bool(html))
    saved = _saved(against, probe) if against else None
    against = None if saved else against
    own = _opened(folder, read_as, sky, counts, split, limit, quiet=quiet)
    others = (
        _opened(against, counts=SaidOfCounts(against_span), hint="--against", quiet=quiet)
        if against
        else []
    )
    _check_outputs((save, html), [*own, *others])
    mine = _measured(folder, own, jobs, quiet)
    other = saved or (_measured(against, others, jobs, quiet) if against else None)
    comparison = _compared(mine, other, seed, probe) if other else None
    document = document_of(mine, comparison)
    if save:
        write_rows(save, mine, document)
    if csv_prefix:
        write_csv(csv_prefix, mine)
    figures = figures_of(mine, comparison) if plots or html else []
    if plots:
        write_figures(plots, figures)
    if html:
        write_page(html, mine, comparison, figures)
    if as_json:
        click.echo(json.dumps(document, allow_nan=False))
    elif not quiet:
        click.echo(printable(text_of(mine, comparison)))
    _exit(mine, comparison, fail_over, strict=strict)


def _check_outputs(outputs: Sequence[Path | None], files: Sequence[SceneFile]) -> None:
    """Nothing that is read is written over."""
    from densesirst_gen.datasets.apart import check_not_read

    for out in filter(None, outputs):
        check_not_read(out, (path for file in files for path in file.files()))


def _check_installed(modules: Sequence[str]) -> None:
    """Before any work, rather than after it."""
    for module in modules:
        if find_spec(module) is None:
            hint = f"pip install 'densesirst_gen[{EXTRAS[module]}]'"
            raise click.ClickException(f"{module} is not installed: {hint}")


def _opened(
    folder: str,
    read_as: ReadAs | None = None,
    sky: Path | None = None,
    counts: SaidOfCounts = NOTHING_SAID,
    split: Path | None = None,
    limit: int | None = None,
    *,
    hint: str = "DIR",
    quiet: bool,
) -> list[SceneFile]:
    from densesirst_gen.labels.readers import dialect_note

    dataset = open_dataset(folder, read_as, sky, hint, counts=counts)
    if not quiet:
        introduce(dataset, quiet=quiet, more=filter(None, [dialect_note(dataset)]))
    names = set(select(dataset, split, limit))
    return [file for file in dataset.scenes if file.name in names]


def _measured(label: str, files: Sequence[SceneFile], jobs: int, quiet: bool) -> Measured:
    from densesirst_gen.datasets.notes import not_yet_told
    from densesirst_gen.stats.measure import measure

    with progress_bar(quiet) as progress:
        measured = measure(files, label=label, jobs=jobs, progress=progress)
    tell_notes(not_yet_told(measured.notes, [file.mask for file in files]), quiet=quiet)
    for name, reason in measured.set_aside.items():
        click.echo(printable(f"set aside {name}: {reason}"), err=True)
    return measured


def _saved(against: str, probe: bool) -> Measured | None:
    """What --save wrote, or None for a dataset."""
    from densesirst_gen.stats.measure import Measured
    from densesirst_gen.stats.saved import read_saved

    saved = read_saved(Path(against)) if Path(against).is_file() else None
    if saved and probe:
        raise click.UsageError(f"--probe looks at pixels, {against} holds only numbers")
    return Measured(saved, label=against) if saved else None


def _compared(mine: Measured, other: Measured, seed: int, probe: bool) -> Comparison:
    from densesirst_gen.stats.compare.side_by_side import compare_datasets

    return compare_datasets(mine, other, seed=seed, with_probe=probe)


def _exit(
    mine: Measured, comparison: Comparison | None, over: float | None, *, strict: bool
) -> None:
    from densesirst_gen.stats.compare.fidelity import score

    if comparison and over is not None:
        total = score(comparison.distances)
        if total.n_compared == 0 or not total.mean_ratio <= over:
            click.echo(f"mean ratio {total.mean_ratio:.2f}, at most {over} was asked for", err=True)
            sys.exit(PROBLEMS)
    if strict and mine.set_aside:
        sys.exit(SET_ASIDE)

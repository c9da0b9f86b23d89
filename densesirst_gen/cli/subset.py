"""``densesirst-gen subset``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from densesirst_gen.cli.convert import loss_option, to_option
from densesirst_gen.cli.options import (
    EXIT_CODES,
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
    span_option,
    tell_notes,
)

if TYPE_CHECKING:
    from densesirst_gen.datasets import ReadAs

RANGE: dict[str, Any] = {"type": float, "nargs": 2, "metavar": "LEAST MOST"}


@click.command(epilog=EXIT_CODES)
@click.argument("source", metavar="SRC", type=place)
@click.argument("out", metavar="DST", type=path_out)
@to_option
@reading_options("SRC")
@click.option("--sky", type=path_in, help="folder of sky masks  [default: the dataset's own]")
@span_option
@click.option(
    "--split", "splits", multiple=True, metavar="NAME", help="a list, or train, val, test"
)
@click.option("--name", "names", multiple=True, metavar="GLOB", help="scenes called like this")
@click.option("--targets", **RANGE, help="targets of a scene")
@click.option("--area", **RANGE, help="median area of its targets, px")
@click.option("--contrast", **RANGE, help="median signal to clutter ratio of its targets")
@click.option("--sky-share", **RANGE, help="share of its pixels that are sky, 0 to 1")
@click.option(
    "--share", type=click.FloatRange(0, 1, min_open=True), help="of what is left, at random"
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of --share")
@loss_option
@jobs_option
@common
def subset(
    source: str,
    out: Path,
    to: str,
    read_as: ReadAs,
    sky: Path | None,
    counts: SaidOfCounts,
    splits: tuple[str, ...],
    names: tuple[str, ...],
    targets: tuple[float, float] | None,
    area: tuple[float, float] | None,
    contrast: tuple[float, float] | None,
    sky_share: tuple[float, float] | None,
    share: float | None,
    seed: int,
    allow_loss: bool,
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write a part of a dataset, in any format.

    \b
    densesirst-gen subset SIRSTdevkit/ few/ --to coco --split train --share 0.1
    densesirst-gen subset SIRSTdevkit/ dense/ --to yolo --targets 10 1000 --sky-share 0.5 1

    All that is said must be true of a scene; ranges hold their ends. Lists are cut to what is left.
    DST must be new. The rest is as in convert.
    """
    from densesirst_gen.labels.convert import convert
    from densesirst_gen.labels.new_folder import check_new
    from densesirst_gen.labels.subset import Choice
    from densesirst_gen.labels.subset import subset as chosen

    choice = Choice(splits, names, targets, area, contrast, sky_share, share, seed)
    dataset = open_dataset(source, read_as, sky, "SRC", counts=counts)
    introduce(dataset, quiet=quiet)
    check_new(out)
    with progress_bar(quiet) as progress:
        part = chosen(dataset, choice, jobs=jobs, progress=progress)
        found = convert(part, out, to, allow_loss=allow_loss, jobs=jobs, progress=progress)
    tell_notes(found.told, quiet=quiet)
    n = len(dataset.scenes)
    if as_json:
        document = {"schema": "densesirst-gen/subset@1", "of": n, "images": found.n_images}
        click.echo(json.dumps({**document, "targets": found.n_targets, "out": str(out)}))
    elif not quiet:
        said = f"{out}: {found.n_images:,} of {n:,} images, {found.n_targets:,} targets"
        click.echo(printable(said))

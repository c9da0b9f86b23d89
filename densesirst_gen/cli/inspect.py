"""``densesirst-gen inspect``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from densesirst_gen.cli.options import (
    EXIT_CODES,
    SaidOfCounts,
    common,
    open_dataset,
    path_in,
    place,
    printable,
    reading_options,
    span_option,
)

if TYPE_CHECKING:
    from densesirst_gen.datasets import ReadAs


@click.command(epilog=EXIT_CODES)
@click.argument("folder", metavar="DIR", type=place)
@reading_options("DIR")
@click.option("--sky", type=path_in, help="folder of sky masks  [default: the dataset's own]")
@span_option
@common
def inspect(
    folder: str,
    read_as: ReadAs,
    sky: Path | None,
    counts: SaidOfCounts,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say what is understood of a folder, before anything is done with it.

    \b
    densesirst-gen inspect sirstv2/
    densesirst-gen inspect datasets/

    Layout, images, masks, sky, splits, who may give targets, and what is passed over and why.
    No more than a sample is decoded, nothing is written.
    """
    from densesirst_gen.datasets import DatasetError, read_dataset
    from densesirst_gen.datasets.understood import datasets_below, understand

    try:
        found = understand(open_dataset(folder, read_as, sky, "DIR", counts=counts))
    except DatasetError as error:
        below = datasets_below(Path(folder), read_dataset) if Path(folder).is_dir() else []
        if not below:
            raise
        lines = [f"  {path}: {understand(dataset).line()}" for path, dataset in below]
        text = "\n".join([f"{folder} is no dataset, these below it are:", *lines])
        raise DatasetError(f"{text}\n{error}") from error
    if as_json:
        click.echo(json.dumps({"schema": "densesirst-gen/inspect@1", **asdict(found)}))
    elif not quiet:
        click.echo(printable("\n".join(found.lines())))

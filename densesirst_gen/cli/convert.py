"""``densesirst-gen convert``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from densesirst_gen.cli.installed import check_installed
from densesirst_gen.cli.options import (
    DIALECTS,
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
    from densesirst_gen.labels.convert import Converted

TARGETS = (
    "devkit",
    "voc",
    "coco",
    "yolo",
    "yolo-seg",
    "basicirstd",
    "masks",
    "hf",
    "webdataset",
    "parquet",
)


def check_format(to: str) -> None:
    """ClickException if what is needed to write a format is not installed."""
    check_installed(*["pyarrow"] * (to == "parquet"))


def _writable(_: click.Context, __: click.Parameter, to: str) -> str:
    check_format(to)
    return to


to_option = click.option(
    "--to",
    type=click.Choice(TARGETS),
    required=True,
    callback=_writable,
    help="format to write",
)
loss_option = click.option(
    "--allow-loss", is_flag=True, help="write although something is lost, and tell it"
)


@click.command(epilog=EXIT_CODES)
@click.argument("source", metavar="SRC", type=place)
@click.argument("out", metavar="DST", type=path_out)
@to_option
@reading_options("SRC")
@click.option("--sky", type=path_in, help="folder of sky masks  [default: the dataset's own]")
@span_option
@click.option(
    "--voc-dialect",
    type=click.Choice(DIALECTS),
    help="of boxes in XML  [sirst in the devkit, devkit in voc]",
)
@loss_option
@click.option(
    "--view8", is_flag=True, help="deep images: also DST-view8, the same with images of 8 bits"
)
@jobs_option
@common
def convert(
    source: str,
    out: Path,
    to: str,
    read_as: ReadAs,
    sky: Path | None,
    counts: SaidOfCounts,
    voc_dialect: str | None,
    allow_loss: bool,
    view8: bool,
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write the labels of a dataset in another format, with its images.

    \b
    densesirst-gen convert SIRSTdevkit/ dense-yolo/ --to yolo
    densesirst-gen convert export.json dense/ --to devkit

    Masks are the truth where there are any; boxes stay boxes, and become masks with --masks-from
    only. Targets in and out are counted, and nothing is written unless they are equal. DST must
    be new.
    """
    from densesirst_gen.datasets.grammar.dialects import READERS
    from densesirst_gen.labels.convert import VIEW8, has_deep_images
    from densesirst_gen.labels.convert import convert as converted
    from densesirst_gen.labels.formats import FORMATS
    from densesirst_gen.labels.new_folder import check_new

    dialect = voc_dialect or FORMATS[to].dialect
    if voc_dialect and not FORMATS[to].dialect:
        raise click.UsageError(f"--voc-dialect is for boxes in XML, {to} has none")
    dataset = open_dataset(source, read_as, sky, "SRC", counts=counts)
    introduce(dataset, quiet=quiet)
    wanted = {False: out}
    if view8 and has_deep_images(dataset):
        wanted[True] = out.with_name(out.name + VIEW8)
    elif view8:
        tell_notes(["--view8: all images have 8 bits, nothing is written for it"], quiet=quiet)
    for folder in wanted.values():
        check_new(folder)
    found = []
    for is_view, folder in wanted.items():
        with progress_bar(quiet) as progress:
            found.append(
                converted(
                    dataset,
                    folder,
                    to,
                    voc_dialect=voc_dialect,
                    allow_loss=allow_loss,
                    view8=is_view,
                    jobs=jobs,
                    progress=progress,
                )
            )
    tell_notes(found[0].told, quiet=quiet)
    said = [f"boxes in XML, dialect {dialect}: {READERS[dialect]}"] if dialect else []
    tell_notes([*said, *filter(None, [FORMATS[to].readers])], quiet=quiet)
    if as_json:
        click.echo(json.dumps(_document(found, to)))
    elif not quiet:
        click.echo(printable("\n".join(map(_line, found))))


def _line(found: Converted) -> str:
    return (
        f"{found.out}: images {found.n_images_in:,} in, {found.n_images:,} out; "
        f"targets {found.n_targets_in:,} in, {found.n_targets:,} out"
    )


def _document(found: list[Converted], to: str) -> dict[str, object]:
    first = found[0]
    return {
        "schema": "densesirst-gen/convert@1",
        "to": to,
        "out": [str(one.out) for one in found],
        "images": {"in": first.n_images_in, "out": first.n_images},
        "targets": {"in": first.n_targets_in, "out": first.n_targets},
        "lost": list(first.lost),
        "set_aside": first.set_aside,
    }

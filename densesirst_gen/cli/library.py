"""``densesirst-gen library extract`` and ``show``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from densesirst_gen.cli.numbers import Finite, jobs_type
from densesirst_gen.cli.options import (
    SaidOfCounts,
    common,
    introduce,
    open_dataset,
    path_in,
    path_out,
    place,
    reading_options,
    select,
    span_option,
    tell_notes,
)
from densesirst_gen.paste.config import PasteConfig

if TYPE_CHECKING:
    from densesirst_gen.datasets import ReadAs
    from densesirst_gen.paste.library import TargetLibrary


@click.group()
def library() -> None:
    """Make and look at libraries of targets."""


@library.command("extract")
@click.argument("backgrounds", metavar="DIR", type=place)
@click.option("--out", "-o", type=path_out, required=True, help="file to write, .npz")
@reading_options("the dataset")
@span_option
@click.option("--split", type=path_in, help="file of the donor scenes  [default: training split]")
@click.option(
    "--kind",
    type=click.Choice(["targets", "frames"]),
    default="targets",
    show_default=True,
    help="targets, or the skies of whole images at patch size, which the released data are made of",
)
@click.option(
    "--names",
    "pattern",
    metavar="PATTERN",
    help="only scenes called like it  [frames: Misc_*, which is SIRST v1, where there are any]",
)
@click.option(
    "--held-back",
    "held_back_too",
    is_flag=True,
    help="frames of validation and test images too, as in the released data",
)
@click.option(
    "--sky",
    type=path_in,
    help="of frames: folder of sky masks  [the dataset's, else whole images]",
)
@click.option(
    "--patch-px",
    type=click.IntRange(1, 100),
    help=f"side of frames, pixels  [{PasteConfig.patch_px}]",
)
@click.option("--min-area", type=click.IntRange(1, 1_000_000), help="mask pixels")
@click.option("--max-side", type=click.IntRange(1, 1024), help="longer side of the box, pixels")
@click.option(
    "--min-contrast", type=Finite(-255, 255), help="peak above the local background, gray levels"
)
@click.option("--jobs", "-j", type=jobs_type, default=1, help="processes")
@click.option("--overwrite", is_flag=True, help="replace the file")
@common
def library_extract(
    backgrounds: str,
    out: Path,
    read_as: ReadAs,
    counts: SaidOfCounts,
    split: Path | None,
    kind: str,
    pattern: str | None,
    held_back_too: bool,
    sky: Path | None,
    patch_px: int | None,
    jobs: int,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **limits: Any,
) -> None:
    """Cut the targets out of a dataset, their local background removed; or shrink its skies."""
    from densesirst_gen.build.donors import frames_note, make_library
    from densesirst_gen.datasets.apart import check_not_read
    from densesirst_gen.files.atomic import RefusedError, atomic_file
    from densesirst_gen.files.workers import workers
    from densesirst_gen.paste.extract import DEFAULT_FILTER

    _check_kind(kind, limits, held_back=held_back_too or None, sky=sky, patch_px=patch_px)
    if out.exists() and not overwrite:
        raise RefusedError(f"{out} exists: --overwrite replaces it")
    dataset = open_dataset(backgrounds, read_as, sky, counts=counts)
    check_not_read(out, (split,), dataset)
    introduce(dataset, quiet=quiet)
    names = select(dataset, split, None) if split else None
    keep = DEFAULT_FILTER._replace(**{k: v for k, v in limits.items() if v is not None})
    with workers(jobs, [make_library.__module__]) as run:
        made = make_library(
            dataset,
            kind,
            names=names,
            pattern=pattern,
            held_back_too=held_back_too,
            keep=keep,
            patch_px=patch_px or PasteConfig.patch_px,
            run=run,
        )
    with atomic_file(out) as file:
        made.write(file)
    tell_notes(filter(None, [frames_note(made, dataset)]), quiet=quiet)
    _tell_library(made, out, quiet=quiet, as_json=as_json)


def _check_kind(kind: str, of_targets: Mapping[str, Any], **of_frames: Any) -> None:
    """UsageError for an option that libraries of that kind have no use for."""
    for name, value in (of_frames if kind == "targets" else of_targets).items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            other = "frames" if kind == "targets" else "targets"
            raise click.UsageError(f"{flag} is for --kind {other}, not for {kind}")


@library.command("show")
@click.argument("file", type=path_in)
@click.option("--out", "-o", type=path_out, help="contact sheet, PNG  [default: FILE.png]")
@common
def library_show(file: Path, out: Path | None, quiet: bool, as_json: bool) -> None:
    """Say what is in a library, and draw its contact sheet."""
    from densesirst_gen.datasets.apart import check_not_read
    from densesirst_gen.files.atomic import write_atomically
    from densesirst_gen.paste.library import TargetLibrary
    from densesirst_gen.paste.sheet import contact_sheet
    from densesirst_gen.scene.picture import png

    shown = TargetLibrary.load(file)
    sheet = out or file.with_suffix(".png")
    check_not_read(sheet, (file,))
    write_atomically(sheet, png(contact_sheet(shown)))
    _tell_library(shown, sheet, quiet=quiet, as_json=as_json)


def _tell_library(shown: TargetLibrary, path: Path, *, quiet: bool, as_json: bool) -> None:
    sizes = shown.sizes.max(axis=1, initial=0) if len(shown) else [0]
    values = {
        "schema": "densesirst-gen/library@1",
        "file": str(path),
        "kind": shown.kind,
        "n": len(shown),
        "n_scenes": len({source.split("#")[0].split("@")[0] for source in shown.sources.tolist()}),
        "largest_side_px": int(max(sizes)),
        "left_out": shown.left_out,
        "sha256": shown.digest,
    }
    if as_json:
        click.echo(json.dumps(values))
    elif not quiet:
        click.echo(
            f"{path}: {values['n']} {shown.kind} of {values['n_scenes']} scenes, at most "
            f"{values['largest_side_px']} px; left out: {shown.left_out_text}"
        )

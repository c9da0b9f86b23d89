"""``build --also``: what was built in other formats too, in folders beside it.

A build and a conversion know nothing of each other: the one is finished before the other begins. So
a build is the same with and without, and what was interrupted goes on with whichever is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from densesirst_gen.cli.convert import TARGETS, check_format
from densesirst_gen.cli.options import progress_bar, tell_notes

FORMATS = tuple(target for target in TARGETS if target != "devkit")


def _formats(_: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    formats = tuple(dict.fromkeys(word.strip() for word in text.split(","))) if text else ()
    for name in formats:
        if name not in FORMATS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(FORMATS)}")
        check_format(name)
    return formats


also_option = click.option(
    "--also",
    metavar="FORMATS",
    callback=_formats,
    help="also as OUT-FORMAT, such as yolo,coco: formats of convert",
)


def check_also(out: Path, formats: Sequence[str], *, resume: bool, overwrite: bool) -> None:
    """RefusedError if a folder beside is in use; earlier ones of ours are deleted to overwrite."""
    from densesirst_gen.files.clear import clear_build, is_ours
    from densesirst_gen.labels.new_folder import check_new

    for name in formats:
        beside = place_of(out, name)
        if overwrite:
            clear_build(beside)
        if not (resume and is_ours(beside)):
            check_new(beside)


def place_of(out: Path, name: str) -> Path:
    """Where a build is in another format."""
    return out.with_name(f"{out.name}-{name}")


def write_also(out: Path, formats: Sequence[str], *, jobs: int, quiet: bool) -> list[Path]:
    """Convert a finished build; what was converted of it already stays.

    Returns
    -------
    list of Path
        The folders, in order of the formats.
    """
    from densesirst_gen.datasets import read_dataset
    from densesirst_gen.labels.convert import convert, is_converted

    missing = [name for name in formats if not is_converted(out, place_of(out, name), name)]
    for name in missing:
        dataset = read_dataset(out, layout="devkit")
        with progress_bar(quiet) as progress:
            found = convert(dataset, place_of(out, name), name, jobs=jobs, progress=progress)
        tell_notes((f"{name}: {note}" for note in found.lost), quiet=quiet)
    return [place_of(out, name) for name in formats]

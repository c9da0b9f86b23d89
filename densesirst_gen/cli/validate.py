"""``densesirst-gen validate``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from densesirst_gen.cli.installed import check_installed
from densesirst_gen.cli.options import (
    EXIT_CODES,
    PROBLEMS,
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
)

if TYPE_CHECKING:
    from densesirst_gen.datasets import Dataset, ReadAs
    from densesirst_gen.labels.fix import Fixed
    from densesirst_gen.labels.validate import Validated

SHOWN = 5
"""Findings of a rule on the terminal."""


@click.command(epilog=EXIT_CODES)
@click.argument("folder", metavar="DIR", type=place)
@reading_options("DIR")
@click.option("--sky", type=path_in, help="folder of sky masks  [default: the dataset's own]")
@span_option
@click.option(
    "--against", metavar="DIR", type=place, help="another dataset, that should share no image"
)
@click.option("--html", type=path_out, metavar="FILE", help="also a page of all of it")
@click.option(
    "--fix",
    "fixed",
    type=path_out,
    metavar="NEWDIR",
    help="write it anew, with what can be mended without guessing mended",
)
@jobs_option
@common
def validate(
    folder: str,
    read_as: ReadAs,
    sky: Path | None,
    counts: SaidOfCounts,
    against: str | None,
    html: Path | None,
    fixed: Path | None,
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say what is wrong with the labels of a dataset.

    \b
    densesirst-gen validate sirstv2/
    densesirst-gen validate mine/ --against sirstv2/
    densesirst-gen validate mine/ --html mine.html --fix mended/

    Files that are missing, too many or unreadable; sizes and values of masks; boxes and points
    against masks, and in which dialect the boxes are; masks that are inverted or shifted; images
    that come twice; lists that overlap, sequences torn between them, and nearly the same image on
    both sides. Notes are what may well be meant. --fix derives boxes and points from the masks,
    so that all are tight and in one dialect, and writes masks as 0 and 255; what can't be told is
    left, and said. Exit code 4 if something is wrong, or is left; --json has all of it.
    """
    from densesirst_gen.datasets.apart import check_not_read
    from densesirst_gen.labels.new_folder import check_new
    from densesirst_gen.labels.validate import validate as validated

    check_installed(*["jinja2"] * bool(html))
    if fixed is not None:
        check_new(fixed)
    dataset = open_dataset(folder, read_as, sky, "DIR", counts=counts)
    introduce(dataset, quiet=quiet)
    other = None if against is None else open_dataset(against, hint="--against")
    if html is not None:
        check_not_read(html, (), *filter(None, (dataset, other)))
    with progress_bar(quiet) as progress:
        found = validated(dataset, against=other, jobs=jobs, progress=progress)
    if html is not None:
        _write_page(html, dataset.root.resolve().name, found)
    mended = None if fixed is None else _mend(dataset, found, fixed, jobs=jobs, quiet=quiet)
    if as_json:
        click.echo(json.dumps({**_document(folder, found), **_fix_document(mended)}))
    else:
        _tell(folder, found, quiet=quiet)
        _tell_mended(mended, quiet=quiet)
    is_right = mended.is_right if mended else all(finding.is_note for finding in found.findings)
    if not is_right:
        sys.exit(PROBLEMS)


def _write_page(path: Path, name: str, found: Validated) -> None:
    from densesirst_gen.files.atomic import write_atomically
    from densesirst_gen.labels.page import findings_html

    write_atomically(path, findings_html(name, found, f"{_verdict(found)}.").encode())


def _mend(dataset: Dataset, found: Validated, out: Path, *, jobs: int, quiet: bool) -> Fixed:
    from densesirst_gen.labels.fix import fix

    with progress_bar(quiet) as progress:
        return fix(dataset, found, out, jobs=jobs, progress=progress)


def _fix_document(mended: Fixed | None) -> dict[str, object]:
    if mended is None:
        return {}
    said = {"out": str(mended.out), "to": mended.to, "mended": mended.mended}
    left = {"left": [asdict(one) for one in mended.left], "left_out": mended.left_out}
    return {"fixed": {**said, **left}}


def _tell_mended(mended: Fixed | None, *, quiet: bool) -> None:
    """What was mended and what is left, on stdout."""
    if mended is None or quiet:
        return
    from densesirst_gen.labels.findings import RULES

    left = Counter(one.rule for one in mended.left if not one.is_note)
    lines = [f"{mended.out}: written as {mended.to}"]
    lines += [f"  mended: {RULES[rule]} ({n:,})" for rule, n in mended.mended.items()]
    lines += [f"  left: {RULES[rule]} ({n:,})" for rule, n in left.items()]
    lines += [f"  left out: {name}: {why}" for name, why in list(mended.left_out.items())[:SHOWN]]
    if (n_more := len(mended.left_out) - SHOWN) > 0:
        lines.append(f"  ... and {n_more:,} more left out (--json has all)")
    click.echo(printable("\n".join(lines)))


def _document(folder: str, found: Validated) -> dict[str, object]:
    return {
        "schema": "densesirst-gen/validate@1",
        "dir": folder,
        "images": found.n_images,
        "targets": found.n_targets,
        "box_dialects": found.dialects,
        "counts": dict(Counter(finding.rule for finding in found.findings)),
        "problems": [asdict(one) for one in found.findings if not one.is_note],
        "notes": [asdict(one) for one in found.findings if one.is_note],
    }


def _tell(folder: str, found: Validated, *, quiet: bool) -> None:
    """Problems on stdout, notes on stderr, one line at the end."""
    from densesirst_gen.labels.findings import NOTES, RULES

    for rule, title in RULES.items():
        same = [finding for finding in found.findings if finding.rule == rule]
        if not same or (quiet and rule in NOTES):
            continue
        head = f"{'note: ' * (rule in NOTES)}{title} ({len(same):,})"
        lines = [head, *(f"  {one.file}: {one.what}" for one in same[:SHOWN])]
        if len(same) > SHOWN:
            lines.append(f"  ... and {len(same) - SHOWN:,} more (--json has all)")
        click.echo(printable("\n".join(lines)), err=rule in NOTES)
    if not quiet:
        click.echo(printable(f"{folder}: {_verdict(found)}"))


def _verdict(found: Validated) -> str:
    n = sum(not finding.is_note for finding in found.findings)
    boxes = ", ".join(f"{n:,} {name}" for name, n in found.dialects.items())
    said = f"; boxes by dialect: {boxes}" if boxes else ""
    problems = f"{n:,} problem{'s' * (n != 1)}" if n else "nothing wrong"
    return f"{found.n_images:,} images, {found.n_targets:,} targets, {problems}{said}"

"""``densesirst-gen diff``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict

import click

from densesirst_gen.cli.options import (
    EXIT_CODES,
    PROBLEMS,
    common,
    introduce,
    jobs_option,
    open_dataset,
    place,
    printable,
    progress_bar,
)

SHOWN = 20
"""Changes on the terminal."""


@click.command(epilog=EXIT_CODES)
@click.argument("one", metavar="A", type=place)
@click.argument("other", metavar="B", type=place)
@jobs_option
@common
def diff(one: str, other: str, jobs: int, quiet: bool, as_json: bool) -> None:
    """Say what differs between two datasets, whatever their layouts.

    \b
    densesirst-gen diff before/ after/

    Scenes by their names; targets that were added, removed, moved or resized; skies; lists. Exit
    code 4 if anything differs.
    """
    from densesirst_gen.labels.diff import diff as differing

    datasets = [open_dataset(name, hint=hint) for name, hint in ((one, "A"), (other, "B"))]
    for dataset in datasets:
        introduce(dataset, quiet=quiet)
    with progress_bar(quiet) as progress:
        changes = differing(datasets[0], datasets[1], jobs=jobs, progress=progress)
    counts = Counter(change.kind for change in changes)
    if as_json:
        found = {"counts": dict(counts), "changes": [asdict(change) for change in changes]}
        click.echo(json.dumps({"schema": "densesirst-gen/diff@1", "a": one, "b": other, **found}))
    else:
        lines = [f"{c.scene}: {c.kind}{': ' * bool(c.what)}{c.what}" for c in changes[:SHOWN]]
        if len(changes) > SHOWN:
            lines.append(f"... and {len(changes) - SHOWN:,} more (--json has all)")
        told = ", ".join(f"{n:,} {kind}" for kind, n in counts.most_common())
        lines += [] if quiet else [told or "nothing differs"]
        click.echo(printable("\n".join(lines))) if lines else None
    if changes:
        sys.exit(PROBLEMS)

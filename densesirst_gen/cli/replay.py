"""``densesirst-gen replay``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from densesirst_gen.cli.options import (
    EXIT_CODES,
    PROBLEMS,
    common,
    path_in,
    printable,
    progress_bar,
)


@click.command(epilog=EXIT_CODES)
@click.argument("out", type=path_in)
@click.option(
    "--image", "images", multiple=True, metavar="NAME", help="only this scene; repeatable"
)
@common
def replay(out: Path, images: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Take every paste of a built dataset out and put it in again; say if all is the same.

    Exit code 4 if a scene comes out differently.
    """
    from densesirst_gen.build.replay import replay as replayed

    with progress_bar(quiet) as progress:
        results = list(progress(replayed(out, images or None), len(images)))
    problems = {result.name: result.problem for result in results if result.problem}
    n_pastes = sum(result.n_pastes for result in results)
    if as_json:
        values = {"schema": "densesirst-gen/replay@1", "scenes": len(results), "pastes": n_pastes}
        click.echo(json.dumps({**values, "problems": problems}))
    else:
        for name, problem in problems.items():
            click.echo(printable(f"{name}: {problem}"))
        if not quiet:
            same = len(results) - len(problems)
            click.echo(f"{same} of {len(results)} scenes the same, {n_pastes} pastes replayed")
    if problems:
        sys.exit(PROBLEMS)

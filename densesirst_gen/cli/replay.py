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

    Looks at images, target masks and plans alone; `densesirst-gen verify` looks at all.
    Exit code 4 if a scene comes out differently, or plans are missing, twice or malformed.
    """
    from densesirst_gen.build.replay import NOT_LOOKED_AT
    from densesirst_gen.build.replay import replay as replayed

    with progress_bar(quiet) as progress:
        results = list(progress(replayed(out, images or None), len(images)))
    found = [result for result in results if result.problem]
    scenes = [result for result in results if result.is_scene]
    n_pastes = sum(result.n_pastes for result in results)
    if as_json:
        problems: dict[str, str] = {}
        for result in found:
            before = f"{problems[result.name]}; " if result.name in problems else ""
            problems[result.name] = before + result.problem
        values = {"schema": "densesirst-gen/replay@1", "scenes": len(scenes), "pastes": n_pastes}
        click.echo(json.dumps({**values, "problems": problems, "not_looked_at": NOT_LOOKED_AT}))
    else:
        for result in found:
            click.echo(printable(f"{result.name}: {result.problem}"))
        if not quiet:
            n_same = sum(not result.problem for result in scenes)
            click.echo(f"{n_same} of {len(scenes)} scenes the same, {n_pastes} pastes replayed")
            click.echo(f"not looked at: {NOT_LOOKED_AT}; densesirst-gen verify looks at all")
    if found:
        sys.exit(PROBLEMS)

"""``densesirst-gen merge``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from densesirst_gen.cli.convert import loss_option, to_option
from densesirst_gen.cli.options import (
    EXIT_CODES,
    common,
    introduce,
    jobs_option,
    open_dataset,
    path_out,
    place,
    printable,
    progress_bar,
    tell_notes,
)


@click.command(epilog=EXIT_CODES)
@click.argument("sources", metavar="A B...", nargs=-1, required=True, type=place)
@click.option("--out", "-o", type=path_out, required=True, help="folder to write, must be new")
@to_option
@click.option("--prefix", is_flag=True, help="call scenes FOLDER/NAME, after their dataset")
@click.option("--allow-shared", is_flag=True, help="take images that two datasets have, or nearly")
@loss_option
@jobs_option
@common
def merge(
    sources: tuple[str, ...],
    out: Path,
    to: str,
    prefix: bool,
    allow_shared: bool,
    allow_loss: bool,
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write several datasets as one, whatever their layouts.

    \b
    densesirst-gen merge sirstv2/ mine/ -o both/ --to coco

    Refused if two have a scene of the same name (--prefix) or share images, or nearly the same
    ones. Lists of training stay lists of training, what is held back stays held back. Images are
    numbered anew. The rest is as in convert.
    """
    from densesirst_gen.datasets.apart import check_apart
    from densesirst_gen.labels.convert import convert
    from densesirst_gen.labels.merge import check_shared, merged
    from densesirst_gen.labels.new_folder import check_new

    if len(sources) < 2:
        raise click.UsageError("merge takes two datasets or more")
    check_new(out)
    datasets = [open_dataset(source, hint="A B...") for source in sources]
    for dataset in datasets:
        introduce(dataset, quiet=quiet)
        check_apart(out, dataset.root, dataset.scenes)
    whole = merged(
        datasets, out.absolute().parent / f"{out.name} of {len(datasets)}", prefix=prefix
    )
    with progress_bar(quiet) as progress:
        if not allow_shared:
            check_shared(datasets, jobs=jobs, progress=progress)
        found = convert(whole, out, to, allow_loss=allow_loss, jobs=jobs, progress=progress)
    unlisted = [d.root.name for d in datasets if not d.splits]
    if unlisted and len(unlisted) < len(datasets):
        tell_notes([f"scenes of {', '.join(unlisted)} are in no list"], quiet=quiet)
    tell_notes(found.told, quiet=quiet)
    if as_json:
        counts = {"images": found.n_images, "targets": found.n_targets}
        document = {"schema": "densesirst-gen/merge@1", "out": str(out), "of": list(sources)}
        click.echo(json.dumps({**document, **counts}))
    elif not quiet:
        said = f"{out}: {found.n_images:,} images, {found.n_targets:,} targets"
        click.echo(printable(f"{said} of {len(datasets)} datasets"))

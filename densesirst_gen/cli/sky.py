"""``densesirst-gen sky``: predict, check, export and import sky masks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from densesirst_gen.cli.options import (
    EXIT_CODES,
    PROBLEMS,
    SaidOfCounts,
    common,
    introduce,
    open_dataset,
    path_in,
    path_out,
    place,
    printable,
    progress_bar,
    reading_options,
    select,
    sky_cache_option,
    sky_store,
    span_option,
    tell_notes,
)

if TYPE_CHECKING:
    from densesirst_gen.datasets import ReadAs
    from densesirst_gen.sky.folder import SkyRow

SHOWN = 30


class _PredictByDefault(click.Group):
    """``sky DIR`` means ``sky predict DIR``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["predict", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_PredictByDefault, epilog=EXIT_CODES)
def sky() -> None:
    """Predict sky masks, check them, and take them to annotation tools and back.

    \b
    densesirst-gen sky IMAGES --out MASKS
    """


@sky.command("predict")
@click.argument("images", metavar="DIR", type=place)
@click.option("--out", "-o", type=path_out, required=True, help="folder of the masks")
@click.option("--palette", is_flag=True, help="indices with a palette, as in the devkit")
@click.option("--overlay", type=path_out, help="folder for pictures with the sky's edge drawn")
@reading_options("the images")
@span_option
@click.option("--split", type=path_in, help="file of the scenes to use")
@click.option("--limit", type=click.IntRange(0), help="use the first N scenes only")
@click.option("--jobs", "-j", type=click.IntRange(1), default=1, help="processes")
@sky_cache_option
@common
def sky_predict(
    images: str,
    out: Path,
    palette: bool,
    overlay: Path | None,
    read_as: ReadAs,
    counts: SaidOfCounts,
    split: Path | None,
    limit: int | None,
    jobs: int,
    sky_cache: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Predict the sky of images; masks made by hand are left as they are.

    Lists the images that are worth a person's look, least sure first.
    """
    from densesirst_gen.datasets import DatasetError
    from densesirst_gen.datasets.notes import nothing_left
    from densesirst_gen.sky.folder import predict_folder

    dataset = open_dataset(images, read_as, hint="DIR", counts=counts)
    introduce(dataset, quiet=quiet)
    names = set(select(dataset, split, limit))
    files = [file for file in dataset.scenes if file.name in names]
    with progress_bar(quiet) as progress:
        rows = predict_folder(
            files,
            out,
            palette=palette,
            overlay=overlay,
            store=sky_store(sky_cache),
            jobs=jobs,
            progress=progress,
        )
    tell_predicted(rows, out, quiet=quiet, as_json=as_json)
    failed = {row.name: row.error for row in rows if row.error}
    if failed and len(failed) == len(rows):
        raise DatasetError(nothing_left("predicted", failed))
    if failed:
        sys.exit(PROBLEMS)


def tell_predicted(rows: list[SkyRow], out: Path, *, quiet: bool, as_json: bool) -> None:
    """Say how many masks there are and which of them a person should see."""
    for row in rows:
        if row.error:
            click.echo(printable(f"{row.name}: {row.error}"), err=True)
    if as_json:
        values = {"schema": "densesirst-gen/sky@1", "out": str(out)}
        click.echo(json.dumps({**values, "images": [row.record() for row in rows]}))
        return
    if quiet:
        return
    from densesirst_gen.sky.folder import INDEX

    made = [row for row in rows if not row.error]
    guessed = [row for row in made if row.confidence is not None]
    kept = f", {len(made) - len(guessed)} made by hand left as they are"
    click.echo(f"{out}: {len(guessed)} masks predicted{kept if len(made) > len(guessed) else ''}")
    _tell_doubtful(guessed, out / INDEX)


def _tell_doubtful(guessed: list[SkyRow], index: Path) -> None:
    from densesirst_gen.sky.limits import LITTLE_SKY

    listed = sorted((row for row in guessed if row.is_worth_a_look), key=lambda row: row.trust)
    if listed:
        click.echo(f"{len(listed)} are worth a look, least sure first (confidence, sky):")
    for row in listed[:SHOWN]:
        why = f"  ({row.reason})" if row.reason else ""
        click.echo(printable(f"  {row.confidence:.2f}  {row.share:4.0%}  {row.name}{why}"))
    if len(listed) > SHOWN:
        click.echo(f"  ... {len(listed) - SHOWN} more; {index} has all")
    if n_bare := sum(row.is_little_and_unsure for row in guessed):
        few = f"at most {LITTLE_SKY:.0%} sky"
        click.echo(f"{n_bare} more are unsure of {few}: nothing is pasted into them")


@sky.command("check")
@click.argument("images", metavar="DIR", type=place)
@click.option("--sky", "masks", type=path_in, help="folder of sky masks  [the dataset's own]")
@reading_options("the images")
@span_option
@click.option("--jobs", "-j", type=click.IntRange(1), default=1, help="processes")
@sky_cache_option
@common
def sky_check(
    images: str,
    masks: Path | None,
    read_as: ReadAs,
    counts: SaidOfCounts,
    jobs: int,
    sky_cache: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say which sky masks are of another size, flipped, shifted, inverted or missing.

    Exit code 4 if there are any. Flips and shifts are judged by the edges of the image: now and
    then a good mask is named, and a shift along a straight horizon is not seen. Inverted masks are
    found by comparison with the predicted sky.
    """
    from densesirst_gen.sky.folder import check_masks

    dataset = open_dataset(images, read_as, masks, hint="DIR", counts=counts)
    introduce(dataset, quiet=quiet)
    with progress_bar(quiet) as progress:
        problems = check_masks(
            dataset.scenes, store=sky_store(sky_cache), jobs=jobs, progress=progress
        )
    if as_json:
        values = {"schema": "densesirst-gen/sky-check@1", "images": len(dataset.scenes)}
        click.echo(json.dumps({**values, "problems": problems}))
    else:
        for name, texts in problems.items():
            click.echo(printable(f"{name}: {'; '.join(texts)}"))
        if not quiet:
            click.echo(f"{len(dataset.scenes)} images, {len(problems)} with doubts")
    if problems:
        sys.exit(PROBLEMS)


@sky.command("export")
@click.argument("images", metavar="DIR", type=place)
@click.option("--sky", "masks", type=path_in, help="folder of sky masks  [the dataset's own]")
@click.option("--to", type=click.Choice(["cvat", "labelme", "coco"]), required=True)
@click.option("--out", "-o", type=path_out, required=True, help="file, or folder for labelme")
@reading_options("the images")
@click.option("--overwrite", is_flag=True, help="replace what is there")
@common
def sky_export(
    images: str,
    masks: Path | None,
    to: str,
    out: Path,
    read_as: ReadAs,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Take sky masks to an annotation tool, without loss.

    In CVAT the task needs the labels sky and not-sky; upload the file as "CVAT for images 1.1".
    """
    from densesirst_gen.datasets.apart import check_not_read
    from densesirst_gen.sky.exchange import export_sky

    dataset = open_dataset(images, read_as, masks, hint="DIR")
    check_not_read(out, (), dataset)
    introduce(dataset, quiet=quiet)
    n = export_sky(dataset.scenes, to, out, overwrite=overwrite)
    _tell_moved("sky-export", n, out, quiet=quiet, as_json=as_json)


@sky.command("import")
@click.argument("file", type=path_in)
@click.argument("images", metavar="DIR", type=place)
@click.option("--from", "source", type=click.Choice(["cvat", "labelme", "coco"]), required=True)
@click.option("--out", "-o", type=path_out, required=True, help="folder of the masks")
@reading_options("the images")
@click.option("--label", default="sky", show_default=True, help="what the sky is called there")
@click.option(
    "--empty-is-no-sky", is_flag=True, help="images without shapes are done, and have no sky"
)
@click.option("--overwrite", is_flag=True, help="replace masks made by hand as well")
@common
def sky_import(
    file: Path,
    images: str,
    source: str,
    out: Path,
    read_as: ReadAs,
    label: str,
    empty_is_no_sky: bool,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Take corrected sky masks of the images in DIR back from an annotation tool.

    They count as made by hand: no prediction overwrites them. Shapes labelled not-sky are cut out.
    An image without shapes may be one that nobody got to: no mask is written of it, unless
    --empty-is-no-sky. A shape not-sky over all of it says that there is no sky.
    """
    from densesirst_gen.sky.exchange import import_sky

    dataset = open_dataset(images, read_as, hint="DIR")
    introduce(dataset, quiet=quiet)
    notes: list[str] = []
    n = import_sky(
        file,
        dataset.scenes,
        source,
        out,
        overwrite=overwrite,
        label=label,
        empty_is_no_sky=empty_is_no_sky,
        tell=notes.append,
    )
    tell_notes(notes, quiet=quiet)
    _tell_moved("sky-import", n, out, quiet=quiet, as_json=as_json)


def _tell_moved(schema: str, n: int, out: Path, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        values = {"schema": f"densesirst-gen/{schema}@1", "masks": n, "out": str(out)}
        click.echo(json.dumps(values))
    elif not quiet:
        click.echo(f"{out}: {n} masks")

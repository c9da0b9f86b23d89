"""What the commands share: exit codes, options, opening a dataset, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from densesirst_gen.files.regular import NotRegularError, check_regular

if TYPE_CHECKING:
    from densesirst_gen.datasets import Dataset, ReadAs

LAYOUTS = ("sirst", "devkit", "hf", "folders", "coco", "yolo", "voc", "labelme", "cvat", "plain")
MASKS_FROM = ("boxes", "points")
DIALECTS = ("sirst", "densesirst", "devkit")
FAILED, USAGE, SET_ASIDE, PROBLEMS, REFUSED, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 5, 130, 143
EXIT_CODES = """\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but scenes were set aside (--strict),
4 problems found, 5 refused (the output folder is in use or holds something else),
130 interrupted, 143 terminated."""


class _InputPath(click.Path):
    """A folder or a regular file that is there: never a pipe or a device, which may not end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(os.path.expanduser(value), param, ctx)))
        try:
            if not path.is_dir():
                check_regular(path, path.stat().st_mode)
        except NotRegularError as error:
            self.fail(str(error), param, ctx)
        return path


class _OutputPath(click.Path):
    """A file or folder to write."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(os.path.expanduser(value), param, ctx)


class _Place(click.ParamType):
    """A text that may be a file or folder, which shells complete, or something else: ``demo``."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return os.path.expanduser(os.fspath(value))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


path_in = _InputPath(path_type=Path, exists=True)
path_out = _OutputPath(path_type=Path)
place = _Place()


def printable(text: str) -> str:
    """Without control characters, which a file name could smuggle into a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def tell_notes(notes: Iterable[str], *, quiet: bool) -> None:
    """On stderr, where --json keeps stdout clean."""
    for note in () if quiet else notes:
        click.echo(printable(f"note: {note}"), err=True)


def introduce(dataset: Dataset, *, quiet: bool, more: Iterable[str] = ()) -> None:
    """Say on stderr what was understood of a dataset, in a line, and what is to be noted."""
    if quiet:
        return
    from densesirst_gen.datasets.understood import in_a_line

    click.echo(printable(in_a_line(dataset)), err=True)
    tell_notes([*dataset.notes(), *more], quiet=quiet)


def _split_file(_: Any, parameter: click.Parameter, texts: tuple[str, ...]) -> Any:
    """(split, file) of each ``train=FILE``."""
    pairs = [text.partition("=") for text in texts]
    for split, equals, file in pairs:
        if not (split and equals and file):
            raise click.BadParameter(f"must be like train=FILE, got {split + equals + file!r}")
    return tuple((split, Path(file).expanduser()) for split, _, file in pairs)


def reading_options(
    of: str, *, images: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that say how a dataset is read; a command gets them as ``read_as``.

    Parameters
    ----------
    of : str
        What the dataset is called in the help.
    images : bool
        Whether there is ``--images``, which some commands have for something else.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def reading(*args: Any, layout: str | None, **values: Any) -> Any:
            from densesirst_gen.datasets.read_as import ReadAs

            said = {name: values.pop(f"read_{name}", None) for name in ("images", "masks")}
            lists, category, masks_from, ignore = (
                values.pop(name) for name in ("split_files", "category", "masks_from", "ignore")
            )
            read_as = ReadAs(
                layout, said["images"], said["masks"], lists, category, masks_from, ignore
            )
            return command(*args, read_as=read_as, **values)

        options = [
            click.option("--layout", type=click.Choice(LAYOUTS), help=f"of {of}  [recognised]"),
            click.option(
                "--images", "read_images", type=path_out, help="folder of its images  [recognised]"
            ),
            click.option(
                "--masks", "read_masks", type=path_out, help="folder of its masks  [recognised]"
            ),
            click.option(
                "--split-file",
                "split_files",
                multiple=True,
                metavar="SPLIT=FILE",
                callback=_split_file,
                help="a list of its scenes, such as train=FILE  [recognised]",
            ),
            click.option(
                "--category", multiple=True, metavar="NAME", help="of its labels, that are targets"
            ),
            click.option(
                "--masks-from",
                type=click.Choice(MASKS_FROM),
                help="make masks of its boxes or points, which nobody drew",
            ),
            click.option(
                "--ignore", multiple=True, metavar="GLOB", help="files that are passed over"
            ),
        ]
        for option in reversed(options if images else [options[0], *options[2:]]):
            reading = option(reading)
        return reading

    return decorate


class SaidOfCounts(NamedTuple):
    """What a user says of the values of images; what is not said is found.

    Parameters
    ----------
    span : tuple of float, optional
        (black, white).
    nodata : tuple of float, optional
        Values that mean no data.
    span_table : Path, optional
        See `densesirst_gen.datasets.span.with_span_table`.
    colormap : str, optional
        Of images in false colour, see `densesirst_gen.files.images.colormaps`.
    """

    span: tuple[float, float] | None = None
    nodata: tuple[float, ...] | None = None
    span_table: Path | None = None
    colormap: str | None = None


NOTHING_SAID = SaidOfCounts()


def open_dataset(
    backgrounds: str,
    read_as: ReadAs | None = None,
    sky: Path | None = None,
    hint: str = "--backgrounds",
    *,
    counts: SaidOfCounts = NOTHING_SAID,
    like: Dataset | None = None,
) -> Dataset:
    """The dataset that an argument names: a folder, a COCO file, or ``demo[:SEED]``.

    One that is `like` another has images of the same camera: their values mean the same, unless it
    has images of another dtype.
    """
    name, _, seed = backgrounds.partition(":")
    if name == "demo" and not Path(backgrounds).exists():
        from densesirst_gen.datasets.demo import demo_dataset

        if seed and not seed.isdecimal():
            raise click.BadParameter(f"demo:SEED needs a whole number, got {seed!r}")
        if read_as and replace(read_as, layout=None):
            raise click.BadParameter("the demo is drawn: nothing can be said of its files")
        return demo_dataset(int(seed or 0))
    from densesirst_gen.datasets import read_dataset
    from densesirst_gen.datasets.span import with_counts

    root = Path(backgrounds).expanduser()
    if not root.is_dir() and root.suffix != ".json":
        raise click.BadParameter(f"{backgrounds} is not a folder", param_hint=hint)
    dataset = read_dataset(root, read_as=read_as, sky_dir=sky, **counts._asdict())
    if like is None or counts != NOTHING_SAID or not dataset.counts.keys() <= like.counts.keys():
        return dataset
    return with_counts(dataset, known=like.counts)


def select(dataset: Dataset, split: Path | None, limit: int | None) -> list[str]:
    """Names of the scenes to use: those of a split file, at most `limit` of them."""
    from densesirst_gen.datasets import read_split

    names = [scene.name for scene in dataset.scenes]
    if split:
        names = sorted(read_split(split, names))
    return names[:limit]


@contextmanager
def progress_bar(
    quiet: bool, unit: str = "scene"
) -> Iterator[Callable[[Iterable[Any], int], Iterator[Any]]]:
    """A bar for one series of results after the other."""
    hidden = quiet or not sys.stderr.isatty() or bool(os.environ.get("CI"))

    def shown(results: Iterable[Any], total: int) -> Iterator[Any]:
        if hidden or not total:
            return iter(results)
        from densesirst_gen.cli.progress import watched

        return watched(results, total, unit=unit, file=sys.stderr)

    yield shown


common_options = (
    click.option("--quiet", "-q", is_flag=True, help="no progress bar, no summary line"),
    click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout"),
)


jobs_option = click.option(
    "--jobs", "-j", type=click.IntRange(1), default=1, show_default=True, help="processes"
)


def _known_colormap(ctx: click.Context, parameter: click.Parameter, name: str | None) -> Any:
    if name is None:
        return None
    from densesirst_gen.files.images.codec import CodecError
    from densesirst_gen.files.images.colormaps import check_colormap

    name = os.path.expanduser(name) if name else name
    try:
        check_colormap(name)
    except CodecError as error:
        raise click.BadParameter(str(error), ctx, parameter) from error
    return name


def span_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what values of images mean; a command gets them as ``counts``."""

    @wraps(command)
    def saying(*args: Any, **values: Any) -> Any:
        span, table = values.pop("span"), values.pop("span_table")
        nodata, colormap = values.pop("nodata") or None, values.pop("colormap")
        return command(*args, counts=SaidOfCounts(span, nodata, table, colormap), **values)

    for option in (
        click.option(
            "--colormap",
            metavar="NAME",
            callback=_known_colormap,
            help="turn images in false colour back into gray: jet, ironbow, ... or a picture of "
            "the bar; 'brightness' takes colours as they are  [false colour is refused]",
        ),
        click.option(
            "--span-table",
            type=path_in,
            metavar="FILE",
            help="a span for each camera: lines PATTERN,BLACK,WHITE",
        ),
        click.option(
            "--nodata",
            type=float,
            multiple=True,
            metavar="VALUE",
            help="value that means no data, also nan  [what plainly does]",
        ),
        click.option(
            "--span",
            type=float,
            nargs=2,
            metavar="BLACK WHITE",
            help="values of black and white where images are not 8 bits deep  [found, and told]",
        ),
    ):
        saying = option(saying)
    return saying


sky_cache_option = click.option(
    "--sky-cache",
    metavar="DIR",
    type=place,
    help="where predicted skies are kept, or 'none'  [the user's cache folder]",
)


def sky_store(cache: str | None) -> Path | None:
    """The folder that ``--sky-cache`` names."""
    from densesirst_gen.sky.predict import default_store

    if cache == "none":
        return None
    return Path(cache) if cache else default_store()


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command has."""
    for option in reversed(common_options):
        command = option(command)
    return command

"""What the commands share: exit codes, options, opening a dataset, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from densesirst_gen.files.regular import NotRegularError, check_regular

if TYPE_CHECKING:
    from densesirst_gen.datasets import Dataset

LAYOUTS = ("sirst", "devkit", "folders", "plain", "coco")
DIALECTS = ("sirst", "densesirst", "devkit")
FAILED, USAGE, SET_ASIDE, PROBLEMS, REFUSED, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 5, 130, 143
EXIT_CODES = """\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but scenes were set aside (--strict),
4 problems found, 5 refused (the output folder is in use or holds something else),
130 interrupted, 143 terminated."""


class _InputPath(click.Path):
    """A folder or a regular file that is there: never a pipe or a device, which may not end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            if not path.is_dir():
                check_regular(path, path.stat().st_mode)
        except NotRegularError as error:
            self.fail(str(error), param, ctx)
        return path


path_in = _InputPath(path_type=Path, exists=True)
path_out = click.Path(path_type=Path)


def printable(text: str) -> str:
    """Without control characters, which a file name could smuggle into a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def open_dataset(
    backgrounds: str,
    layout: str | None,
    sky: Path | None = None,
    hint: str = "--backgrounds",
    *,
    span: tuple[float, float] | None = None,
) -> Dataset:
    """The dataset that an argument names: a folder, a COCO file, or ``demo[:SEED]``."""
    name, _, seed = backgrounds.partition(":")
    if name == "demo" and not Path(backgrounds).exists():
        from densesirst_gen.datasets.demo import demo_dataset

        if seed and not seed.isdecimal():
            raise click.BadParameter(f"demo:SEED needs a whole number, got {seed!r}")
        return demo_dataset(int(seed or 0))
    from densesirst_gen.datasets import read_dataset

    root = Path(backgrounds).expanduser()
    if not root.is_dir() and root.suffix != ".json":
        raise click.BadParameter(f"{backgrounds} is not a folder", param_hint=hint)
    return read_dataset(root, layout=layout, sky_dir=sky, span=span)


def tell_notes(notes: Iterable[str], *, quiet: bool) -> None:
    """Say on stderr what was noticed, a line each."""
    for note in () if quiet else notes:
        click.echo(printable(f"note: {note}"), err=True)


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
    from tqdm import tqdm

    hidden = quiet or not sys.stderr.isatty() or bool(os.environ.get("CI"))
    with tqdm(unit=unit, file=sys.stderr, disable=hidden, leave=False) as bar:

        def watched(results: Iterable[Any], total: int) -> Iterator[Any]:
            bar.reset(total)
            for result in results:
                yield result
                bar.update()

        yield watched


common_options = (
    click.option("--quiet", "-q", is_flag=True, help="no progress bar, no summary line"),
    click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout"),
)


span_option = click.option(
    "--span",
    type=float,
    nargs=2,
    metavar="BLACK WHITE",
    help="values of black and white where images are not 8 bits deep  [from each image]",
)


sky_cache_option = click.option(
    "--sky-cache",
    metavar="DIR",
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

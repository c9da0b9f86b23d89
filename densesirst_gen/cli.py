"""The command line: parse, call, print. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import json
import os
import signal
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from densesirst_gen.config import PROFILES, ConfigError, PasteConfig
from densesirst_gen.version import __version__

if TYPE_CHECKING:
    from densesirst_gen.formats import Dataset
    from densesirst_gen.library import TargetLibrary
    from densesirst_gen.summary import Summary

LAYOUTS = ("sirst", "devkit", "folders", "plain", "coco")
DIALECTS = ("sirst", "densesirst", "devkit")
FAILED, USAGE, SET_ASIDE, PROBLEMS, REFUSED, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 5, 130, 143
EXIT_CODES = """\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but scenes were set aside (--strict),
4 problems found, 5 refused (the output folder is in use or holds something else),
130 interrupted, 143 terminated."""

path_in = click.Path(path_type=Path, exists=True)
path_out = click.Path(path_type=Path)


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="densesirst-gen")
def cli() -> None:
    """Make infrared small target datasets with dense clusters of targets."""


def main() -> NoReturn:
    """Run the command line; every foreseen failure becomes a message and an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; --resume goes on", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        _report(error)


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def _report(error: Exception) -> NoReturn:
    from densesirst_gen.output import RefusedError

    expected = (ValueError, RuntimeError, OSError)
    if os.environ.get("DENSESIRST_DEBUG") or not isinstance(error, expected):
        raise error
    _fail(str(error), REFUSED if isinstance(error, RefusedError) else FAILED)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"densesirst-gen: {_printable(message)}", err=True)
    sys.exit(code)


def _printable(text: str) -> str:
    """Without control characters, which a file name could smuggle into a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for every field of the config, unset unless given."""
    for f in reversed(fields(PasteConfig)):
        command = click.option(*_option_names(f.name, f.default), **_option_type(f))(command)
    return command


def _option_names(name: str, default: Any) -> tuple[str, ...]:
    flag = name.replace("_", "-")
    return (f"--{flag}/--no-{flag}", name) if isinstance(default, bool) else (f"--{flag}", name)


def _option_type(f: Any) -> dict[str, Any]:
    common = {"default": None, "help": f.metadata["help"]}
    if f.metadata["rule"] == "choice":
        return {**common, "type": click.Choice(f.metadata["choices"])}
    if isinstance(f.default, bool):
        return common
    if isinstance(f.default, tuple):
        return {**common, "type": type(f.default[0]), "nargs": 2, "metavar": "LOW HIGH"}
    return {**common, "type": type(f.default)}


def _resolve(profile: str | None, file: Path | None, flags: Mapping[str, Any]) -> PasteConfig:
    """Flags over the file over the profile."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig")) if file else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{file}: not TOML ({error})", param_hint="--config") from error
    chosen = profile or values.pop("profile", "bag-cp")
    values.pop("profile", None)
    if chosen not in PROFILES:
        raise click.BadParameter(f"profile must be one of {', '.join(PROFILES)}, got {chosen!r}")
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return PasteConfig.from_dict(values, PROFILES[chosen])
    except ConfigError as error:
        raise click.UsageError(str(error)) from error


def _open_backgrounds(backgrounds: str, layout: str | None, sky: Path | None) -> Dataset:
    name, _, seed = backgrounds.partition(":")
    if name == "demo" and not Path(backgrounds).exists():
        from densesirst_gen.demo import demo_dataset

        if seed and not seed.isdecimal():
            raise click.BadParameter(f"demo:SEED needs a whole number, got {seed!r}")
        return demo_dataset(int(seed or 0))
    from densesirst_gen.formats import read_dataset

    root = Path(backgrounds).expanduser()
    if not root.is_dir():
        raise click.BadParameter(f"{backgrounds} is not a folder", param_hint="--backgrounds")
    return read_dataset(root, layout=layout, sky_dir=sky)


def _select(dataset: Dataset, split: Path | None, limit: int | None) -> list[str]:
    from densesirst_gen.formats import read_split

    names = [scene.name for scene in dataset.scenes]
    if split:
        names = sorted(read_split(split, names))
    return names[:limit]


@contextmanager
def _progress_bar(quiet: bool) -> Iterator[Callable[[Iterable[Any], int], Iterable[Any]]]:
    from tqdm import tqdm

    hidden = quiet or not sys.stderr.isatty() or bool(os.environ.get("CI"))
    with tqdm(unit="scene", file=sys.stderr, disable=hidden, leave=False) as bar:

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


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(common_options):
        command = option(command)
    return command


@cli.command(epilog=EXIT_CODES)
@click.option("--backgrounds", "-b", required=True, metavar="DIR", help="dataset, or demo[:SEED]")
@click.option("--out", "-o", type=path_out, help="folder to write  [default: dense-NAME]")
@click.option("--sky", type=path_in, help="folder of sky masks  [default: the dataset's own]")
@click.option("--library", type=path_in, help="targets to paste  [default: the backgrounds' own]")
@click.option("--profile", type=click.Choice(list(PROFILES)), help="named settings  [bag-cp]")
@click.option("--config", type=path_in, help="settings from a TOML file; flags go before it")
@click.option("--layout", type=click.Choice(LAYOUTS), help="of the backgrounds  [recognised]")
@click.option("--split", type=path_in, help="file of the scenes to use")
@click.option("--limit", type=click.IntRange(0), help="use the first N scenes only")
@click.option("--copies", type=click.IntRange(1), default=1, help="scenes made of each background")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--jobs", "-j", type=click.IntRange(1), default=1, show_default=True, help="processes"
)
@click.option(
    "--voc-dialect",
    type=click.Choice(DIALECTS),
    default="sirst",
    show_default=True,
    help="of the box files: what mmdet and BAFE-Net read, as published, or 1-based inclusive",
)
@click.option("--resume", is_flag=True, help="go on with an interrupted build")
@click.option("--overwrite", is_flag=True, help="replace an earlier build, nothing else")
@click.option("--dry-run", is_flag=True, help="plan everything, write nothing")
@click.option("--strict", is_flag=True, help=f"exit code {SET_ASIDE} if a scene was set aside")
@click.option("--print-config", is_flag=True, help="print the settings as TOML and stop")
@_common
@_config_options
def build(
    backgrounds: str,
    out: Path | None,
    sky: Path | None,
    library: Path | None,
    profile: str | None,
    config: Path | None,
    layout: str | None,
    split: Path | None,
    limit: int | None,
    copies: int,
    seed: int,
    jobs: int,
    voc_dialect: str,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    strict: bool,
    print_config: bool,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Make a dataset: paste clusters of targets into the sky of backgrounds.

    \b
    densesirst-gen build --backgrounds demo
    densesirst-gen build --backgrounds sirstv2/ --sky SkySeg/BinaryMask --out dense --jobs 4
    """
    chosen = _resolve(profile, config, settings)
    if print_config:
        from densesirst_gen.card import toml_text

        click.echo(toml_text(chosen))
        return
    from densesirst_gen.build import build_dataset
    from densesirst_gen.produce import Recipe

    dataset = _open_backgrounds(backgrounds, layout, sky)
    folder = out or Path(f"dense-{dataset.root.resolve().name}")
    _check_apart(folder, dataset.root)
    with _progress_bar(quiet) as progress:
        summary = build_dataset(
            dataset,
            folder,
            Recipe(chosen, seed, copies, voc_dialect),
            library=_load_library(library),
            names=_select(dataset, split, limit),
            jobs=jobs,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=progress,
        )
    _tell(summary, folder, dry_run=dry_run, quiet=quiet, as_json=as_json)
    if strict and summary.set_aside:
        sys.exit(SET_ASIDE)


def _check_apart(out: Path, backgrounds: Path) -> None:
    inner, outer = out.resolve(), backgrounds.resolve()
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise click.UsageError(f"--out {out} and --backgrounds {backgrounds} lie in each other")


def _load_library(path: Path | None) -> TargetLibrary | None:
    if path is None:
        return None
    from densesirst_gen.library import TargetLibrary

    return TargetLibrary.load(path)


def _tell(summary: Summary, folder: Path, *, dry_run: bool, quiet: bool, as_json: bool) -> None:
    for name, reason in summary.set_aside.items():
        click.echo(_printable(f"set aside {name}: {reason}"), err=True)
    if as_json:
        values = {"schema": "densesirst-gen/build@1", "out": str(folder), "dry_run": dry_run}
        click.echo(json.dumps({**values, **asdict(summary)}))
    elif not quiet:
        click.echo(f"{'would write ' if dry_run else ''}{folder}: {summary.line()}")


@cli.group()
def library() -> None:
    """Make and look at libraries of targets."""


@library.command("extract")
@click.argument("backgrounds", metavar="DIR")
@click.option("--out", "-o", type=path_out, required=True, help="file to write, .npz")
@click.option("--layout", type=click.Choice(LAYOUTS), help="of the dataset  [recognised]")
@click.option("--split", type=path_in, help="file of the donor scenes  [default: training split]")
@click.option("--kind", type=click.Choice(["targets", "regions"]), default="targets")
@click.option("--min-area", type=click.IntRange(1), help="mask pixels")
@click.option("--max-side", type=click.IntRange(1), help="longer side of the box, pixels")
@click.option("--min-contrast", type=float, help="peak above the local background, gray levels")
@click.option("--seed", type=click.IntRange(0), default=0, help="of random regions")
@click.option("--jobs", "-j", type=click.IntRange(1), default=1, help="processes")
@click.option("--overwrite", is_flag=True, help="replace the file")
@_common
def library_extract(
    backgrounds: str,
    out: Path,
    layout: str | None,
    split: Path | None,
    kind: str,
    seed: int,
    jobs: int,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **limits: Any,
) -> None:
    """Cut the targets out of a dataset, their local background removed."""
    from densesirst_gen.donors import make_library
    from densesirst_gen.library import DEFAULT_FILTER
    from densesirst_gen.output import RefusedError, atomic_file
    from densesirst_gen.parallel import workers

    if out.exists() and not overwrite:
        raise RefusedError(f"{out} exists: --overwrite replaces it")
    dataset = _open_backgrounds(backgrounds, layout, None)
    names = _select(dataset, split, None) if split else None
    keep = DEFAULT_FILTER._replace(**{k: v for k, v in limits.items() if v is not None})
    with workers(jobs) as run:
        made = make_library(dataset, kind, names=names, seed=seed, keep=keep, run=run)
    with atomic_file(out) as file:
        made.write(file)
    _tell_library(made, out, quiet=quiet, as_json=as_json)


@library.command("show")
@click.argument("file", type=path_in)
@click.option("--out", "-o", type=path_out, help="contact sheet, PNG  [default: FILE.png]")
@_common
def library_show(file: Path, out: Path | None, quiet: bool, as_json: bool) -> None:
    """Say what is in a library, and draw its contact sheet."""
    from densesirst_gen.library import TargetLibrary
    from densesirst_gen.output import write_atomically
    from densesirst_gen.preview import contact_sheet, png

    shown = TargetLibrary.load(file)
    sheet = out or file.with_suffix(".png")
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
        left_out = ", ".join(f"{n} by {reason}" for reason, n in shown.left_out.items())
        click.echo(
            f"{path}: {values['n']} {shown.kind} of {values['n_scenes']} scenes, at most "
            f"{values['largest_side_px']} px; left out: {left_out or 'none'}"
        )


@cli.command(epilog=EXIT_CODES)
@click.argument("out", type=path_in)
@click.option(
    "--image", "images", multiple=True, metavar="NAME", help="only this scene; repeatable"
)
@_common
def replay(out: Path, images: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Take every paste of a built dataset out and put it in again; say if all is the same.

    Exit code 4 if a scene comes out differently.
    """
    from densesirst_gen.replay import replay as replayed

    with _progress_bar(quiet) as progress:
        results = list(progress(replayed(out, images or None), len(images)))
    problems = {result.name: result.problem for result in results if result.problem}
    n_pastes = sum(result.n_pastes for result in results)
    if as_json:
        values = {"schema": "densesirst-gen/replay@1", "scenes": len(results), "pastes": n_pastes}
        click.echo(json.dumps({**values, "problems": problems}))
    else:
        for name, problem in problems.items():
            click.echo(_printable(f"{name}: {problem}"))
        if not quiet:
            same = len(results) - len(problems)
            click.echo(f"{same} of {len(results)} scenes the same, {n_pastes} pastes replayed")
    if problems:
        sys.exit(PROBLEMS)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: eval "$(densesirst-gen completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(cli, {}, "densesirst-gen", "_DENSESIRST_GEN_COMPLETE").source())

"""``densesirst-gen build``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from densesirst_gen.cli.also import also_option, check_also, write_also
from densesirst_gen.cli.options import (
    DIALECTS,
    EXIT_CODES,
    SET_ASIDE,
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
    select,
    sky_cache_option,
    sky_store,
    span_option,
    tell_notes,
)
from densesirst_gen.paste.config import PROFILES, PasteConfig, toml_config
from densesirst_gen.settings import ConfigError, UnknownSettingError
from densesirst_gen.sky.limits import SKY_CONFIDENCE, SKY_MARGIN

if TYPE_CHECKING:
    from densesirst_gen.build.summary import BuildSummary
    from densesirst_gen.datasets import ReadAs
    from densesirst_gen.paste.library import TargetLibrary

NO_SPLIT = "the backgrounds have no splits, so none is written: no Splits/trainval_v2.txt"


def _config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for every field of the config, unset unless given."""
    for f in reversed(fields(PasteConfig)):
        command = click.option(*_option_names(f.name, f.default), **_option_type(f))(command)
    return command


def _option_names(name: str, default: Any) -> tuple[str, ...]:
    flag = name.replace("_", "-")
    return (f"--{flag}/--no-{flag}", name) if isinstance(default, bool) else (f"--{flag}", name)


def _option_type(f: Any) -> dict[str, Any]:
    default = PasteConfig().to_dict()[f.name]
    values = default if isinstance(default, list) else [default]
    words = " ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in values)
    common = {"default": None, "help": f"{f.metadata['help']}  [{words}]"}
    if f.metadata["among"]:
        return {**common, "type": click.Choice(f.metadata["among"])}
    if isinstance(f.default, bool):
        return common
    if isinstance(f.default, tuple):
        return {**common, "type": type(f.default[0]), "nargs": 2, "metavar": "LOW HIGH"}
    return {**common, "type": type(f.default)}


def _resolve(profile: str | None, file: Path | None, flags: Mapping[str, Any]) -> PasteConfig:
    """Flags over the file over the profile."""
    try:
        return toml_config(file.read_bytes() if file else b"", profile, flags)
    except ConfigError as error:
        flagged = any(value is not None for value in flags.values())
        place = f"{file}{' and flags' * flagged}: " if file else ""
        raise click.UsageError(f"{place}{_flag_hint(error) or error}") from error


def _flag_hint(error: ConfigError) -> str:
    """That a name is no setting but a flag of its own, if it is."""
    name = error.name if isinstance(error, UnknownSettingError) else None
    flags = {p.name: p.opts[-1] for p in build.params if isinstance(p, click.Option)}
    flags |= {flag.removeprefix("--"): flag for flag in flags.values()}
    flag = flags.get(name) if isinstance(name, str) else None
    return f"{name} is no setting of a file but a flag: {flag}" if flag else ""


@click.command(epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.option(
    "--backgrounds", "-b", required=True, metavar="DIR", type=place, help="dataset, or demo[:SEED]"
)
@click.option("--out", "-o", type=path_out, help="folder to write  [default: dense-NAME]")
@click.option(
    "--sky", type=path_in, help="folder of sky masks  [default: the dataset's own, else predicted]"
)
@click.option(
    "--sky-confidence",
    type=click.FloatRange(0.5, 1),
    default=SKY_CONFIDENCE,
    show_default=True,
    help="least probability of a predicted sky that is pasted on",
)
@click.option(
    "--sky-margin",
    type=click.IntRange(0),
    default=SKY_MARGIN,
    show_default=True,
    help="pixels kept free along its boundary",
)
@sky_cache_option
@click.option(
    "--library",
    type=path_in,
    help="what to paste  [default: the backgrounds' own targets; release: frames]",
)
@click.option("--profile", type=click.Choice(list(PROFILES)), help="named settings  [bag-cp]")
@click.option("--config", type=path_in, help="settings from a TOML file; flags go before it")
@reading_options("the backgrounds")
@span_option
@click.option("--split", type=path_in, help="file of the scenes to use")
@click.option("--limit", type=click.IntRange(0), help="use the first N scenes only")
@click.option("--copies", type=click.IntRange(1), default=1, help="scenes made of each background")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@jobs_option
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="where stamps are computed: cpu, cuda; the files are the same",
)
@click.option(
    "--voc-dialect",
    type=click.Choice(DIALECTS),
    default="sirst",
    show_default=True,
    help="of the box files: what mmdet and BAFE-Net read, as published, or 1-based inclusive",
)
@also_option
@click.option("--resume", is_flag=True, help="go on with an interrupted build")
@click.option("--overwrite", is_flag=True, help="replace an earlier build, nothing else")
@click.option("--dry-run", is_flag=True, help="plan everything, write nothing")
@click.option("--strict", is_flag=True, help=f"exit code {SET_ASIDE} if a scene was set aside")
@click.option("--print-config", is_flag=True, help="print the settings as TOML and stop")
@common
@_config_options
def build(
    backgrounds: str,
    out: Path | None,
    sky: Path | None,
    sky_confidence: float,
    sky_margin: int,
    sky_cache: str | None,
    library: Path | None,
    profile: str | None,
    config: Path | None,
    read_as: ReadAs,
    counts: SaidOfCounts,
    split: Path | None,
    limit: int | None,
    copies: int,
    seed: int,
    jobs: int,
    device: str,
    voc_dialect: str,
    also: tuple[str, ...],
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
        from densesirst_gen.paste.config import toml_text

        click.echo(toml_text(chosen))
        return
    from densesirst_gen.build.dataset import build_dataset
    from densesirst_gen.build.recipe import Recipe
    from densesirst_gen.datasets.notes import not_yet_told
    from densesirst_gen.sky.folder import mask_note, prediction_note

    dataset = open_dataset(backgrounds, read_as, sky, counts=counts)
    store = sky_store(sky_cache)
    doubts = [mask_note(dataset.scenes, store=store)]
    if chosen.region == "sky":
        doubts.append(prediction_note(dataset.scenes, store=store))
    introduce(dataset, quiet=quiet, more=list(filter(None, doubts)))
    folder = out or Path(f"dense-{dataset.root.resolve().name}")
    _check_apart(folder, dataset.root, sky=sky, library=library, split=split, config=config)
    if not dry_run:
        check_also(folder, also, resume=resume, overwrite=overwrite)
    notes = [] if dataset.splits else [NO_SPLIT]
    recipe = Recipe(chosen, seed, copies, voc_dialect, sky_confidence, sky_margin)
    with progress_bar(quiet) as progress:
        summary = build_dataset(
            dataset,
            folder,
            recipe,
            library=_load_library(library),
            names=select(dataset, split, limit),
            jobs=jobs,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
            store=store,
            device=_device(device),
            progress=progress,
            tell=notes.append,
        )
    tell_notes(not_yet_told(notes, [scene.mask for scene in dataset.scenes]), quiet=quiet)
    beside = [] if dry_run else write_also(folder, also, jobs=jobs, quiet=quiet)
    _tell(summary, folder, beside, dry_run=dry_run, quiet=quiet, as_json=as_json)
    if strict and summary.set_aside:
        sys.exit(SET_ASIDE)


def _device(name: str) -> str:
    """The device's name, if there is one; torch is asked only for another than the CPU."""
    if name != "cpu":
        try:
            import torch

            torch.empty(0, device=name)
        except ImportError as error:
            raise click.UsageError(
                f"--device {name} needs torch: pip install 'densesirst_gen[torch]'"
            ) from error
        except (RuntimeError, AssertionError) as error:
            raise click.UsageError(f"--device {name}: {str(error).splitlines()[0]}") from error
    return name


def _check_apart(out: Path, backgrounds: Path, **others: Path | None) -> None:
    from densesirst_gen.datasets.apart import lie_in_each_other

    for name, path in {"backgrounds": backgrounds, **others}.items():
        if path is not None and lie_in_each_other(out, path):
            raise click.UsageError(f"--out {out} and --{name} {path} lie in each other")


def _load_library(path: Path | None) -> TargetLibrary | None:
    if path is None:
        return None
    from densesirst_gen.paste.library import TargetLibrary

    return TargetLibrary.load(path)


def _tell(
    summary: BuildSummary,
    folder: Path,
    beside: list[Path],
    *,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    for name, reason in summary.set_aside.items():
        click.echo(printable(f"set aside {name}: {reason}"), err=True)
    if as_json:
        values = {"schema": "densesirst-gen/build@1", "out": str(folder), "dry_run": dry_run}
        values |= {"also": list(map(str, beside))} if beside else {}
        click.echo(json.dumps({**values, **asdict(summary)}))
    elif not quiet:
        click.echo(f"{'would write ' if dry_run else ''}{folder}: {summary.line()}")
        for path in beside:
            click.echo(printable(f"{path}: the same in another format"))

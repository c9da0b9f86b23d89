"""``densesirst-gen train``, ``detect`` and ``worth``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from densesirst_gen.cli.installed import check_installed, check_training
from densesirst_gen.cli.numbers import Finite, seed_type, workers_type
from densesirst_gen.cli.options import (
    EXIT_CODES,
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
    span_option,
)
from densesirst_gen.paste.config import PROFILES

if TYPE_CHECKING:
    from densesirst_gen.datasets import ReadAs
    from densesirst_gen.detection.training.run import Running

AUGMENTS = ("none", *PROFILES)
PRESETS = ("paper", "official")
DEVICES = ("auto", "cpu", "cuda", "mps")

device_option = click.option(
    "--device", type=click.Choice(DEVICES), default="auto", show_default=True
)
workers_option = click.option(
    "--workers", "-j", type=workers_type, default=0, help="processes that load images  [0]"
)
options_option = click.option(
    "-O", "pairs", multiple=True, metavar="KEY=VALUE", help="an option of detector or training"
)
preset_option = click.option(
    "--preset", type=click.Choice(PRESETS), default="paper", show_default=True
)
epochs_option = click.option("--epochs", type=click.IntRange(1), help="  [the detector's own]")
resume_option = click.option("--resume", is_flag=True, help="go on with what was interrupted")


@click.command(epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.option("--detector", "-d", required=True, metavar="NAME", help="such as bafenet")
@click.option(
    "--data", required=True, metavar="DIR", type=place, help="dataset to train on, or demo[:SEED]"
)
@click.option(
    "--val", metavar="DIR", type=place, help="dataset to validate on  [the val split of --data]"
)
@reading_options("--data")
@span_option
@click.option("--split", type=path_in, help="file of the scenes to train on  [the train split]")
@click.option("--val-split", type=path_in, help="file of the scenes to validate on")
@click.option("--out", "-o", type=path_out, help="folder to write  [run-DETECTOR]")
@preset_option
@epochs_option
@click.option("--augment", type=click.Choice(AUGMENTS), help="paste targets while training")
@click.option("--seed", type=seed_type, help="of everything random  [0]")
@options_option
@click.option(
    "--select-on",
    type=click.Choice(("val", "test", "last")),
    help="what the best weights are chosen by; test is stamped  [val, or last without val]",
)
@device_option
@click.option("--devices", type=click.IntRange(1, 64), default=1, help="how many of them  [1]")
@workers_option
@click.option("--tensorboard", is_flag=True, help="also log for TensorBoard")
@resume_option
@click.option("--overwrite", is_flag=True, help="replace an earlier run, nothing else")
@click.option("--print-config", is_flag=True, help="print all options and stop")
@common
def train(
    detector: str,
    data: str,
    val: str | None,
    read_as: ReadAs,
    counts: SaidOfCounts,
    split: Path | None,
    val_split: Path | None,
    out: Path | None,
    preset: str,
    epochs: int | None,
    augment: str | None,
    seed: int | None,
    pairs: tuple[str, ...],
    select_on: str | None,
    device: str,
    devices: int,
    workers: int,
    tensorboard: bool,
    resume: bool,
    overwrite: bool,
    print_config: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a detector.

    \b
    densesirst-gen train -d bafenet --data dense/ --val SIRST/ --epochs 20
    densesirst-gen train -d bafenet --data dense/ -O depth=18 -O lr=2e-4 --augment bag-cp

    OUT gets best.safetensors (chosen on val), last.safetensors, log.jsonl, and, when all is done,
    manifest.json, which says what the run was made of. A run that was killed goes on with --resume.
    """
    check_installed("torch")
    options = _options(pairs, epochs=epochs, augment=augment, seed=seed)
    if print_config:
        click.echo(_all_options(detector, preset, options))
        return
    check_training(*["tensorboard"] * tensorboard)
    from densesirst_gen.detection.training.parts import held_out_part, train_part, whole
    from densesirst_gen.detection.training.run import Task, run_training

    dataset = open_dataset(data, read_as, hint="--data", counts=counts)
    held_back = (
        open_dataset(val, None, hint="--val", counts=counts, like=dataset) if val else dataset
    )
    introduce(dataset, quiet=quiet)
    validation = held_out_part(held_back, "test" if select_on == "test" else "val", val_split)
    if validation is None and val:
        validation = whole(held_back)
    chosen_on = select_on or ("val" if validation else "last")
    task = Task(detector, preset, options, train_part(dataset, split), validation, chosen_on)
    with _running(device, devices, workers, tensorboard, quiet) as running:
        folder = out or Path(f"run-{detector}")
        manifest = run_training(task, folder, resume=resume, overwrite=overwrite, running=running)
    if manifest:
        _tell_run(manifest, folder, quiet=quiet, as_json=as_json)


@click.command(epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.option(
    "--checkpoint", "-c", required=True, type=path_in, help="file of weights, or folder of a run"
)
@click.option(
    "--images", "-i", required=True, metavar="DIR", type=place, help="images, or a dataset"
)
@reading_options("the images", images=False)
@span_option
@click.option("--out", "-o", type=path_out, required=True, help="folder to write")
@click.option(
    "--threshold",
    type=Finite(0, 1),
    default=0.5,
    show_default=True,
    help="least score of what is drawn; probability of a target pixel",
)
@device_option
@workers_option
@click.option("--overwrite", is_flag=True, help="replace earlier detections, nothing else")
@common
def detect(
    checkpoint: Path,
    images: str,
    read_as: ReadAs,
    counts: SaidOfCounts,
    out: Path,
    threshold: float,
    device: str,
    workers: int,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find targets in images.

    \b
    densesirst-gen detect -c run-bafenet -i images/ -o found

    OUT gets detections.json (COCO results, image_id is the name), overlays/, and of a mask detector
    maps/ (probabilities, 16 bits) and masks/.
    """
    check_training()
    from densesirst_gen.datasets.apart import check_apart
    from densesirst_gen.detection.training.checkpoint import load_checkpoint
    from densesirst_gen.detection.training.detect import detect_into
    from densesirst_gen.detection.training.loop import make_fabric
    from densesirst_gen.detection.training.predict import as_trained

    dataset = open_dataset(images, read_as, hint="--images", counts=counts)
    check_apart(out, dataset.root, dataset.scenes)
    loaded = load_checkpoint(checkpoint)
    with progress_bar(quiet, "batch") as watch:
        found = detect_into(
            loaded,
            as_trained(dataset.scenes, loaded),
            out,
            threshold=threshold,
            overwrite=overwrite,
            device=make_fabric(device).device,
            workers=workers,
            watch=watch,
        )
    values = {"schema": "densesirst-gen/detect@1", "out": str(out), **found}
    if as_json:
        click.echo(json.dumps(values))
    elif not quiet:
        click.echo(f"{out}: {found['boxes']} boxes in {found['scenes']} images")


@click.command(epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.argument("folder", metavar="DIR", type=place)
@reading_options("DIR")
@span_option
@click.option(
    "--real", metavar="DIR", type=place, help="dataset whose test split to score on  [DIR2, or DIR]"
)
@click.option("--real-split", type=path_in, help="file of the scenes to score on")
@click.option(
    "--against", metavar="DIR2", type=place, help="train on this one too, under the same budget"
)
@click.option("--detectors", default="bafenet,eflnet", show_default=True, help="names, by comma")
@click.option(
    "--augment",
    "augments",
    type=click.Choice(AUGMENTS),
    multiple=True,
    default=("none",),
    help="each is a training of its own  [none]",
)
@click.option("--seeds", type=click.IntRange(1, 1000), default=1, help="trainings of each row  [1]")
@click.option("--out", "-o", type=path_out, help="folder to write  [worth-DIR]")
@preset_option
@epochs_option
@click.option("--seed", type=seed_type, help="the first  [0]")
@options_option
@device_option
@workers_option
@resume_option
@common
def worth(
    folder: str,
    read_as: ReadAs,
    counts: SaidOfCounts,
    real: str | None,
    real_split: Path | None,
    against: str | None,
    detectors: str,
    augments: tuple[str, ...],
    seeds: int,
    out: Path | None,
    preset: str,
    epochs: int | None,
    seed: int | None,
    pairs: tuple[str, ...],
    device: str,
    workers: int,
    resume: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say what a dataset is worth: what detectors trained on it find in real images.

    \b
    densesirst-gen worth dense/ --real SIRST/ --epochs 20
    densesirst-gen worth dense/ --real SIRST/ --against DenseSIRST/ --detectors bafenet --seeds 3

    Trains every detector on DIR, and on DIR2 with as many images and steps, takes the weights of
    the last epoch, and scores them on the held-out scenes. Published rows stand below. What is said
    of how DIR is read holds for DIR alone, of its values for images of its dtype in all of them.
    """
    check_training()
    from densesirst_gen.detection.training.parts import held_out_part, train_part, whole
    from densesirst_gen.detection.training.worth import (
        Plan,
        measure_worth,
        worth_document,
        worth_text,
    )

    opened = {folder: open_dataset(folder, read_as, hint="DIR", counts=counts)}
    for hint, name in (("--against", against), ("--real", real)):
        if name and name not in opened:
            opened[name] = open_dataset(name, None, hint=hint, like=opened[folder])
    held_out = opened[real or against or folder]
    scored_on = held_out_part(held_out, "test", real_split)
    if scored_on is None and not real:
        raise click.UsageError(f"{held_out.root} has no test split: name a dataset by --real")
    given = [folder, against] if against else [folder]
    for dataset in opened.values():
        introduce(dataset, quiet=quiet)
    parts = {Path(n).resolve().name: train_part(opened[n]) for n in given}
    if len(parts) < len(given):
        raise click.UsageError(f"DIR and --against are both called {Path(folder).name}")
    plan = Plan(
        tuple(name.strip() for name in detectors.split(",")),
        parts,
        scored_on or whole(held_out),
        _options(pairs, epochs=epochs, seed=seed),
        augments,
        seeds,
        preset,
    )
    place = out or Path(f"worth-{Path(folder).resolve().name.replace(':', '-')}")
    with _running(device, 1, workers, False, quiet) as running:
        rows = measure_worth(plan, place, resume=resume, running=running)
    document = worth_document(rows, plan)
    click.echo(json.dumps(document) if as_json else printable(worth_text(rows, plan)))


# ---- shared


def _options(pairs: tuple[str, ...], **flags: Any) -> dict[str, Any]:
    """-O options; a flag of its own goes before them."""
    from densesirst_gen.detection.training.settings import parse_options

    return parse_options(pairs) | {k: v for k, v in flags.items() if v is not None}


def _all_options(detector: str, preset: str, options: dict[str, Any]) -> str:
    from densesirst_gen.detection.detectors import build_detector
    from densesirst_gen.detection.training.settings import described, settle

    of_detector, config = settle(detector, options)
    return "\n".join(described(build_detector(detector, preset, **of_detector), config))


@contextmanager
def _running(
    device: str, devices: int, workers: int, tensorboard: bool, quiet: bool
) -> Iterator[Running]:
    from densesirst_gen.detection.training.run import Running

    def report(row: dict[str, Any]) -> None:
        if not quiet:
            click.echo(_line(row), err=True)

    with progress_bar(quiet, "batch") as watch:
        yield Running(device, devices, workers, watch, report, tensorboard)


def _line(row: dict[str, Any]) -> str:
    """An epoch in a line."""
    val = row.get("val", {})
    scores = "".join(f", {name} {val[name]:.3f}" for name in ("ap", "f1", "iou") if name in val)
    times = ", ".join(f"{name} {share:.0%}" for name, share in row["time"].items())
    speed = f"{row['images_per_s']:.1f} images/s ({times})"
    return f"epoch {row['epoch']}: loss {row['loss']:.4f}{scores}; {speed}"


def _tell_run(manifest: dict[str, Any], folder: Path, *, quiet: bool, as_json: bool) -> None:
    chosen = manifest["checkpoint"]
    if as_json:
        click.echo(json.dumps({"schema": "densesirst-gen/train@1", "out": str(folder), **chosen}))
    elif not quiet:
        stamp = "; CHOSEN ON THE TEST SPLIT" if chosen["selected_on_test"] else ""
        where = folder / chosen["file"]
        click.echo(f"{where}: epoch {chosen['epoch']}, {chosen['rule']}{stamp}")

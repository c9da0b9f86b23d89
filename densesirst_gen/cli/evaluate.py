"""``densesirst-gen evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from densesirst_gen.cli.installed import check_installed, check_training
from densesirst_gen.cli.numbers import Finite, jobs_type, side_type
from densesirst_gen.cli.options import (
    EXIT_CODES,
    SaidOfCounts,
    introduce,
    open_dataset,
    path_in,
    path_out,
    place,
    printable,
    progress_bar,
    reading_options,
    select,
    span_option,
    tell_notes,
)

if TYPE_CHECKING:
    from densesirst_gen.datasets import Dataset, ReadAs, SceneFile
    from densesirst_gen.detection.evaluation.evaluate import Evaluation
    from densesirst_gen.detection.evaluation.predictions import Predictions

STDOUT = "-"
MATCHINGS = ("hungarian", "first", "dnanet_legacy")
EMPTY = ("skip", "zero", "one")
IDS = ("coco", "stem")


@click.command(epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.option(
    "--predictions", "-p", type=path_in, help="boxes in a file, or a folder of maps or boxes"
)
@click.option(
    "--checkpoint", "-c", type=path_in, help="or a trained detector: a run or its weights"
)
@click.option(
    "--dataset",
    "--data",
    "-d",
    required=True,
    metavar="DIR",
    type=place,
    help="the truth, or demo[:SEED]",
)
@reading_options("the dataset")
@span_option
@click.option("--split", "names", type=path_in, help="file of the scenes to score")
@click.option("--limit", type=click.IntRange(0), help="score the first N scenes only")
@click.option(
    "--ids",
    type=click.Choice(IDS),
    help="numbers that name images: ids of the COCO file, or in names  [what is possible]",
)
@click.option(
    "--suffix", help="behind the scenes' names in the names of files, such as _Pred  [recognised]"
)
@click.option(
    "--threshold",
    type=Finite(0, 1),
    help="probabilities above it, boxes from it on  [0.5; boxes: where F1 is greatest]",
)
@click.option(
    "--iou", "iou_thr", type=Finite(0, 1), default=0.5, show_default=True, help="of boxes"
)
@click.option("--legacy-plus-one", is_flag=True, help="VOC: widths are x1 - x0 + 1, as in mmdet")
@click.option(
    "--gt-offset",
    type=Finite(-1000, 1000),
    default=0.0,
    show_default=True,
    help="VOC: moves true boxes, px",
)
@click.option(
    "--max-dets", type=click.IntRange(0), default=100, show_default=True, help="COCO; 0: any number"
)
@click.option("--matching", type=click.Choice(MATCHINGS), default="hungarian", show_default=True)
@click.option(
    "--max-dist",
    type=Finite(0, 100_000),
    default=3.0,
    show_default=True,
    help="of matched centroids, px",
)
@click.option(
    "--empty",
    type=click.Choice(EMPTY),
    default="skip",
    show_default=True,
    help="images without targets and pixels, in nIoU",
)
@click.option(
    "--mask-score",
    type=click.Choice(("max", "mean")),
    default="max",
    show_default=True,
    help="score of the box of a component",
)
@click.option("--split-peaks", is_flag=True, help="divide components at their local maxima")
@click.option(
    "--json", "json_out", metavar="FILE|-", type=place, help="write all numbers; -: to stdout"
)
@click.option("--noise", type=Finite(0, 255), default=0.0, help="sigma added, with --checkpoint")
@click.option("--side", type=side_type, default=0, help="resized first, with --checkpoint")
@click.option("--plots", type=path_out, help="folder for figures and a sheet of the worst scenes")
@click.option("--jobs", "-j", type=jobs_type, default=1, show_default=True, help="processes")
@click.option("--quiet", "-q", is_flag=True, help="no progress bar, no table")
def evaluate(
    predictions: Path | None,
    checkpoint: Path | None,
    dataset: str,
    read_as: ReadAs,
    counts: SaidOfCounts,
    names: Path | None,
    limit: int | None,
    ids: str | None,
    suffix: str | None,
    max_dets: int,
    split_peaks: bool,
    json_out: str | None,
    noise: float,
    side: int,
    plots: Path | None,
    jobs: int,
    quiet: bool,
    **rules: Any,
) -> None:
    """Score what any detector predicts: boxes, masks or probability maps.

    Predictions come from files, or from a detector that this program trained.

    \b
    densesirst-gen evaluate -p results.json -d dense/ --split dense/Splits/test.txt
    densesirst-gen evaluate -p maps/ -d dense/ --plots figures --json scores.json

    A map is named like its scene; its values are 0..1, or 0..255 or 0..65535 by bit depth. Boxes
    are COCO results (JSON), CSV, VOC's comp3/comp4, or a text file for each scene (YOLO; conf x1
    y1 x2 y2). Their image is a file_name, a scene's name, or an id of the dataset's COCO file.
    Predictions for one split are scored on that split.
    """
    if (predictions is None) == (checkpoint is None):
        raise click.UsageError("give either --predictions or --checkpoint")
    if plots:
        check_installed("matplotlib")
    if checkpoint:
        check_training()
    from densesirst_gen.datasets.apart import check_not_read
    from densesirst_gen.detection.evaluation.evaluate import Scoring
    from densesirst_gen.detection.evaluation.evaluate import evaluate as scored
    from densesirst_gen.detection.evaluation.predictions import read_predictions

    opened = open_dataset(dataset, read_as, hint="--dataset", counts=counts)
    if json_out and json_out != STDOUT:
        check_not_read(Path(json_out), (predictions, checkpoint, names), opened)
    chosen = set(select(opened, names, limit))
    files: Sequence[SceneFile] = [f for f in opened.scenes if f.name in chosen]
    with TemporaryDirectory() as folder:
        if checkpoint:
            files, found = _detected(checkpoint, files, Path(folder), side, noise, jobs)
        else:
            assert predictions is not None
            named = [file.name for file in files]
            found = read_predictions(predictions, opened, named, ids=ids, suffix=suffix)
            if names is None and limit is None:
                files, found = _of_their_split(opened, files, found)
        introduce(opened, quiet=quiet, more=found.notes())
        split = "peak" if split_peaks else "none"
        scoring = Scoring(max_dets=max_dets or None, split=split, **rules)
        with progress_bar(quiet) as progress:
            evaluation = scored(files, found, scoring, jobs=jobs, progress=progress)
        tell_notes(evaluation.notes, quiet=quiet)
        if plots:
            _write_plots(plots, evaluation, files, found)
    _tell(evaluation, found, opened, dataset, json_out, quiet=quiet)


def _of_their_split(
    dataset: Dataset, files: Sequence[SceneFile], found: Predictions
) -> tuple[Sequence[SceneFile], Predictions]:
    """Scenes and predictions of the one split that was predicted; all, if there is no such."""
    from densesirst_gen.detection.evaluation.split import covered_split, narrowed

    split = covered_split(found, dataset.splits, [file.name for file in files])
    if split is None:
        return files, found
    members = set(dataset.splits[split])
    kept = [file for file in files if file.name in members]
    return kept, narrowed(found, split, [file.name for file in kept])


def _detected(
    checkpoint: Path,
    files: Sequence[SceneFile],
    folder: Path,
    side: int,
    noise: float,
    jobs: int,
) -> tuple[Sequence[SceneFile], Predictions]:
    """The scenes as they are scored, and what a trained detector finds in them."""
    from densesirst_gen.detection.training.checkpoint import load_checkpoint
    from densesirst_gen.detection.training.data import changed
    from densesirst_gen.detection.training.predict import as_trained, predict_dataset

    trained = load_checkpoint(checkpoint)
    files = changed(as_trained(files, trained), side=side, noise=noise)
    return files, predict_dataset(trained, files, folder, workers=jobs - 1)


def _write_plots(
    folder: Path, evaluation: Evaluation, files: Sequence[SceneFile], predictions: Predictions
) -> None:
    """Figures as PNG and SVG, and ``worst.png``; files of the same name are replaced."""
    from densesirst_gen.detection.evaluation.plots import draw_evaluation
    from densesirst_gen.detection.evaluation.sheet import worst_sheet
    from densesirst_gen.files.atomic import write_atomically
    from densesirst_gen.scene.picture import png

    for figure in draw_evaluation(evaluation):
        write_atomically(folder / f"{figure.name}.png", figure.png)
        write_atomically(folder / f"{figure.name}.svg", figure.captioned_svg.encode())
    write_atomically(folder / "worst.png", png(worst_sheet(evaluation, files, predictions)))


def _tell(
    evaluation: Evaluation,
    predictions: Predictions,
    opened: Dataset,
    dataset: str,
    json_out: str | None,
    *,
    quiet: bool,
) -> None:
    from densesirst_gen.detection.evaluation.text import evaluation_text
    from densesirst_gen.files.atomic import write_atomically

    if json_out:
        document = _document(evaluation, predictions, opened, dataset)
        text = json.dumps(document, allow_nan=False)
        if json_out == STDOUT:
            click.echo(text)
            return
        write_atomically(Path(json_out), text.encode())
    if not quiet:
        click.echo(printable(evaluation_text(evaluation)))


def _document(
    evaluation: Evaluation, predictions: Predictions, opened: Dataset, dataset: str
) -> dict[str, Any]:
    from densesirst_gen.detection.evaluation.evaluate import SCHEMA
    from densesirst_gen.version import __version__

    return {
        "schema": SCHEMA,
        "version": __version__,
        "dataset": dataset,
        "layout": opened.layout,
        **({"read_as": dict(opened.read_as)} if opened.read_as else {}),
        "predictions": str(predictions.source),
        "missing": list(predictions.missing),
        "extra": list(predictions.extra),
        "notes": [*predictions.notes(), *evaluation.notes],
        **evaluation.to_dict(),
    }

"""`scripts/reproduce.py TABLE`: the trainings of a published table, and its numbers beside ours.

One folder for each training, named by what its row is: a row that stands in several tables is
trained once. What is finished is not trained again, what was interrupted goes on. Backbones start
from nothing unless ``-O weights=FILE`` names weights of ImageNet, as the papers have them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import click
from tables import TABLES, Row, Table

from densesirst_gen.cli.options import open_dataset
from densesirst_gen.datasets import DatasetError
from densesirst_gen.detection.detectors import detector_class
from densesirst_gen.detection.evaluation.evaluate import Evaluation, Scoring
from densesirst_gen.detection.training.checkpoint import LOG
from densesirst_gen.detection.training.loop import TrainingError
from densesirst_gen.detection.training.parts import (
    Part,
    check_apart,
    check_targets,
    held_out_part,
    train_part,
)
from densesirst_gen.detection.training.run import Running, Task, main_scores, run_training
from densesirst_gen.detection.training.settings import parse_options, settle
from densesirst_gen.detection.training.worth import columns, score_run, spread
from densesirst_gen.files.atomic import OutputError, canonical_json, write_atomically
from densesirst_gen.files.folder import MANIFEST
from densesirst_gen.settings import ConfigError

SCHEMA = "densesirst-gen/table@1"
SCORES_FILE = "scores.json"
MILLION = 1e6
MISTAKES = (ConfigError, DatasetError, OutputError, TrainingError, click.ClickException)


# ---- one training


@dataclass(frozen=True)
class Data:
    """What is trained on, chosen by, and scored on."""

    train: Part
    val: Part | None
    select_on: str
    test: Part


def settings_of(table: Table, row: Row) -> dict[str, Any]:
    """What a row has beyond its preset and the detector's own training, by name.

    An option that is written out but is the default anyway is not among them: equal rows of
    different tables are equal here.
    """
    options, config = settle(table.detector, table.settings(row))
    kind = detector_class(table.detector)
    preset = kind.presets[table.preset]
    own = _differences(kind.config_type(**{**preset, **options}), kind.config_type(**preset))
    return {**own, **_differences(config, settle(table.detector)[1])}


def _differences(config: Any, base: Any) -> dict[str, Any]:
    names = sorted(f.name for f in fields(config))
    return {n: getattr(config, n) for n in names if getattr(config, n) != getattr(base, n)}


def run_name(table: Table, row: Row) -> str:
    """Of the folders of a row, without the seed."""
    options = [f"{name}={value}" for name, value in settings_of(table, row).items()]
    text = "-".join([table.detector, table.preset, table.data, *options])
    return re.sub(r"[^\w.=+-]+", "_", text).rstrip("_")


def train_row(
    table: Table, row: Row, data: Data, out: Path, options: Mapping[str, Any], running: Running
) -> Path:
    """Train a row, or go on with it, and score it; gives its folder.

    Parameters
    ----------
    table, row : Table, Row
    data : Data
    out : Path
        Of all runs.
    options : mapping
        In place of the table's; ``seed`` is one of them.
    running : Running
    """
    folder = out / f"{run_name(table, row)}-seed{options['seed']}"
    settings = {**settings_of(table, row), **options}
    task = Task(table.detector, table.preset, settings, data.train, data.val, data.select_on)
    run_training(task, folder, resume=True, running=running)
    check_apart(data.train.digests(), data.test.digests(), "the scenes to score on")
    of = {"name": data.test.name, "split": data.test.split, "scenes": len(data.test.files)}
    rules = {**asdict(Scoring()), **table.scoring}
    if _read(_scores_file(folder)).get("by") != [of, rules]:
        scores = scores_of(score_run(folder, data.test, running, Scoring(**table.scoring)))
        content = canonical_json({"by": [of, rules], "scores": scores})
        write_atomically(_scores_file(folder), content.encode())
    return folder


def scores_of(evaluation: Evaluation) -> dict[str, float]:
    """`main_scores`, and what some tables print beside it.

    ``precision``, ``recall_f1`` and ``ap50`` are of boxes by the protocol of YOLO, the first two at
    the confidence of the greatest F1. Of maps only: ``pixel_f1`` at the threshold and ``fa_pixels``
    in 1e-6.
    """
    e = evaluation
    found = {"precision": e.f1.precision, "recall_f1": e.f1.recall, "ap50": e.f1.ap50}
    if e.pixels is not None:
        found |= {"pixel_f1": e.pixels.f, "fa_pixels": MILLION * e.pixels.fa}
    return {**main_scores(e), **{name: round(float(value), 6) for name, value in found.items()}}


def _scores_file(folder: Path) -> Path:
    """Beside the folder, whose content is the training's own."""
    return folder.with_name(f"{folder.name}.{SCORES_FILE}")


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


# ---- what there is


@dataclass(frozen=True)
class Collected:
    """What there is of a row.

    Parameters
    ----------
    row : Row
    scores : dict of str to list of float
        One value for each training that is finished and scored.
    states : tuple of str
        One for each training that was begun, how far it has come.
    about : tuple of str
        How the finished ones were made, each way once.
    """

    row: Row
    scores: dict[str, list[float]]
    states: tuple[str, ...]
    about: tuple[str, ...]


def collect(table: Table, out: Path) -> list[Collected]:
    """All rows of a table, as far as they have come; nothing is trained or scored."""
    return [_collect(table, row, out) for row in table.rows]


def _collect(table: Table, row: Row, out: Path) -> Collected:
    pattern = re.compile(re.escape(run_name(table, row)) + r"-seed\d+")
    folders = [f for f in sorted(out.glob("*")) if f.is_dir() and pattern.fullmatch(f.name)]
    scored = [folder for folder in folders if _scores_file(folder).is_file()]
    found = [_read(_scores_file(folder))["scores"] for folder in scored]
    names = found[0] if found else ()
    return Collected(
        row,
        {name: [scores[name] for scores in found] for name in names},
        tuple(map(_state, folders)),
        tuple(dict.fromkeys(_about(table, row, folder) for folder in scored)),
    )


def _state(folder: Path) -> str:
    """Such as ``epoch 12 of 60``; the last epoch is that of a finished training."""
    manifest = _read(folder / MANIFEST)
    recipe = manifest.get("recipe") or _read(folder / ".build" / "recipe.json")
    log = folder / LOG
    n = len(log.read_text("utf-8").splitlines()) if log.is_file() else 0
    unscored = ", not scored" if manifest and not _scores_file(folder).is_file() else ""
    return f"epoch {n} of {recipe['training']['epochs']}{unscored}" if recipe else "empty"


def _about(table: Table, row: Row, folder: Path) -> str:
    """What a training was made of, and what it has that the table has not."""
    manifest = _read(folder / MANIFEST)
    recipe, by = manifest["recipe"], _read(_scores_file(folder))["by"]
    _, config = settle(table.detector, settings_of(table, row))
    wanted = {**asdict(config), **settings_of(table, row)}
    had = {**recipe["training"], **recipe["options"]}
    changed = [
        f"{name}={value}"
        for name, value in sorted(had.items())
        if name != "seed" and canonical_json(value) != canonical_json(wanted.get(name))
    ]
    stamp = ", CHOSEN ON THE TEST SPLIT" if manifest["checkpoint"]["selected_on_test"] else ""
    told = [
        f"trained on {_part(recipe['train'])}",
        f"weights: {manifest['checkpoint']['rule']}{stamp}",
        f"scored on {_part(by[0])}",
        f"device: {manifest['device']}",
        *([f"changed: {', '.join(changed)}"] if changed else []),
    ]
    return "; ".join(told)


def _part(part: Mapping[str, Any]) -> str:
    return f"{part['name']} ({part['split']}, {part['scenes']} scenes)"


def table_document(table: Table, rows: Sequence[Collected]) -> dict[str, Any]:
    """Plain values for JSON."""
    return {
        "schema": SCHEMA,
        **{name: getattr(table, name) for name in ("id", "shows", "data", "detector", "preset")},
        "scoring": dict(table.scoring),
        "note": table.note,
        "rows": [
            {
                "label": found.row.label,
                "options": settings_of(table, found.row),
                "runs": list(found.states),
                "about": list(found.about),
                "scores": found.scores,
                "published": dict(found.row.published),
            }
            for found in rows
        ],
    }


def table_text(table: Table, rows: Sequence[Collected]) -> str:
    """The table that people read: each score of ours, and beside it the printed one."""
    names = list(dict.fromkeys(name for row in table.rows for name in row.published))
    head = ["row", "runs", *(cell for name in names for cell in (name, "printed"))]
    lines = [head]
    for found in rows:
        cells = [found.row.label, _runs(found.states)]
        for name in names:
            printed = found.row.published.get(name)
            cells += [
                spread(found.scores.get(name)),
                spread(None if printed is None else [printed]),
            ]
        lines.append(cells)
    rules = ", ".join(f"{name}={value}" for name, value in table.scoring.items())
    abouts = dict.fromkeys(about for found in rows for about in found.about)
    told = [f"{_labels(rows, about)}: {about}" for about in abouts]
    return "\n".join(
        [
            f"{table.id}: {table.shows} ({table.data})",
            *columns(lines),
            "",
            f"note: {table.note}",
            *([f"scored with {rules}"] if rules else []),
            *told,
        ]
    )


def _labels(rows: Sequence[Collected], about: str) -> str:
    """Of the rows that were made so."""
    return " | ".join(found.row.label for found in rows if about in found.about)


def _runs(states: Sequence[str]) -> str:
    """Equal states are counted."""
    if not states:
        return "-"
    counted = {state: states.count(state) for state in states}
    return ", ".join(f"{n} x {state}" if n > 1 else state for state, n in counted.items())


def listing(tables: Mapping[str, Table]) -> Iterator[str]:
    """Every table: what it needs, its rows and their options."""
    for table in tables.values():
        yield f"{table.id}: {table.shows}; needs {table.data}; {table.detector}, {table.preset}"
        for row in table.rows:
            options = ", ".join(f"{k}={v}" for k, v in settings_of(table, row).items())
            printed = ", ".join(f"{k} {v:g}" for k, v in row.published.items())
            yield f"    {row.label}: {options or 'defaults'} ({printed or 'no number'})"


# ---- command line


def main(argv: Sequence[str]) -> None:
    """Train and collect, only collect, or list."""
    args = _parser().parse_args(argv)
    try:
        if args.list:
            print("\n".join(listing({args.table: _table(args)} if args.table else TABLES)))
            return
        table = _table(args)
        if not args.collect:
            _train(table, args)
        rows = collect(table, args.out)
    except MISTAKES as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped: the same command goes on from the last whole epoch")
    if args.json:
        print(json.dumps(table_document(table, rows)))
    else:
        print(table_text(table, rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reproduce.py", description=__doc__.split("\n")[0])
    parser.add_argument("table", nargs="?", metavar="TABLE", help="one that --list shows")
    parser.add_argument("--list", action="store_true", help="show tables, rows, what they need")
    parser.add_argument("--data", metavar="DIR", help="the dataset that the table needs")
    parser.add_argument("--split", type=Path, help="file of scenes to train on [train split]")
    parser.add_argument("--test-split", type=Path, help="file of scenes to score on [test split]")
    parser.add_argument("--out", type=Path, default=Path("tables"), help="folder of all runs")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="labels of rows [all]")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each row [1]")
    parser.add_argument("--epochs", type=int, help="of every training [as published]")
    parser.add_argument("-O", dest="options", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--select-on",
        choices=["val", "test", "last"],
        help="what weights are chosen by; test is stamped [val, or last without a val split]",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--collect", action="store_true", help="train nothing")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    return parser


def _table(args: argparse.Namespace) -> Table:
    if args.table not in TABLES:
        raise ConfigError(f"no table {args.table!r}; there are: {', '.join(TABLES)}")
    return TABLES[args.table]


def _train(table: Table, args: argparse.Namespace) -> None:
    """All rows with the first seed, then all with the next."""
    options = parse_options(tuple(args.options))
    if args.epochs is not None:
        options["epochs"] = args.epochs
    rows, data = chosen_rows(table, args.only), _data(table, args)
    first = options.setdefault("seed", 0)
    check_options(table, options)
    for seed in range(first, first + args.seeds):
        for row in rows:
            print(f"{row.label}, seed {seed}", file=sys.stderr)
            running = Running(args.device, workers=args.workers, report=_report)
            train_row(table, row, data, args.out, {**options, "seed": seed}, running)


def _report(row: Mapping[str, Any]) -> None:
    val = "".join(f", {name} {value:.3f}" for name, value in row.get("val", {}).items())
    print(f"  epoch {row['epoch']}: loss {row['loss']:.4f}{val}", file=sys.stderr)


def chosen_rows(table: Table, labels: Sequence[str] | None) -> list[Row]:
    """The rows of these labels, or all.

    Raises
    ------
    ConfigError
        If there is no such row.
    """
    known = {row.label: row for row in table.rows}
    for label in labels or ():
        if label not in known:
            raise ConfigError(
                f"{table.id} has no row {label!r}; it has: {', '.join(map(repr, known))}"
            )
    return [known[label] for label in labels or known]


def check_options(table: Table, options: Mapping[str, Any]) -> None:
    """ConfigError if one would make rows equal."""
    for name in options:
        if name in table.varied:
            raise ConfigError(f"{name} is what tells the rows of {table.id} apart: it can't be set")


def _data(table: Table, args: argparse.Namespace) -> Data:
    if args.data is None:
        raise ConfigError(f"{table.id} needs {table.data}: name its folder by --data")
    dataset = open_dataset(args.data, None, hint="--data")
    test = held_out_part(dataset, "test", args.test_split)
    if test is None:
        raise ConfigError(f"{dataset.root} has no test split: name a file by --test-split")
    check_targets(test, "scoring")
    val = test if args.select_on == "test" else held_out_part(dataset, "val")
    select_on = args.select_on or ("val" if val else "last")
    return Data(train_part(dataset, args.split), val, select_on, test)

"""The list of published tables, and the command that trains one: `scripts/reproduce.py TABLE`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import reproduce_tables
import torch
from reproduce_tables import Data, collect, run_name, settings_of, table_text, train_row
from tables import TABLES, Row, Table
from toy_training import TINY, Toy, calling_at, write_dataset

from densesirst_gen.datasets import read_dataset
from densesirst_gen.detection import detectors
from densesirst_gen.detection.detectors import build_detector, detector_names
from densesirst_gen.detection.evaluation.evaluate import Scoring
from densesirst_gen.detection.training.parts import held_out_part, train_part
from densesirst_gen.detection.training.published import PUBLISHED
from densesirst_gen.detection.training.run import Running
from densesirst_gen.detection.training.settings import settle
from densesirst_gen.files.atomic import RefusedError

ALL_ROWS = [(table, row) for table in TABLES.values() for row in table.rows]


# ---- the list


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_every_table_can_be_built_and_trained(name: str) -> None:
    table = TABLES[name]
    Scoring(**table.scoring)
    for row in table.rows:
        options, _ = settle(table.detector, table.settings(row))
        check_buildable(table.detector, table.preset, tuple(sorted(options.items())))


@cache
def check_buildable(detector: str, preset: str, options: tuple[tuple[str, Any], ...]) -> None:
    with torch.device("meta"):
        build_detector(detector, preset, **dict(options))


def test_rows_of_a_table_are_different_networks_or_trainings() -> None:
    for table in TABLES.values():
        assert len({run_name(table, row) for row in table.rows}) == len(table.rows), table.id
        assert len({row.label for row in table.rows}) == len(table.rows), table.id


def test_runs_of_one_name_are_one_training() -> None:
    known: dict[str, Any] = {}
    for table, row in ALL_ROWS:
        made_of = (table.detector, table.preset, table.data, settings_of(table, row))
        assert known.setdefault(run_name(table, row), made_of) == made_of
        assert len(run_name(table, row)) < 200  # a file name


def test_a_row_that_stands_in_three_tables_is_trained_once() -> None:
    full = {
        run_name(TABLES[name], TABLES[name].rows[k])
        for name, k in (("bafenet-II", 1), ("bafenet-VIII", 2), ("bafenet-IX", 3))
    }
    assert full == {"bafenet-paper-DenseSIRST-depth=18-augment=bag-cp"}


def test_printed_scores_are_shares_and_have_names_of_ours(collected: Any) -> None:
    masks = set(collected[0].scores) | {"seconds"}
    beyond_1 = {"fa", "fa_pixels", "seconds"}
    for table, row in ALL_ROWS:
        assert set(row.published) <= masks, table.id
        assert all(0 < v <= 1 for k, v in row.published.items() if k not in beyond_1), table.id


def test_every_published_row_of_our_detectors_is_in_a_table() -> None:
    names = ("ap", "ap07", "recall", "f1", "iou", "niou", "auc", "pd", "fa")
    numbers = [set(row.published.values()) for _, row in ALL_ROWS]
    for row in PUBLISHED:
        if row.method.split()[0] in (*detector_names(), "FCOS"):
            printed = {getattr(row, name) for name in names} - {None}
            assert any(printed <= found for found in numbers), row


# ---- a table from one end to the other


TOY = Table(
    "toy-I",
    "width",
    "toys",
    "toy",
    (
        Row("narrow", {"iou": 0.5, "fa": 2.0}, {"width": 4}),
        Row("wide", {"iou": 0.6, "fa": 1.0}),
        Row("wider", {}, {"width": 9}),
    ),
    {name: value for name, value in TINY.items() if name != "epochs"},
    scoring={"matching": "first"},
    note="nobody has printed this",
)
EPOCHS = ["--epochs", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def parts(data: Path) -> Data:
    dataset = read_dataset(data)
    test = held_out_part(dataset, "test")
    assert test is not None
    return Data(train_part(dataset), held_out_part(dataset, "val"), "val", test)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def collected(data: Path, parts: Data, out: Path) -> Iterator[Any]:
    """The toy table, two rows of it asked for, the second of them interrupted and resumed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(detectors.CLASSES, "toy", "Toy")
        patch.setitem(sys.modules, f"{detectors.__name__}.toy", SimpleNamespace(Toy=Toy))
        patch.setitem(reproduce_tables.TABLES, TOY.id, TOY)
        train_row(TOY, TOY.rows[0], parts, out, {"epochs": 2, "seed": 0}, Running("cpu"))
        stopped = Running("cpu", watch=interrupted_at(4))
        with pytest.raises(KeyboardInterrupt):
            train_row(TOY, TOY.rows[1], parts, out, {"epochs": 2, "seed": 0}, stopped)
        states = [row.states for row in collect(TOY, out)]
        assert states == [("epoch 2 of 2",), ("epoch 1 of 2",), ()]
        arguments = [TOY.id, "--data", str(data), "--out", str(out), "--device", "cpu", *EPOCHS]
        reproduce_tables.main([*arguments, "--only", "narrow", "wide", "--json"])
        yield collect(TOY, out)


def interrupted_at(batch: int) -> Any:
    """A `watch` that stops as Ctrl-C does, before the n-th batch of the run."""
    return calling_at(batch, lambda: signal.raise_signal(signal.SIGINT))


def test_an_interrupted_table_goes_on_and_trains_nothing_twice(
    collected: Any, parts: Data, out: Path
) -> None:
    assert [row.states for row in collected] == [("epoch 2 of 2",), ("epoch 2 of 2",), ()]
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    for row in TOY.rows[:2]:
        never = Running("cpu", watch=interrupted_at(1))
        train_row(TOY, row, parts, out, {"epochs": 2, "seed": 0}, never)
    assert written == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def test_ours_stand_beside_the_printed_numbers(collected: Any, data: Path) -> None:
    text = table_text(TOY, collected)
    head, *rows = text.splitlines()[1:5]
    assert head.split() == ["row", "runs", "iou", "printed", "fa", "printed"]
    cells = [row.split() for row in rows]
    ours = collected[0].scores["iou"][0]
    assert cells[0][:7] == ["narrow", "epoch", "2", "of", "2", f"{ours:.3f}", "0.500"]
    assert cells[2] == ["wider", *["-"] * 5]
    assert "note: nobody has printed this" in text
    assert "scored with matching=first" in text
    trained_on = f"narrow | wide: trained on {data.name} (train_v2, 5 scenes)"
    assert text.splitlines()[-1].startswith(trained_on)


def test_what_the_list_does_not_say_is_told(collected: Any) -> None:
    assert "changed: epochs=2" in collected[0].about[0]
    assert "size" not in collected[0].about[0]
    assert "greatest ap on" in collected[0].about[0]
    assert "(test_v2, 2 scenes)" in collected[0].about[0]


def test_collecting_needs_no_data(
    collected: Any, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reproduce_tables.main([TOY.id, "--out", str(out), "--collect", "--json"])
    document = json.loads(capsys.readouterr().out)
    rows = {row["label"]: row for row in document["rows"]}
    assert rows["wide"]["scores"]["iou"] == collected[1].scores["iou"]
    assert rows["wide"]["options"] == {"batch": 2, "lr": 0.001, "size": 64, "warmup": 0}
    assert rows["wider"]["scores"] == {}


def test_a_row_begun_with_other_settings_is_refused(collected: Any, parts: Data, out: Path) -> None:
    with pytest.raises(RefusedError, match=r"begun differently.*: training.epochs was"):
        train_row(TOY, TOY.rows[0], parts, out, {"epochs": 3, "seed": 0}, Running("cpu"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "no table 'nothing'; there are: bafenet-II"),
        (["bafenet-X"], "bafenet-X needs DenseSIRST: name its folder by --data"),
        (["toy-I", "--only", "thin"], "no row 'thin'; it has: 'narrow', 'wide', 'wider'"),
        (["toy-I", "-O", "width=3"], "width is what tells the rows of toy-I apart"),
    ],
)
def test_mistakes_are_named_before_anything_is_trained(
    arguments: list[str], told: str, collected: Any, data: Path, tmp_path: Path
) -> None:
    given = ["--data", str(data)] if arguments[0] == TOY.id else []
    with pytest.raises(SystemExit, match=told):
        reproduce_tables.main([*arguments, *given, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_the_list_names_tables_rows_and_datasets(capsys: pytest.CaptureFixture[str]) -> None:
    reproduce_tables.main(["--list", "bafenet-VI"])
    first, row, *_ = capsys.readouterr().out.splitlines()
    assert first == "bafenet-VI: width of the adapter; needs DenseSIRST; bafenet, paper"
    assert row == "    8: adapter_hidden=8, depth=18, augment=bag-cp (ap07 0.243, ap 0.206)"

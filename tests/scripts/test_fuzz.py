"""A short run of the fuzzer: seeds are valid, cases repeat, no reader is caught off its guard."""

from __future__ import annotations

from pathlib import Path

import fuzz
import pytest


@pytest.mark.parametrize("name", fuzz.READERS)
def test_seeds_are_valid_and_cases_repeat(name: str, tmp_path: Path) -> None:
    reader = fuzz.READERS[name]
    seeds = reader.seeds()
    for data in seeds:
        assert fuzz.attempt(reader, tmp_path, data) == ("read", "")
    cases = [fuzz.input_of(name, case, 0, seeds) for case in range(20)]
    assert cases == [fuzz.input_of(name, case, 0, reader.seeds()) for case in range(20)]
    assert len(set(cases)) > 10


def test_no_reader_fails_otherwise_than_foreseen() -> None:
    """Rows 1, 2, 3, 4, 27, 41, 46, 48, 52, 57."""
    outcomes = fuzz.run(fuzz.READERS, range(15), seed=1, seconds=20, memory=500)
    assert {name: outcome.findings for name, outcome in outcomes.items() if outcome.findings} == {}
    assert all(sum(outcome.counts.values()) == 15 for outcome in outcomes.values())
    assert fuzz.tell_findings(outcomes, 1, None) == 0
    assert "| png | 15 |" in fuzz.table(outcomes)


def test_one_command_covers_all_that_is_read() -> None:
    kinds = {name.split("-")[0] for name in fuzz.READERS}
    images, labels = {"png", "jpeg", "tiff", "bmp"}, {"voc", "coco", "split", "sky", "results"}
    ours = {"config", "plan", "library", "journal", "recipe", "inputs", "manifest", "plans"}
    assert kinds >= images | labels | ours | {"checksums", "lock", "stats"}
    assert {"sky-cvat", "sky-labelme", "sky-coco", "results-boxes.csv"} <= fuzz.READERS.keys()


def test_other_errors_are_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def read(folder: Path, data: bytes) -> None:
        raise KeyError(data)

    reader = fuzz.Reader(lambda: [b"x"], read, (ValueError,))
    kind, text = fuzz.attempt(reader, tmp_path, b"x")
    assert kind == "error"
    outcome = fuzz.Outcome()
    fuzz.note(outcome, 7, kind, text, 0, 0.1)
    assert fuzz.tell_findings({"png": outcome}, 0, tmp_path / "kept") == 1
    assert "png: 1 cases, such as --case 7:" in capsys.readouterr().out
    assert (tmp_path / "kept/png-7").is_file()

"""What the command writes, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenes import make_scene

from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.stats.compare.side_by_side import compare_datasets
from densesirst_gen.stats.measure import Measured, measure
from densesirst_gen.stats.report.outputs import document_of, text_of, write_csv, write_rows
from densesirst_gen.stats.saved import read_saved


def measured(root: Path, first_seed: int) -> Measured:
    for k in range(6):
        scene = make_scene(name=f"s{k}", seed=first_seed + k, targets=3)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    return measure(read_dataset(root).scenes, label=str(root))


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, Measured]:
    return tuple(measured(tmp_path_factory.mktemp("in") / str(k), 10 * k) for k in range(2))


def test_two_datasets_are_compared_and_told_of(sides: tuple[Measured, Measured]) -> None:
    comparison = compare_datasets(*sides)
    text = text_of(sides[0], comparison)
    assert f"reference  {sides[1].label}" in text
    assert text.endswith(comparison.verdict)
    assert document_of(sides[0], comparison)["against"]["sentence"] == comparison.verdict
    assert document_of(sides[0])["against"] is None


def test_saved_numbers_serve_as_a_reference_but_not_for_the_probe(
    sides: tuple[Measured, Measured], tmp_path: Path
) -> None:
    mine, other = sides
    write_rows(tmp_path / "other.json", other, document_of(other))
    saved = Measured(read_saved(tmp_path / "other.json"), label="saved")
    found, expected = (compare_datasets(mine, side).distances for side in (saved, other))
    assert found == expected
    with pytest.raises(ValueError, match="saved holds only numbers"):
        compare_datasets(mine, saved, with_probe=True)


def test_tables_are_written_with_a_prefix(sides: tuple[Measured, Measured], tmp_path: Path) -> None:
    write_csv(str(tmp_path / "all"), sides[0])
    lines = (tmp_path / "all-targets.csv").read_text().splitlines()
    assert len(lines) == 1 + len(sides[0].stats.targets)

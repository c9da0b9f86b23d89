"""Who reads which dialect right is said at the writer, in the card of a build, and by stats."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run
from scenes import random_scenes

from densesirst_gen.datasets.grammar.dialects import READERS
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene.annotate import annotate


def kit(root: Path, dialect: str) -> Path:
    for scene in random_scenes(5, 3):
        write_files(root, devkit_files(scene, annotate(scene.labels), voc_dialect=dialect))
    return root


@pytest.mark.parametrize("dialect", READERS)
def test_it_is_said_wherever_boxes_are(tmp_path: Path, dialect: str) -> None:
    source = kit(tmp_path / "kit", dialect)
    said = f"dialect {dialect} by a few of them: {READERS[dialect]}"
    assert said in run("stats", source).stderr
    assert said not in run("stats", source, "--quiet").stderr
    convert = ("convert", source, tmp_path / "new", "--to", "devkit", "--voc-dialect", dialect)
    assert f"dialect {dialect}: {READERS[dialect]}" in run(*convert).stderr
    build = ("build", "--backgrounds", source, "--region", "anywhere", "--voc-dialect", dialect)
    run(*build, "--out", tmp_path / "built")
    text = (tmp_path / "built/README.md").read_text()
    assert f"dialect `{dialect}`: {READERS[dialect]}" in text


def test_nothing_is_said_where_it_is_not_known(tmp_path: Path) -> None:
    source = kit(tmp_path / "kit", "sirst")
    for path in (source / "SIRST/BBox").iterdir():
        path.write_text("<annotation><object>")
    assert "dialect" not in run("stats", source).stderr
    for path in (source / "SIRST/BBox").iterdir():
        path.unlink()
    assert "dialect" not in run("stats", source).stderr

"""``build --also``: the build is the same with and without, and either goes on where it ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run
from scenes import random_scenes

from densesirst_gen.cli.options import FAILED, REFUSED, USAGE
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene.annotate import annotate

Words = tuple[object, ...]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Words:
    root = tmp_path_factory.mktemp("backgrounds")
    for scene in random_scenes(5, 2):
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    return ("build", "--backgrounds", root, "--region", "anywhere")


def contents(root: Path) -> dict[str, bytes]:
    files = [path for path in root.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_the_build_is_the_same_and_the_others_lie_beside(build: Words, tmp_path: Path) -> None:
    run(*build, "--out", tmp_path / "a/kit")
    result = run(*build, "--out", tmp_path / "b/kit", "--also", "yolo, coco", "--json")
    assert contents(tmp_path / "a/kit") == contents(tmp_path / "b/kit")
    beside = [str(tmp_path / f"b/kit-{name}") for name in ("yolo", "coco")]
    assert json.loads(result.stdout)["also"] == beside
    assert (tmp_path / "b/kit-yolo/data.yaml").is_file()
    run("convert", tmp_path / "b/kit", tmp_path / "c/kit-yolo", "--to", "yolo")
    assert contents(tmp_path / "c/kit-yolo") == contents(tmp_path / "b/kit-yolo")
    run("verify", tmp_path / "b/kit")


def test_an_interrupted_conversion_goes_on(
    build: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no more")

    run(*build, "--out", tmp_path / "a/kit", "--also", "yolo,masks")
    with monkeypatch.context() as patch:
        patch.setattr("densesirst_gen.labels.convert._finish", fails)
        run(*build, "--out", tmp_path / "b/kit", "--also", "yolo", code=FAILED)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["kit"]
    run(*build, "--out", tmp_path / "b/kit", "--also", "yolo,masks", "--resume")
    written = (tmp_path / "b/kit-yolo/manifest.json").stat().st_mtime_ns
    run(*build, "--out", tmp_path / "b/kit", "--also", "yolo,masks", "--resume")
    assert (tmp_path / "b/kit-yolo/manifest.json").stat().st_mtime_ns == written
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_what_is_not_of_this_build_is_not_taken_for_it(build: Words, tmp_path: Path) -> None:
    run(*build, "--out", tmp_path / "kit", "--also", "yolo")
    (tmp_path / "kit").rename(tmp_path / "old")
    other = (*build, "--out", tmp_path / "kit", "--also", "yolo", "--seed", 1)
    assert "is there already" in run(*other, code=REFUSED).stderr
    assert not (tmp_path / "kit").exists()
    assert "was not made of" in run(*other, "--resume", code=REFUSED).stderr
    run(*other, "--overwrite")
    run(*other, "--resume")
    before = contents(tmp_path / "old")["annotations.json"]
    assert before != contents(tmp_path / "kit")["annotations.json"]


def test_what_somebody_put_there_is_refused_before_any_work(build: Words, tmp_path: Path) -> None:
    (tmp_path / "kit-yolo").mkdir()
    (tmp_path / "kit-yolo/mine.txt").write_text("x")
    for more in ("--resume", "--overwrite", "--quiet"):
        run(*build, "--out", tmp_path / "kit", "--also", "yolo", more, code=REFUSED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kit-yolo"]


def test_formats_are_those_of_convert_and_a_dry_run_writes_none(
    build: Words, tmp_path: Path
) -> None:
    said = run(*build, "--out", tmp_path / "kit", "--also", "yolo,devkit", code=USAGE).stderr
    assert "'devkit' is none of voc, coco, yolo" in said
    run(*build, "--out", tmp_path / "kit", "--also", "yolo", "--dry-run")
    assert not list(tmp_path.iterdir())

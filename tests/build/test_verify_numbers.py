"""A build of images whose names are numbers: COCO's ids are these, and that is no problem."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import run
from scenes import random_scenes

from densesirst_gen.cli.options import PROBLEMS
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene.annotate import annotate


def test_ids_that_are_the_names_are_as_built_and_others_are_not(tmp_path: Path) -> None:
    for scene in random_scenes(5, 2):
        write_files(tmp_path / "in", devkit_files(scene, annotate(scene.labels)))
    out = tmp_path / "out"
    run("build", "--backgrounds", tmp_path / "in", "--region", "anywhere", "--out", out)
    run("verify", out)
    document = json.loads((out / "annotations.json").read_text())
    assert [image["id"] for image in document["images"]] == [0, 1]
    for record, number in zip(document["images"], (1, 0), strict=True):
        record["id"] = number
    (out / "annotations.json").write_text(json.dumps(document))
    said = run("verify", out, code=PROBLEMS).output
    assert "ids are not the numbers of the names, at place 1 is 1" in said

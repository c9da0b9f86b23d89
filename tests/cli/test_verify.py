"""``densesirst-gen verify`` and ``replay`` as their users meet them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from scenes import make_scene

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.cli import cli
from densesirst_gen.cli.verify import SHOWN
from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.scene.annotate import annotate


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("verify")
    for k in range(8):
        scene = make_scene((48, 64), name=f"s{k}", seed=k)
        write_files(root / "in", devkit_files(scene, annotate(scene.labels)))
    build_dataset(read_dataset(root / "in"), root / "out", Recipe(PROFILES["bag-cp"]))
    return root / "out"


@pytest.fixture
def damaged(built: Path, tmp_path: Path) -> Path:
    """Every box file is wrong, and a file lies there that no build wrote."""
    root = Path(shutil.copytree(built, tmp_path / "out"))
    for path in (root / "SIRST/BBox").iterdir():
        path.write_text(path.read_text().replace("<width>64", "<width>65"))
    (root / "thesis.tex").write_text("x")
    (root / ".DS_Store").write_text("x")
    return root


def test_all_is_well(built: Path) -> None:
    done = run("verify", built)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{built}: 8 scenes, ")
    assert done.stdout.endswith(" targets, all as built\n")
    assert run("verify", built, "-q").stdout == ""
    assert "plans were not replayed" in run("verify", built, "--no-replay").stdout
    assert json.loads(run("verify", built, "--json").stdout)["problems"] == []


def test_problems_are_grouped_counted_and_few(damaged: Path) -> None:
    done = run("verify", damaged)
    assert done.exit_code == 4
    lines = done.stdout.splitlines()
    start = lines.index("box files that do not fit the masks (8)")
    assert lines[start + 1] == "  SIRST/BBox/s0.xml: size/width is '65', expected '64'"
    assert lines[start + SHOWN + 1] == "  ... and 3 more (--json has all)"
    assert "  thesis.tex: not listed in files.sha256" in lines
    assert lines[-1] == f"{damaged}: 17 problems in 9 files"
    assert ".DS_Store: left by a system" in done.stderr


def test_json_has_all(damaged: Path) -> None:
    done = run("verify", damaged, "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["schema"]) == (4, "densesirst-gen/verify@1")
    assert len(document["problems"]) == 17
    assert document["problems"][0].keys() == {"file", "rule", "what"}
    assert [note["file"] for note in document["notes"]] == [".DS_Store"]


def test_quiet_names_problems_alone(damaged: Path) -> None:
    done = run("verify", damaged, "-q")
    assert (done.exit_code, done.stderr) == (4, "")
    assert "problems in" not in done.stdout


def test_two_processes_tell_the_same(damaged: Path) -> None:
    """Row 72: whatever the number of processes."""
    assert run("verify", damaged, "-j", 2).stdout == run("verify", damaged).stdout


def test_no_build_is_refused_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "densesirst_gen", "verify", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    message = f"densesirst-gen: {tmp_path} is not a finished build: no manifest.json\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


def test_replay_says_what_it_did_not_look_at(damaged: Path) -> None:
    done = run("replay", damaged)
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("8 of 8 scenes the same, ")
    assert second.startswith("not looked at: checksums, XML, points, COCO, ")
    assert second.endswith("densesirst-gen verify looks at all")
    assert "XML" in json.loads(run("replay", damaged, "--json").stdout)["not_looked_at"]


def test_replay_misses_the_plans_that_were_removed(damaged: Path) -> None:
    plans = damaged / "plans.jsonl"
    lines = plans.read_text().splitlines(keepends=True)
    plans.write_text("".join([*lines[:5], '{"name": 7}\n', lines[0]]))
    done = run("replay", damaged)
    assert done.exit_code == 4
    assert "s6: it has an image, and no plan in plans.jsonl" in done.stdout
    assert "plans.jsonl: line 6: name must be text, got 7" in done.stdout
    assert "plans.jsonl: line 7: s0 comes twice, first in line 1" in done.stdout
    assert "5 of 8 scenes the same" in done.stdout
    assert (
        "line 6" in json.loads(run("replay", damaged, "--json").stdout)["problems"]["plans.jsonl"]
    )
    plans.write_text("")
    done = run("replay", damaged)
    assert (done.exit_code, "0 of 8 scenes the same" in done.stdout) == (4, True)

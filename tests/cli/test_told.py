"""What every command says before it works: a wrong date, and what was noticed in reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run, run_program
from scenes import make_scene

from densesirst_gen.cli import cli
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png

WRONG = "SOURCE_DATE_EPOCH must be a whole number of seconds since 1970, got 'today'"


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_a_wrong_date_is_told_by_every_command(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 130."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    assert run(command, code=1).stderr == f"densesirst-gen: {WRONG}\n"


def test_a_wrong_date_is_told_before_others_stumble_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SciPy reads it when it is imported."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    done = run_program("stats", tmp_path)
    assert (done.returncode, done.stderr) == (1, f"densesirst-gen: {WRONG}\n")


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that has a file which is not read."""
    root = tmp_path_factory.mktemp("noted")
    for k in range(2):
        scene = make_scene(name=f"s{k}", seed=k)
        mask, sky = (scene.labels > 0).astype(np.uint8), np.ones(scene.shape, np.uint8)
        files = {"data/images": scene.image, "data/masks": mask * 255, "sky": sky * 255}
        write_files(
            root, [(f"{part}/{scene.name}.png", encode_png(a)) for part, a in files.items()]
        )
    (root / "data/images/frame.mp4").write_bytes(b"?")
    return root


COMMANDS = {
    "build": "build -b DIR/data -o OUT",
    "library": "library extract DIR/data -o OUT.npz",
    "sky": "sky DIR/data -o OUT",
    "sky check": "sky check DIR/data --sky DIR/sky",
    "sky export": "sky export DIR/data --sky DIR/sky --to coco -o OUT.json",
    "stats": "stats DIR/data",
    "evaluate": "evaluate -p DIR/data/masks -d DIR/data",
}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_what_was_noticed_is_told_by_every_command(name: str, noted: Path, tmp_path: Path) -> None:
    """Row 103: what is not read is counted and named, and not with ``-q``."""
    words = COMMANDS[name].replace("DIR", str(noted)).replace("OUT", str(tmp_path / "out")).split()
    told = [line for line in run(*words).stderr.splitlines() if line.startswith("note: ")]
    assert any("frame.mp4" in line for line in told), told
    if name == "stats":
        assert run(*words, "-q").stderr == ""

"""A part of a dataset: by list, name, number, size, contrast, sky and chance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run
from scenes import make_scene

from densesirst_gen.cli.options import FAILED
from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files, split_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.labels.subset import look
from densesirst_gen.scene.annotate import annotate

NAMES = [f"s{k}" for k in range(6)]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("subset") / "kit"
    for k, name in enumerate(NAMES):
        scene = make_scene(name=name, targets=k % 4, seed=k)
        scene.sky[: 16 * k] = False
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    write_files(root, split_files({"train_v2": NAMES[:4], "test_v2": NAMES[4:]}, NAMES))
    return root


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (("--split", "train"), "s0 s1 s2 s3"),
        (("--split", "test_v2", "--name", "*5"), "s5"),
        (("--targets", 1, 2), "s1 s2 s5"),
        (("--area", 0, 1000), "s1 s2 s3 s5"),
        (("--area", 0, 2), ""),
        (("--sky-share", 0.8, 1), "s0 s1"),
        (("--contrast", 0.5, 1000, "--name", "s[0-3]"), "s1 s2 s3"),
        (("--split", "val"), ""),
    ],
)
def test_what_is_left(kit: Path, tmp_path: Path, said: tuple[object, ...], left: str) -> None:
    code = 0 if left else FAILED
    result = run("subset", kit, tmp_path / "out", "--to", "devkit", "--json", *said, code=code)
    if not left:
        assert "no scene is left" in result.stderr or "no list 'val'" in result.stderr
        assert not (tmp_path / "out").exists()
        return
    found = read_dataset(tmp_path / "out")
    assert [scene.name for scene in found.scenes] == left.split()
    assert json.loads(result.stdout)["images"] == len(left.split())
    assert {name for members in found.splits.values() for name in members} == set(left.split())


def test_a_share_is_the_same_by_the_same_seed(kit: Path, tmp_path: Path) -> None:
    drawn = []
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("subset", kit, tmp_path / out, "--to", "devkit", "--share", 0.5, "--seed", seed)
        drawn.append([scene.name for scene in read_dataset(tmp_path / out).scenes])
    assert drawn[0] == drawn[1] != drawn[2]
    assert [len(names) for names in drawn] == [3, 3, 3]


def test_measures_of_a_scene(kit: Path) -> None:
    found = look(read_dataset(kit).scenes[2])[1]
    assert (found["targets"], found["sky"]) == (2, pytest.approx(1 - 32 / 96))
    assert found["area"] == 21
    assert found["contrast"] > 2

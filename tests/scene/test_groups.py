"""Groups of linked things: chains in any order, none, and what is many against what is few."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from hypothesis import given
from hypothesis import strategies as st
from scenes import make_scene

from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene import density
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.groups import linked_groups


def by_walking(links: np.ndarray, n: int) -> list[int]:
    groups = [-1] * n
    for k in range(n):
        if groups[k] < 0:
            groups[k], reached = max(groups, default=-1) + 1, [k]
            while reached:
                here = reached.pop()
                ends = {int(end) for link in links if here in link for end in link}
                for end in ends - {here}:
                    if groups[end] < 0:
                        groups[end] = groups[k]
                        reached.append(end)
    return groups


@given(st.integers(1, 12), st.data())
def test_groups_are_those_of_a_walk_along_the_links(n: int, data: st.DataObject) -> None:
    thing = st.integers(0, n - 1)
    links = np.array(data.draw(st.lists(st.tuples(thing, thing), max_size=12)), int).reshape(-1, 2)
    found = linked_groups(links, n)
    assert found.dtype == np.int32
    assert found.tolist() == by_walking(links, n)


def test_a_long_chain_in_any_order_is_one_group() -> None:
    order = np.random.default_rng(0).permutation(3000)
    assert (linked_groups(np.stack([order[:-1], order[1:]], axis=1), 3000) == 0).all()


def test_nothing_has_no_groups() -> None:
    assert linked_groups(np.zeros((0, 2), int), 0).tolist() == []


@pytest.mark.parametrize("spread", [30, 300])
def test_many_points_are_looked_at_as_few_are(spread: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(spread).integers(0, spread, (90, 2)).astype(float)
    few = density.linked_pairs(points), density.nearest_distance(points), density.clusters(points)
    monkeypatch.setattr(density, "FEW", 0)
    assert sorted(few[0].tolist()) == sorted(np.sort(density.linked_pairs(points), 1).tolist())
    assert (few[1] == density.nearest_distance(points)).all()
    assert (few[2] == density.clusters(points)).all()


SLOW_TO_LOAD = ("scipy.sparse", "scipy.spatial", "scipy.ndimage", "scipy.fft", "urllib.request")


def test_commands_load_no_library_for_a_trifle(tmp_path: Path) -> None:
    """It took a third of the time of a small build."""
    scene = make_scene()
    write_files(tmp_path / "in", devkit_files(scene, annotate(scene.labels)))
    run("build", "-b", tmp_path / "in", "-o", tmp_path / "out")
    program = (
        "import sys; from densesirst_gen.cli import cli\n"
        "for words in (sys.argv[1:4], sys.argv[4:6], sys.argv[6:]):\n"
        "    cli.main(words, standalone_mode=False)\n"
        f"print([m for m in {SLOW_TO_LOAD} if m in sys.modules], file=sys.stderr)"
    )
    words = ["build", f"-b{tmp_path / 'in'}", "--dry-run", "stats", tmp_path / "out"]
    words += ["replay", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert done.stderr.endswith("[]\n")

"""The kill tests, a few of them; and that they see what they look for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torture
from scenes import make_scene

from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene.annotate import annotate

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for k in range(3):
        scene = make_scene(name=f"s{k}", seed=k)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    return root


def test_signals_at_random_change_nothing(data: Path, tmp_path: Path) -> None:
    """Rows 63 and 65."""
    outcomes = torture.torture([torture.ways()["build-2"]], data, tmp_path, kills=4, seed=1)
    assert [outcome.faults for _, _, outcome in outcomes] == [[]] * 4
    assert {kind for _, kind, _ in outcomes} == set(torture.KINDS)
    lines = torture.table(outcomes).splitlines()
    assert len(lines) == 1 + 4 + 1
    assert lines[-1].split()[1] == "4"


FAULTY = {
    "files differ": "(out / 'file').write_text(str(time.time()))",
    "left: file.part": "(out / 'file.part').touch()",
    "processes left": "n = -3; subprocess.Popen(['sleep', '20'], stdout=n, stderr=n)",
    "exit code 1, 'no'": "sys.exit('no')",
}


@pytest.mark.parametrize("fault", list(FAULTY))
def test_what_is_wrong_is_seen(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torture, "LINGER", 0.2)
    code = "import pathlib, subprocess, sys, time; out = pathlib.Path(sys.argv[1]); "
    code += f"out.mkdir(exist_ok=True); {FAULTY[fault]}"
    way = torture.Way("faulty", [sys.executable, "-c", code, "OUT"], again=())
    run = torture.Run(1.0, {})
    outcome = torture.disturb(way, tmp_path, tmp_path / "out", "SIGTERM", 30, 0, run)
    assert any(fault in found for found in outcome.faults), outcome


def test_a_hang_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torture, "PATIENCE", 0.5)
    code = (
        "import signal, sys, time\n"
        "if len(sys.argv) == 1: signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    )
    way = torture.Way("deaf", [sys.executable, "-c", code], again=["again"])
    run = torture.Run(1.0, {})
    outcome = torture.disturb(way, tmp_path, tmp_path / "out", "SIGTERM", 2, 0, run)
    assert "did not end, or held its pipe, for 0.5 s" in outcome.faults

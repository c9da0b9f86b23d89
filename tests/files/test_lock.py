"""One build in a folder at a time, whatever was left there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from densesirst_gen.files.atomic import OutputError, RefusedError
from densesirst_gen.files.lock import BOOT_ID, locked

RACE = """
import sys, time
from pathlib import Path
from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.folder import locked
root, trials = Path(sys.argv[1]), int(sys.argv[2])
for k in range(trials):
    folder = root / str(k)
    folder.mkdir(exist_ok=True)
    while time.time() < float(sys.argv[3]) + 0.012 * k:
        pass
    try:
        with locked(folder):
            (folder / "inside").touch(exist_ok=False)
            time.sleep(0.004)
            (folder / "inside").unlink()
    except RefusedError:
        pass
"""

LEFT = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"text"',
    b"\xff\xfe\x00",
    b"{}",
    b'{"pid": "x"}',
    b'{"pid": null, "host": null}',
    b'{"pid": 1e400, "host": ""}',
    b'{"host": []}',
    b'{"host": {}, "pid": {}}',
    b"[" * 9000,
    b"{" * 20_000,
    b'{"pid": -1, "host": 0}',
    b"NaN",
    b"\x00" * 100,
    b"pid 12 on host x",
    json.dumps({"pid": 1, "host": socket.gethostname()}).encode(),
    json.dumps({"pid": os.getppid(), "host": socket.gethostname()}).encode(),
]


@pytest.mark.parametrize("content", LEFT, ids=range(len(LEFT)))
# rows 66, 126
def test_whatever_a_dead_process_left_is_taken_over(tmp_path: Path, content: bytes) -> None:
    """Of this machine; also where the process of its number lives, as process 1 always does."""
    (tmp_path / ".lock").write_bytes(content)
    with locked(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".lock").exists()


@pytest.mark.skipif(not BOOT_ID.exists(), reason="the kernel does not say which one it is")
# row 126
def test_a_container_of_another_name_on_this_machine_is_taken_over(tmp_path: Path) -> None:
    left = {"pid": 1, "host": "d2f0c1", "boot": BOOT_ID.read_text().strip()}
    (tmp_path / ".lock").write_text(json.dumps(left))
    with locked(tmp_path):
        pass


def test_who_holds_it_is_said(tmp_path: Path) -> None:
    words = f"another run is at work in .*: process {os.getpid()} on {socket.gethostname()}"
    with locked(tmp_path), pytest.raises(RefusedError, match=words), locked(tmp_path):
        pass
    (tmp_path / ".lock").write_text(json.dumps({"pid": 12, "host": "far", "boot": "x"}))
    with pytest.raises(RefusedError, match=r"process 12 on far .*delete"), locked(tmp_path):
        pass
    assert (tmp_path / ".lock").exists()


def test_the_lock_of_a_new_build_is_not_taken_away(tmp_path: Path) -> None:
    """Someone deleted the file of one that was thought dead."""
    with locked(tmp_path):
        (tmp_path / ".lock").unlink()
        with locked(tmp_path):
            mine = (tmp_path / ".lock").stat().st_ino
        (tmp_path / ".lock").write_text("of a third")
    assert mine
    assert (tmp_path / ".lock").read_text() == "of a third"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    lock, other = tmp_path / "out" / ".lock", tmp_path / "victim"
    lock.parent.mkdir()
    other.write_text("x")
    {"link": lambda: lock.symlink_to(other), "folder": lock.mkdir, "pipe": lambda: os.mkfifo(lock)}[
        kind
    ]()
    with pytest.raises(OutputError, match=r"out"), locked(tmp_path / "out"):
        pass
    assert other.read_text() == "x"


# row 75
def test_a_file_system_without_locks_still_lets_one_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock_descriptor(_: int, *, blocking: bool) -> bool:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("densesirst_gen.files.lock.lock_descriptor", lock_descriptor)
    with locked(tmp_path), pytest.raises(RefusedError, match="delete"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


# row 66
def test_of_three_that_race_for_a_stale_lock_one_gets_in(tmp_path: Path) -> None:
    trials = 120
    for k in range(trials):
        (tmp_path / str(k)).mkdir()
        left = {"pid": 2**22 + 1, "host": socket.gethostname(), "nonce": "0"}
        (tmp_path / str(k) / ".lock").write_text(json.dumps(left))
    start = subprocess.check_output([sys.executable, "-c", "import time; print(time.time() + 1)"])
    command = [sys.executable, "-c", RACE, str(tmp_path), str(trials), start.decode().strip()]
    racers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for racer in racers:
        _, error = racer.communicate(timeout=60)
        assert racer.returncode == 0, error.decode()
    assert not list(tmp_path.rglob("inside"))

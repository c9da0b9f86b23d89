"""How commands end: by signals at any instant, with closed streams, with lost processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scenes import make_scene

from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene.annotate import annotate

COMMAND = [sys.executable, "-m", "densesirst_gen"]
PROGRAM = "python -m densesirst_gen"
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """The command in a session of its own, in which an interrupt is not ignored."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


@pytest.fixture(scope="module")
def backgrounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("in")
    for k in range(20):
        scene = make_scene(name=f"s{k:02}", seed=k)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    return root


def build(backgrounds: Path, out: Path, *more: object) -> list[object]:
    return ["build", "-b", backgrounds, "-o", out, "-q", *more]


def in_session(sid: int) -> list[int]:
    """Processes, zombies left out, of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == sid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def until(condition: Callable[[], Any], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def n_done(out: Path) -> int:
    journal = out / ".build" / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


MOMENTS: dict[str, Callable[[Path, int], bool]] = {
    "imports": lambda out, sid: True,
    "folder made": lambda out, sid: out.exists(),
    "processes made": lambda out, sid: len(in_session(sid)) > 1,
    "some done": lambda out, sid: n_done(out) > 1,
    "all done": lambda out, sid: (out / "annotations.json").exists(),
}


TWICE = [signal.SIGINT, signal.SIGINT]


@linux
@pytest.mark.parametrize(
    ("moment", "sent", "code"),
    [
        *((moment, TWICE, 130) for moment in MOMENTS),
        ("processes made", [signal.SIGTERM, signal.SIGINT, signal.SIGTERM], 143),
    ],
)
def test_signals_end_a_build_whenever_they_come(
    moment: str, sent: list[signal.Signals], code: int, backgrounds: Path, tmp_path: Path
) -> None:
    """Row 65: as many as you like, to all processes at once as a terminal sends them."""
    out = tmp_path / "out"
    child = start(*build(backgrounds, out, "-j", 2))
    try:
        assert until(lambda: armed(child.pid) and MOMENTS[moment](out, child.pid))
        for one in sent:
            os.killpg(child.pid, one)
            time.sleep(0.03)
        output, errors = child.communicate(timeout=20)
    finally:
        child.kill()
    word = "interrupted" if code == 130 else "terminated"
    finished = (0, "") if (out / "manifest.json").exists() else None
    expected = (code, f"densesirst-gen: {word}; --resume goes on\n")
    early = (code, f"densesirst-gen: {word}\n")
    assert (child.returncode, errors) in (expected, early, finished)
    assert output == ""
    assert until(lambda: not in_session(child.pid), 5)
    assert not out.exists() or not list(out.rglob("*.part"))
    assert not (out / ".lock").exists()


def armed(pid: int) -> bool:
    """Whether the program, rather than Python, has the signals."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@linux
def test_nothing_outlives_a_killed_build(backgrounds: Path, tmp_path: Path) -> None:
    """Row 63: what reads from the pipe ends, too."""
    out = tmp_path / "out"
    child = start(*build(backgrounds, out, "-j", 2))
    assert until(lambda: n_done(out) > 0)
    assert len(in_session(child.pid)) >= 4
    child.kill()
    child.communicate(timeout=5)
    assert until(lambda: not in_session(child.pid), 5)


@linux
def test_a_killed_process_of_a_build_changes_nothing(backgrounds: Path, tmp_path: Path) -> None:
    """Row 64."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    child = start(*build(backgrounds, out, "-j", 2))
    assert until(lambda: n_done(out) > 0)
    newest = max(in_session(child.pid))
    os.kill(newest, signal.SIGKILL)
    _, errors = child.communicate(timeout=120)
    assert (child.returncode, errors) == (0, "")
    subprocess.run([*COMMAND, *build(backgrounds, whole)], check=True)
    assert contents(out) == contents(whole)


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_what_kills_its_process_twice_is_named_and_the_rest_is_kept(
    backgrounds: Path, tmp_path: Path
) -> None:
    """Row 64: here a sitecustomize kills whoever makes the third scene."""
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    out = tmp_path / "out"
    child = start(*build(backgrounds, out, "-j", 2), env={**os.environ, "PYTHONPATH": path})
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 1
    told = "ended twice (SIGKILL, perhaps for want of memory); fewer --jobs need less memory"
    assert errors.endswith(f"{told}; --resume goes on\n")
    assert errors.startswith("densesirst-gen: s02: the process")
    assert errors.count("\n") == 1
    assert n_done(out) == 19
    again = start(*build(backgrounds, out, "--resume"))
    assert again.communicate(timeout=120)[1] == ""
    assert again.returncode == 0


DEADLY = """
import os, signal, sys
if any("forkserver" in word for word in sys.orig_argv):
    import densesirst_gen.build.scene as scene
    produce = scene.produce
    def deadly(task, *arguments, **options):
        if task[0].name == "s02":
            os.kill(os.getpid(), signal.SIGKILL)
        return produce(task, *arguments, **options)
    deadly.__qualname__ = "produce"
    scene.produce = deadly
"""


@pytest.fixture(scope="module")
def built(backgrounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "out"
    subprocess.run([*COMMAND, *build(backgrounds, out, "--limit", "2")], check=True)
    return out


REDIRECTED = {
    "| true": {0, 141},
    "| head -c1 >/dev/null": {0, 141},
    "2>&1 >/dev/null | true": {0, 141},
    ">&-": {0},
    "2>&-": {0},
    "<&- >&- 2>&-": {0},
}
STATS = "stats DIR --json"


@pytest.mark.parametrize(
    ("command", "redirected"),
    [
        *((STATS, redirected) for redirected in REDIRECTED),
        ("stats DIR -j 2", "<&- >&- 2>&-"),
        *((command, "| true") for command in ("replay DIR", "sky check DIR", "--help")),
        *((command, "2>&-") for command in ("build -b DIR --dry-run", "sky check DIR")),
    ],
)
def test_closed_streams_are_no_failure(command: str, redirected: str, built: Path) -> None:
    """Row 76."""
    line = f"{PROGRAM} {command.replace('DIR', str(built))} {redirected}"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", f"{line}; echo code ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert int(done.stdout.rpartition("code ")[2]) in REDIRECTED[redirected]
    lines = done.stderr.splitlines()
    assert all(line.startswith(("devkit: 2 images", "note: ")) for line in lines), lines


# row 76
def test_a_full_device_is_a_failure_in_one_line(built: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "stats", built], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    told = ("devkit: 2 images", "note: ")
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith(told))
    assert line.startswith("densesirst-gen: ")


def test_data_that_end_too_soon_are_no_interrupt() -> None:
    """click takes an EOFError for an interrupt of the user."""
    code = (
        "import click, sys, densesirst_gen.cli as c\n"
        "def broken(*_, **__): raise EOFError('unexpected EOF')\n"
        "c.cli.add_command(click.Command('broken', callback=broken))\n"
        "sys.argv = ['densesirst-gen', 'broken']; c.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    told = "densesirst-gen: data ended too soon: unexpected EOF\n"
    assert (done.returncode, done.stderr) == (1, told)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_was_swallowed_still_ends_the_command(
    sent: signal.Signals, code: int
) -> None:
    """An exception in a finaliser goes nowhere; one in a bare except may not either."""
    program = (
        "import click, os, signal, sys, time, densesirst_gen.cli as c\n"
        "class Late:\n"
        f"    def __del__(self): os.kill(os.getpid(), {int(sent)}); time.sleep(0.1)\n"
        "def work(): Late(); time.sleep(60)\n"
        "c.cli.add_command(click.Command('work', callback=work))\n"
        "sys.argv = ['densesirst-gen', 'work']; c.main()"
    )
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert time.monotonic() - begin < 50


def test_what_never_clears_away_is_ended_in_bounded_time() -> None:
    program = (
        "import os, signal, time, densesirst_gen.files.stopping as s\n"
        "s.GRACE = 0.5; s.stop_on_signals()\n"
        "try: os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)\n"
        "finally: time.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=50, check=False)
    assert done.returncode == 143


def test_an_ignored_interrupt_stays_ignored() -> None:
    """As in the background of a script, and SIGHUP under nohup."""
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "import densesirst_gen.files.stopping as s; s.stop_on_signals()\n"
        "signal.raise_signal(signal.SIGINT); print('on')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"on\n"


WRAPPED = """
import os, signal, sys, types
class Named:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGTERM)
class Cli(types.ModuleType):
    def __getattr__(self, name):
        return type("Owner", (), {"field": Named()})
sys.modules["densesirst_gen.cli"] = Cli("cli")
from densesirst_gen.__main__ import main
main()
"""


def test_a_signal_that_an_import_wraps_into_another_error_is_told() -> None:
    """Row 65. Python 3.11 makes a RuntimeError of what a class's `__set_name__` raises."""
    command = [sys.executable, "-c", WRAPPED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "densesirst-gen: terminated\n")

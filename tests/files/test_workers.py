"""Processes: none outlives its parent, none that is killed loses or doubles a result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from multiprocessing import active_children, forkserver
from pathlib import Path
from typing import Any

import pytest

from densesirst_gen.files.workers import WorkersError, workers

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


def double(number: int) -> int:
    return 2 * number


def refuse(number: int) -> int:
    raise OSError(f"{number} can't be read")


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def refuse_strangely(number: int) -> int:
    raise Unpicklable(number, number)


def die_at(number: int, deadly: tuple[int, ...], times: int, folder: Path) -> int:
    """Kill this process at some numbers, the first few times."""
    if number in deadly and len(list(folder.glob(f"{number}.*"))) < times:
        (folder / f"{number}.{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def pid_of(number: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def wait_long(folder: Path) -> None:
    (folder / "begun").touch()
    time.sleep(60)


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


def until(condition: Any, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_every_item_gives_one_result() -> None:
    with workers(2) as mapped:
        assert sorted(mapped(double, range(50))) == [2 * k for k in range(50)]
        assert sorted(mapped(str, [1])) == ["1"]
        assert list(mapped(double, [])) == []
    assert not active_children()


@pytest.mark.parametrize("jobs", [0, -1, 10**6])
def test_jobs_have_bounds(jobs: int) -> None:
    with pytest.raises(ValueError, match="jobs must be 1 to 1024"), workers(jobs):
        pass


def test_no_more_processes_than_items() -> None:
    with workers(50) as mapped:
        assert len(set(mapped(pid_of, range(3)))) <= 3


def test_an_error_is_the_callers_and_keeps_its_kind() -> None:
    with pytest.raises(OSError, match="7 can't be read") as caught, workers(2) as mapped:
        list(mapped(refuse, [7]))
    assert "in refuse" in "".join(caught.value.__notes__)
    assert not active_children()


def test_an_error_that_cannot_travel_goes_as_text() -> None:
    with pytest.raises(RuntimeError, match="Unpicklable: 3 and 3"), workers(2) as mapped:
        list(mapped(refuse_strangely, [3]))


def test_what_cannot_travel_is_an_error_not_a_hang() -> None:
    with pytest.raises(Exception, match="pickle"), workers(2) as mapped:
        list(mapped(generator_of, [3]))


def generator_of(number: int) -> object:
    return (k for k in range(number))


@pytest.mark.parametrize("deadly", [(5,), (0, 1), (3, 11, 19)])
def test_a_killed_process_loses_no_result(deadly: tuple[int, ...], tmp_path: Path) -> None:
    """Row 64: its item is done again, once, by a fresh process."""
    with workers(2) as mapped:
        results = list(mapped(partial(die_at, deadly=deadly, times=1, folder=tmp_path), range(20)))
    assert Counter(results) == Counter(range(20))
    assert len(list(tmp_path.iterdir())) == len(deadly)


def test_an_item_that_kills_twice_is_named_after_all_others_are_done(tmp_path: Path) -> None:
    told = r"^(5, 9|9, 5): .* ended twice \(SIGKILL, perhaps for want of memory\); fewer --jobs"
    results: list[int] = []
    with pytest.raises(WorkersError, match=told):
        gather(partial(die_at, deadly=(5, 9), times=2, folder=tmp_path), range(20), results)
    assert Counter(results) == Counter(set(range(20)) - {5, 9})
    assert not active_children()


def test_processes_that_are_always_killed_end_it(tmp_path: Path) -> None:
    everywhere = partial(die_at, deadly=tuple(range(1000)), times=9, folder=tmp_path)
    with pytest.raises(WorkersError, match=r"^\d+, \d+, \d+ and \d+ more: .* again and again"):
        gather(everywhere, range(1000), [])
    assert len(list(tmp_path.iterdir())) < 20


def gather(function: Any, items: Any, results: list[Any], stop: Any = None) -> None:
    with workers(2, [__name__]) as mapped:
        for result in mapped(function, items):
            results.append(result)
            if stop:
                raise stop


@linux
def test_a_lost_fork_server_is_made_again() -> None:
    with workers(2) as mapped:
        assert list(mapped(double, [1])) == [2]
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined] # noqa: SLF001
        assert sorted(mapped(double, range(9))) == [2 * k for k in range(9)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_processes_at_work_end_at_once_with_the_block(
    error: type[BaseException], tmp_path: Path
) -> None:
    begin = time.monotonic()
    with pytest.raises(error):
        gather(stop_or_wait, [(tmp_path, k) for k in range(9)], [], error)
    assert time.monotonic() - begin < 20
    assert not active_children()


def stop_or_wait(task: tuple[Path, int]) -> int:
    if task[1]:
        wait_long(task[0])
    return task[1]


def write_slowly(folder: Path) -> None:
    from densesirst_gen.files.atomic import atomic_file

    with atomic_file(folder / "file") as file:
        file.write(b"half")
        wait_long(folder)


PARENT = """
import sys; from pathlib import Path
sys.path.insert(0, {here!r})
from test_workers import write_slowly, wait_long
from densesirst_gen.files.workers import workers
if __name__ == "__main__":
    with workers(2) as mapped:
        list(mapped(write_slowly, [Path(sys.argv[1])]))
"""


@linux
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_killed_parent(sent: signal.Signals, tmp_path: Path) -> None:
    """Row 63: no process, none that holds the pipes, and no half-written file."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(here=str(Path(__file__).parent)))
    folder = tmp_path / "out"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, script, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as parent:
        begun = until(lambda: (folder / "begun").exists() or parent.poll() is not None)
        there = in_session(parent.pid)
        parent.send_signal(sent)
        output, _ = parent.communicate(timeout=5)
    assert (begun, output) == (True, b"")
    assert len(there) >= 3
    assert until(lambda: not in_session(parent.pid), 5)
    assert [path.name for path in folder.iterdir()] == ["begun"]

"""Stop commands by signals at random instants, go on, and compare with an undisturbed run.

python scripts/torture.py --kills 100 [--seed 0] [--data DIR] [--ways build sky convert-yolo]

Exit code 1 if anything was left behind, came out differently, hung, or ended without its word.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PROGRAM = (sys.executable, "-m", "densesirst_gen")
KINDS = {
    "SIGKILL": [signal.SIGKILL],
    "SIGTERM": [signal.SIGTERM],
    "SIGINT": [signal.SIGINT],
    "2 SIGINT": [signal.SIGINT, signal.SIGINT],
}
APART = 0.05
"""Most seconds between two signals."""
START, END = 0.3, 0.1
"""The first seconds and the last share of a run, which get a quarter of the signals each."""
PATIENCE = 60.0
"""Seconds within which a command ends after a signal."""
ATTEMPTS = 3
"""Tries to hit a command while it runs."""
MISSED = "missed"
LINGER = 5.0
"""Seconds within which its processes are gone after that."""
TIMINGS = ("images_per_s", "time")
TRAINING = "-d bafenet -O depth=18 -O width=8 -O head_width=32 -O size=64 -O batch=2 --epochs 2"


@dataclass(frozen=True)
class Way:
    """A command to disturb; in its words DATA and OUT stand for folders.

    Parameters
    ----------
    name : str
    words : sequence of str
    again : sequence of str
        What is added to go on.
    unequal : sequence of str
        Files that differ between two undisturbed runs.
    fresh : bool
        Whether it makes its folder as a whole or not at all, and refuses one that is there.
    """

    name: str
    words: Sequence[str]
    again: Sequence[str] = ("--resume",)
    unequal: Sequence[str] = ()
    fresh: bool = False

    def command(self, data: Path, out: Path) -> list[str]:
        """The words, with folders."""
        return [word.replace("DATA", str(data)).replace("OUT", str(out)) for word in self.words]


def ways() -> dict[str, Way]:
    """All that can be disturbed here."""
    timed = ("manifest.json", "files.sha256")
    known = [
        Way("build", _words("build -b DATA -o OUT -q")),
        Way("build-2", _words("build -b DATA -o OUT -q -j 2")),
        Way("sky", _words("sky DATA -o OUT -q --sky-cache none -j 2"), again=()),
    ]
    known += [
        Way(f"convert-{to}", _words(f"convert DATA OUT --to {to} -q"), again=(), fresh=True)
        for to in ("yolo", "devkit")
    ]
    if find_spec("torch") and find_spec("lightning_fabric"):
        train = f"train {TRAINING} --data DATA -o OUT -q --device cpu"
        known.append(Way("train", _words(train), unequal=timed))
    return {way.name: way for way in known}


def _words(line: str) -> list[str]:
    return [*PROGRAM, *line.split()]


@dataclass
class Run:
    """An undisturbed run: seconds of the fastest one so far, and the digests of its files."""

    seconds: float
    digests: dict[str, str]


@dataclass
class Outcome:
    """What one signal did, and what was wrong with it.

    ``early``: Python itself was still starting; ``stopped``; ``done``: the command ended well all
    the same; ``missed``: it had ended before.
    """

    end: str
    faults: list[str]


def main() -> None:
    """Disturb, report."""
    known = ways()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="a dataset with splits  [six demo scenes]")
    parser.add_argument("--ways", nargs="+", choices=known, default=list(known))
    args = parser.parse_args()
    if "train" not in known:
        print("train is left out: torch or lightning-fabric is not installed")
    with tempfile.TemporaryDirectory() as folder:
        data = args.data or _demo(Path(folder) / "data")
        chosen = [known[name] for name in args.ways]
        outcomes = torture(chosen, data, Path(folder), args.kills, args.seed)
    print(table(outcomes))
    sys.exit(any(outcome.faults for _, _, outcome in outcomes))


def torture(
    chosen: Sequence[Way], data: Path, folder: Path, kills: int, seed: int
) -> list[tuple[str, str, Outcome]]:
    """Name of the way, kind of the signal and outcome of each disturbance."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or it is ignored in children, too
    rng = random.Random(seed)
    whole = {way.name: _undisturbed(way, data, folder / f"{way.name}-0") for way in chosen}
    outcomes = []
    for k in range(kills):
        way, kind = chosen[k % len(chosen)], list(KINDS)[k // len(chosen) % len(KINDS)]
        run = whole[way.name]
        for attempt in range(ATTEMPTS):
            out = folder / f"{way.name}-{k + 1}-{attempt}"
            after = _instant(rng, run.seconds)
            outcome = disturb(way, data, out, kind, after, rng.uniform(0, APART), run)
            for fault in outcome.faults:
                print(f"kill {k + 1}: {way.name}, {kind} after {after:.3f} s: {fault}", flush=True)
            if outcome.end != MISSED or outcome.faults:
                break
        outcomes.append((way.name, kind, outcome))
        shutil.rmtree(out, ignore_errors=True)
    return outcomes


def disturb(
    way: Way,
    data: Path,
    out: Path,
    kind: str,
    after: float,
    apart: float,
    run: Run,
) -> Outcome:
    """Run, send the signals, look at what is left, go on, compare."""
    begin = time.monotonic()
    code, errors, faults, missed = _stopped(way, data, out, KINDS[kind], after, apart)
    early = kind != "SIGKILL" and not out.exists() and _in_python(code, errors)
    end = MISSED if missed else "early" if early else "done" if code == 0 else "stopped"
    if missed:
        run.seconds = min(run.seconds, time.monotonic() - begin)
    if not early:
        faults += _wrong_end(code, errors, KINDS[kind][0])
    if not (way.fresh and out.exists()):
        faults += _gone_on([*way.command(data, out), *way.again])
    faults += _left(out)
    faults += _differences(run.digests, contents(out, way.unequal))
    return Outcome(end, faults)


def _gone_on(command: Sequence[str]) -> list[str]:
    again = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if again.returncode or again.stderr:
        return [f"going on: exit code {again.returncode}, {again.stderr.strip()!r}"]
    return []


def _stopped(
    way: Way, data: Path, out: Path, signals: Sequence[int], after: float, apart: float
) -> tuple[int, str, list[str], bool]:
    """Exit code, stderr, what hung or was left behind, and whether all was over before."""
    child = subprocess.Popen(
        way.command(data, out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=_environment(),
    )
    with suppress(subprocess.TimeoutExpired):
        child.wait(after)
    missed = child.poll() is not None
    for k, number in enumerate(signals):
        time.sleep(apart if k else 0)
        _send(child, number)
    try:
        _, errors = child.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return child.returncode, "", [f"did not end, or held its pipe, for {PATIENCE:g} s"], missed
    left = _still_there(child.pid)
    return child.returncode, errors, [f"processes left: {left}"] if left else [], missed


def _in_python(code: int, errors: str) -> bool:
    """Whether a signal met Python itself while it started, before any line of ours."""
    if errors.startswith("Fatal Python error: init_"):
        return True
    return code < 0 or ("KeyboardInterrupt" in errors and "densesirst_gen" not in errors)


def _send(child: subprocess.Popen[str], number: int) -> None:
    """An interrupt goes to all processes, as from a terminal; the others to the command alone."""
    if child.poll() is not None:
        return
    if number == signal.SIGINT:
        os.killpg(child.pid, number)
    else:
        child.send_signal(number)


def _still_there(session: int) -> list[int]:
    """Processes of the session that do not end soon."""
    deadline = time.monotonic() + LINGER
    while (left := list(processes_of(session))) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left


def processes_of(session: int) -> Iterator[int]:
    """Processes of a session by their number, zombies left out."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            yield int(stat.parent.name)


def _wrong_end(code: int, errors: str, number: int) -> list[str]:
    """What is wrong with the exit code and the words of a command that a signal met."""
    if (code, errors) == (0, "") or (code == -signal.SIGKILL == -number and not errors):
        return []
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}.get(number)
    if code == 128 + number and word in errors and errors.count("\n") == 1:
        return []
    return [f"exit code {code}, {errors.strip()!r}"]


def _left(out: Path) -> list[str]:
    names = [str(path.relative_to(out)) for path in out.rglob("*") if path.suffix == ".part"]
    names += [name for name in (".build", ".lock") if (out / name).exists()]
    names += [path.name for path in out.parent.glob(f".{out.name}*")]
    return [f"left: {', '.join(sorted(names))}"] if names else []


def _differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    names = [n for n in sorted({*expected, *found}) if expected.get(n) != found.get(n)]
    return [f"{len(names)} files differ, such as {names[0]}"] if names else []


def contents(root: Path, unequal: Sequence[str] = ()) -> dict[str, str]:
    """SHA-256 of what each file says, by its path."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    said = {path: _said(path) for path in files if path.name not in unequal}
    return {str(p.relative_to(root)): hashlib.sha256(data).hexdigest() for p, data in said.items()}


def _said(path: Path) -> bytes:
    """The bytes; of a log without its timings, of weights without the order of the header."""
    data = path.read_bytes()
    if path.name == "log.jsonl":
        rows = map(json.loads, data.splitlines())
        return json.dumps([{k: v for k, v in r.items() if k not in TIMINGS} for r in rows]).encode()
    if path.suffix == ".safetensors":
        end = 8 + int.from_bytes(data[:8], "little")
        return json.dumps(json.loads(data[8:end]), sort_keys=True).encode() + data[end:]
    return data


def _undisturbed(way: Way, data: Path, out: Path) -> Run:
    begin = time.monotonic()
    subprocess.run(way.command(data, out), check=True, env=_environment())
    return Run(time.monotonic() - begin, contents(out, way.unequal))


def _instant(rng: random.Random, seconds: float) -> float:
    kind = rng.random()
    if kind < 0.25:
        return rng.uniform(0, START)
    if kind < 0.5:
        return rng.uniform((1 - END) * seconds, seconds)
    return rng.uniform(0, seconds)


def _environment() -> dict[str, str]:
    """One thread for each process, and one time for all manifests."""
    fixed = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "SOURCE_DATE_EPOCH": "0"}
    return {**os.environ, **fixed}


def _demo(out: Path) -> Path:
    subprocess.run([*_words("build -b demo --limit 6 -q -o"), str(out)], check=True)
    return out


def table(outcomes: Sequence[tuple[str, str, Outcome]]) -> str:
    """A row for each way and kind: how many signals, what they met, how many went wrong."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for way, kind, outcome in outcomes:
        row = counts.setdefault((way, kind), Counter())
        row.update(["signals", outcome.end, *["wrong"] * bool(outcome.faults)])
    columns = ("signals", "early", "stopped", "done", MISSED, "wrong")
    lines = [f"{'command':16}{'signal':10}" + "".join(f"{name:>9}" for name in columns)]
    for (way, kind), row in sorted(counts.items()):
        lines.append(f"{way:16}{kind:10}" + "".join(f"{row[name]:9}" for name in columns))
    total = sum(counts.values(), Counter[str]())
    lines.append(f"{'all':26}" + "".join(f"{total[name]:9}" for name in columns))
    return "\n".join(lines)


if __name__ == "__main__":
    main()

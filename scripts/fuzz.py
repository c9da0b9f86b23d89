"""Damage valid files at random and read them: nothing but the errors that are foreseen may come.

Each reader gets inputs made of its seeds by flips, cuts, insertions, wild numbers and changed JSON.
A finding is an exception of another kind, a case of more than --seconds, more than --memory MiB, or
a process that dies. Case K of a reader is the same in every run: --reader NAME --case K --seed S
repeats it, --keep DIR keeps the inputs of all findings.

    python scripts/fuzz.py --n 10000
    python scripts/fuzz.py --n 500 --reader voc --reader coco
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz_inputs import INPUTS, Reader, written
from fuzz_readers import OWN

READERS: dict[str, Reader] = {**INPUTS, **OWN}
READY_S = 60.0
"""Time that a fresh process has for its imports."""

# ---------------------------------------------------------------- damage

WILD = (0, 1, -1, 2, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63)
WILD_WORDS = [str(n).encode() for n in WILD]
WILD_WORDS += [b"1e308", b"-1e308", b"1e400", b"NaN", b"nan", b"inf", b"Infinity", b"", b"0.5"]
WILD_WORDS += [b"null", b"true", b"[]", b"{}", b'""', b'"x"', b"../../x", b"/etc/passwd", b"C:\\x"]
WILD_WORDS += [b"9" * 5000, b"\x00", b"\xff\xfe", "\u2028".encode(), b"\\ud800", b"a.png/a.png"]
WILD_VALUES = (None, True, 0, -1, 1.5, 1e308, 2**63, "", "x", "\0", "../x.png", [], {}, [[]], [0])
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def damaged(reader: Reader, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the seeds, changed once or a few times."""
    data = chance.choice(seeds)
    kinds = [flipped, overwritten, cut, without, doubled, spliced]
    if reader.is_text:
        kinds = [*kinds, *[renumbered, restructured] * 4]
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        data = chance.choice(kinds)(data, seeds, chance)
    if reader.seal and chance.random() < 0.7:
        data = reader.seal(data)
    return data


def place_in(data: bytes, chance: random.Random) -> int:
    """Somewhere, near the beginning more often: there the headers are."""
    length = len(data) if chance.random() < 0.5 else min(len(data), 200)
    return chance.randrange(length) if length else 0


def flipped(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    changed = bytearray(data)
    if changed:
        changed[place_in(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwritten(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """With a wild number of 1, 2, 4 or 8 bytes in one of the two orders."""
    size = chance.choice((1, 2, 4, 8))
    value = chance.choice((*WILD, chance.getrandbits(64))) % 256**size
    at = place_in(data, chance)
    return data[:at] + value.to_bytes(size, chance.choice(("big", "little"))) + data[at + size :]


def cut(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def without(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    at = place_in(data, chance)
    return data[:at] + data[at + chance.randrange(1, 64) :]


def doubled(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    at = place_in(data, chance)
    piece = data[at : at + chance.randrange(1, 64)]
    return data[:at] + piece * chance.choice((2, 3, 50)) + data[at:]


def spliced(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    other = chance.choice(seeds)
    return data[: place_in(data, chance)] + other[place_in(other, chance) :]


def renumbered(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the numbers, or else a few bytes, become something wild."""
    found = [match.span() for match in NUMBER.finditer(data)]
    at = place_in(data, chance)
    start, stop = chance.choice(found) if found else (at, at + 2)
    return data[:start] + chance.choice(WILD_WORDS) + data[stop:]


def restructured(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """One value of a JSON document is replaced, left out or repeated."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return renumbered(data, seeds, chance)
    places = list(containers(document))
    if not places:
        return data
    place = chance.choice(places)
    key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
    action = chance.randrange(4)
    if action == 0:
        del place[key]
    elif action == 1 and isinstance(place, list):
        place.extend(place[key : key + 1] * chance.choice((1, 100)))
    else:
        place[key] = chance.choice((*WILD_VALUES, chance.choice(places)))
    try:
        return json.dumps(document, check_circular=True).encode()
    except (ValueError, RecursionError):  # the value held itself
        return data


def containers(value: Any) -> Iterator[Any]:
    """All lists and dicts in a document that hold something."""
    if value and isinstance(value, (list, dict)):
        yield value
        for child in value.values() if isinstance(value, dict) else value:
            yield from containers(child)


# ---------------------------------------------------------------- running


@dataclass
class Outcome:
    """What the cases of one reader gave."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    memory: float = 0.0
    findings: list[tuple[int, str]] = field(default_factory=list)


def input_of(name: str, case: int, seed: int, seeds: Sequence[bytes]) -> bytes:
    """The input of one case."""
    return damaged(READERS[name], seeds, random.Random(f"{seed} {name} {case}"))


def peak_mib() -> float:
    """The most memory that this process has had; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0.0
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20


def work(pipe: Connection, names: Sequence[str], cases: range, seed: int, skip: int) -> None:
    """In a process of its own: tell of each case that it begins, and how it ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders written in C talk
    warnings.simplefilter("ignore")
    done = 0
    for name in names:
        if done + len(cases) <= skip:
            done += len(cases)
            continue
        reader = READERS[name]
        seeds = reader.seeds()
        with tempfile.TemporaryDirectory() as folder:
            for data in seeds:
                reader.read(Path(folder), data)
            for case in cases:
                done += 1
                if done > skip:
                    pipe.send(None)
                    data, before = input_of(name, case, seed, seeds), peak_mib()
                    pipe.send((*attempt(reader, Path(folder), data), peak_mib() - before))
    pipe.close()


def attempt(reader: Reader, folder: Path, data: bytes) -> tuple[str, str]:
    """How a case ended, and the traceback of an error that is not foreseen."""
    try:
        reader.read(folder, data)
    except reader.allowed:
        return "refused", ""
    except Exception:
        return "error", traceback.format_exc(limit=-4)
    return "read", ""


def run(
    names: Iterable[str], cases: range, *, seed: int, seconds: float, memory: float
) -> dict[str, Outcome]:
    """Fuzz some readers.

    Parameters
    ----------
    names : iterable of str
        Keys of `READERS`.
    cases : range
        Numbers of the cases of each.
    seed : int
    seconds, memory : float
        What one case may take, in seconds and MiB.

    Returns
    -------
    dict of str to Outcome
    """
    names = list(names)
    outcomes = {name: Outcome() for name in names}
    order = [(name, case) for name in names for case in cases]
    done = 0
    while done < len(order):
        done = watched(outcomes, order, done, (names, cases, seed), seconds, memory)
    return outcomes


def watched(
    outcomes: dict[str, Outcome],
    order: Sequence[tuple[str, int]],
    done: int,
    task: tuple[Sequence[str], range, int],
    seconds: float,
    memory: float,
) -> int:
    """Run a process until all is done, or a case kills it or does not end; how many are done."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(there, *task, done), daemon=True)
    process.start()
    there.close()
    begun, patience = None, READY_S
    while done < len(order):
        name, case = order[done]
        try:
            if not here.poll(patience):
                raise TimeoutError
            told = here.recv()
        except (EOFError, TimeoutError) as error:
            if begun is None:
                raise RuntimeError(f"{name}: the process ended before its first case") from error
            what = "hang" if isinstance(error, TimeoutError) else "the process died"
            note(outcomes[name], case, what, what, 0, time.monotonic() - begun)
            done += 1
            break
        if told is None:
            begun, patience = time.monotonic(), seconds
            continue
        assert begun is not None
        kind, text, grown = told
        if grown > memory:
            kind, text = "memory", f"{grown:.0f} MiB"
        note(outcomes[name], case, kind, text, grown, time.monotonic() - begun)
        done, patience = done + 1, READY_S
    process.kill()
    process.join()
    here.close()
    return done


def note(outcome: Outcome, case: int, kind: str, text: str, grown: float, took: float) -> None:
    outcome.counts[kind] += 1
    outcome.seconds += took
    outcome.memory += max(0.0, grown)
    if kind not in ("read", "refused"):
        outcome.findings.append((case, text))


def table(outcomes: dict[str, Outcome]) -> str:
    """One row for each reader."""
    lines = ["| reader | cases | read | refused | findings | seconds | MiB |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for name, o in outcomes.items():
        read, refused, found = o.counts["read"], o.counts["refused"], len(o.findings)
        figures = f"{sum(o.counts.values())} | {read} | {refused} | {found}"
        lines.append(f"| {name} | {figures} | {o.seconds:.1f} | {o.memory:.0f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=1000, help="cases of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", choices=READERS, help="only this; repeatable")
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--seconds", type=float, default=10.0, help="that a case may take")
    parser.add_argument("--memory", type=float, default=500.0, help="MiB that a case may take")
    parser.add_argument("--keep", type=Path, help="folder for the inputs of findings")
    options = parser.parse_args()
    names = options.reader or list(READERS)
    cases = range(options.n) if options.case is None else range(options.case, options.case + 1)
    outcomes = run(names, cases, seed=options.seed, seconds=options.seconds, memory=options.memory)
    print(table(outcomes))
    return tell_findings(outcomes, options.seed, options.keep)


def tell_findings(outcomes: dict[str, Outcome], seed: int, keep: Path | None) -> int:
    """Print each kind of finding once; 1 if there is one."""
    for name, outcome in outcomes.items():
        kinds: dict[str, list[int]] = {}
        for case, text in outcome.findings:
            kinds.setdefault(text.strip().rsplit("\n", 1)[-1][:60], []).append(case)
            if keep:
                written(keep, f"{name}-{case}", input_of(name, case, seed, READERS[name].seeds()))
        for numbers in kinds.values():
            text = dict(outcome.findings)[numbers[0]]
            print(f"\n{name}: {len(numbers)} cases, such as --case {numbers[0]}:\n{text}")
    return int(any(outcome.findings for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())

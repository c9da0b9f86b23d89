"""``densesirst-gen verify``."""

from __future__ import annotations

import json
import sys
from bisect import insort
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from densesirst_gen.cli.options import (
    EXIT_CODES,
    PROBLEMS,
    common,
    jobs_option,
    path_in,
    printable,
    progress_bar,
)

if TYPE_CHECKING:
    from densesirst_gen.build.verify import Problem

SHOWN = 5
"""Problems of a kind on the terminal."""


@click.command(epilog=EXIT_CODES)
@click.argument("out", metavar="DIR", type=path_in)
@click.option(
    "--replay/--no-replay",
    default=True,
    help="carry out and draw all plans again, predict skies again  [replay]",
)
@jobs_option
@common
def verify(out: Path, replay: bool, jobs: int, quiet: bool, as_json: bool) -> None:
    """Say whether a built dataset is what its build wrote: files, annotations, plans.

    \b
    Every file with its checksum, and none besides (what systems leave, such as .DS_Store, is
    named and does no harm); scenes with manifest and splits; COCO, box and point files and all
    forms of the masks, made again from the masks; plans, with library, masks, sky and pixels.
    Of README.md, preview.png and the inputs' digests the checksum is all that can be known.
    Reads only. Exit code 4 and a list if something is off; --json has it in full.
    """
    from densesirst_gen.build.verify import verify as verified

    findings = Findings(keep_all=as_json)
    with progress_bar(quiet) as progress:
        for problem in verified(out, replay=replay, jobs=jobs, progress=progress):
            findings.add(problem)
    if as_json:
        click.echo(json.dumps(findings.document(out, replay=replay)))
    else:
        findings.tell(out, replay=replay, quiet=quiet)
    if findings.n_problems:
        sys.exit(PROBLEMS)


def _content(out: Path) -> str:
    """What a dataset without problems holds."""
    from densesirst_gen.build.verify.folder import read_manifest

    summary = read_manifest(out).part("summary")
    n_targets = summary["n_original"] + summary["n_pasted"]
    return f"{summary['n_scenes']:,} scenes, {n_targets:,} targets"


def _number(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' * (n != 1)}"


class Findings:
    """Problems by rule: all of them, or their number and the first few."""

    def __init__(self, *, keep_all: bool) -> None:
        self.keep_all = keep_all
        self.counts, self.files = Counter[str](), set[str]()
        self.kept: dict[str, list[Problem]] = defaultdict(list)

    def add(self, problem: Problem) -> None:
        """Take one in."""
        self.counts[problem.rule] += 1
        if not problem.is_note:
            self.files.add(problem.file)
        kept = self.kept[problem.rule]
        insort(kept, problem)
        if not self.keep_all and len(kept) > SHOWN:
            kept.pop()

    @property
    def n_problems(self) -> int:
        """How many are more than notes."""
        from densesirst_gen.build.verify import NOTES

        return sum(n for rule, n in self.counts.items() if rule not in NOTES)

    def document(self, out: Path, *, replay: bool) -> dict[str, object]:
        """For ``--json``."""
        found = [problem for rule in self._rules() for problem in self.kept[rule]]
        return {
            "schema": "densesirst-gen/verify@1",
            "out": str(out),
            "replay": replay,
            "problems": [asdict(problem) for problem in found if not problem.is_note],
            "notes": [asdict(problem) for problem in found if problem.is_note],
        }

    def tell(self, out: Path, *, replay: bool, quiet: bool) -> None:
        """For a person: problems on stdout, notes on stderr, one line at the end."""
        from densesirst_gen.build.verify import NOTES, RULES

        for rule in self._rules():
            if quiet and rule in NOTES:
                continue
            title = f"{'note: ' * (rule in NOTES)}{RULES[rule]} ({self.counts[rule]:,})"
            lines = [title, *(f"  {p.file}: {p.what}" for p in self.kept[rule])]
            if self.counts[rule] > SHOWN:
                lines.append(f"  ... and {self.counts[rule] - SHOWN:,} more (--json has all)")
            click.echo(printable("\n".join(lines)), err=rule in NOTES)
        if not quiet:
            click.echo(printable(f"{out}: {self._verdict(out, replay)}"))

    def _verdict(self, out: Path, replay: bool) -> str:
        skipped = "" if replay else "; plans were not replayed (--no-replay)"
        if not self.n_problems:
            return f"{_content(out)}, all as built{skipped}"
        problems = _number(self.n_problems, "problem")
        return f"{problems} in {_number(len(self.files), 'file')}{skipped}"

    def _rules(self) -> list[str]:
        from densesirst_gen.build.verify import RULES

        return [rule for rule in RULES if self.counts[rule]]

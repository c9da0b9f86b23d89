"""``plans.jsonl`` as a whole, against manifest and splits: names, numbers, order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from densesirst_gen.build.plan_lines import PLANS, PlanLine, plan_lines
from densesirst_gen.build.record import Record
from densesirst_gen.build.summary import BuildSummary, summarise
from densesirst_gen.build.verify.folder import Given, is_inside
from densesirst_gen.build.verify.problem import Problem, words_of
from densesirst_gen.datasets.parts.splits import read_split
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.atomic import OutputError
from densesirst_gen.files.manifest import MANIFEST

Names = tuple[str, ...]
SUMMED = ("n_original", "n_pasted", "n_regions", "unpasted", "dropped", "sky")


@dataclass
class Plans:
    """Where the plan of each scene stands, and what all of them add up to.

    Parameters
    ----------
    places : dict of str to (int, int)
        Scene -> number and offset of its line.
    summary : BuildSummary
    unpasted : dict of str to str
        Scene -> why nothing was pasted into it.
    sources : dict of str to str
        Scene -> its background.
    problems : list of Problem
    """

    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    summary: BuildSummary | None = None
    unpasted: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_index(root: Path) -> Plans:
    """Go through ``plans.jsonl`` once; its lines are not kept."""
    plans = Plans()
    plans.summary = summarise(_records(root, plans))
    names = list(plans.places)
    late = [name for name, before in zip(names[1:], names, strict=False) if name < before]
    if late:
        what = f"its lines are not sorted by name: {examples(late)} come too late"
        plans.problems.append(Problem(PLANS, "plan", what))
    return plans


def _records(root: Path, plans: Plans) -> Iterator[Record]:
    """What the usable lines say, as the build's journal had it; notes what is wrong with others."""
    try:
        for line in plan_lines(root / PLANS):
            fault = line.problem or _name_fault(line, plans)
            if fault:
                plans.problems.append(Problem(PLANS, "plan", f"line {line.number}: {fault}"))
                continue
            values = line.values
            plans.places[values["name"]] = (line.number, line.offset)
            plans.sources[values["name"]] = values["source"]
            if values["skip_reason"]:
                plans.unpasted[values["name"]] = values["skip_reason"]
            yield _record(values)
    except OutputError as error:
        plans.problems.append(Problem(PLANS, "missing", words_of(error, root / PLANS)))


def _name_fault(line: PlanLine, plans: Plans) -> str:
    name = line.values["name"]
    if not is_inside(name):
        return f"{name!r} is not the name of a scene"
    first = plans.places.get(name)
    return f"{name} comes twice, first in line {first[0]}" if first else ""


def _record(values: dict[str, Any]) -> Record:
    n_pasted = len(values["pastes"])
    counts = {
        "original": values["n_original"],
        "pasted": n_pasted,
        "requested": values["requested"],
        "regions": len(values["windows"]),
    }
    return Record(
        values["name"],
        values["source"],
        values["copy"],
        sky=values["sky"],
        counts=counts,
        skip_reason=values["skip_reason"],
        dropped=values["dropped"],
    )


def total_problems(given: Given, plans: Plans, images: Collection[str]) -> Iterator[Problem]:
    """What the manifest counts otherwise than plans and images do.

    Parameters
    ----------
    given : Given
    plans : Plans
    images : collection of str
        The scenes that have an image.
    """
    said, n_said = given.part("summary"), given.part("summary").get("n_scenes")
    for file, n_found in ((PLANS, len(plans.places)), ("PNGImages", len(images))):
        if n_said != n_found:
            what = f"{n_found} scenes, {MANIFEST} counts {n_said!r}"
            yield Problem(file, "plan" if file == PLANS else "manifest", what)
    for name in sorted(set(images) - set(plans.places)):
        yield Problem(PLANS, "plan", f"{name}: no line, but there is an image")
    yield from _set_aside_problems(given, plans)
    if len(plans.places) != n_said or plans.summary is None:
        return  # then no other number can be right
    found = asdict(plans.summary)
    for key in SUMMED:
        if said.get(key) != found[key]:
            what = f"summary.{key} is {said.get(key)!r}, the plans give {found[key]!r}"
            yield Problem(MANIFEST, "manifest", what)
    yield from _named_problems(given, plans)


def _named_problems(given: Given, plans: Plans) -> Iterator[Problem]:
    """Scenes that the manifest names and that are not there."""
    if given.part("unpasted") != plans.unpasted:
        yield Problem(MANIFEST, "manifest", "unpasted names other scenes or reasons than the plans")
    unknown = sorted(given.part("notes").keys() - plans.places.keys())
    if unknown:
        yield Problem(MANIFEST, "manifest", f"notes are of unknown scenes: {examples(unknown)}")


def _set_aside_problems(given: Given, plans: Plans) -> Iterator[Problem]:
    summary = given.part("summary")
    aside, n_scenes = summary.get("set_aside"), summary.get("n_scenes")
    if not isinstance(aside, dict) or type(n_scenes) is not int:
        yield Problem(MANIFEST, "manifest", "summary has no n_scenes, or no set_aside")
        return
    both = sorted(set(aside) & set(plans.places))
    if both:
        yield Problem(MANIFEST, "manifest", f"set aside, but there: {examples(both)}")
    n_asked = given.number("scenes", -1) * given.number("copies", 1)
    if n_asked >= 0 and n_asked != n_scenes + len(aside):
        what = f"{n_asked} scenes were asked for, {n_scenes} made and {len(aside)} set aside"
        yield Problem(MANIFEST, "manifest", what)


def split_problems(root: Path, plans: Plans, images: Collection[str]) -> Iterator[Problem]:
    """Split files that can't be read, name a scene twice, or name one that is not there."""
    names = set(images) | set(plans.places)
    splits = {}
    for path in sorted((root / "Splits").glob("*.txt")):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            splits[path.stem] = read_split(path, names, strict=False)
        except DatasetError as error:
            yield Problem(f"Splits/{path.name}", "split", words_of(error, path))
    for split, members in splits.items():
        yield from _member_problems(root / f"Splits/{split}.txt", members, names, splits)
    yield from _together(splits, plans)
    if splits:  # none at all: those of its source
        yield from _gaps(splits, names)


def _member_problems(
    path: Path, members: Names, names: set[str], splits: dict[str, Names]
) -> Iterator[Problem]:
    file = f"Splits/{path.name}"
    unknown = [name for name in members if name not in names]
    if unknown:
        yield Problem(file, "split", f"{len(unknown)} unknown scenes: {examples(unknown)}")
    lines = Counter(line.strip() for line in path.read_text("utf-8-sig").split("\n"))
    shared = set(splits.get("train_v2", ())) & set(splits.get("val_v2", ()))
    twice = sorted(name for name, n in lines.items() if name and n > 1 and name not in shared)
    if twice:
        yield Problem(file, "split", f"{len(twice)} scenes come twice: {examples(twice)}")


def _together(splits: dict[str, Names], plans: Plans) -> Iterator[Problem]:
    """All copies of a background belong to the same splits."""
    n_copies = Counter(plans.sources.values())
    for split, members in splits.items():
        found = Counter(plans.sources[name] for name in members if name in plans.sources)
        torn = sorted(source for source, n in found.items() if n != n_copies[source])
        if torn:
            what = f"it has some but not all copies of {examples(torn)}"
            yield Problem(f"Splits/{split}.txt", "split", what)


def _gaps(splits: dict[str, Names], names: set[str]) -> Iterator[Problem]:
    """What a build writes only where the splits of its source have the same gap."""
    left_out = sorted(names - {name for members in splits.values() for name in members})
    if left_out:
        yield Problem("Splits", "unsplit", f"{len(left_out)} in none: {examples(left_out)}")
    if {"train_v2", "val_v2", "trainval_v2"} <= splits.keys():
        parts = {*splits["train_v2"], *splits["val_v2"]}
        odd = sorted(parts ^ set(splits["trainval_v2"]))
        if odd:
            what = f"not train_v2 and val_v2 together: {examples(odd)}"
            yield Problem("Splits/trainval_v2.txt", "unsplit", what)

"""Black and white of a whole data set: found once, from a sample of its images, and told."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from densesirst_gen.datasets.dataset import Dataset, SceneFile, absent_in
from densesirst_gen.datasets.lazy import each, kept
from densesirst_gen.datasets.notes import spread
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.images.codec import CodecError, read_image
from densesirst_gen.files.manifest import MANIFEST
from densesirst_gen.scene.aloof import Aloof, aloof, in_one_place
from densesirst_gen.scene.counts import FULL, NARROW, Counts, Look, absent_values, counts_of, look

N_SAMPLED = 32
"""Images that are decoded, evenly spread over the data set."""
MOST_BYTES = 100_000_000
"""Of a manifest."""


THIRD, FEWEST = 0.34, 2
"""Share of the range, and images of a kind, by which images of two kinds are told."""
DRIFT = 0.25
"""Share of the range of all that half of the images don't fill."""
SIGNED = ("uint16", "float32")
"""What int16 is read as, without values below 0 and with some: one camera all the same."""

Span = tuple[float, float]


class _Seen(NamedTuple):
    scene: SceneFile
    look: Look
    kind: str
    aloof: Aloof | None = None

    @property
    def is_blank(self) -> bool:
        """Of one value, but for single pixels."""
        return self.look.peak == self.look.low


def with_counts(
    dataset: Dataset,
    *,
    nodata: Sequence[float] | None = None,
    known: Mapping[str, Counts] | None = None,
) -> Dataset:
    """The dataset with what its images' values mean: alike for all of one dtype and one span.

    Parameters
    ----------
    dataset : Dataset
        Of its images up to 32, evenly spread, are decoded; one that can't be is passed over, and
        one of a single value where others have more, for it says nothing of the camera. Scenes
        with a span keep it. Scenes that are drawn and have no file bring their own. What a build
        of ours recorded in its manifest is taken from there.
    nodata : sequence of float, optional
        Values that mean no data, in images of any depth. None: what plainly does, see
        `densesirst_gen.scene.counts`.
    known : mapping of str to Counts, optional
        Taken in place of what would be found; no image is decoded.
    """
    is_open = nodata is None and not any(scene.span for scene in dataset.scenes)
    recorded = known if known is not None else _recorded(dataset.root) if is_open else {}
    if recorded or known is not None:
        scenes = each(dataset.scenes, lambda scene: replace(scene, counts=recorded))
        return replace(dataset, scenes=scenes, counts=recorded)
    groups: dict[tuple[Span | None, str], list[_Seen]] = defaultdict(list)
    for one in _seen(dataset.scenes, nodata):
        groups[one.scene.span, one.kind].append(one)
    found: dict[Span | None, dict[str, Counts]] = defaultdict(dict)
    notes = []
    for (span, kind), all_seen in groups.items():
        seen = [one for one in all_seen if not one.is_blank] or all_seen
        counts = counts_of([one.look for one in seen], None if kind == "uint8" else span)
        counts = counts if nodata is None else replace(counts, nodata=tuple(nodata))
        found[span] |= dict.fromkeys(SIGNED if kind == "int16" else (kind,), counts)
        notes += [*_notes(kind, counts, seen), *_blank(all_seen, seen), *_stretched(seen)]
    scenes = each(
        dataset.scenes,
        lambda s: replace(s, counts=found.get(s.span, {})) if s.files() else s,
    )
    counts_of_all = next(iter(found.values()), {})
    return replace(dataset, scenes=scenes, counts=counts_of_all, remarks=(*dataset.remarks, *notes))


def _recorded(root: Path) -> dict[str, Counts]:
    """What the manifest of a build says of its images; empty if there is none, or none of ours."""
    path = root / MANIFEST
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return {}
        counts = json.loads(path.read_bytes())["recipe"]["counts"]
        return {kind: Counts.from_dict(values) for kind, values in counts.items()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return {}


def _seen(scenes: Sequence[SceneFile], nodata: Sequence[float] | None) -> list[_Seen]:
    found = []
    for scene in spread(kept(scenes, SceneFile.files), N_SAMPLED):
        try:
            image = read_image(scene.image, colormap=scene.colormap)
            absent = absent_values(image.array) if nodata is None else nodata
            values = absent_in(image, absent)
            seen = look(image.array, values)
            apart = aloof(image.array, values)
        except (CodecError, OSError):
            continue
        signed = any(note.startswith("int16 read as") for note in image.notes)
        found += [_Seen(scene, seen, "int16" if signed else seen.kind, apart)] if seen else []
    return found


def _notes(kind: str, counts: Counts, seen: Sequence[_Seen]) -> list[str]:
    """What a user should know of a span that was found, or that is hardly used."""
    low, high = min(one.look.low for one in seen), max(one.look.high for one in seen)
    black, white = counts.span
    share = (high - low) / (white - black)
    if kind != "uint8" and counts.basis != "given":
        what = f"{kind} images with values of {low:,.6g} to {high:,.6g} (0.1 and 99.9 %)"
        taken = f"taken as black {black:,.6g} and white {white:,.6g}, {counts.basis}"
        note = f"{what}: {taken}; --span BLACK WHITE says otherwise"
        return [note, *_absent(counts), *_cameras(seen, counts)]
    fills = [_fills(low, high, share, counts)] if counts.reach < NARROW / FULL else []
    return [*fills, *_absent(counts)]


def _blank(seen: Sequence[_Seen], used: Sequence[_Seen]) -> list[str]:
    blank = [one.scene.name for one in seen if one.is_blank]
    if not blank or len(seen) == len(used):
        return []
    return [
        f"{len(blank)} of {len(seen)} images looked at are of one value, and say nothing of black "
        f"and white: {examples(blank)}"
    ]


def _stretched(seen: Sequence[_Seen]) -> list[str]:
    """What lies apart, if without it the images fill less than two thirds of what they seem to."""
    overlaid = in_one_place([one.aloof for one in seen if one.aloof])
    chosen = [a if (a := one.aloof) and (a.is_large or overlaid) else None for one in seen]
    found = [(one.scene.name, a) for one, a in zip(seen, chosen, strict=True) if a]
    rest = [a.rest if a else one.look for one, a in zip(seen, chosen, strict=True)]
    if not found or 3 * _range(rest) >= 2 * _range([one.look for one in seen]):
        return []
    name, apart = found[0]
    said = " ".join(f"--nodata {value:.9g}" for value in apart.values)
    cause = f"a border, an overlay, saturation, no data? {said} leaves it out"
    cause = cause if said else "numbers of the camera and no picture? cut it off"
    return [
        f"{apart.where} lies apart from all else ({apart.rest.low:,.6g} to {apart.rest.high:,.6g}) "
        f"in {len(found)} of {len(seen)} images looked at, such as {name}, and stretches "
        f"the range that is taken: {cause}, or say --span"
    ]


def _range(looks: Sequence[Look]) -> float:
    return max(one.high for one in looks) - min(one.low for one in looks)


def _absent(counts: Counts) -> list[str]:
    values = " or ".join(f"{value:g}" for value in counts.nodata)
    note = f"pixels of {values} are taken as no data: neither measured nor pasted on (--nodata)"
    return [note] if values else []


def _fills(low: float, high: float, share: float, counts: Counts) -> str:
    black, white = counts.span
    return (
        f"the images fill {share:.0%} of the span {black:,.6g} to {white:,.6g}, {low:,.6g} to "
        f"{high:,.6g}; pastes of level 'scaled' keep to that range"
    )


def _cameras(found: Sequence[_Seen], counts: Counts) -> list[str]:
    """Folders whose images fill far less of the span than others do."""
    by_folder: dict[str, list[Look]] = defaultdict(list)
    for one in found:
        by_folder[one.scene.name.rpartition("/")[0]].append(one.look)
    width = counts.span[1] - counts.span[0]
    shares = {
        folder: (max(k.high for k in looks) - min(k.low for k in looks)) / width
        for folder, looks in by_folder.items()
    }
    small = [folder for folder, share in shares.items() if share < NARROW * max(shares.values())]
    if not small:
        return _two_kinds(found) or _drift(found)
    return [
        f"images in {examples(small)} fill less than a quarter of the range of the others: if they "
        "are of another camera, --span-table FILE gives each its span"
    ]


def _two_kinds(found: Sequence[_Seen]) -> list[str]:
    """Images of two ranges and none between: two cameras in one folder, or gain set for each."""
    ranges = [one.look.high - one.look.low for one in found]
    shares = [width / (max(ranges) or 1) for width in ranges]
    narrow = [one.scene.name for one, share in zip(found, shares, strict=True) if share <= THIRD]
    wide = [one.scene.name for one, share in zip(found, shares, strict=True) if share > 1 - THIRD]
    if min(len(narrow), len(wide)) < FEWEST or len(narrow) + len(wide) < len(found):
        return []
    return [
        f"{len(narrow)} of {len(found)} images looked at, such as {narrow[0]}, fill less than a "
        f"third of the range of the others, such as {wide[0]}, and none is between: if they are of "
        "another camera or depth, or were stretched each for itself (AGC), --span-table FILE gives "
        "each its span"
    ]


def _drift(found: Sequence[_Seen]) -> list[str]:
    """Images that each fill little of the range of all, as of a camera whose zero drifts."""
    ranges = sorted(one.look.high - one.look.low for one in found)
    middle, most = ranges[len(ranges) // 2], _range([one.look for one in found])
    if len(found) < 2 * FEWEST or middle > DRIFT * most:
        return []
    return [
        f"half of {len(found)} images looked at fill {middle / (most or 1):.0%} or less of the "
        f"range of all, {middle:,.6g} of {most:,.6g}, as of a camera whose zero drifts: pastes "
        "go by the range of all, and can be far brighter than what is around them; --span-table "
        "FILE gives each its span"
    ]


def with_span_table(dataset: Dataset, path: Path) -> Dataset:
    """The dataset with a span for each camera.

    Parameters
    ----------
    dataset : Dataset
    path : Path
        Lines ``PATTERN,BLACK,WHITE``: scene names as by `fnmatch`, such as ``cam_a/*``; the first
        that fits counts. Scenes that none fits keep what they have.

    Raises
    ------
    DatasetError
        For a line that is none, or that fits no scene; it is named.
    """
    rows = _table(path)
    used: set[str] = set()

    def span_of(scene: SceneFile) -> Span | None:
        for pattern, span in rows.items():
            if fnmatchcase(scene.name, pattern):
                used.add(pattern)
                return span
        return scene.span

    scenes = tuple(replace(scene, span=span_of(scene)) for scene in dataset.scenes)
    if idle := [pattern for pattern in rows if pattern not in used]:
        raise DatasetError(f"{path}: no scene fits {examples(idle)}")
    return replace(dataset, scenes=scenes)


def _table(path: Path) -> Mapping[str, Span]:
    rows: dict[str, Span] = {}
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: {error}") from error
    for number, row in enumerate(csv.reader(text.splitlines(), skipinitialspace=True), 1):
        if not row or row[0].startswith("#"):
            continue
        try:
            pattern, black, white = row[0].strip(), *map(float, row[1:])
        except ValueError:
            pattern, black, white = "", 0.0, 0.0
        if not (math.isfinite(black) and math.isfinite(white) and black < white):
            raise DatasetError(
                f"{path}, line {number}: {','.join(row)!r} is not PATTERN,BLACK,WHITE with black "
                "below white"
            )
        rows[pattern] = (black, white)
    return rows

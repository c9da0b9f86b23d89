"""Are the labels of a dataset right? Each scene by itself, and all together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.datasets.dataset import Dataset, SceneFile, stacks_of
from densesirst_gen.datasets.found.inventory import relative_path
from densesirst_gen.datasets.grammar.dialects import DIALECTS
from densesirst_gen.datasets.parts.sequences import sequences
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.paths import examples
from densesirst_gen.files.images.codec import CodecError, read_image
from densesirst_gen.files.images.frames import on_disk
from densesirst_gen.files.workers import Progress, workers
from densesirst_gen.labels.alike import fingerprint, near_pairs
from densesirst_gen.labels.beside import BOXES, POINT_TAIL, POINTS, kit_root
from densesirst_gen.labels.check_scene import Checked, check_scene
from densesirst_gen.labels.errata import errata
from densesirst_gen.labels.findings import Finding

NAMES = tuple(DIALECTS)
FEW = 0.5
"""IoU below which a box fits no target."""


@dataclass(frozen=True, eq=False)
class Validated:
    """What was found in a dataset.

    Parameters
    ----------
    findings : list of Finding
        By rule, then by file.
    n_images, n_targets : int
    dialects : dict of str to int
        How many boxes of XML files beside masks are exact in each dialect.
    """

    findings: list[Finding]
    n_images: int
    n_targets: int
    dialects: dict[str, int]


def validate(
    dataset: Dataset,
    *,
    against: Dataset | None = None,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> Validated:
    """Check the labels of a dataset.

    Parameters
    ----------
    dataset : Dataset
    against : Dataset, optional
        Another, none of whose images should be in this one.
    jobs : int
        Processes. The result does not depend on it.
    progress : callable
        Wraps (results, total) for a progress bar.
    """
    files, root = dataset.scenes, dataset.root
    with workers(jobs, [check_scene.__module__]) as mapped:
        tasks = ((file, root, dataset.layout) for file in files)
        results = sorted(progress(mapped(check_scene, tasks), len(files)), key=lambda r: r.name)
        others = [] if against is None else _looks(against, mapped, progress)
    findings = [finding for result in results for finding in result.findings]
    boxes, dialects = _box_findings(results)
    findings += [*boxes, *_files(dataset), *_lists(dataset), *_identical(results)]
    findings += [*_near(dataset, results), *_sequences(dataset), *_against(results, others)]
    findings += errata(dataset)
    n_targets = sum(result.n_targets for result in results)
    return Validated(sorted(set(findings)), len(files), n_targets, dialects)


def _box_findings(results: Sequence[Checked]) -> tuple[list[Finding], dict[str, int]]:
    """Boxes that are in another dialect than most, not tight, or around nothing."""
    found = [result.boxes for result in results if result.boxes is not None]
    exact = Counter[str]()
    for boxes in found:
        exact.update({d: int((boxes.overlap[:, k] == 1).sum()) for k, d in enumerate(NAMES)})
    if not any(exact.values()):
        return [], {}
    usual = max(NAMES, key=lambda name: exact[name])
    column, findings, counts = NAMES.index(usual), [], Counter[str]()
    for boxes in found:
        for box, overlap in zip(boxes.written.tolist(), boxes.overlap, strict=True):
            own = column if overlap[column] == 1 else int(overlap.argmax())
            numbers = " ".join(f"{value:g}" for value in box)
            if overlap[own] == 1:
                counts[NAMES[own]] += 1
                if own != column:
                    what = f"{numbers} is {NAMES[own]}, most are {usual}"
                    findings.append(Finding("dialect", boxes.file, what))
                continue
            rule = "box" if overlap[column] < FEW else "loose"
            what = f"{numbers}: best IoU {overlap[column]:.2f}, read as {usual}"
            findings.append(Finding(rule, boxes.file, what))
    return findings, dict(counts.most_common())


def _files(dataset: Dataset) -> Iterator[Finding]:
    """Of files that are missing or too many."""
    for kind in ("mask", "sky"):
        bare = [scene for scene in dataset.scenes if getattr(scene, kind) is None]
        if kind == "mask" and dataset.layout not in ("devkit", "sirst", "folders"):
            continue
        if 0 < len(bare) < len(dataset.scenes):
            yield from (Finding("missing", scene.name, f"no {kind} file") for scene in bare)
    kit = kit_root(dataset.root)
    names = {scene.name for scene in dataset.scenes}
    for kind, places, tail in (("box", BOXES, ".xml"), ("point", POINTS, "")):
        if (place := places.get(dataset.layout)) is None or not (kit / place).is_dir():
            continue
        end = tail or POINT_TAIL[dataset.layout]
        found = {_stem(path, kit / place, end) for path in (kit / place).rglob(f"*{end}")}
        for name in sorted(found - names):
            yield Finding("extra", f"{place}/{name}{end}", "no image of this name")
        if not (kind == "point" and dataset.layout == "sirst"):  # it has those of v1 only
            for name in sorted(names - found):
                yield Finding("missing", name, f"no {kind} file, {place}/{name}{end}")
    known = {on_disk(path).resolve() for scene in dataset.scenes for path in scene.files()}
    for folder in {on_disk(scene.mask).parent for scene in dataset.scenes if scene.mask}:
        images = [p for p in folder.iterdir() if p.suffix.lower() in (".png", ".bmp", ".tif")]
        for path in sorted(images):
            if path.resolve() not in known and path.name[0] != ".":
                yield Finding("extra", relative_path(path, dataset.root), "mask of no image")


def _stem(path: Path, folder: Path, end: str) -> str:
    return path.relative_to(folder).as_posix().removesuffix(end)


def _parts(dataset: Dataset) -> dict[str, set[str]]:
    """Scenes of training, and of what is held back."""
    parts: dict[str, set[str]] = {"train": set(), "held": set()}
    for split, members in dataset.splits.items():
        if (part := part_of(split)) in ("train", "val", "test"):
            parts["train" if part == "train" else "held"] |= set(members)
    return parts


def _lists(dataset: Dataset) -> Iterator[Finding]:
    parts = _parts(dataset)
    for name in sorted(parts["train"] & parts["held"]):
        lists = sorted(split for split, members in dataset.splits.items() if name in members)
        yield Finding("overlap", name, f"in {examples(lists)}")
    for name in dataset.absent:
        yield Finding("unknown", name, "in a list, but no image")


def _identical(results: Sequence[Checked]) -> Iterator[Finding]:
    same = defaultdict(list)
    for result in results:
        if result.digest:
            same[result.digest].append(result.name)
    for names in same.values():
        if len(names) > 1:
            yield Finding("identical", names[0], f"as {examples(names[1:])}")


def _near(dataset: Dataset, results: Sequence[Checked]) -> Iterator[Finding]:
    """Nearly the same image on both sides of a split."""
    parts = _parts(dataset)
    sides = [[r for r in results if r.digest and r.name in parts[p]] for p in ("train", "held")]
    for one, other in _pairs(*sides):
        if one.name != other.name:
            yield Finding("near", one.name, f"is nearly {other.name}, which is held back")


def _pairs(ones: Sequence[Checked], others: Sequence[Checked]) -> Iterator[tuple[Checked, Checked]]:
    if not ones or not others:
        return
    arrays = [
        np.stack([getattr(result, name) for result in results])
        for results in (ones, others)
        for name in ("bits", "thumbnail")
    ]
    for i, j in near_pairs(*arrays):
        yield ones[i], others[j]


def _sequences(dataset: Dataset) -> Iterator[Finding]:
    """Of names: folders of frames, and ``a_b_7`` beside ``a_b_8``."""
    parts = _parts(dataset)
    groups: dict[str, set[str]] = defaultdict(set)
    frames = sequences((scene.name for scene in dataset.scenes), stacks_of(dataset))
    for folder, names in frames.items():
        groups[folder] |= set(names)
    for scene in dataset.scenes:
        head, _, number = scene.name.replace("-", "_").rpartition("_")
        if number.isdecimal() and "_" in head:
            groups[head].add(scene.name)
    for group, members in sorted(groups.items()):
        train, held = len(members & parts["train"]), len(members & parts["held"])
        if train and held:
            yield Finding("sequence", group, f"{train} scenes in training, {held} held back")


def shared_images(
    one: Dataset,
    other: Dataset,
    *,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> list[Finding]:
    """Images that are in two datasets, or nearly, see `densesirst_gen.labels.alike`.

    Parameters
    ----------
    one, other : Dataset
    jobs : int
        Processes.
    progress : callable
        Wraps (results, total) for a progress bar.
    """
    with workers(jobs, [__name__]) as mapped:
        looks = [_looks(dataset, mapped, progress) for dataset in (one, other)]
    return sorted(_against(*looks))


def _looks(dataset: Dataset, mapped: Any, progress: Progress) -> list[Checked]:
    results = progress(mapped(_look, dataset.scenes), len(dataset.scenes))
    return sorted((r for r in results if r is not None), key=lambda result: result.name)


def _look(file: SceneFile) -> Checked | None:
    """An image of the other set; None if it can't be read, which is not asked here."""
    try:
        image = read_image(file.image, colormap=file.colormap).array
    except (CodecError, OSError):
        return None
    bits, thumbnail = fingerprint(np.nan_to_num(image))
    return Checked(file.name, [], digest="?", bits=bits, thumbnail=thumbnail)


def _against(results: Sequence[Checked], others: Sequence[Checked]) -> Iterator[Finding]:
    for one, other in _pairs([r for r in results if r.digest], others):
        yield Finding("against", one.name, f"is {other.name} of the other dataset, or nearly")

"""``annotations.json`` against the scenes: the document as a whole, then each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.build.verify.folder import scene_of_image
from densesirst_gen.build.verify.problem import Problem, words_of
from densesirst_gen.datasets.coco.reader import read_json
from densesirst_gen.datasets.coco.written import CATEGORY_ID, coco_image, image_ids
from densesirst_gen.datasets.grammar.segmentation import segment_labels
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.scene.annotate import Annotations
from densesirst_gen.scene.scene import Scene

COCO = "annotations.json"
CATEGORIES = [{"id": CATEGORY_ID, "name": "Target", "supercategory": ""}]
BY_PLAN = ("cluster", "donor")
"""Attributes of pasted targets, which only a plan knows."""

Record = dict[str, Any]


@dataclass(frozen=True)
class CocoEntry:
    """What the document has of one scene.

    Parameters
    ----------
    image : dict
    annotations : list of dict
        In its order.
    """

    image: Record
    annotations: list[Record] = field(default_factory=list)


def read_coco_entries(root: Path) -> tuple[dict[str, CocoEntry], list[Problem]]:
    """The document by scene, and what is wrong with it as a whole.

    It is read at once: about 1.5 kB of memory for each target.
    """
    problems: list[Problem] = []
    if not (root / COCO).is_file():
        return {}, [Problem(COCO, "missing", "no such file")]
    try:
        document = read_json(root / COCO)
    except DatasetError as error:
        return {}, [Problem(COCO, "unreadable", words_of(error, root / COCO))]
    images, annotations = (_records(document, part, problems) for part in ("images", "annotations"))
    if not isinstance(document, dict) or document.get("categories") != CATEGORIES:
        problems.append(Problem(COCO, "coco", f"categories are not {CATEGORIES}"))
    entries = _entries(images, problems)
    by_id = {entry.image["id"]: entry for entry in entries.values()}
    for annotation in annotations:
        entry = by_id.get(annotation["image_id"])
        if entry is None:
            where = f"annotation {annotation['id']}: no image has id {annotation['image_id']}"
            problems.append(Problem(COCO, "coco", where))
        else:
            entry.annotations.append(annotation)
    return entries, problems


def _records(document: Any, part: str, problems: list[Problem]) -> list[Record]:
    """The usable records of a part, and a note of each that is not, or of ids out of order."""
    found = document.get(part) if isinstance(document, dict) else None
    if not isinstance(found, list):
        problems.append(Problem(COCO, "coco", f"it has no list of {part}"))
        return []
    keys = ("id", "file_name") if part == "images" else ("id", "image_id")
    kinds = (int, str) if part == "images" else (int, int)
    usable = []
    for place, record in enumerate(found, 1):
        pairs = zip(keys, kinds, strict=True)
        if isinstance(record, dict) and all(type(record.get(k)) is kind for k, kind in pairs):
            usable.append(record)
        else:
            what = f"{part}, place {place}: not an object with {keys[0]} and {keys[1]}"
            problems.append(Problem(COCO, "coco", what))
    files = [record["file_name"] for record in usable] if part == "images" else []
    wanted = image_ids(files) if files else list(range(1, len(usable) + 1))
    problems.extend(_id_problems(part, [record["id"] for record in usable], wanted))
    return usable


def _id_problems(part: str, ids: Sequence[int], wanted: Sequence[int]) -> Iterator[Problem]:
    twice = [number for number, n in Counter(ids).items() if n > 1]
    if twice:
        what = f"{part}: {len(twice)} ids come twice: {examples(map(str, twice))}"
        yield Problem(COCO, "coco", what)
    place = next((k for k, number in enumerate(ids) if wanted[k] != number), None)
    if place is not None:
        rule = "do not run from 1 on" if wanted[:1] == [1] else "are not the numbers of the names"
        what = f"{part}: ids {rule}, at place {place + 1} is {ids[place]}"
        yield Problem(COCO, "coco", what)


def _entries(images: Sequence[Record], problems: list[Problem]) -> dict[str, CocoEntry]:
    entries: dict[str, CocoEntry] = {}
    for image in images:
        name = scene_of_image(image["file_name"])
        fault = f"{image['file_name']!r} is not the image of a scene" if name is None else ""
        if name in entries:
            fault = f"{image['file_name']} comes twice"
        if fault or name is None:
            problems.append(Problem(COCO, "coco", f"image {image['id']}: {fault}"))
        else:
            entries[name] = CocoEntry(image)
    names = list(entries)
    late = [name for name, before in zip(names[1:], names, strict=False) if name < before]
    if late:
        what = f"images are not sorted by name: {examples(late)} come too late"
        problems.append(Problem(COCO, "coco", what))
    return entries


def presence_problems(
    entries: Mapping[str, CocoEntry], scenes: Collection[str]
) -> Iterator[Problem]:
    """Scenes without an entry, entries without a scene."""
    for name in sorted(set(scenes) - set(entries)):
        yield Problem(COCO, "coco", f"{name}: it has no such image")
    for name in sorted(set(entries) - set(scenes)):
        file = entries[name].image["file_name"]
        yield Problem(COCO, "coco", f"{file}: there is no such scene")


def coco_labels(entry: CocoEntry | None, shape: tuple[int, int]) -> np.ndarray | None:
    """The label image (H, W) of an entry's masks in its order; None if they give none."""
    if entry is None:
        return None
    codes = [annotation.get("segmentation") for annotation in entry.annotations]
    try:
        labels, n_hidden = segment_labels(codes, shape)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None
    return None if n_hidden else labels


def entry_problems(
    entry: CocoEntry,
    scene: Scene,
    annotations: Annotations,
    file: str,
    pasted: Sequence[Record] | None,
) -> Iterator[Problem]:
    """What an entry says otherwise than the masks of its scene do.

    Parameters
    ----------
    entry : CocoEntry
    scene : Scene
    annotations : Annotations
        Of its labels.
    file : str
        Of its image.
    pasted : sequence of dict or None
        ``cluster`` and ``donor`` of the last targets, by the plan; None: unknown.
    """
    image, targets = coco_image(scene, annotations, entry.image["id"], file)
    for key, what in differences(entry.image, image):
        yield Problem(COCO, "coco", f"{scene.name}: image: {key} {what}")
    if len(entry.annotations) != len(targets):
        what = f"{len(entry.annotations)} annotations, its mask has {len(targets)} targets"
        yield Problem(COCO, "coco", f"{scene.name}: {what}")
        return
    for target, attributes in zip(
        targets[len(targets) - len(pasted or ()) :], pasted or (), strict=True
    ):
        target["attributes"] |= attributes
    for k, (found, wanted) in enumerate(zip(entry.annotations, targets, strict=True)):
        place = f"{scene.name}: annotation {found['id']}"
        for words in _annotation_faults(found, wanted, scene.labels == k + 1, pasted is not None):
            yield Problem(COCO, "coco", f"{place}: {words}")


def _annotation_faults(
    found: Record, wanted: Record, mask: np.ndarray, by_plan: bool
) -> Iterator[str]:
    wanted = {"id": found["id"], **wanted}
    attributes = found.get("attributes")
    if not by_plan and isinstance(attributes, dict):
        kept = {key: value for key, value in attributes.items() if key not in BY_PLAN}
        found = {**found, "attributes": kept}
    for key, what in differences(found, wanted):
        if key == "segmentation" and key in found:
            what = _mask_fault(found[key], mask)
        if what:
            yield f"{key} {what}"


def _mask_fault(segmentation: Any, mask: np.ndarray) -> str:
    """How a segmentation differs from a mask; empty if it is only written differently."""
    try:
        labels = segment_labels([segmentation], (mask.shape[0], mask.shape[1]))[0]
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        return f"can't be decoded: {error}"
    n_differing = int(((labels > 0) != mask).sum())
    return f"differs from the mask in {n_differing} pixels" if n_differing else ""


def differences(found: Record, wanted: Record) -> Iterator[tuple[str, str]]:
    """Keys whose values differ, and how; those of inner objects as ``outer.inner``."""
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        here, there = found.get(key), wanted.get(key)
        if key not in found:
            yield key, f"is missing, expected {there!r}"
        elif key not in wanted:
            yield key, f"is {_short(here)}, expected none"
        elif key == "attributes" and isinstance(here, dict):
            yield from ((f"{key}.{k}", what) for k, what in differences(here, wanted[key]))
        elif here != there or isinstance(here, bool):
            yield key, f"is {_short(here)}, expected {_short(there)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

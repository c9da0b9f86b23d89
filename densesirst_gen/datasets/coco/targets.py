"""The annotation records of a COCO file: which are targets, and the masks of these."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from densesirst_gen.datasets.coco.annotation import (
    BROKEN,
    CROWD,
    NO_MASK,
    NO_PIXEL,
    NOTHING,
    Reading,
    Rules,
    box_alone,
    read_annotation,
)
from densesirst_gen.datasets.coco.boxes import BoxesAlone
from densesirst_gen.datasets.coco.categories import (
    category_names,
    is_ignored,
    left_out,
    target_names,
)
from densesirst_gen.datasets.coco.checks import FILLED, REFUSED_IF_MOST
from densesirst_gen.datasets.coco.found import Found, Outlines, Targets
from densesirst_gen.datasets.coco.ids import Ids, Record
from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.grammar.segmentation import one_piece_each, segment_labels
from densesirst_gen.datasets.packed import repeated
from densesirst_gen.datasets.paths import DatasetError

MANY = 1000
"""Masks of an image, more than which are not compared pair by pair."""

SAME_ID = "annotations have the id of another; all are read"
JOINED = "annotations touch or overlap others, and are one target with them, as in a mask"
DIVIDED = "annotations are in pieces that lie apart, and each piece is a target, as in a mask"
REPEATED = "annotations have the box of another of their image, and are one target with it"
FROM_BOXES = "to read filled boxes as masks: --masks-from boxes (masks_from='boxes')"


class Images(Protocol):
    """What is known of images, by the row of their record."""

    def name(self, row: int) -> str:
        """Of the scene."""

    def size(self, row: int) -> tuple[int, int]:
        """(H, W); (0, 0) if it is not known."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """What the records refer to: the row of an image, the number of a category."""

    images: Sequence[int]
    categories: Sequence[int]
    names: Sequence[str]

    def used(self) -> Counter[str]:
        """How many records each category has."""
        return Counter(self.names[category] for category in self.categories)


def annotated_images(records: Iterable[Record], image_ids: Ids) -> Sequence[int]:
    """For the row of each image whether it has annotations; one more at the end says nothing."""
    found = bytearray(len(image_ids.rows) + 1)
    for record in records:
        found[image_ids.rows.get(image_ids.find(record["image_id"]), -1)] = 1
    return found


def read_targets(
    document: Record, images: Images, image_ids: Ids, rules: Rules
) -> tuple[Targets, list[str]]:
    """The targets of each image, checked.

    Parameters
    ----------
    document : dict
        With ``annotations`` and ``categories``.
    images : Images
        Those that have annotations at least.
    image_ids : Ids
        The rows of these images.
    rules : Rules

    Returns
    -------
    targets : Targets
    notes : list of str
        Oddities, each with a count and an example.

    Raises
    ------
    DatasetError
        If an annotation belongs to no image or category, if it can't be told which categories are
        targets, or if most annotations are crowd, boxes or broken, or contradict themselves in the
        same way.
    """
    findings = Findings()
    records = document["annotations"]
    rows = _rows(document, image_ids, findings)
    used = rows.used()
    chosen = target_names(used, rules.category)
    found, n = _found(records, rows, images, chosen, rules, findings)
    _refuse_if_most(findings, n, rules)
    notes = left_out(used, chosen)
    kind = "masks"
    if _are_boxes(findings, n, rules):
        kind = "points" if found.are_points else "boxes"
        notes += _told_kind(kind, found, findings)
    if kind == "boxes":
        n_repeats, row = found.repeats()
        findings.add(REPEATED, images.name(row) if n_repeats else "", n_repeats)
    targets = Targets(found, len(image_ids.rows), kind)
    if kind == "masks":
        for row in found.order():
            _check_pieces(images, row, targets, findings)
    targets.forget_outlines()
    return targets, [*notes, *findings.lines(n)]


def _rows(document: Record, image_ids: Ids, findings: Findings) -> _Rows:
    by_key = category_names(document["categories"])
    category_ids = Ids(by_key)
    images, categories, hashes = array("i"), array("i"), array("q")
    for number, record in enumerate(document["annotations"], 1):
        key = _key(record, number)
        image, category = image_ids.find(record["image_id"]), record["category_id"]
        category = category_ids.find(category)
        if image is None or category is None:
            raise DatasetError(f"annotation {key}: its image or its category is not in the file")
        hashes.append(hash(key))
        images.append(image_ids.rows[image])
        categories.append(category_ids.rows[category])
    _check_keys(document["annotations"], hashes, findings)
    return _Rows(images, categories, list(by_key.values()))


def _key(record: Record, number: int) -> Any:
    """What a record is called."""
    return record.get("id", f"number {number}")


def _check_keys(records: Iterable[Record], hashes: Sequence[int], findings: Findings) -> None:
    """Note ids that come again."""
    alike, seen = repeated(hashes), set()
    if not alike:
        return
    for number, record in enumerate(records, 1):
        key = _key(record, number)
        if hashes[number - 1] in alike and key in seen:
            findings.add(SAME_ID, f"id {key!r}")
        elif hashes[number - 1] in alike:
            seen.add(key)


def _found(
    records: Iterable[Record],
    rows: _Rows,
    images: Images,
    chosen: Collection[str],
    rules: Rules,
    findings: Findings,
) -> tuple[Found, int]:
    """What the records of targets and of regions to ignore say, and how many these are."""
    found, boxes, n = Found(), BoxesAlone(), 0
    are_targets = [name in chosen for name in rows.names]
    are_ignored = [
        not is_target and is_ignored(name)
        for is_target, name in zip(are_targets, rows.names, strict=True)
    ]
    for number, record in enumerate(records, 1):
        category = rows.categories[number - 1]
        if not are_targets[category] and not are_ignored[category]:
            continue
        n += 1
        row = rows.images[number - 1]
        size = images.size(row)
        boxes.add(box_alone(record, size))
        reading = read_annotation(record, size, rules, is_ignored=are_ignored[category])
        found.add(row, reading, size)
        if reading.oddities:
            _note(reading, _key(record, number), images.name(row), findings)
    boxes.check()
    return found, n


def _note(reading: Reading, key: Any, name: str, findings: Findings) -> None:
    for kind, reason in reading.oddities:
        of_image = f" of {name}"
        where = f"annotation {str(key).removesuffix(of_image)}{of_image}"
        findings.add(kind, f"{where}: {reason}" if reason else where)


def _refuse_if_most(findings: Findings, n: int, rules: Rules) -> None:
    """DatasetError if an oddity concerns more than half of the annotations."""

    def is_most(*kinds: str) -> bool:
        return 2 * findings.count(*kinds) > n

    if is_most(CROWD):
        raise DatasetError(
            f"{findings.line(CROWD, n)}. CVAT and datumaro write iscrowd 1 for every mask drawn "
            "with a brush: if these are targets, set it to 0, or read with crowd='targets'"
        )
    for kind in REFUSED_IF_MOST:
        if is_most(kind):
            raise DatasetError(f"{findings.line(kind, n)}; mend the file, or whatever wrote it")
    if not is_most(NO_MASK) and is_most(NO_MASK, NOTHING, BROKEN, NO_PIXEL):
        kinds = [kind for kind in (NOTHING, BROKEN, NO_PIXEL, NO_MASK) if findings.count(kind)]
        raise DatasetError("; ".join(findings.line(kind, n) for kind in kinds))


def _are_boxes(findings: Findings, n: int, rules: Rules) -> bool:
    """Whether most targets have a box or point only, or a polygon that is nothing but its box."""
    filled = 0 if rules.masks_from == "boxes" else findings.count(FILLED)
    return 2 * max(findings.count(NO_MASK), filled) > n


def _told_kind(kind: str, found: Found, findings: Findings) -> list[str]:
    """The notes on targets that are boxes or points."""
    if findings.count(NO_MASK):
        line = findings.line(NO_MASK, found.n_targets).replace(NO_MASK, f"targets have {kind} only")
        findings.drop(NO_MASK)
        return [f"{kind}, not masks: {line}; {FROM_BOXES.replace('boxes', kind)}"]
    if findings.count(FILLED):
        line = findings.line(FILLED, found.n_targets)
        findings.drop(FILLED)
        return [f"{line}; {FROM_BOXES}"]
    return []


def _check_pieces(images: Images, row: int, targets: Targets, findings: Findings) -> None:
    """Note which targets can't be told apart in a mask, and which fall apart."""
    outlines = targets.outlines(row)
    if all(outlines.are_whole) and not _are_near(outlines):
        return
    size = images.size(row)
    labels, n_hidden = segment_labels(targets.of(row, size).segmentations, size)
    _, n_joined, n_divided = one_piece_each(labels)
    findings.add(JOINED, images.name(row), n_joined + n_hidden)
    findings.add(DIVIDED, images.name(row), n_divided)


def _are_near(masks: Outlines) -> bool:
    """Whether two masks of an image may touch; by their boxes."""
    boxes = masks.boxes
    if not 1 < len(boxes) <= MANY:
        return len(boxes) > MANY
    margin = np.array(masks.are_polygons, float)  # of these the corners are known, not the pixels
    gap = np.maximum(
        boxes[:, None, :2] - boxes[None, :, 2:], boxes[None, :, :2] - boxes[:, None, 2:]
    )
    near = (gap.max(axis=2) <= margin[:, None] + margin).sum()
    return bool(near > len(boxes))

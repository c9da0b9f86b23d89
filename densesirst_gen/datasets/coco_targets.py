"""The annotation records of a COCO file: which are targets, and the masks of these."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densesirst_gen.datasets.coco_annotation import (
    BROKEN,
    CROWD,
    NO_MASK,
    NO_PIXEL,
    Reading,
    Rules,
    box_alone,
    read_annotation,
)
from densesirst_gen.datasets.coco_boxes import check_form
from densesirst_gen.datasets.coco_categories import (
    category_names,
    is_ignored,
    left_out,
    target_names,
)
from densesirst_gen.datasets.coco_checks import FILLED, REFUSED_IF_MOST, Box, Measured
from densesirst_gen.datasets.coco_ids import Ids, Record
from densesirst_gen.datasets.coco_images import CocoImage
from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.datasets.segmentation import one_piece_each, segment_labels

MANY = 1000
"""Masks of an image, more than which are not compared pair by pair."""

SAME_ID = "annotations have the id of another; all are read"
JOINED = "annotations touch or overlap others, and are one target with them, as in a mask"
DIVIDED = "annotations are in pieces that lie apart, and each piece is a target, as in a mask"
FROM_BOXES = "to read filled boxes as masks: --masks-from boxes (masks_from='boxes')"


@dataclass(frozen=True, eq=False)
class ImageTargets:
    """What a COCO file says about one image, each list in the order of the file.

    Parameters
    ----------
    segmentations : list
        Of the targets; every one is sound and covers a pixel.
    measured : list of Measured
        Of the same.
    ignored : list of (x0, y0, x1, y1)
        Regions where it is not known what is there; px, half-open.
    boxes : list of (x0, y0, x1, y1)
        Of the targets, where masks are not known; then there are no segmentations.
    points : list of (x, y)
        Likewise, where not even boxes are known.
    readings : list of Reading
        Of all targets.
    """

    segmentations: list[Any] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    ignored: list[Box] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Row:
    """A record whose ids are resolved."""

    key: Any
    image: Any
    category: str
    record: Record


def annotated_images(records: Sequence[Record], image_ids: Ids) -> set[Any]:
    """Ids of the images that have annotations."""
    return {image_ids.find(record["image_id"]) for record in records}


def read_targets(
    document: Record, images: Mapping[Any, CocoImage], image_ids: Ids, rules: Rules
) -> tuple[dict[Any, ImageTargets], list[str]]:
    """The targets of each image, checked.

    Parameters
    ----------
    document : dict
        With ``annotations`` and ``categories``.
    images : mapping
        Id -> image, of those that have annotations at least.
    image_ids : Ids
    rules : Rules

    Returns
    -------
    targets : dict
        By image id; only images with annotations.
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
    rows = _rows(document, image_ids, findings)
    used = Counter(row.category for row in rows)
    chosen = target_names(used, rules.category)
    rows = [row for row in rows if row.category in chosen or is_ignored(row.category)]
    check_form(box for row in rows if (box := box_alone(row.record, images[row.image].size)))
    targets: dict[Any, ImageTargets] = defaultdict(ImageTargets)
    for row in rows:
        reading = read_annotation(
            row.record, images[row.image].size, rules, is_ignored=row.category not in chosen
        )
        _keep(reading, targets[row.image])
        of_image = f" of {images[row.image].name}"
        where = f"annotation {str(row.key).removesuffix(of_image)}{of_image}"
        for kind, reason in reading.oddities:
            findings.add(kind, f"{where}: {reason}" if reason else where)
    _refuse_if_most(findings, len(rows), rules)
    notes = left_out(used, chosen)
    if _are_boxes(findings, len(rows), rules):
        notes += _as_boxes(targets.values(), findings)
    for key, found in targets.items():
        _check_pieces(images[key], found, findings)
    return dict(targets), [*notes, *findings.lines(len(rows))]


def _rows(document: Record, image_ids: Ids, findings: Findings) -> list[_Row]:
    names = category_names(document["categories"])
    category_ids, seen, rows = Ids(names), set(), []
    for number, record in enumerate(document["annotations"], 1):
        key = record.get("id", f"number {number}")
        image, category = image_ids.find(record["image_id"]), record["category_id"]
        category = category_ids.find(category)
        if image is None or category is None:
            raise DatasetError(f"annotation {key}: its image or its category is not in the file")
        if key in seen:
            findings.add(SAME_ID, f"id {key!r}")
        seen.add(key)
        rows.append(_Row(key, image, names[category], record))
    return rows


def _keep(reading: Reading, found: ImageTargets) -> None:
    if reading.mask is not None or reading.is_box:
        found.readings.append(reading)
    if reading.mask is not None:
        found.segmentations.append(reading.segmentation)
        found.measured.append(reading.mask)
    elif reading.ignored is not None:
        found.ignored.append(reading.ignored)


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
    if not is_most(NO_MASK) and is_most(NO_MASK, BROKEN, NO_PIXEL):
        kinds = [kind for kind in (BROKEN, NO_PIXEL, NO_MASK) if findings.count(kind)]
        raise DatasetError("; ".join(findings.line(kind, n) for kind in kinds))


def _are_boxes(findings: Findings, n: int, rules: Rules) -> bool:
    """Whether most targets have a box or point only, or a polygon that is nothing but its box."""
    filled = 0 if rules.masks_from == "boxes" else findings.count(FILLED)
    return 2 * max(findings.count(NO_MASK), filled) > n


def _as_boxes(targets: Iterable[ImageTargets], findings: Findings) -> list[str]:
    """Take all targets for boxes, or for points if all are; and say so."""
    found = list(targets)
    readings = [reading for image in found for reading in image.readings]
    points = bool(readings) and all(reading.point is not None for reading in readings)
    for image in found:
        image.segmentations.clear()
        image.measured.clear()
        of_targets = [id(reading.ignored) for reading in image.readings]
        image.ignored[:] = [box for box in image.ignored if id(box) not in of_targets]
        if points:
            image.points.extend(r.point for r in image.readings if r.point is not None)
        else:
            outlines = map(_outline, image.readings)
            image.boxes.extend(box for box in outlines if box is not None)
    kind = "points" if points else "boxes"
    notes = []
    if findings.count(NO_MASK):
        line = findings.line(NO_MASK, len(readings)).replace(NO_MASK, f"targets have {kind} only")
        notes.append(f"{kind}, not masks: {line}; {FROM_BOXES.replace('boxes', kind)}")
        findings.drop(NO_MASK)
    elif findings.count(FILLED):
        notes.append(f"{findings.line(FILLED, len(readings))}; {FROM_BOXES}")
        findings.drop(FILLED)
    return notes


def _outline(reading: Reading) -> Box | None:
    return reading.mask.extent if reading.mask is not None else reading.ignored


def _check_pieces(image: CocoImage, found: ImageTargets, findings: Findings) -> None:
    """Note which targets can't be told apart in a mask, and which fall apart."""
    if all(mask.in_one_piece for mask in found.measured) and not _are_near(found.measured):
        return
    labels, n_hidden = segment_labels(found.segmentations, image.size)
    _, n_joined, n_divided = one_piece_each(labels)
    findings.add(JOINED, image.name, n_joined + n_hidden)
    findings.add(DIVIDED, image.name, n_divided)


def _are_near(masks: Sequence[Measured]) -> bool:
    """Whether two masks of an image may touch; by their boxes."""
    if not 1 < len(masks) <= MANY:
        return len(masks) > MANY
    boxes = np.array([mask.extent for mask in masks])
    margin = np.array([0 if mask.turned else 1 for mask in masks])  # polygons: corners, not pixels
    gap = np.maximum(
        boxes[:, None, :2] - boxes[None, :, 2:], boxes[None, :, :2] - boxes[:, None, 2:]
    )
    near = (gap.max(axis=2) <= margin[:, None] + margin).sum()
    return bool(near > len(masks))

"""Boxes of PASCAL VOC: ``Annotations/a.xml`` for ``JPEGImages/a.jpg``, parts in ``ImageSets``.

Pixels are counted from 1, both ends included; where a box begins at 0, they are counted from 0 and
the ends are not included. A file that names its dialect is read by it, whatever the others are in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from densesirst_gen.datasets.dataset import Dataset
from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.found.inventory import Inventory, counted
from densesirst_gen.datasets.grammar.dialects import from_dialect
from densesirst_gen.datasets.grammar.voc import VocFile, read_voc
from densesirst_gen.datasets.layouts.shapes import (
    Labels,
    Shape,
    dataset_of,
    label_files,
    misnamed,
    size_of,
)
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs

EXPECTS = "images, and an XML file of VOC for each, beside it or in Annotations/"


TURNED = "files state the width of their image as its height"
OTHER_SIZE = "files state another size than their image has, and are not read"
BARE = "files have objects with a box and others without, left out"


def matches(inventory: Inventory) -> bool:
    """Whether there are images and XML files of VOC with boxes."""
    return bool(inventory.images) and bool(inventory.labels.get("VOC"))


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The images with the boxes of their XML files; images without one are not annotated."""
    images, files, note = label_files(inventory, "VOC")
    if not images:
        raise DatasetError(f"{inventory.root}: no images in the voc layout")
    found = {name: read_voc(path) for name, path in sorted(files.items())}
    dialect = _dialect(file for file in found.values() if not file.dialect)
    shapes = {name: _shapes(file, file.dialect or dialect) for name, file in found.items()}
    remarks = [f"voc: labels read, {counted(files.values(), inventory.root)}"]
    if dialect == "densesirst":
        remarks.append("voc: boxes begin at 0, so ends are taken for not included")
    remarks += [note] * bool(note)
    labels = Labels(images, shapes, {}, remarks)
    remarks += misnamed({name: file.filename for name, file in found.items()}, images)
    remarks += [f"voc: {line}" for line in _oddities(found, labels).lines(len(found))]
    return dataset_of(inventory, "voc", labels, given)


def _oddities(found: Mapping[str, VocFile], labels: Labels) -> Findings:
    """What is odd about the files; of images of another size than stated that is kept."""
    findings = Findings()
    for name, file in found.items():
        size = size_of(labels, name)
        if (0, 0) not in (file.size, size) and file.size != size:
            findings.add(TURNED if file.size == size[::-1] else OTHER_SIZE, name)
            labels.sizes[name] = size if file.size == size[::-1] else file.size
        findings.add(BARE, name, int(bool(file.n_without_box and len(file.boxes))))
    return findings


def _dialect(files: Iterable[VocFile]) -> str:
    lowest = [file.boxes[:, :2].min() for file in files if len(file.boxes)]
    return "densesirst" if lowest and min(lowest) < 1 else "devkit"


def _shapes(file: VocFile, dialect: str) -> list[Shape]:
    boxes = from_dialect(file.boxes, dialect) if len(file.boxes) else np.zeros((0, 4))
    pairs = zip(file.categories, boxes.tolist(), strict=True)
    return [Shape(category or "target", tuple(box)) for category, box in pairs]

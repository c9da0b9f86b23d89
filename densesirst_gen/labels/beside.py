"""Box files and point files that lie beside masks, held against these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.datasets.grammar.dialects import DIALECTS, from_dialect
from densesirst_gen.datasets.grammar.voc import parse_xml, read_voc
from densesirst_gen.datasets.paths import MASK_SUFFIX, DatasetError
from densesirst_gen.files.regular import read_bytes
from densesirst_gen.labels.findings import Finding
from densesirst_gen.scene.annotate import Annotations

BOXES = {
    "devkit": "SIRST/BBox",
    "sirst": "annotations/bboxes",
    "folders": "Annotations",
}
POINTS = {"devkit": "SIRST/Point_label", "sirst": "annotations/centroids"}
POINT_TAIL = {"devkit": f"{MASK_SUFFIX}.txt", "sirst": ".xml"}


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of a file, and how each fits the masks.

    Parameters
    ----------
    file : str
    written : ndarray, (N, 4)
    overlap : ndarray, (N, D)
        The best IoU of each with a target, read in each of `DIALECTS`; 1 where it is exact.
    """

    file: str
    written: np.ndarray
    overlap: np.ndarray


def kit_root(root: Path) -> Path:
    """Where the folders of a devkit are."""
    return root / "SIRSTdevkit" if (root / "SIRSTdevkit").is_dir() else root


def check_boxes(root: Path, path: Path, targets: Annotations) -> tuple[Boxes | None, list[Finding]]:
    """The boxes of a file beside a mask, and what is odd whatever their dialect."""
    place = path.relative_to(root).as_posix()
    try:
        found = read_voc(path)
    except DatasetError as error:
        return None, [Finding("unreadable", place, str(error))]
    findings = []
    if bare := found.n_without_box:
        findings.append(Finding("no-box", place, f"{bare} objects without bndbox"))
    if len(found.boxes) != len(targets):
        what = f"{len(found.boxes)} boxes, {len(targets)} targets in the mask"
        findings.append(Finding("count", place, what))
    return Boxes(place, found.boxes, overlaps(found.boxes, targets.boxes)), findings


def overlaps(written: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N, D): the best IoU of each box with a target, in each dialect."""
    columns = [best_iou(from_dialect(written, dialect), targets) for dialect in DIALECTS]
    return np.stack(columns, axis=1) if len(written) else np.zeros((0, len(DIALECTS)))


def best_iou(boxes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N,): the best IoU of each half-open box with one of the targets."""
    if not len(targets):
        return np.zeros(len(boxes))
    low = np.maximum(boxes[:, None, :2], targets[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], targets[None, :, 2:])
    inner = (high - low).clip(0).prod(axis=2)
    sizes = [(b[:, 2:] - b[:, :2]).clip(0).prod(axis=1) for b in (boxes, targets)]
    union = sizes[0][:, None] + sizes[1][None] - inner
    return np.divide(inner, union, out=np.zeros(inner.shape), where=union > 0).max(axis=1)


def check_points(root: Path, path: Path, layout: str, labels: np.ndarray) -> Iterator[Finding]:
    """Points that lie off the masks, and files with too few or too many."""
    place = path.relative_to(root).as_posix()
    try:
        points = _text_points(path) if layout == "devkit" else _xml_points(path)
    except (DatasetError, ValueError, OSError) as error:
        yield Finding("unreadable", place, str(error))
        return
    n_targets = int(labels.max())
    if len(points) != n_targets:
        what = f"{len(points)} points, {n_targets} targets in the mask"
        yield Finding("count", place, what)
    height, width = labels.shape
    for x, y in points.tolist():
        col, row = int(np.floor(x)), int(np.floor(y))
        near = labels[max(row, 0) : row + 1, max(col, 0) : col + 1]
        if not (0 <= col < width and 0 <= row < height and near.any()):
            yield Finding("point", place, f"{x:g} {y:g} is no pixel of a target")


def _text_points(path: Path) -> np.ndarray:
    lines = read_bytes(path).decode("utf-8-sig").split("\n")
    rows = [[float(word) for word in line.split()] for line in lines if line.strip()]
    return np.array(rows, np.float64).reshape(-1, 2)


def _xml_points(path: Path) -> np.ndarray:
    found = [_numbers(node) for node in parse_xml(path).iter("centroid")]
    return np.array(found, np.float64).reshape(-1, 2)


def _numbers(node: Any) -> tuple[float, float]:
    return float(node.findtext("xc", "")), float(node.findtext("yc", ""))

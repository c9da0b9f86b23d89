"""What may be wrong with the labels of one scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from densesirst_gen.datasets.dataset import SceneFile
from densesirst_gen.datasets.found.inventory import relative_path
from densesirst_gen.files.atomic import pixel_digest
from densesirst_gen.files.images.codec import CodecError
from densesirst_gen.labels.alike import fingerprint
from densesirst_gen.labels.beside import (
    BOXES,
    POINT_TAIL,
    POINTS,
    Boxes,
    check_boxes,
    check_points,
    kit_root,
)
from densesirst_gen.labels.findings import Finding
from densesirst_gen.scene.annotate import Annotations, annotate
from densesirst_gen.scene.scene import Scene, SceneError

GIANT_PX, GIANT_SHARE = 1000, 0.01
REACH = 4
"""Pixels that a mask is moved by, to see whether it fits better."""
FACTOR = 3.0
"""How much better it must fit."""
NOISE = 5.0
"""In standard deviations of differences between neighbours: what stands out of an image."""


@dataclass(frozen=True, eq=False)
class Checked:
    """What was found in a scene, and what is compared with others.

    Parameters
    ----------
    name : str
    findings : list of Finding
    boxes : Boxes, optional
    n_targets : int
    digest : str
        Of the pixels of its image; empty if it can't be read.
    bits, thumbnail : ndarray
        See `fingerprint`.
    """

    name: str
    findings: list[Finding]
    boxes: Boxes | None = None
    n_targets: int = 0
    digest: str = ""
    bits: np.ndarray = field(default_factory=lambda: np.zeros(32, np.uint8))
    thumbnail: np.ndarray = field(default_factory=lambda: np.zeros(256, np.float32))


def check_scene(task: tuple[SceneFile, Path, str]) -> Checked:
    """Decode a scene and hold its labels against its image.

    Parameters
    ----------
    task : (SceneFile, Path, str)
        With root and layout of the dataset.
    """
    file, root, layout = task
    try:
        scene, notes = file.load_with_notes()
    except (CodecError, SceneError, OSError) as error:
        return Checked(file.name, [_unread(file, root, str(error))])
    targets = annotate(scene.labels)
    findings = [
        *_of_notes(file, root, notes),
        *_of_targets(scene, targets),
        *_of_boxes(file, scene),
    ]
    boxes = None
    if file.has_labels and not file.boxes:
        boxes, more = _beside(file, scene, targets, root, layout)
        findings += more
    n = len(targets) or len(file.boxes) or len(file.points)
    return Checked(
        file.name, findings, boxes, n, pixel_digest(scene.image), *fingerprint(scene.filled)
    )


def _unread(file: SceneFile, root: Path, reason: str) -> Finding:
    if "not resized" in reason:
        mask = file.sky if f"{file.name}: sky " in reason else file.mask
        return Finding("size", relative_path(mask or file.image, root), reason)
    rule = "inverted" if "invert" in reason else "unreadable"
    told = [path for path in file.files() if str(path) in reason]
    return Finding(rule, relative_path(told[0], root) if told else file.name, reason)


def _of_notes(file: SceneFile, root: Path, notes: list[str]) -> Iterator[Finding]:
    for note in notes:
        kind, _, what = note.partition(": ")
        path = {"mask": file.mask, "sky": file.sky}.get(kind)
        if path is not None:
            rule = "values" if "soft" in what else "coded"
            yield Finding(rule, relative_path(path, root), what)
        elif kind == "coco" and "ignored" not in what:
            yield Finding("touching", file.name, what)


def _of_targets(scene: Scene, targets: Annotations) -> Iterator[Finding]:
    """What is odd about masks by themselves, and about where they are."""
    height, width = scene.shape
    for number, (box, area) in enumerate(
        zip(targets.boxes.tolist(), targets.areas.tolist(), strict=True), 1
    ):
        x0, y0, x1, y1 = box
        where = f"target at {x0} {y0} {x1} {y1}"
        mask = scene.labels[y0:y1, x0:x1] == number
        if area == 1:
            yield Finding("one-pixel", scene.name, where)
        if area > GIANT_PX or area > GIANT_SHARE * height * width:
            yield Finding("giant", scene.name, f"{where}, {area} px")
        if x0 == 0 or y0 == 0 or x1 == width or y1 == height:
            yield Finding("border", scene.name, where)
        if (n_parts := ndimage.label(mask)[1]) > 1:
            yield Finding("corners", scene.name, f"{where}, {n_parts} pieces side by side")
        if scene.sky is not None and not (mask & scene.sky[y0:y1, x0:x1]).any():
            yield Finding("no-sky", scene.name, where)
    if len(targets) and (shift := better_place(scene, targets)):
        yield Finding("shifted", scene.name, f"by x {shift[0]:+d}, y {shift[1]:+d} px it fits")


def better_place(scene: Scene, targets: Annotations) -> tuple[int, int] | None:
    """Where the masks of a scene would fit its image much better, all moved alike.

    A mask fits where its pixels differ from the median around it. It must stand out of the noise
    there, by more than `FACTOR` times of what it does where it is.

    Returns
    -------
    (int, int) or None
        x and y in px.
    """
    gray = scene.filled.astype(np.float64)
    noise = float(np.median(np.abs(np.diff(gray, axis=1)))) or 1.0
    steps = np.arange(-REACH, REACH + 1)
    fits = np.zeros((len(steps), len(steps)))
    for number, (x0, y0, x1, y1) in enumerate(targets.boxes.tolist(), 1):
        rows, cols = np.nonzero(scene.labels[y0:y1, x0:x1] == number)
        pad = 2 * REACH
        top, left = max(y0 - pad, 0), max(x0 - pad, 0)
        around = gray[top : y1 + pad, left : x1 + pad]
        differs = np.abs(np.pad(around - np.median(around), REACH))
        rows, cols = rows + y0 - top + REACH, cols + x0 - left + REACH
        fits += differs[rows + steps[:, None, None], cols + steps[:, None]].mean(axis=2)
    fits /= len(targets)
    y, x = np.unravel_index(fits.argmax(), fits.shape)
    best, own = fits[y, x], fits[REACH, REACH]
    if best < NOISE * noise or best < FACTOR * own:
        return None
    return int(x) - REACH, int(y) - REACH


def _of_boxes(file: SceneFile, scene: Scene) -> Iterator[Finding]:
    """Of targets that are boxes only."""
    height, width = scene.shape
    for x0, y0, x1, y1 in file.boxes:
        is_inside = -0.5 < x0 < x1 < width + 0.5 and -0.5 < y0 < y1 < height + 0.5
        if not is_inside:
            what = f"{x0:g} {y0:g} {x1:g} {y1:g} in {width} x {height}"
            yield Finding("outside", file.name, what)


def _beside(
    file: SceneFile, scene: Scene, targets: Annotations, root: Path, layout: str
) -> tuple[Boxes | None, list[Finding]]:
    """Of box and point files beside masks; a missing one is told of with all others."""
    kit, boxes, findings = kit_root(root), None, list[Finding]()
    if layout in BOXES and (path := kit / BOXES[layout] / f"{file.name}.xml").is_file():
        boxes, findings = check_boxes(root, path, targets)
    if layout in POINTS:
        path = kit / POINTS[layout] / f"{file.name}{POINT_TAIL[layout]}"
        if path.is_file():
            findings += check_points(root, path, layout, scene.labels)
    return boxes, findings

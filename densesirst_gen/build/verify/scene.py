"""One scene of a dataset: its files, what they are made of, and its plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.build.plan_lines import PLANS, misfit, plan_lines
from densesirst_gen.build.verify.coco import coco_labels, entry_problems
from densesirst_gen.build.verify.folder import IMAGES, Given, check_file
from densesirst_gen.build.verify.labels import (
    ORDERED,
    planned_labels,
    stamp_fault,
    told_labels,
)
from densesirst_gen.build.verify.plan import Planned, header_faults
from densesirst_gen.build.verify.problem import Problem, words_of
from densesirst_gen.build.verify.replayed import background_of, planned_problems
from densesirst_gen.build.verify.task import Frame, SceneTask
from densesirst_gen.build.verify.views import (
    binary_path,
    mask_problems,
    point_problems,
    read_binary,
    scene_paths,
    xml_problems,
)
from densesirst_gen.datasets.grammar.voc import write_voc
from densesirst_gen.files.images.codec import CodecError, read_image
from densesirst_gen.paste.library import TargetLibrary, load_library
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.scene.annotate import annotate, points_on_masks
from densesirst_gen.scene.scene import Scene, is_void


def check_scene(task: SceneTask, frame: Frame) -> list[Problem]:
    """All that is wrong with one scene."""
    problems = list(_file_problems(task, frame))
    try:
        problems.extend(_content_problems(task, frame))
    except Exception as error:  # of files that nobody vouches for anything may come
        what = f"{task.name}: it can't be compared ({type(error).__name__}: {error})"
        problems.append(Problem(task.image_file, "unreadable", what))
    return problems


def _file_problems(task: SceneTask, frame: Frame) -> Iterator[Problem]:
    if task.image is None:
        yield Problem(f"{IMAGES}{task.name}.png", "missing", "no such image, nor a .tif")
    files = [*filter(None, [task.image]), *scene_paths(task.name)]
    for file in files:
        problem = check_file(frame.root, file, task.digests.get(file))
        if problem:
            yield problem


def _content_problems(task: SceneTask, frame: Frame) -> Iterator[Problem]:
    mask, found = read_binary(frame.root, "SIRST", task.name)
    sky, noticed = read_binary(frame.root, "SkySeg", task.name)
    yield from [*found, *noticed]
    image, problem = _image(task, frame.root)
    if problem:
        yield problem
    shape = next((a.shape for a in (image, mask, sky) if a is not None), None)
    for part, array in (("SIRST", mask), ("SkySeg", sky)):
        if array is None or shape is None:
            continue
        file = binary_path(part, task.name)
        if array.shape != shape:
            yield Problem(file, "mask", f"its size is {array.shape}, the image's {shape}")
            return
        beside = task.image_file.removeprefix(IMAGES)
        yield from mask_problems(frame.root, part, task.name, array, beside)
    if mask is not None:
        yield from _compared(task, frame, image, mask, sky)


def _image(task: SceneTask, root: Path) -> tuple[np.ndarray | None, Problem | None]:
    if task.image is None:
        return None, None
    try:
        return read_image(root / task.image).array, None
    except CodecError as error:
        return None, Problem(task.image, "unreadable", words_of(error, root / task.image))


def _compared(
    task: SceneTask,
    frame: Frame,
    image: np.ndarray | None,
    mask: np.ndarray,
    sky: np.ndarray | None,
) -> Iterator[Problem]:
    """Annotations against the labels; plan against image, labels and sky."""
    shape = (mask.shape[0], mask.shape[1])
    line = _line(task, frame)
    yield from map(task.plan_problem, header_faults(line, frame.given) if line else ())
    library = load_library(frame.library) if frame.library else None
    plan, fault = _usable_plan(line, frame, library, shape)
    if fault:
        yield task.plan_problem(fault)
    if plan is None or library is None:
        labels = told_labels(mask, coco_labels(task.coco, shape))
        yield from _annotation_problems(task, frame, labels, None, image)
        return
    layout = str(frame.given.recipe.get("layout"))
    told = coco_labels(task.coco, shape) if layout in ORDERED else None
    labels, n_original, n_missing = planned_labels(mask, plan, library, told)
    for what in _mask_faults(n_original, n_missing, line["n_original"]):
        yield Problem(binary_path("SIRST", task.name), "mask", what)
    yield from _annotation_problems(task, frame, labels, _pasted(plan, library), image)
    if image is not None:
        written = _written(task.name, image, labels, sky, line, frame.given)
        planned = Planned(line, plan, background_of(written, line, plan), library)
        yield from planned_problems(task, frame, written, planned)


def _written(
    name: str,
    image: np.ndarray,
    labels: np.ndarray,
    sky: np.ndarray | None,
    line: dict[str, Any],
    given: Given,
) -> Scene:
    """A scene as it stands in the dataset, its values as its plan and the manifest take them."""
    black, white = map(float, line["levels"])
    counts = given.counts.get(image.dtype.name)
    void = is_void(image, counts.nodata) if counts else None
    return Scene(name, image, labels, sky, (black, white), void, line.get("reach", 1.0))


def _line(task: SceneTask, frame: Frame) -> dict[str, Any]:
    if task.place is None:
        return {}
    return next(plan_lines(frame.root / PLANS, task.place[1])).values


def _usable_plan(
    line: dict[str, Any], frame: Frame, library: TargetLibrary | None, shape: tuple[int, int]
) -> tuple[PastePlan | None, str]:
    """The plan of a line, if the labels can be told by it; else why not."""
    if not line or library is None:
        return None, ""
    plan = PastePlan.from_json(line)
    if plan.config != frame.given.config:
        return None, ""  # `header_faults` tells it
    fault = misfit(plan, shape, len(library)) or stamp_fault(plan, library, shape[1])
    return (None, fault) if fault else (plan, "")


def _mask_faults(n_original: int, n_missing: int, n_said: int) -> Iterator[str]:
    if n_missing:
        yield f"{n_missing} pixels of pasted targets are not in it"
    if n_original != n_said:
        yield f"{n_original} targets below the pastes, {n_said} by the plan"


def _pasted(plan: PastePlan, library: TargetLibrary) -> list[dict[str, Any]]:
    """What COCO annotations tell of pasted targets beside their masks."""
    rows = zip(plan.pastes["cluster"].tolist(), plan.pastes["donor"].tolist(), strict=True)
    return [{"cluster": cluster, "donor": str(library.sources[k])} for cluster, k in rows]


def _annotation_problems(
    task: SceneTask,
    frame: Frame,
    labels: np.ndarray,
    pasted: list[dict[str, Any]] | None,
    image: np.ndarray | None,
) -> Iterator[Problem]:
    """Box file, point file and COCO entry against the labels."""
    file = task.image_file
    dtype = np.uint8 if image is None else image.dtype
    scene = Scene(task.name, np.zeros(labels.shape, dtype), labels)
    annotations = annotate(labels)
    dialect = frame.given.dialect
    if dialect is not None:
        shape = (labels.shape[0], labels.shape[1])
        expected = write_voc(task.name, shape, annotations.boxes, dialect=dialect)
        yield from xml_problems(frame.root, f"SIRST/BBox/{task.name}.xml", expected, "boxes")
    points = points_on_masks(labels, annotations).tolist()
    lines = "".join(f"{x} {y}\n" for x, y in points).encode()
    yield from point_problems(frame.root, task.name, lines)
    if task.coco is not None:
        yield from entry_problems(task.coco, scene, annotations, file, pasted)

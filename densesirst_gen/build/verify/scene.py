"""One scene of a dataset: its files, what they are made of, and its plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.build.plan_lines import PLANS, below, misfit, plan_lines
from densesirst_gen.build.verify.coco import CocoEntry, coco_labels, entry_problems
from densesirst_gen.build.verify.folder import IMAGES, Given, check_file
from densesirst_gen.build.verify.labels import planned_labels, told_labels
from densesirst_gen.build.verify.plan import (
    Planned,
    can_be_drawn,
    drawn_faults,
    effect_faults,
    header_faults,
    paste_faults,
    window_faults,
)
from densesirst_gen.build.verify.problem import Problem, words_of
from densesirst_gen.build.verify.sky import predicted_faults, unwritten_faults
from densesirst_gen.build.verify.views import (
    binary_path,
    mask_problems,
    point_problems,
    read_binary,
    scene_paths,
    xml_problems,
)
from densesirst_gen.datasets.voc import write_voc
from densesirst_gen.files.atomic import pixel_digest
from densesirst_gen.files.codec import CodecError, read_image
from densesirst_gen.paste.library import TargetLibrary, load_library
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.stamps import pixels_of
from densesirst_gen.scene.annotate import annotate, points_on_masks
from densesirst_gen.scene.scene import Scene


@dataclass(frozen=True)
class Frame:
    """What is the same for all scenes of a dataset.

    Parameters
    ----------
    root : Path
    given : Given
        Of the manifest.
    library : Path or None
        None: it is not the one that was pasted from.
    replay : bool
        Whether plans are carried out and drawn again.
    """

    root: Path
    given: Given
    library: Path | None
    replay: bool


@dataclass(frozen=True)
class SceneTask:
    """What is known of a scene before its files are read.

    Parameters
    ----------
    name : str
    image : str or None
        File, relative to the dataset.
    place : (int, int) or None
        Number and offset of its line in ``plans.jsonl``.
    coco : CocoEntry or None
    digests : dict of str to str
        File -> SHA-256, those of the scene that are listed.
    """

    name: str
    image: str | None
    place: tuple[int, int] | None
    coco: CocoEntry | None
    digests: Mapping[str, str] = field(default_factory=dict)


def check_scene(task: SceneTask, frame: Frame) -> list[Problem]:
    """All that is wrong with one scene."""
    problems = list(_file_problems(task, frame))
    try:
        problems.extend(_content_problems(task, frame))
    except Exception as error:  # of files that nobody vouches for anything may come
        what = f"{task.name}: it can't be compared ({type(error).__name__}: {error})"
        problems.append(Problem(task.image or IMAGES + task.name, "unreadable", what))
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
        beside = (task.image or f"{IMAGES}{task.name}.png").removeprefix(IMAGES)
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
    line, problems = _line(task, frame)
    yield from problems
    library = load_library(frame.library) if frame.library else None
    plan = PastePlan.from_json(line) if line else None
    told = None
    layout = str(frame.given.recipe.get("layout"))
    if plan is not None and library is not None:
        fault = misfit(plan, (mask.shape[0], mask.shape[1]), len(library))
        if fault:
            yield _plan_problem(task, fault)
        if fault or plan.config != frame.given.config:  # which `header_faults` tells
            plan = None
    if plan is None or library is None or layout == "coco":
        told = coco_labels(task.coco, (mask.shape[0], mask.shape[1]))
    if plan is None or library is None:
        yield from _annotation_problems(task, frame, told_labels(mask, told), None, image)
        return
    labels, n_original, n_missing = planned_labels(mask, plan, library, told, layout)
    if n_missing:
        what = f"{n_missing} pixels of pasted targets are not in it"
        yield Problem(binary_path("SIRST", task.name), "mask", what)
    if n_original != line["n_original"]:
        what = f"{n_original} targets below the pastes, {line['n_original']} by the plan"
        yield Problem(binary_path("SIRST", task.name), "mask", what)
    attributes = [
        {"cluster": int(row["cluster"]), "donor": str(library.sources[row["donor"]])}
        for row in plan.pastes
    ]
    yield from _annotation_problems(task, frame, labels, attributes, image)
    if image is not None:
        written = _scene(line, image, labels, sky)
        yield from _plan_problems(task, frame, line, plan, library, written)


def _line(task: SceneTask, frame: Frame) -> tuple[dict[str, Any], list[Problem]]:
    if task.place is None:
        return {}, []
    line = next(plan_lines(frame.root / PLANS, task.place[1]))
    faults = header_faults(line.values, frame.given)
    return line.values, [_plan_problem(task, fault) for fault in faults]


def _plan_problem(task: SceneTask, what: str) -> Problem:
    number = task.place[0] if task.place else 0
    return Problem(PLANS, "plan", f"line {number} ({task.name}): {what}")


def _scene(
    line: Mapping[str, Any], image: np.ndarray, labels: np.ndarray, sky: np.ndarray | None
) -> Scene:
    black, white = line["levels"]
    return Scene(line["name"], image, labels, sky, (float(black), float(white)))


def _annotation_problems(
    task: SceneTask,
    frame: Frame,
    labels: np.ndarray,
    pasted: list[dict[str, Any]] | None,
    image: np.ndarray | None,
) -> Iterator[Problem]:
    """Box file, point file and COCO entry against the labels."""
    file = task.image or f"{IMAGES}{task.name}.png"
    dtype = np.float32 if file.endswith(".tif") else np.uint8
    scene = Scene(task.name, np.zeros(labels.shape, dtype) if image is None else image, labels)
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


def _plan_problems(
    task: SceneTask,
    frame: Frame,
    line: Mapping[str, Any],
    plan: PastePlan,
    library: TargetLibrary,
    written: Scene,
) -> Iterator[Problem]:
    """What a plan says otherwise than library, written image, labels and sky do."""
    dtype = written.image.dtype.newbyteorder("<").str
    if dtype != line["dtype"]:
        yield _plan_problem(task, f"dtype is {line['dtype']}, the image's is {dtype}")
        return
    background = _background(written, line, plan)
    planned = Planned(line, plan, background, library)
    for faults in (paste_faults(planned), window_faults(planned), effect_faults(planned)):
        for fault in faults:
            yield _plan_problem(task, fault)
    yield from _level_problems(task, frame, background)
    if written.sky is not None:
        for what in unwritten_faults(written.sky, line["sky"]):
            yield Problem(binary_path("SkySeg", task.name), "sky", what)
    if frame.replay:
        yield from _replay_problems(task, written, planned)
        yield from _drawn_problems(task, frame, planned)


def _background(written: Scene, line: Mapping[str, Any], plan: PastePlan) -> Scene:
    """The written scene without its pastes."""
    image, labels = written.image.copy(), written.labels.copy()
    labels[labels > int(labels.max()) - len(plan)] = 0
    index = pixels_of(plan.pastes, plan.config.patch_px, written.shape[1])
    image.ravel()[np.minimum(index, image.size - 1)] = below(line, plan)
    return replace(written, image=image, labels=labels)


def _level_problems(task: SceneTask, frame: Frame, background: Scene) -> Iterator[Problem]:
    """Levels follow from the background, or were declared; demo scenes declare their own."""
    span = frame.given.recipe.get("span")
    if frame.given.recipe.get("layout") == "demo" and background.image.dtype != np.uint8:
        return
    declared = tuple(span) if span and background.image.dtype != np.uint8 else None
    levels = replace(background, span=declared).levels
    if levels != background.span:
        fault = f"levels are {background.span}, the background's are {levels}"
        yield _plan_problem(task, fault)


def _replay_problems(task: SceneTask, written: Scene, planned: Planned) -> Iterator[Problem]:
    file = task.image or task.name
    if pixel_digest(written.image) != planned.line["pixel_sha256"]:
        yield Problem(file, "image", f"its pixels are not those that {PLANS} has the SHA-256 of")
    again = render(planned.background, planned.library, planned.plan)
    n_differing = int((again.image != written.image).sum())
    if n_differing:
        yield Problem(file, "image", f"{n_differing} pixels differ from the replayed plan")


def _drawn_problems(task: SceneTask, frame: Frame, planned: Planned) -> Iterator[Problem]:
    """The sky predicted again, and the plan drawn again, where this version can."""
    scene, line = planned.background, planned.line
    usable, is_known = scene.sky, line["sky"] != "predicted"
    if scene.sky is None:
        return
    if not is_known and line["sky_confidence"] is not None:
        faults, usable = predicted_faults(scene, line["sky_confidence"], frame.given)
        for what in faults:
            yield Problem(binary_path("SkySeg", task.name), "sky", what)
        is_known = usable is not None
    if is_known and can_be_drawn(frame.given):
        for fault in drawn_faults(planned, frame.given, usable):
            yield _plan_problem(task, fault)

"""A plan carried out and drawn again, against what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from densesirst_gen.build.plan_lines import PLANS, below
from densesirst_gen.build.verify.plan import (
    Planned,
    can_be_drawn,
    drawn_faults,
    effect_faults,
    paste_faults,
    window_faults,
)
from densesirst_gen.build.verify.problem import Problem
from densesirst_gen.build.verify.sky import predicted_faults, unwritten_faults
from densesirst_gen.build.verify.task import Frame, SceneTask
from densesirst_gen.build.verify.views import binary_path
from densesirst_gen.files.atomic import pixel_digest
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.render import n_differing, render
from densesirst_gen.paste.stamps import pixels_of
from densesirst_gen.scene.scene import Scene


def background_of(written: Scene, line: Mapping[str, Any], plan: PastePlan) -> Scene:
    """A written scene without its pastes, whose labels are its last ones."""
    image, labels = written.image.copy(), written.labels.copy()
    labels[labels > int(labels.max()) - len(plan)] = 0
    if image.dtype.newbyteorder("<").str == line["dtype"]:
        index = pixels_of(plan.pastes, plan.config.patch_px, written.shape[1])
        image.ravel()[np.minimum(index, image.size - 1)] = below(line, plan)
    return replace(written, image=image, labels=labels)


def planned_problems(
    task: SceneTask, frame: Frame, written: Scene, planned: Planned
) -> Iterator[Problem]:
    """What a plan says otherwise than library, written image, labels and sky do.

    Parameters
    ----------
    task : SceneTask
    frame : Frame
    written : Scene
        As it stands in the dataset.
    planned : Planned
    """
    line = planned.line
    dtype = written.image.dtype.newbyteorder("<").str
    if dtype != line["dtype"]:
        yield task.plan_problem(f"dtype is {line['dtype']}, the image's is {dtype}")
        return
    checks = (paste_faults, window_faults, effect_faults)
    yield from (task.plan_problem(fault) for check in checks for fault in check(planned))
    yield from map(task.plan_problem, _level_faults(frame, planned.background))
    if written.sky is not None:
        for what in unwritten_faults(written.sky, line["sky"]):
            yield Problem(binary_path("SkySeg", task.name), "sky", what)
    if frame.replay:
        yield from _replay_problems(task, written, planned)
        yield from _drawn_problems(task, frame, planned)


def _level_faults(frame: Frame, background: Scene) -> Iterator[str]:
    """Levels are those of the data set, or were declared; demo scenes declare their own."""
    given, kind = frame.given, background.image.dtype.name
    counts = given.counts.get(kind)
    if given.recipe.get("layout") == "demo" or counts is None or given.has_several_spans:
        return
    levels = counts.span if kind == "uint8" else given.span or counts.span
    if levels != background.span:
        yield f"levels are {background.span}, the background's are {levels}"
    if background.reach != counts.reach:
        yield f"reach is {background.reach}, the manifest's {counts.reach}"


def _replay_problems(task: SceneTask, written: Scene, planned: Planned) -> Iterator[Problem]:
    file = task.image_file
    if pixel_digest(written.image) != planned.line["pixel_sha256"]:
        yield Problem(file, "image", f"its pixels are not those that {PLANS} has the SHA-256 of")
    again = render(planned.background, planned.library, planned.plan)
    if n := n_differing(again.image, written.image):
        yield Problem(file, "image", f"{n} pixels differ from the replayed plan")


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
        yield from map(task.plan_problem, drawn_faults(planned, frame.given, usable))

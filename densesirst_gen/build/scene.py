"""One scene of a build, from its files to its files: read, plan, render, annotate, write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from densesirst_gen.build.inputs import check_unchanged, digests_of, file_digests
from densesirst_gen.build.kept_free import Regions, positions_outside
from densesirst_gen.build.names import unfit
from densesirst_gen.build.recipe import Recipe, copy_name
from densesirst_gen.build.record import Record, n_above, plan_line, scene_counts
from densesirst_gen.datasets import SceneFile
from densesirst_gen.datasets.coco.written import coco_image
from densesirst_gen.datasets.layouts.devkit import devkit_files, image_path
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import CodecError
from densesirst_gen.paste.library import TargetLibrary, load_library
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene, SceneError
from densesirst_gen.sky.predict import usable_sky


class Task(NamedTuple):
    """A scene to make.

    Parameters
    ----------
    source : SceneFile
        The background.
    copy : int
        Which copy of it.
    noted : mapping of str to str, optional
        What `densesirst_gen.build.inputs.digests_of` gave at the start; None: not asked.
    """

    source: SceneFile
    copy: int
    noted: Mapping[str, str] | None = None


def produce(
    task: Task,
    recipe: Recipe,
    library: Path,
    out: Path | None,
    store: Path | None = None,
    device: str = "cpu",
) -> Record:
    """Make one scene of a dataset.

    Parameters
    ----------
    task : Task
    recipe : Recipe
    library : Path
        File of the target library.
    out : Path or None
        Folder of the dataset; None plans only and writes nothing.
    store : Path, optional
        Of predicted skies, see `densesirst_gen.predict_sky`.
    device : str
        Where stamps are computed: cpu, or a device of torch. The files are the same.

    Returns
    -------
    Record
        The scene's line in the journal. A background that can't be read, or whose name is too long
        for the files, gives ``error`` and no files.

    Raises
    ------
    RefusedError
        If the background is no longer what was noted of it.
    """
    source, copy, noted = task
    record = _begun(source, copy, noted, out)
    if record.error:
        return record
    try:
        background, notes = source.load_with_notes()
        background, usable, sky = usable_sky(
            background,
            region=recipe.config.region,
            confidence=recipe.sky_confidence,
            margin=recipe.sky_margin,
            store=store,
        )
    except (CodecError, SceneError, OSError) as error:
        return replace(record, error=str(error))
    targets = load_library(library)
    rng = scene_rng(recipe.seed, source.name, copy)
    scene = replace(background, sky=usable)
    free = positions_outside(scene, recipe.config, source.ignored)
    plan = make_plan(scene, targets, recipe.config, rng, free=free)
    if plan.skip_reason == "no_sky" and _is_unsure(background, usable):
        plan = replace(plan, skip_reason="unsure_sky")
    record = replace(
        record,
        notes=notes,
        **sky,
        counts=scene_counts(background, plan),
        skip_reason=plan.skip_reason,
        dropped=plan.dropped,
    )
    if out is None:
        return record
    made = replace(_rendered(background, targets, plan, device), name=record.name)
    return _written(made, background, plan, targets, record, recipe, out, source.ignored)


def _begun(
    source: SceneFile, copy: int, noted: Mapping[str, str] | None, out: Path | None
) -> Record:
    name = copy_name(source.name, copy)
    found = digests_of(source)
    if noted is not None:
        check_unchanged(source, noted, found)
    return Record(name, source.name, copy, file_digests(found), error=unfit(name, out))


def _is_unsure(background: Scene, usable: np.ndarray | None) -> bool:
    """Whether there is sky, but of none of it one is sure: only where it is predicted."""
    has_sky = background.sky is not None and bool(background.sky.any())
    return has_sky and usable is not None and not usable.any()


def _rendered(scene: Scene, library: TargetLibrary, plan: PastePlan, device: str) -> Scene:
    if device == "cpu":
        return render(scene, library, plan)
    from densesirst_gen.paste.batch.render import render_scenes

    return next(render_scenes([scene], [plan], library, device))


def _written(
    scene: Scene,
    background: Scene,
    plan: PastePlan,
    library: TargetLibrary,
    record: Record,
    recipe: Recipe,
    out: Path,
    kept_free: Regions,
) -> Record:
    """The record of a scene whose files have been written."""
    annotations = annotate(scene.labels)
    files = write_files(out, devkit_files(scene, annotations, voc_dialect=recipe.voc_dialect))
    image, targets = coco_image(scene, annotations, 0, image_path(scene))
    for target, paste in zip(targets[background.n_targets :], plan.pastes, strict=True):
        target["attributes"] |= {
            "cluster": int(paste["cluster"]),
            "donor": str(library.sources[paste["donor"]]),
        }
    line = plan_line(scene, background, plan, library, record)
    if kept_free:
        line["kept_free"] = [list(region) for region in kept_free]
    return replace(
        record,
        files=files,
        counts={**record.counts, **n_above(scene, background)},
        area=int(annotations.areas.sum()),
        plan=json.dumps(line, ensure_ascii=False, allow_nan=False),
        coco={"image": image, "annotations": targets},
    )

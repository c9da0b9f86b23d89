"""Building a dataset: scenes in, devkit out; parallel, resumable, the same in whatever order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from densesirst_gen.build.aggregates import DISTRIBUTIONS, finish
from densesirst_gen.build.donors import COPY, frames_note, held_back_note, make_library
from densesirst_gen.build.finished import finished_summary
from densesirst_gen.build.inputs import INPUTS, check_inputs, input_scenes, noted_inputs
from densesirst_gen.build.names import check_output_names, windows_note
from densesirst_gen.build.provide import LIBRARY, provide_library
from densesirst_gen.build.recipe import Recipe, copy_name, recipe_of
from densesirst_gen.build.record import Record, records_of
from densesirst_gen.build.scene import Task, produce
from densesirst_gen.build.space import full_disk_told
from densesirst_gen.build.summary import BuildSummary, summarise
from densesirst_gen.datasets import Dataset, DatasetError, SceneFile
from densesirst_gen.datasets.apart import check_apart
from densesirst_gen.datasets.coco.scene import check_masks
from densesirst_gen.datasets.notes import grouped, nothing_left
from densesirst_gen.files.atomic import OutputError
from densesirst_gen.files.folder import BuildFolder, locked
from densesirst_gen.files.workers import Mapper, Progress, workers
from densesirst_gen.paste.library import LibraryError, TargetLibrary, load_library


def build_dataset(
    dataset: Dataset,
    out: Path,
    recipe: Recipe,
    *,
    library: TargetLibrary | None = None,
    names: Iterable[str] | None = None,
    jobs: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    store: Path | None = None,
    device: str = "cpu",
    progress: Progress = lambda items, total: items,
    tell: Callable[[str], object] = str,
) -> BuildSummary:
    """Make a dataset of the backgrounds of another.

    Parameters
    ----------
    dataset : Dataset
        Backgrounds; their own targets stay.
    out : Path
        Folder to write: a devkit, with COCO annotations, plans, manifest and card.
    recipe : Recipe
    library : TargetLibrary, optional
        By default made of the training scenes of `dataset`.
    names : iterable of str, optional
        Scenes to use; by default all. Which ones are used changes nothing in any of them.
    jobs : int
        Processes. The result does not depend on it.
    resume, overwrite : bool
        Go on with an interrupted build of the same recipe; replace an earlier build.
    dry_run : bool
        Plan everything, write nothing.
    store : Path, optional
        Of predicted skies, see `densesirst_gen.predict_sky`; changes nothing but the time.
    device : str
        Where stamps are computed: cpu, or a device of torch; the files are the same.
    progress : callable
        Wraps (results, total) for a progress bar.
    tell : callable
        Gets what was noted in reading the backgrounds, each kind with a count and an example, a
        sentence at a time.

    Returns
    -------
    BuildSummary

    Raises
    ------
    RefusedError
        If the folder may not be written to, see `densesirst_gen.files.folder`, if it and the inputs
        lie in each other, or if what the build was begun with has changed.
    DatasetError
        If targets have no masks, see `check_masks`, if scenes would be written over each other, or
        if all are set aside; with the first reason.
    LibraryError
        If no target is fit for the library.
    OutputError
        If the folder can't be written to, the disk is full, or what is resumed from is damaged.
    """
    chosen = set(names) if names is not None else {s.name for s in dataset.scenes}
    sources = [scene for scene in dataset.scenes if scene.name in chosen]
    check_masks(sources, "a build")
    check_output_names([scene.name for scene in sources], recipe.copies)
    if note := windows_note(scene.name for scene in sources):
        tell(note)
    check_apart(out, dataset.root, dataset.scenes)
    with ExitStack() as stack:
        run = stack.enter_context(workers(jobs, [produce.__module__]))
        given = partial(_library, library, dataset, recipe, run)
        if dry_run:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory())) / LIBRARY
            made = given()
            _tell_library(made, dataset, tell)
            made.save(scratch)
            plan = partial(produce, recipe=recipe, library=scratch, out=None, store=store)
            tasks = (Task(source, copy) for source in sources for copy in range(recipe.copies))
            return _summed(list(progress(run(plan, tasks), len(sources))), tell)
        stack.enter_context(locked(out))
        folder = BuildFolder(out, recipe_of(dataset, sources, recipe, library), {"counts"})
        stack.enter_context(full_disk_told(folder, len(sources) * recipe.copies))
        folder.open(resume=resume, overwrite=overwrite)
        check_inputs(folder, input_scenes(dataset, sources, own_library=library is None), run)
        folder.check_derived()
        if folder.is_complete:
            return finished_summary(folder, run)
        for versions in folder.other_stacks(DISTRIBUTIONS):
            tell(f"a part of the build was made with {versions}")
        try:
            path = provide_library(folder, given)
        except LibraryError:
            folder.abandon()
            raise
        _tell_library(load_library(path), dataset, tell)
        make = partial(produce, recipe=recipe, library=path, out=out, store=store, device=device)
        done = _done(folder, sources, recipe.copies, run)
        todo = _tasks(folder, sources, recipe.copies, done)
        n_todo = len(sources) * recipe.copies - len(done)
        folder.append(record.to_dict() for record in progress(run(make, todo), n_todo))
        summary = _summed(_Again(folder), tell)
        finish(folder, dataset, recipe, summary)
        return summary


class _Again:
    """The records of a build, read anew each time."""

    def __init__(self, folder: BuildFolder) -> None:
        self.folder = folder

    def __iter__(self) -> Iterator[Record]:
        return records_of(self.folder)


def _summed(records: Iterable[Record], tell: Callable[[str], object]) -> BuildSummary:
    """Their summary, what was noted having been told; DatasetError if nothing could be made."""
    summary = summarise(records)
    if summary.set_aside and not summary.n_scenes:
        raise DatasetError(nothing_left("built", summary.set_aside))
    for line in grouped(((r.name, note) for r in records for note in r.notes), "scenes"):
        tell(line)
    return summary


def _library(
    library: TargetLibrary | None, dataset: Dataset, recipe: Recipe, run: Mapper[Any, Any]
) -> TargetLibrary:
    if library is not None:
        return library
    config = recipe.config
    return make_library(dataset, config.library_kind, patch_px=config.patch_px, run=run)


def _tell_library(library: TargetLibrary, dataset: Dataset, tell: Callable[[str], object]) -> None:
    if note := frames_note(library, dataset) or held_back_note(library, dataset):
        tell(note)
    if n := library.left_out.get(COPY):
        tell(f"{n} images of donors are held back under other names, and give nothing")


def _done(
    folder: BuildFolder, sources: Iterable[SceneFile], copies: int, run: Mapper[Any, Any]
) -> set[str]:
    """Names of the scenes that are done. OutputError if they are not all of this build."""
    done = folder.done(run)
    wanted = {copy_name(source.name, copy) for source in sources for copy in range(copies)}
    for name in sorted(done - wanted):
        raise OutputError(f"{folder.journal}: {name!r} is not of this build; build anew")
    return done


def _tasks(
    folder: BuildFolder, sources: Iterable[SceneFile], copies: int, done: Collection[str]
) -> Iterator[Task]:
    """The scenes that are not yet done, each with what was noted of its background."""
    wanted = {scene.name: scene for scene in sources}
    for noted in noted_inputs(folder.state / INPUTS):
        for copy in range(copies) if noted["name"] in wanted else ():
            if copy_name(noted["name"], copy) not in done:
                yield Task(wanted[noted["name"]], copy, noted)

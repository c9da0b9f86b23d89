"""Building a dataset: scenes in, devkit out; parallel, resumable, the same in whatever order."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from densesirst_gen.build.aggregates import finish
from densesirst_gen.build.donors import make_library
from densesirst_gen.build.recipe import Recipe, copy_name
from densesirst_gen.build.record import Record
from densesirst_gen.build.scene import produce
from densesirst_gen.build.summary import BuildSummary, summarise
from densesirst_gen.datasets import Dataset, SceneFile
from densesirst_gen.files.atomic import RefusedError, atomic_file, file_digest
from densesirst_gen.files.folder import BuildFolder, locked
from densesirst_gen.files.workers import Mapper, workers
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.version import __version__

Progress = Callable[[Iterable[Any], int], Iterable[Any]]


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

    Returns
    -------
    BuildSummary

    Raises
    ------
    RefusedError
        If the folder may not be written to, see `densesirst_gen.files.folder`.
    LibraryError
        If no target is fit for the library.
    """
    chosen = set(names) if names is not None else {s.name for s in dataset.scenes}
    sources = [scene for scene in dataset.scenes if scene.name in chosen]
    with ExitStack() as stack:
        run = stack.enter_context(workers(jobs, [produce.__module__]))
        provide = partial(_provide_library, library, dataset, recipe, run)
        if dry_run:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            path = provide(scratch / "library.npz")
            task = partial(produce, recipe=recipe, library=path, out=None, store=store)
            return summarise(progress(run(task, _tasks(sources, recipe)), len(sources)))
        stack.enter_context(locked(out))
        folder = BuildFolder(out, _recipe_of(dataset, sources, recipe, library))
        folder.open(resume=resume, overwrite=overwrite)
        if folder.is_complete:
            return BuildSummary(**folder.manifest()["summary"])
        try:
            path = provide(out / "library.npz")
        except LibraryError:
            folder.abandon()
            raise
        make = partial(
            produce, recipe=recipe, library=path, out=folder.root, store=store, device=device
        )
        _produce_all(folder, sources, recipe, make, run, progress)
        summary = summarise(map(Record.from_dict, folder.entries()))
        finish(folder, dataset, recipe, summary)
        return summary


def _recipe_of(
    dataset: Dataset, sources: list[SceneFile], recipe: Recipe, library: TargetLibrary | None
) -> dict[str, Any]:
    names = "\n".join(source.name for source in sources)
    return {
        **recipe.to_dict(),
        "version": __version__,
        "layout": dataset.layout,
        "span": next((source.span for source in sources), None),
        "scenes": len(sources),
        "names_sha256": hashlib.sha256(names.encode()).hexdigest(),
        "library": library.digest if library else "own donors",
    }


def _provide_library(
    library: TargetLibrary | None,
    dataset: Dataset,
    recipe: Recipe,
    run: Mapper[Any, Any],
    path: Path,
) -> Path:
    """The library's file, which the workers read; made only once for a build."""
    if not path.exists():
        kind = recipe.config.library_kind
        content = library or make_library(dataset, kind, seed=recipe.seed, run=run)
        with atomic_file(path) as file:
            content.write(file)
    return path


def _tasks(sources: Iterable[SceneFile], recipe: Recipe) -> Iterator[tuple[SceneFile, int]]:
    return ((source, copy) for source in sources for copy in range(recipe.copies))


def _produce_all(
    folder: BuildFolder,
    sources: list[SceneFile],
    recipe: Recipe,
    make: Callable[[tuple[SceneFile, int]], Record],
    run: Mapper[Any, Any],
    progress: Progress,
) -> None:
    _check_inputs(folder, sources)
    done = folder.done()
    todo = [t for t in _tasks(sources, recipe) if copy_name(t[0].name, t[1]) not in done]
    folder.append(record.to_dict() for record in progress(run(make, todo), len(todo)))


def _check_inputs(folder: BuildFolder, sources: Iterable[SceneFile]) -> None:
    files = {source.name: source for source in sources}
    for record in map(Record.from_dict, folder.entries()):
        paths = files[record.source].files()
        for path, digest in zip(paths, record.inputs, strict=False):
            if not path.is_file() or file_digest(path) != digest:
                raise RefusedError(f"{path} has changed since the build was begun: build anew")

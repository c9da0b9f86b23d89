"""Building a dataset: scenes in, devkit out; parallel, resumable, the same in whatever order."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from densesirst_gen.build.card import dataset_card
from densesirst_gen.build.donors import make_library
from densesirst_gen.build.recipe import Recipe, copy_name
from densesirst_gen.build.scene import produce
from densesirst_gen.build.summary import Summary, summarise
from densesirst_gen.datasets import Dataset, SceneFile, read_dataset
from densesirst_gen.datasets.coco import coco_text
from densesirst_gen.datasets.devkit import split_files
from densesirst_gen.files.atomic import PARTS, RefusedError, atomic_file, file_digest, write_files
from densesirst_gen.files.folder import CHECKSUMS, SCHEMA, BuildFolder, locked
from densesirst_gen.files.workers import Mapper, workers
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.scene.picture import overview, png
from densesirst_gen.scene.scene import Scene
from densesirst_gen.version import __version__

RNG_SCHEME = "PCG64(SeedSequence(seed, (copy, blake2b-64(name))))"
N_SHOWN = 4
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
) -> Summary:
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
    Summary

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
        run = stack.enter_context(workers(jobs))
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
            return Summary(**folder.manifest()["summary"])
        try:
            path = provide(out / "library.npz")
        except LibraryError:
            folder.abandon()
            raise
        make = partial(
            produce, recipe=recipe, library=path, out=folder.root, store=store, device=device
        )
        _produce_all(folder, sources, recipe, make, run, progress)
        summary = summarise(folder.entries())
        _finish(folder, dataset, recipe, summary)
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
    make: Callable[[tuple[SceneFile, int]], dict[str, Any]],
    run: Mapper[Any, Any],
    progress: Progress,
) -> None:
    _check_inputs(folder, sources)
    done = folder.done()
    todo = [t for t in _tasks(sources, recipe) if copy_name(t[0].name, t[1]) not in done]
    folder.append(progress(run(make, todo), len(todo)))


def _check_inputs(folder: BuildFolder, sources: Iterable[SceneFile]) -> None:
    files = {source.name: source for source in sources}
    for entry in folder.entries():
        paths = files[entry["source"]].files()
        for path, digest in zip(paths, entry.get("inputs", ()), strict=False):
            if not path.is_file() or file_digest(path) != digest:
                raise RefusedError(f"{path} has changed since the build was begun: build anew")


def _finish(folder: BuildFolder, dataset: Dataset, recipe: Recipe, summary: Summary) -> None:
    """Everything that is about the dataset as a whole, the manifest last."""
    parts = folder.root / PARTS
    made = [entry["name"] for entry in folder.sorted_entries() if "error" not in entry]
    with atomic_file(folder.root / "plans.jsonl", parts) as plans:
        plans.writelines(f"{e['plan']}\n".encode() for e in folder.sorted_entries() if "plan" in e)
    with atomic_file(folder.root / "annotations.json", parts) as file:
        file.writelines(_coco(folder))
    splits = _splits(dataset, recipe, set(made))
    files = dict(write_files(folder.root, split_files(splits, made)))
    scenes = _to_show(folder)
    if scenes:
        files |= write_files(folder.root, [("preview.png", png(overview(scenes)))])
    card = dataset_card(dataset, recipe, summary, picture=bool(scenes))
    files |= write_files(folder.root, [("README.md", card.encode())])
    for name in ("plans.jsonl", "annotations.json", "library.npz"):
        files[name] = file_digest(folder.root / name)
    with atomic_file(folder.root / CHECKSUMS, parts) as file:
        file.writelines(_checksums(folder, files))
    folder.close(_manifest(folder, dataset, recipe, summary))


def _coco(folder: BuildFolder) -> Iterator[bytes]:
    return coco_text(
        lambda: (entry["coco"] for entry in folder.sorted_entries() if "coco" in entry),
        {"description": "made by densesirst-gen", "version": __version__},
    )


def _splits(dataset: Dataset, recipe: Recipe, made: set[str]) -> dict[str, tuple[str, ...]]:
    """The source's splits, each background with all its copies."""
    splits = {}
    for split, names in dataset.splits.items():
        copies = (copy_name(name, copy) for name in names for copy in range(recipe.copies))
        splits[split] = tuple(name for name in copies if name in made)
    return {split: names for split, names in splits.items() if names}


def _to_show(folder: BuildFolder) -> list[Scene]:
    """A few scenes with many pastes, spread over the dataset."""
    pasted = [e["name"] for e in folder.sorted_entries() if e.get("counts", {}).get("pasted")]
    if not pasted:
        return []
    chosen = pasted[:: -(-len(pasted) // N_SHOWN)]
    scenes = {scene.name: scene for scene in read_dataset(folder.root, layout="devkit").scenes}
    return [scenes[name].load() for name in chosen]


def _checksums(folder: BuildFolder, aggregates: Mapping[str, str]) -> Iterator[bytes]:
    """In the format of sha256sum, sorted by path within the scenes."""
    for entry in folder.sorted_entries():
        for name, digest in sorted(entry.get("files", {}).items()):
            yield f"{digest}  {name}\n".encode()
    for name, digest in sorted(aggregates.items()):
        yield f"{digest}  {name}\n".encode()


def _manifest(
    folder: BuildFolder, dataset: Dataset, recipe: Recipe, summary: Summary
) -> dict[str, Any]:
    library = TargetLibrary.load(folder.root / "library.npz")
    return {
        "schema": SCHEMA,
        "generator": {"name": "densesirst_gen", "version": __version__},
        "created": _now(),
        "synthetic": True,
        "recipe": folder.recipe,
        "rng": RNG_SCHEME,
        "versions": _versions(),
        "source": {"layout": dataset.layout, "name": dataset.root.name},
        "library": {
            "kind": library.kind,
            "n": len(library),
            "sha256": library.digest,
            "left_out": library.left_out,
        },
        "conventions": {
            "boxes": f"COCO: xywh, half-open; XML: dialect {recipe.voc_dialect}",
            "points": "x y, pixel indices from 0, top left",
            "sky": "255",
        },
        "summary": asdict(summary),
        "files": {"list": CHECKSUMS, "sha256": file_digest(folder.root / CHECKSUMS)},
        "unpasted": _of_scenes(folder, "skip_reason"),
        "notes": _of_scenes(folder, "notes"),
    }


def _of_scenes(folder: BuildFolder, key: str) -> dict[str, Any]:
    """What the journal says under a key, of the scenes that have it."""
    return {e["name"]: e[key] for e in folder.sorted_entries() if e.get(key)}


def _now() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "pillow", "opencv-python", "pycocotools")
    return {"python": platform.python_version(), **{p: _version(p) for p in packages}}


def _version(distribution: str) -> str:
    """Of a distribution; OpenCV comes under several names, of which one is there."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"

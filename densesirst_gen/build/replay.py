"""Undo and redo a built dataset from its plans: is every pixel where the plan put it?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.build.plan_lines import PLANS, PlanLine, below, misfit, plan_lines, read_plans
from densesirst_gen.datasets import SceneFile, read_dataset
from densesirst_gen.files.atomic import OutputError, pixel_digest
from densesirst_gen.files.folder import MANIFEST
from densesirst_gen.files.images.codec import CodecError
from densesirst_gen.paste.library import LibraryError, TargetLibrary, load_library
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.render import n_differing, render
from densesirst_gen.paste.stamps import pixels_of, stamps_of
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene, SceneError

__all__ = ["NOT_LOOKED_AT", "Replayed", "own_library", "read_plans", "replay", "undo"]

NOT_LOOKED_AT = (
    "checksums, XML, points, COCO, sky masks, splits, and what plans say of sources and windows"
)
"""Of a dataset, by `replay`."""


@dataclass(frozen=True)
class Replayed:
    """What replaying one scene showed.

    Parameters
    ----------
    name : str
        Of the scene; ``plans.jsonl`` for what is wrong with that file as a whole.
    n_pastes : int
    problem : str
        Empty if image and labels came out the same.
    is_scene : bool
        Whether `name` is that of a scene.
    """

    name: str
    n_pastes: int
    problem: str = ""
    is_scene: bool = True


@dataclass
class _Run:
    """What a replay knows: the dataset's parts, and the names that it has met."""

    library: TargetLibrary
    files: Mapping[str, SceneFile]
    n_scenes: int
    layout: str
    config: Any
    wanted: frozenset[str] | None
    met: dict[str, int] = field(default_factory=dict)

    def wants(self, name: str) -> bool:
        return self.wanted is None or name in self.wanted


def replay(root: Path, names: Iterable[str] | None = None) -> Iterator[Replayed]:
    """Take every paste out of the written scenes, and put it in again.

    Nothing is needed but the dataset's own folder: the pixels below the patches stand in the plans.
    Every scene that has an image or is counted by the manifest must have its plan, and one only.

    Parameters
    ----------
    root : Path
    names : iterable of str, optional
        Scenes; by default all.

    Yields
    ------
    Replayed
        One for each scene, and one for each fault of ``plans.jsonl`` that is not of one scene.

    Raises
    ------
    OutputError
        If the folder is no finished build, or has no scene of a name asked for.
    """
    run = _opened(root, None if names is None else frozenset(names))
    for line in plan_lines(root / PLANS):
        name = line.values.get("name", "")
        if line.problem or name in run.met:
            yield _odd_line(line, run)
        else:
            run.met[name] = line.number
            if run.wants(name):
                yield _replay_scene(line.values, run)
    yield from _without_plan(root, run)


def _opened(root: Path, wanted: frozenset[str] | None) -> _Run:
    if not (root / MANIFEST).is_file() or not (root / PLANS).is_file():
        raise OutputError(f"{root} is not a finished build: no {MANIFEST} or no {PLANS}")
    if not (root / "library.npz").is_file():
        raise OutputError(f"{root} is not a finished build: it has no library.npz")
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
        n_scenes, recipe = int(manifest["summary"]["n_scenes"]), manifest["recipe"]
        layout, config = str(recipe["layout"]), recipe["config"]
    except (ValueError, RecursionError, KeyError, TypeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise OutputError(f"{root / MANIFEST}: not the manifest of a build ({reason})") from error
    library = own_library(root)
    has_images = any((root / "PNGImages").rglob("*.*"))
    files = read_dataset(root, layout="devkit").scenes if has_images else ()
    return _Run(library, {file.name: file for file in files}, n_scenes, layout, config, wanted)


def own_library(root: Path) -> TargetLibrary:
    """The library in a dataset's own folder.

    Raises
    ------
    LibraryError
        If it can't be read, whatever the reason.
    """
    path = root / "library.npz"
    try:
        return load_library(path)
    except LibraryError:
        raise
    except Exception as error:  # of a file that nobody vouches for anything may come
        reason = f"{type(error).__name__}: {error}"
        raise LibraryError(f"{path}: not a target library ({reason})") from error


def _odd_line(line: PlanLine, run: _Run) -> Replayed:
    if line.problem:
        return Replayed(PLANS, 0, f"line {line.number}: {line.problem}", is_scene=False)
    name = line.values["name"]
    problem = f"line {line.number}: {name} comes twice, first in line {run.met[name]}"
    return Replayed(PLANS, 0, problem, is_scene=False)


def _without_plan(root: Path, run: _Run) -> Iterator[Replayed]:
    """The scenes that no line is about, as far as they are asked for."""
    for name in sorted(run.files.keys() - run.met.keys()):
        if run.wants(name):
            yield Replayed(name, 0, f"it has an image, and no plan in {PLANS}")
    missing = (run.wanted or frozenset()) - run.met.keys() - run.files.keys()
    if missing:
        raise OutputError(f"{root} has no scene named {', '.join(sorted(missing))}")
    if run.wanted is None and len(run.met) != run.n_scenes:
        problem = f"{len(run.met)} plans, {MANIFEST} counts {run.n_scenes} scenes"
        yield Replayed(PLANS, 0, problem, is_scene=False)


def _replay_scene(line: Mapping[str, Any], run: _Run) -> Replayed:
    name, n_pastes = line["name"], len(line["pastes"])
    file = run.files.get(name)
    if file is None:
        return Replayed(name, n_pastes, "its image is missing")
    if line["config"] != run.config:
        return Replayed(name, n_pastes, f"its plan's config is not that of {MANIFEST}")
    try:
        written = file.load()
        plan = PastePlan.from_json(line)
        problem = misfit(plan, written.shape, len(run.library))
        problem = problem or _compare(written, line, plan, run)
    except (CodecError, SceneError, LibraryError, OSError, ValueError, MemoryError) as error:
        problem = str(error)
    return Replayed(name, n_pastes, problem)


def _compare(written: Scene, line: Mapping[str, Any], plan: PastePlan, run: _Run) -> str:
    dtype = written.image.dtype.newbyteorder("<").str
    if dtype != line["dtype"]:
        return f"the image is {dtype}, {line['dtype']} was written"
    if pixel_digest(written.image) != line["pixel_sha256"]:
        return "the image is not the one that was written"
    background = undo(written, line, run.library)
    again = render(background, run.library, plan)
    if n := n_differing(again.image, written.image):
        return f"{n} pixels differ from the plan"
    if ((again.labels > 0) != (written.labels > 0)).any():
        return "the target mask differs from the plan"
    if background.n_targets != line["n_original"] and run.layout != "coco":
        return f"{background.n_targets} targets below the pastes, {line['n_original']} were there"
    return ""


def undo(written: Scene, line: Mapping[str, Any], library: TargetLibrary) -> Scene:
    """The background of a written scene: its pastes taken out of image and labels.

    Parameters
    ----------
    written : Scene
    line : mapping
        Of ``plans.jsonl``, as `read_plans` gives it.
    library : TargetLibrary

    Raises
    ------
    ValueError
        If image or library have no room for a row.
    """
    plan = PastePlan.from_json(line)
    fault = misfit(plan, written.shape, len(library))
    if fault:
        raise ValueError(f"scene {written.name}: {fault}")
    image, mask = written.image.copy(), written.labels > 0
    if len(plan):
        index = pixels_of(plan.pastes, plan.config.patch_px, written.shape[1])
        index = np.minimum(index, image.size - 1)
        image.ravel()[index] = below(line, plan)
        mask.ravel()[index[stamps_of(plan, library)[1]]] = False
    black, white = line["levels"]
    return replace(written, image=image, labels=label_mask(mask), span=(black, white))

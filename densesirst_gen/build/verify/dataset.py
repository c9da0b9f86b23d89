"""The whole of a built dataset, file by file and scene by scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from densesirst_gen.build.plan_lines import PLANS
from densesirst_gen.build.replay import own_library
from densesirst_gen.build.verify.coco import COCO, CocoEntry, presence_problems, read_coco_entries
from densesirst_gen.build.verify.folder import (
    IMAGES,
    SCENE_PARTS,
    Given,
    check_file,
    extra,
    files_there,
    read_checksums,
    read_manifest,
    recipe_problems,
    scene_of_image,
)
from densesirst_gen.build.verify.plan import can_be_drawn
from densesirst_gen.build.verify.problem import Problem, words_of
from densesirst_gen.build.verify.scene import check_scene
from densesirst_gen.build.verify.task import Frame, SceneTask
from densesirst_gen.build.verify.totals import Plans, read_index, split_problems, total_problems
from densesirst_gen.build.verify.views import scene_paths
from densesirst_gen.files.workers import Progress, workers
from densesirst_gen.paste.library import LibraryError

LIBRARY = "library.npz"


def verify(
    root: str | Path,
    *,
    replay: bool = True,
    jobs: int = 1,
    progress: Progress = lambda items, total: items,
) -> Iterator[Problem]:
    """Compare all that a built dataset holds with what its build recorded, and with each other.

    Files with their checksums; scenes with manifest and splits; boxes, points, COCO annotations
    and the forms of the masks with the masks; plans with library, masks, sky and pixels; the
    library with the manifest. Nothing is written.

    Parameters
    ----------
    root : path
        Of a finished build.
    replay : bool
        Carry out and draw every plan again, and predict the skies that were predicted.
    jobs : int
        Processes.
    progress : callable
        Wraps (results, total) for a progress bar; a result is that of one scene.

    Yields
    ------
    Problem
        Those whose `Problem.is_note` is False mean that something is off. None: the dataset is
        as it was built. With several processes they come in any order.

    Raises
    ------
    OutputError
        If the folder is no finished build of this program.
    """
    root = Path(root)
    given = read_manifest(root)
    return _problems(root, given, replay, jobs, progress)


def _problems(
    root: Path, given: Given, replay: bool, jobs: int, progress: Progress
) -> Iterator[Problem]:
    yield from recipe_problems(given)
    listed, found = read_checksums(root, given)
    yield from found
    images: dict[str, str] = {}
    for name in files_there(root):
        problem = extra(root, name, listed)
        if problem:
            yield problem
        scene = scene_of_image(name)
        if scene is not None:
            images[scene] = name
    plans = read_index(root)
    yield from plans.problems
    yield from total_problems(given, plans, images)
    yield from split_problems(root, plans, images)
    entries, found = read_coco_entries(root)
    yield from found
    scenes = sorted({*images, *plans.places})
    if entries:
        yield from presence_problems(entries, scenes)
    library, found = _library(root, given)
    yield from found
    if replay and not can_be_drawn(given):
        what = "plans are carried out, but not drawn again: made by another version, or too many"
        yield Problem(PLANS, "unchecked", what)
    frame = Frame(root, given, library, replay)
    tasks = (_task(name, images, plans, entries, listed) for name in scenes)
    with workers(jobs, [check_scene.__module__]) as run:
        for problems in progress(run(partial(check_scene, frame=frame), tasks), len(scenes)):
            yield from problems
    yield from _rest(root, listed, set(scenes), images)


def _task(
    name: str,
    images: Mapping[str, str],
    plans: Plans,
    entries: Mapping[str, CocoEntry],
    listed: Mapping[str, str],
) -> SceneTask:
    files = [*filter(None, [images.get(name)]), *scene_paths(name)]
    digests = {file: listed[file] for file in files if file in listed}
    return SceneTask(name, images.get(name), plans.places.get(name), entries.get(name), digests)


def _library(root: Path, given: Given) -> tuple[Path | None, list[Problem]]:
    """The library's file, if plans can be replayed with it."""
    path, said = root / LIBRARY, given.part("library")
    if not path.is_file():
        return None, []
    try:
        library = own_library(root)
    except LibraryError as error:
        what = f"{words_of(error, path)}; plans are not replayed"
        return None, [Problem(LIBRARY, "unreadable", what)]
    facts = {
        "kind": library.kind,
        "n": len(library),
        "sha256": library.digest,
        "left_out": library.left_out,
    }
    odd = [key for key in facts if facts[key] != said.get(key)]
    if given.config is not None and library.kind != given.config.library_kind:
        odd.append("kind")
    problems = [
        Problem(LIBRARY, "library", f"{key} is {facts[key]!r}, the manifest has {said.get(key)!r}")
        for key in dict.fromkeys(odd)
    ]
    if "sha256" in odd or "kind" in odd:
        what = "plans are not replayed: the library is another"
        problems.append(Problem(PLANS, "unchecked", what))
        return None, problems
    return path, problems


def _rest(
    root: Path, listed: Mapping[str, str], scenes: set[str], images: Mapping[str, str]
) -> Iterator[Problem]:
    """Listed files that belong to no scene, and those that every build writes."""
    own = {*images.values(), *(path for name in scenes for path in scene_paths(name))}
    always = (COCO, PLANS, LIBRARY, "README.md")
    for name in dict.fromkeys([*listed, *always]):
        if name in own:
            continue
        problem = check_file(root, name, listed.get(name))
        if problem:
            yield problem
        elif name.startswith(SCENE_PARTS):
            what = "it belongs to no scene" + " with an image or a plan" * name.startswith(IMAGES)
            yield Problem(name, "extra", what)
        elif listed and name not in listed:
            yield Problem(name, "extra", "it is not listed in files.sha256")

"""Undo and redo a built dataset from its plans: is every pixel where the plan put it?"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.datasets import SceneFile, read_dataset
from densesirst_gen.files.atomic import OutputError, pixel_digest
from densesirst_gen.files.codec import CodecError
from densesirst_gen.files.folder import MANIFEST
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.stamps import pixels_of, stamps_of
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene, SceneError


@dataclass(frozen=True)
class Replayed:
    """What replaying one scene showed.

    Parameters
    ----------
    name : str
    n_pastes : int
    problem : str
        Empty if image and labels came out the same.
    """

    name: str
    n_pastes: int
    problem: str = ""


def read_plans(root: Path) -> Iterator[dict[str, Any]]:
    """Lines of a dataset's ``plans.jsonl``.

    Raises
    ------
    OutputError
        If the folder is no finished build, or a line is not JSON.
    """
    path = root / "plans.jsonl"
    if not (root / MANIFEST).is_file() or not path.is_file():
        raise OutputError(f"{root} is not a finished build: no {MANIFEST} or no plans.jsonl")
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise OutputError(f"{path}, line {number}: not JSON ({error})") from error


def replay(root: Path, names: Iterable[str] | None = None) -> Iterator[Replayed]:
    """Take every paste out of the written scenes, and put it in again.

    Nothing is needed but the dataset's own folder: the pixels below the patches stand in the plans.

    Parameters
    ----------
    root : Path
    names : iterable of str, optional
        Scenes; by default all.

    Yields
    ------
    Replayed
        One for each scene.

    Raises
    ------
    OutputError
        If the folder is no finished build, or has no scene of a name asked for.
    """
    wanted = None if names is None else set(names)
    library = TargetLibrary.load(root / "library.npz") if (root / "library.npz").exists() else None
    if library is None:
        raise OutputError(f"{root} is not a finished build: it has no library.npz")
    files = {scene.name: scene for scene in read_dataset(root, layout="devkit").scenes}
    for line in read_plans(root):
        if wanted is None or line["name"] in wanted:
            yield _replay_scene(line, files.get(line["name"]), library)
            wanted = None if wanted is None else wanted - {line["name"]}
    if wanted:
        raise OutputError(f"{root} has no scene named {', '.join(sorted(wanted))}")


def _replay_scene(
    line: Mapping[str, Any], file: SceneFile | None, library: TargetLibrary
) -> Replayed:
    name, n_pastes = line["name"], len(line["pastes"])
    if file is None:
        return Replayed(name, n_pastes, "its image is missing")
    try:
        written = file.load()
        background = undo(written, line, library)
        problem = _compare(written, background, line, library)
    except (CodecError, SceneError, LibraryError, OSError, ValueError) as error:
        problem = str(error)
    return Replayed(name, n_pastes, problem)


def _compare(
    written: Scene, background: Scene, line: Mapping[str, Any], library: TargetLibrary
) -> str:
    if pixel_digest(written.image) != line["pixel_sha256"]:
        return "the image is not the one that was written"
    again = render(background, library, PastePlan.from_json(line))
    n_differing = int((again.image != written.image).sum())
    if n_differing:
        return f"{n_differing} pixels differ from the plan"
    if ((again.labels > 0) != (written.labels > 0)).any():
        return "the target mask differs from the plan"
    if background.n_targets != line["n_original"]:
        return f"{background.n_targets} targets below the pastes, {line['n_original']} were there"
    return ""


def undo(written: Scene, line: Mapping[str, Any], library: TargetLibrary) -> Scene:
    """The background of a written scene: its pastes taken out of image and labels.

    Parameters
    ----------
    written : Scene
    line : mapping
        Of ``plans.jsonl``.
    library : TargetLibrary
    """
    plan = PastePlan.from_json(line)
    config = plan.config
    image, mask = written.image.copy(), written.labels > 0
    shape = (len(plan), config.patch_px, config.patch_px)
    under = np.frombuffer(base64.b64decode(line["under"]), line["dtype"]).reshape(shape)
    index = np.minimum(pixels_of(plan.pastes, config.patch_px, written.shape[1]), image.size - 1)
    image.ravel()[index] = under
    if len(plan):
        mask.ravel()[index[stamps_of(plan, library)[1]]] = False
    labels, levels = label_mask(mask), tuple(line["levels"])
    return replace(written, image=image, labels=labels, span=levels)

"""Several COCO files, one for each part of a dataset, as one dataset.

Roboflow has ``train/_annotations.coco.json``, ``valid/``, ``test/``; COCO itself has
``annotations/instances_train2017.json`` and ``instances_val2017.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from densesirst_gen.datasets.coco.scene import CocoSceneFile
from densesirst_gen.datasets.dataset import Dataset, SceneFile, check_names
from densesirst_gen.datasets.found.inventory import relative_path
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.paths import DatasetError, examples


def files_by_part(root: Path, files: Sequence[Path]) -> dict[str, Path]:
    """The file of each part, by its name or that of its folder.

    Parameters
    ----------
    root : Path
    files : sequence of Path

    Returns
    -------
    dict of str to Path
        Empty if a file says of no part, or two of the same; of these, one called ``instances``
        goes before those of captions and keypoints.
    """
    found: dict[str, list[Path]] = {}
    for file in files:
        names = [file.name.split(".")[0], *PurePosixPath(relative_path(file, root)).parts[-2::-1]]
        found.setdefault(next(filter(None, map(part_of, names)), ""), []).append(file)
    for part, same in found.items():
        instances = [file for file in same if "instances" in file.stem]
        found[part] = instances if len(instances) == 1 else same
    if "" in found or any(len(same) > 1 for same in found.values()):
        return {}
    return {part: same[0] for part, same in found.items()}


def joined(root: Path, parts: Mapping[str, tuple[Path, Dataset]]) -> Dataset:
    """One dataset, the parts as its splits; scenes are called by their paths below the root.

    Parameters
    ----------
    root : Path
    parts : mapping of str to (Path, Dataset)
        Part -> its COCO file, and what that says.

    Raises
    ------
    DatasetError
        If an image is in two of the files.
    """
    scenes: dict[str, SceneFile] = {}
    splits: dict[str, tuple[str, ...]] = {}
    twice: list[str] = []
    remarks = []
    ids = Counter(_id(scene) for _, (_, found) in parts.items() for scene in found.scenes)
    for part, (file, found) in parts.items():
        members = [_placed(root, scene, ids) for scene in found.scenes]
        twice += [scene.name for scene in members if scene.name in scenes]
        scenes |= {scene.name: scene for scene in members}
        splits[part] = tuple(scene.name for scene in members)
        told = [*found.remarks, *_without_annotation(found)]
        remarks += [f"{relative_path(file, root)}: {remark}" for remark in told]
    if twice:
        files = examples(relative_path(file, root) for file, _ in parts.values())
        raise DatasetError(f"{root}: {len(twice)} images are in two of {files}: {examples(twice)}")
    check_names(scenes)
    ordered = tuple(scenes[name] for name in sorted(scenes))
    return Dataset(root, "coco", ordered, splits, remarks=tuple(remarks))


def _without_annotation(found: Dataset) -> list[str]:
    """A note on a part of which nothing is annotated, beside others."""
    if any(
        scene.ignored or scene.boxes or scene.points or scene.has_targets()
        for scene in found.scenes
    ):
        return []
    return [f"no annotation: its {len(found.scenes)} images are read as without targets"]


def _id(scene: SceneFile) -> Any:
    return scene.image_id if isinstance(scene, CocoSceneFile) else None


def _placed(root: Path, scene: SceneFile, ids: Mapping[Any, int]) -> SceneFile:
    """By its path; without the id, if another file has the same for another image."""
    name = PurePosixPath(relative_path(scene.image, root)).with_suffix("").as_posix()
    if isinstance(scene, CocoSceneFile) and ids[scene.image_id] > 1:
        return replace(scene, name=name, image_id=None)
    return replace(scene, name=name)

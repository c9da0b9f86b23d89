"""Several datasets as one: no name twice, no image twice, lists kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path

from densesirst_gen.datasets.coco.scene import CocoSceneFile
from densesirst_gen.datasets.dataset import Dataset, SceneFile, Splits, check_names
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.images.codec import CodecError, read_size
from densesirst_gen.files.workers import Progress
from densesirst_gen.labels.convert import NO_FILE_IS_NO_TARGET
from densesirst_gen.labels.validate import shared_images


def merged(datasets: Sequence[Dataset], root: Path, *, prefix: bool = False) -> Dataset:
    """One dataset with the scenes of several.

    Lists of the same part (train, trainval, val, test) are put together, others by their names.
    What is in no list stays so.

    Parameters
    ----------
    datasets : sequence of Dataset
    root : Path
        What the whole is called by.
    prefix : bool
        Whether scenes are called ``FOLDER/NAME``, after the folder of their dataset.

    Raises
    ------
    DatasetError
        If two have a scene of the same name, or in another case only.
    """
    heads = [f"{dataset.root.resolve().name}/" if prefix else "" for dataset in datasets]
    if prefix and len(set(heads)) < len(heads):
        raise DatasetError(f"folders of the same name: {examples(heads)}")
    scenes: dict[str, SceneFile] = {}
    splits: Splits = {}
    twice = []
    for head, dataset in zip(heads, datasets, strict=True):
        for file in dataset.scenes:
            name = f"{head}{file.name}"
            if name in scenes:
                twice.append(f"{scenes[name].image} and {file.image}")
            scenes[name] = replace(_annotated(file, dataset.layout), name=name)
        for split, members in _parts(dataset).items():
            splits[split] = (*splits.get(split, ()), *(f"{head}{name}" for name in members))
    if twice:
        raise DatasetError(
            f"{len(twice)} scenes have the same name in two datasets: {examples(twice)}; --prefix "
            "puts the folder of its dataset before each"
        )
    check_names(scenes)
    return Dataset(root, "merge", tuple(scenes[name] for name in sorted(scenes)), splits)


def _parts(dataset: Dataset) -> Splits:
    """By part where no other list is of the same, else by name."""
    parts = [part_of(split) for split in dataset.splits]
    return {
        part if part and parts.count(part) == 1 else split: members
        for part, (split, members) in zip(parts, dataset.splits.items(), strict=True)
    }


def _annotated(file: SceneFile, layout: str) -> SceneFile:
    """The scene, saying that it has no target where in its layout no file says so."""
    if file.has_labels or layout not in NO_FILE_IS_NO_TARGET:
        return file
    try:
        size = read_size(file.image)
    except (CodecError, OSError):  # which is told when the scene is loaded
        size = (0, 0)
    return CocoSceneFile(**{f.name: getattr(file, f.name) for f in fields(SceneFile)}, size=size)


def check_shared(
    datasets: Sequence[Dataset],
    *,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> None:
    """DatasetError if an image is in two of several datasets, or nearly."""
    for one, other in combinations(datasets, 2):
        found = shared_images(one, other, jobs=jobs, progress=progress)
        if found:
            some = examples(f"{finding.file} {finding.what}" for finding in found)
            raise DatasetError(
                f"{one.root} and {other.root} share {len(found)} images, or nearly: {some}; "
                "--allow-shared takes both"
            )

"""A dataset as its user says that it is: with other lists, without some files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from densesirst_gen.datasets.dataset import Dataset, SceneFile, Splits, cut_splits
from densesirst_gen.datasets.found.inventory import is_ignored, relative_path
from densesirst_gen.datasets.parts.splits import read_split
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.read_as import ReadAs


def with_lists(dataset: Dataset, given: ReadAs) -> Dataset:
    """The dataset with the lists that were named, in place of all others.

    Raises
    ------
    DatasetError
        If a list can't be read, or less than half of its lines are scenes.
    """
    if not given.split_files:
        return dataset
    names = {scene.name for scene in dataset.scenes}
    splits: Splits = {}
    absent: set[str] = set()
    for split, path in given.split_files:
        file = given.found(dataset.root, path)
        listed = read_split(file, names, strict=False)
        unknown = [name for name in listed if name not in names]
        if listed and 2 * len(unknown) > len(listed):
            raise DatasetError(
                f"{file}: {len(unknown)} of {len(listed)} lines are no scenes, such as "
                f"{examples(unknown[:2])}; scenes are called {examples(sorted(names)[:2])}"
            )
        absent |= set(unknown)
        splits[split] = tuple(name for name in listed if name in names)
    return replace(dataset, splits=splits, absent=tuple(sorted(absent)))


def without(dataset: Dataset, ignore: Collection[str]) -> Dataset:
    """The dataset without the scenes and masks whose files are to be passed over.

    Raises
    ------
    DatasetError
        If nothing is left.
    """
    if not ignore:
        return dataset
    kept = [_without(scene, dataset, ignore) for scene in dataset.scenes]
    scenes = tuple(scene for scene in kept if scene is not None)
    if not scenes:
        raise DatasetError(f"{dataset.root}: ignoring {examples(ignore)} leaves no image")
    names = {scene.name for scene in scenes}
    return replace(dataset, scenes=scenes, splits=cut_splits(dataset.splits, names))


def _without(scene: SceneFile, dataset: Dataset, ignore: Collection[str]) -> SceneFile | None:
    gone = {
        kind: path is not None and is_ignored(relative_path(path, dataset.root), ignore)
        for kind, path in (("image", scene.image), ("mask", scene.mask), ("sky", scene.sky))
    }
    if gone["image"]:
        return None
    mask = None if gone["mask"] else scene.mask
    return replace(scene, mask=mask, sky=None if gone["sky"] else scene.sky)

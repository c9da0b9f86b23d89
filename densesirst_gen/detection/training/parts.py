"""Parts of datasets: what is trained on, what is held out, and that the two are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from densesirst_gen.datasets import Dataset, SceneFile, read_split
from densesirst_gen.datasets.coco.scene import check_masks
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.parts.splits import donor_scenes
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.atomic import digest_of
from densesirst_gen.files.images.frames import image_digest


@dataclass(frozen=True)
class Part:
    """Some scenes of a dataset.

    Parameters
    ----------
    name : str
        Of the dataset's folder.
    split : str
        Of the scenes.
    files : tuple of SceneFile
        At least one.
    dataset : Dataset
    """

    name: str
    split: str
    files: tuple[SceneFile, ...]
    dataset: Dataset

    def digests(self) -> dict[str, list[str]]:
        """SHA-256 of the files of each scene."""
        return {
            file.name: [image_digest(path) for path in file.files()] or [digest_of(repr(file))]
            for file in self.files
        }


def train_part(dataset: Dataset, split: Path | None = None) -> Part:
    """The scenes to train on: those a file names, else those of `donor_scenes`."""
    if split is not None:
        return _listed(dataset, split)
    of_kind = _splits(dataset, "train")
    label = "+".join(of_kind) or ("all but val and test" if dataset.splits else "all")
    return _part(dataset, label, {file.name for file in donor_scenes(dataset)})


def held_out_part(dataset: Dataset, kind: str, split: Path | None = None) -> Part | None:
    """The scenes that a file names, else those of a kind of split.

    Parameters
    ----------
    dataset : Dataset
    kind : "val" or "test"
        Splits whose name says so, see `split_words.part_of`.
    split : Path, optional

    Returns
    -------
    Part or None
        None if there is no such split.
    """
    if split is not None:
        return _listed(dataset, split)
    of_kind = _splits(dataset, kind)
    names = {scene for name in of_kind for scene in dataset.splits[name]}
    return _part(dataset, "+".join(of_kind), names) if names else None


def whole(dataset: Dataset) -> Part:
    """All scenes of a dataset."""
    return _part(dataset, "all", {file.name for file in dataset.scenes})


def _splits(dataset: Dataset, kind: str) -> list[str]:
    return [name for name in dataset.splits if part_of(name) == kind]


def _listed(dataset: Dataset, split: Path) -> Part:
    names = read_split(split, [file.name for file in dataset.scenes])
    return _part(dataset, split.stem, set(names))


def _part(dataset: Dataset, split: str, names: set[str]) -> Part:
    files = tuple(file for file in dataset.scenes if file.name in names)
    if not files:
        raise DatasetError(f"{dataset.root}: no scene in the split {split!r}")
    return Part(dataset.root.resolve().name, split, files, dataset)


def check_apart(train: Mapping[str, list[str]], other: Mapping[str, list[str]], role: str) -> None:
    """DatasetError if an image is in both, under whatever name."""
    seen = {digests[0] for digests in train.values()}
    both = [name for name, digests in other.items() if digests[0] in seen]
    if both:
        raise DatasetError(
            f"{len(both)} images are in the training data and in {role}: {examples(both)}"
        )


def check_targets(part: Part, role: str) -> None:
    """DatasetError if there is no target to learn from, or to score."""
    check_masks(part.files, role)
    if not any(file.has_targets() for file in part.files):
        raise DatasetError(
            f"{part.dataset.root}: none of the {len(part.files)} scenes in the split "
            f"{part.split!r} has targets, which {role} needs"
        )

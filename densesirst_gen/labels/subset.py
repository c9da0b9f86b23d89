"""A part of a dataset, by names, lists and what its scenes are like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase

import numpy as np

from densesirst_gen.datasets.coco.scene import check_masks
from densesirst_gen.datasets.dataset import Dataset, SceneFile, cut_splits
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.images.codec import CodecError
from densesirst_gen.files.workers import Progress, workers
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene, SceneError

Range = tuple[float, float]
HALO = 10
"""Pixels around a target that are its background."""


@dataclass(frozen=True)
class Choice:
    """Which scenes; what is not said lets all through.

    Parameters
    ----------
    splits : tuple of str
        Lists, or the parts that they are: train, trainval, val, test.
    names : tuple of str
        Globs of scene names, one of which must fit.
    targets : (least, most), optional
        Targets of a scene.
    area : (least, most), optional
        Median area of its targets, px.
    contrast : (least, most), optional
        Median of their signal to clutter ratios: |mean of the target - mean around it| over the
        standard deviation around it, `HALO` px wide.
    sky : (least, most), optional
        Share of its pixels that are sky; scenes without a sky mask do not pass.
    share : float, optional
        Above 0 to 1, of the scenes that are left: drawn at random, the same by the same seed.
    seed : int
    """

    splits: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    targets: Range | None = None
    area: Range | None = None
    contrast: Range | None = None
    sky: Range | None = None
    share: float | None = None
    seed: int = 0

    @property
    def looks(self) -> bool:
        """Whether scenes have to be decoded."""
        measured = ("targets", "area", "contrast", "sky")
        return any(getattr(self, f.name) is not None for f in fields(self) if f.name in measured)


def subset(
    dataset: Dataset,
    choice: Choice,
    *,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> Dataset:
    """The dataset with the chosen scenes only, its lists cut to these.

    Parameters
    ----------
    dataset : Dataset
    choice : Choice
    jobs : int
        Processes. The result does not depend on it.
    progress : callable
        Wraps (results, total) for a progress bar.

    Raises
    ------
    DatasetError
        If there is no such list, a scene that has to be looked at can't be read, or nothing is
        left.
    """
    files = [f for f in _listed(dataset, choice.splits) if _named(f.name, choice.names)]
    if choice.looks:
        if choice.area or choice.contrast:
            check_masks(files, "a choice by area or contrast")
        with workers(jobs, [__name__]) as mapped:
            looks = list(progress(mapped(look, files), len(files)))
        passed = {name for name, found in looks if passes(found, choice)}
        files = [file for file in files if file.name in passed]
    files = _drawn(files, choice)
    if not files:
        raise DatasetError(f"{dataset.root}: no scene is left of {len(dataset.scenes)}")
    names = {file.name for file in files}
    splits = cut_splits(dataset.splits, names)
    kept = {split: members for split, members in splits.items() if members}
    return replace(dataset, scenes=tuple(files), splits=kept)


def _listed(dataset: Dataset, splits: Iterable[str]) -> list[SceneFile]:
    wanted: set[str] = set()
    for split in splits:
        found = [s for s in dataset.splits if split == s] or [
            s for s in dataset.splits if split == part_of(s)
        ]
        if not found:
            known = examples(dataset.splits) or "none"
            raise DatasetError(f"{dataset.root}: no list {split!r}, there are: {known}")
        wanted.update(name for s in found for name in dataset.splits[s])
    return [file for file in dataset.scenes if not splits or file.name in wanted]


def _named(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def look(file: SceneFile) -> tuple[str, dict[str, float]]:
    """Name and measures of a scene; DatasetError if it can't be read."""
    try:
        scene = file.load()
    except (CodecError, SceneError, OSError) as error:
        raise DatasetError(f"{file.name}: {error}") from error
    targets = annotate(scene.labels)
    found = {"targets": float(len(targets) or len(file.boxes) or len(file.points))}
    if len(targets):
        found["area"] = float(np.median(targets.areas))
        found["contrast"] = float(np.median(clutter_ratios(scene, targets.boxes)))
    if scene.sky is not None:
        found["sky"] = float(scene.sky.mean())
    return file.name, found


def clutter_ratios(scene: Scene, boxes: np.ndarray) -> list[float]:
    """Of each target, see `Choice.contrast`; a background of one value counts as 1 noisy level."""
    gray, ratios = scene.gray(), []
    for number, (x0, y0, x1, y1) in enumerate(boxes.tolist(), 1):
        around = np.s_[max(y0 - HALO, 0) : y1 + HALO, max(x0 - HALO, 0) : x1 + HALO]
        labels, values = scene.labels[around], gray[around]
        ground = values[labels == 0]
        if not ground.size:
            ratios.append(0.0)
            continue
        signal = abs(float(values[labels == number].mean() - ground.mean()))
        ratios.append(signal / (float(ground.std()) or 1.0))
    return ratios


def passes(found: dict[str, float], choice: Choice) -> bool:
    """Whether measures lie in all ranges; one that a scene has not, does not."""
    for name in ("targets", "area", "contrast", "sky"):
        asked = getattr(choice, name)
        if asked is not None and not asked[0] <= found.get(name, np.nan) <= asked[1]:
            return False
    return True


def _drawn(files: list[SceneFile], choice: Choice) -> list[SceneFile]:
    if choice.share is None or not files:
        return files
    n = max(1, round(choice.share * len(files)))
    chosen = np.random.default_rng(choice.seed).permutation(len(files))[:n]
    return [files[k] for k in sorted(chosen.tolist())]

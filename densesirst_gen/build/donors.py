"""The library of a dataset's own donors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from densesirst_gen.datasets import Dataset, SceneFile
from densesirst_gen.datasets.coco_scene import check_masks
from densesirst_gen.datasets.split_words import part_of
from densesirst_gen.datasets.splits import donor_scenes
from densesirst_gen.files.codec import CodecError
from densesirst_gen.files.workers import Mapper
from densesirst_gen.paste.extract import (
    DEFAULT_FILTER,
    TargetFilter,
    extract_regions,
    extract_targets,
    filled,
    stack_entries,
)
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.scene.scene import SceneError

REGION_DONORS = 128
"""Scenes whose regions are taken, spread evenly over all donors."""


def make_library(
    dataset: Dataset,
    kind: str,
    *,
    names: Iterable[str] | None = None,
    seed: int = 0,
    keep: TargetFilter = DEFAULT_FILTER,
    run: Mapper[Any, Any] = map,
) -> TargetLibrary:
    """The library of a dataset's own donors.

    Parameters
    ----------
    dataset : Dataset
    kind : str
        ``targets`` or ``regions``.
    names : iterable of str, optional
        Donor scenes; by default those of `donor_scenes`.
    seed : int
        Of the random regions.
    keep : TargetFilter
        For targets.
    run : callable
        Like `map`; results may come in any order.

    Returns
    -------
    TargetLibrary
        Entries in order of their scenes' names.

    Raises
    ------
    LibraryError
        If nothing is left, with the reasons.
    DatasetError
        If targets have no masks, see `check_masks`.
    """
    donors = donor_scenes(dataset)
    if names is not None:
        chosen = set(names)
        donors = tuple(scene for scene in dataset.scenes if scene.name in chosen)
    if not donors:
        raise LibraryError(_held_back(dataset))
    check_masks(donors, "a library")
    if kind == "targets":
        extract = partial(_targets_of, keep=keep)
    else:
        donors = donors[:: -(-len(donors) // REGION_DONORS)] if donors else donors
        extract = partial(_regions_of, seed=seed)
    entries: dict[str, list[dict[str, Any]]] = {}
    left_out = Counter[str]()
    for name, found, rejected in run(extract, donors):
        entries[name] = found
        left_out += rejected
    merged = [entry for name in sorted(entries) for entry in entries[name]]
    library = stack_entries(merged, kind, dict(sorted(left_out.items())), dataset.counts)
    return filled(library, dataset.root)


def _held_back(dataset: Dataset) -> str:
    """Why there is no scene that may give targets."""
    held = [split for split in dataset.splits if part_of(split) in ("val", "test")]
    n = len(dataset.scenes)
    if not held:
        return f"{dataset.root}: none of {n} scenes was chosen to give targets"
    lists = ", ".join(f"{split}.txt" for split in held)
    return (
        f"{dataset.root}: all {n} scenes are held back by the splits {lists}, none may give targets"
    )


_Found = tuple[str, list[dict[str, Any]], Counter[str]]


def _targets_of(donor: SceneFile, keep: TargetFilter) -> _Found:
    try:
        if not donor.has_targets():
            return donor.name, [], Counter()
        found, rejected = extract_targets(replace(donor, sky=None).load(), keep)
    except (CodecError, SceneError):
        return donor.name, [], Counter({"unreadable scene": 1})
    return donor.name, found, rejected


def _regions_of(donor: SceneFile, seed: int) -> _Found:
    try:
        scene = replace(donor, sky=None, mask=None).load()
    except (CodecError, SceneError):
        return donor.name, [], Counter({"unreadable scene": 1})
    return (
        donor.name,
        extract_regions(scene, scene_rng(seed, f"regions of {donor.name}")),
        Counter(),
    )

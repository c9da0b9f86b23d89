"""Which scenes may give targets, and the library made of them.

Only scenes of the training split give targets: a target that is pasted into many images must not
be one that a detector is tested on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from densesirst_gen.codec import CodecError
from densesirst_gen.formats import Dataset, SceneFile
from densesirst_gen.library import (
    DEFAULT_FILTER,
    LibraryError,
    TargetFilter,
    TargetLibrary,
    extract_regions,
    extract_targets,
    stack_entries,
)
from densesirst_gen.parallel import Mapper
from densesirst_gen.plan import scene_rng
from densesirst_gen.scene import SceneError

REGION_DONORS = 128
"""Scenes whose regions are taken, spread evenly over all donors."""


def donor_scenes(dataset: Dataset) -> tuple[SceneFile, ...]:
    """The scenes that may give targets.

    With splits: those of the training splits (``train``, ``train_*``) that are in no validation or
    test split; without a training split, all that are in none of these. Without splits: all.

    Parameters
    ----------
    dataset : Dataset
    """
    train = _in_splits(dataset, ("train",))
    held_back = _in_splits(dataset, ("val", "test"))
    return tuple(
        scene
        for scene in dataset.scenes
        if scene.name not in held_back and (scene.name in train or not train)
    )


def _in_splits(dataset: Dataset, kinds: Sequence[str]) -> set[str]:
    chosen = (names for split, names in dataset.splits.items() if split.split("_")[0] in kinds)
    return {name for names in chosen for name in names}


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
    """
    donors = donor_scenes(dataset)
    if names is not None:
        chosen = set(names)
        donors = tuple(scene for scene in dataset.scenes if scene.name in chosen)
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
    if not merged:
        why = ", ".join(f"{n} by {reason}" for reason, n in left_out.items()) or "no target at all"
        raise LibraryError(f"{dataset.root}: nothing fit for a library of {kind} ({why})")
    return stack_entries(merged, kind, dict(sorted(left_out.items())))


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

"""The library of a dataset's own donors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from densesirst_gen.datasets import Dataset, SceneFile
from densesirst_gen.datasets.coco.scene import check_masks
from densesirst_gen.datasets.copies import copies
from densesirst_gen.datasets.layouts.sirst import SIRST_V1
from densesirst_gen.datasets.parts.names import is_called
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.parts.splits import donor_scenes, held_back
from densesirst_gen.datasets.paths import examples
from densesirst_gen.files.images.codec import CodecError
from densesirst_gen.files.workers import Mapper
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.extract import (
    DEFAULT_FILTER,
    TargetFilter,
    extract_frame,
    extract_targets,
    filled,
    stack_entries,
)
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.scene.scene import SceneError

KINDS = ("targets", "frames")
"""Of libraries that are made; others are only read."""
COPY = "copy of an image that is held back"
"""Why a scene gives nothing."""


def make_library(
    dataset: Dataset,
    kind: str,
    *,
    names: Iterable[str] | None = None,
    pattern: str | None = None,
    held_back_too: bool = False,
    keep: TargetFilter = DEFAULT_FILTER,
    patch_px: int = PasteConfig.patch_px,
    run: Mapper[Any, Any] = map,
) -> TargetLibrary:
    """The library of a dataset's own donors.

    Parameters
    ----------
    dataset : Dataset
    kind : str
        ``targets`` or ``frames``.
    names : iterable of str, optional
        Donor scenes; by default those of `donor_scenes`.
    pattern : str, optional
        Only donors whose name, or the last part of it, matches: ``Misc_*``. None: of targets all,
        of frames those of SIRST v1 (`SIRST_V1`) where there are any, else all.
    held_back_too : bool
        Of frames: also those of images that validation and test splits hold back.
    keep : TargetFilter
        For targets.
    patch_px : int
        Side of frames.
    run : callable
        Like `map`; results may come in any order.

    Returns
    -------
    TargetLibrary
        Entries in order of their scenes' names.

    Raises
    ------
    LibraryError
        If nothing is left, with the reasons; if libraries of that kind are not made.
    DatasetError
        If targets have no masks, see `check_masks`.
    """
    if kind not in KINDS:
        raise LibraryError(_not_made(kind))
    if kind == "targets" and held_back_too:
        raise LibraryError("targets of images that are held back would leak: only frames may be")
    all_donors, left_out = _donors(dataset, kind, names, held_back_too)
    donors = _named(dataset, all_donors, kind, pattern)
    if kind == "targets":
        check_masks(donors, "a library")
        extract = partial(_targets_of, keep=keep)
    else:
        extract = partial(_frame_of, patch_px=patch_px)
    entries: dict[str, list[dict[str, Any]]] = {}
    for name, found, rejected in run(extract, donors):
        entries[name] = found
        left_out += rejected
    merged = [entry for name in sorted(entries) for entry in entries[name]]
    library = stack_entries(merged, kind, dict(sorted(left_out.items())), dataset.counts)
    return filled(library, dataset.root)


def held_back_note(library: TargetLibrary, dataset: Dataset) -> str:
    """Of a library of targets that was given: which are called like scenes that are held back.

    Empty where there are none, and for libraries of another kind, see `frames_note`.

    Parameters
    ----------
    library : TargetLibrary
    dataset : Dataset
        That it is pasted into.
    """
    held = held_back(dataset) if library.kind == "targets" else set()
    scenes = [source.rpartition("#")[0] for source in library.sources.tolist()]
    found = [scene for scene in scenes if scene in held]
    if not found:
        return ""
    return (
        f"{len(found)} of {len(library)} targets of the library are of scenes called like some "
        f"that the backgrounds hold back ({examples(dict.fromkeys(found))}): if they are these, "
        "what is built shows test targets"
    )


def frames_note(library: TargetLibrary, dataset: Dataset) -> str:
    """What must be known of a library of skies of whole images; empty for one of another kind.

    Parameters
    ----------
    library : TargetLibrary
    dataset : Dataset
        That it is made of, or pasted into.

    Returns
    -------
    str
        How many, how large, and how many of them are of images that the dataset holds back.
    """
    if library.kind != "frames":
        return ""
    held = sorted(set(library.sources.tolist()) & held_back(dataset))
    height, width = library.sizes[0]
    size = f"{len(library)} at {width} x {height} px"
    text = f"pasted are no targets but the skies of whole images: {size}"
    if not held:
        return text
    return f"{text}, {len(held)} of them of images that splits hold back ({held[0]})"


def _not_made(kind: str) -> str:
    if kind != "regions":
        return f"a library must be one of {', '.join(KINDS)}, got {kind!r}"
    return (
        "libraries of scene regions are no longer made, for the released data are made of whole "
        'images: use source "frames" with level "library", as the profile release does; or give a '
        "library of regions that an earlier version made"
    )


def _donors(
    dataset: Dataset, kind: str, names: Iterable[str] | None, held_back_too: bool
) -> tuple[tuple[SceneFile, ...], Counter[str]]:
    """The donors, and how many were left out for being held back under another name."""
    if names is not None:
        chosen = set(names)
        donors = tuple(scene for scene in dataset.scenes if scene.name in chosen)
    else:
        donors = tuple(dataset.scenes) if held_back_too else donor_scenes(dataset)
    if not donors:
        raise LibraryError(_none_left(dataset, kind, chosen=names is not None))
    return (donors, Counter()) if names or held_back_too else _without_copies(dataset, donors)


def _without_copies(
    dataset: Dataset, donors: tuple[SceneFile, ...]
) -> tuple[tuple[SceneFile, ...], Counter[str]]:
    """Donors of which no copy is held back."""
    held = held_back(dataset)
    twice = copies(donors, [scene for scene in dataset.scenes if scene.name in held])
    if len(twice) == len(donors):
        raise LibraryError(
            f"{dataset.root}: the images of all {len(donors)} donors are held back under other "
            f"names, such as that of {donors[0].name}"
        )
    left_out = Counter({COPY: len(twice)}) if twice else Counter[str]()
    return tuple(donor for donor in donors if donor.name not in twice), left_out


def _named(
    dataset: Dataset, donors: Sequence[SceneFile], kind: str, pattern: str | None
) -> Sequence[SceneFile]:
    """The donors whose names match."""
    wanted = (SIRST_V1 if kind == "frames" else "*") if pattern is None else pattern
    matching = [d for d in donors if is_called(d.name, wanted)]
    if pattern is not None and not matching:
        raise LibraryError(
            f"{dataset.root}: none of the {len(donors)} scenes that may give {kind} is called "
            f"{pattern!r}, one of them is {donors[0].name}"
        )
    return matching or donors


def _none_left(dataset: Dataset, kind: str, *, chosen: bool) -> str:
    """Why there is no scene that may give anything."""
    held = [split for split in dataset.splits if part_of(split) in ("val", "test")]
    n = len(dataset.scenes)
    if chosen or not held:
        return f"{dataset.root}: none of {n} scenes was chosen to give {kind}"
    lists = ", ".join(f"{split}.txt" for split in held)
    return (
        f"{dataset.root}: all {n} scenes are held back by the splits {lists}, none may give {kind}"
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


def _frame_of(donor: SceneFile, patch_px: int) -> _Found:
    try:
        scene = replace(donor, mask=None).load()
    except (CodecError, SceneError):
        return donor.name, [], Counter({"unreadable scene": 1})
    found = extract_frame(scene, patch_px)
    return donor.name, found, Counter() if found else Counter({"no sky": 1})

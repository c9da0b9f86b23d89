"""Which pixel of a written target mask belongs to which target.

A mask has no numbers. The plan knows those of the pasted targets; those that were there before are
the mask's own pieces, in raster order. Only where the backgrounds come from a COCO file do their
targets have an order of their own, and may touch: then the written annotations have to tell.
"""

from __future__ import annotations

import numpy as np

from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.stamps import pixels_of, stamps_of
from densesirst_gen.scene.annotate import label_mask

ORDERED = ("coco",)
"""Layouts whose targets are numbered by a file, not by their masks."""


def stamp_fault(plan: PastePlan, library: TargetLibrary, width: int) -> str:
    """Why the masks of a plan's pastes give no labels in an image that wide; empty if they do."""
    if not len(plan):
        return ""
    stamps = stamps_of(plan, library)[1]
    empty = np.flatnonzero(~stamps.any(axis=(1, 2)))
    if len(empty):
        return f"paste {empty[0]}: it covers no pixel"
    index = pixels_of(plan.pastes, plan.config.patch_px, width)[stamps]
    return "two of its pastes share a pixel" * (len(np.unique(index)) < len(index))


def planned_labels(
    mask: np.ndarray,
    plan: PastePlan,
    library: TargetLibrary,
    told: np.ndarray | None,
) -> tuple[np.ndarray, int, int]:
    """The labels that a mask and its plan give.

    Parameters
    ----------
    mask : ndarray, (H, W), bool
        As written.
    plan : PastePlan
        It fits the image and the library, and has no `stamp_fault`.
    library : TargetLibrary
    told : ndarray, (H, W), int32, or None
        The labels that the COCO annotations give; for backgrounds of a layout in `ORDERED`.

    Returns
    -------
    labels : ndarray, (H, W), int32
    n_original : int
        Targets below the pastes.
    n_missing : int
        Pixels of pasted targets that the mask does not have.
    """
    below, pasted = mask.copy(), np.zeros(mask.shape, np.int32)
    if len(plan):
        stamps = stamps_of(plan, library)[1]
        index = pixels_of(plan.pastes, plan.config.patch_px, mask.shape[1])
        numbers = np.broadcast_to(np.arange(1, len(plan) + 1)[:, None, None], stamps.shape)
        pasted.ravel()[index[stamps]] = numbers[stamps]
        below[pasted > 0] = False
    originals = _originals(below, told)
    n_original = int(originals.max())
    labels = np.where(pasted > 0, pasted + n_original, originals).astype(np.int32)
    return labels, n_original, int(((pasted > 0) & ~mask).sum())


def _originals(below: np.ndarray, told: np.ndarray | None) -> np.ndarray:
    if told is not None:
        labels = np.where(below, told, 0)
        numbers = np.unique(labels[below])
        if (numbers == np.arange(1, len(numbers) + 1)).all():
            return labels
    return label_mask(below)


def told_labels(mask: np.ndarray, told: np.ndarray | None) -> np.ndarray:
    """The pieces of a mask, in the order in which annotations tell of them, if they tell of all.

    For a mask whose plan is of no use.
    """
    labels = label_mask(mask)
    n_targets = int(labels.max())
    if told is None or int(told.max()) != n_targets:
        return labels
    numbers, first = np.unique(told, return_index=True)
    order = labels.ravel()[first[numbers > 0]]
    if len(np.unique(order[order > 0])) != n_targets:
        return labels
    places = np.zeros(n_targets + 1, np.int32)
    places[order] = np.arange(1, n_targets + 1)
    return places[labels]

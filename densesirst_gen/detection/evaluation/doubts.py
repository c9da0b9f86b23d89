"""What scores themselves make one doubt: nothing hit, floods, shifts, more than is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from densesirst_gen.datasets.paths import examples
from densesirst_gen.detection.evaluation.box_offsets import shift_of

if TYPE_CHECKING:
    from densesirst_gen.detection.evaluation.evaluate import SceneScore

FLOOD = 0.5
"""Of the pixels of an image, beyond which what is found is no targets."""


def doubts(scores: Sequence[SceneScore], max_dets: int | None, *, is_hit: bool) -> list[str]:
    """Notes on scores that are hardly what a detector deserves.

    Parameters
    ----------
    scores : sequence of SceneScore
    max_dets : int, optional
        Boxes of an image that COCO's average precision counts.
    is_hit : bool
        Whether any target is hit, by overlap or by distance.
    """
    return [
        *([] if is_hit else _miss_notes(scores)),
        *_flood_notes(scores),
        *_shift_notes(scores),
        *_cut_notes(scores, max_dets),
    ]


def _miss_notes(scores: Sequence[SceneScore]) -> list[str]:
    """Of targets of which none was hit; perhaps the predictions are of other images."""
    n_targets = sum(len(score.truth) for score in scores)
    n_found = sum(len(score.found) for score in scores)
    if not n_targets or not n_found:
        return []
    return [
        f"none of {n_targets} targets is hit by any of {n_found} boxes, by overlap or by distance: "
        "are these the predictions of these images, in their pixels, x before y?"
    ]


def _flood_notes(scores: Sequence[SceneScore]) -> list[str]:
    """Maps, fewer than half, that are white; of most a sample tells before."""
    maps = [(s.name, s.matches) for s in scores if s.matches is not None]
    white = [name for name, counts in maps if counts.false_pixels > FLOOD * counts.n_pixels]
    if not white or 2 * len(white) > len(maps):
        return []
    return [
        f"{len(white)} of {len(maps)} maps are white in more than {FLOOD:.0%} of their pixels, "
        f"where no target is, and decide Fa and IoU of all: {examples(white)}; are they inverted?"
    ]


def _shift_notes(scores: Sequence[SceneScore]) -> list[str]:
    """Maps in which targets are found a pixel or two beside where they are."""
    pairs = ((s.found.boxes, s.truth.boxes) for s in scores if s.matches is not None)
    found = shift_of(pairs)
    if found is None:
        return []
    (dx, dy), n = found
    return [
        f"most of {n} targets that are found in maps lie {dx:+d} px in x and {dy:+d} px in y of "
        "where they are: were the maps resized, cropped or padded? for targets of few pixels that "
        "decides IoU"
    ]


def _cut_notes(scores: Sequence[SceneScore], max_dets: int | None) -> list[str]:
    """Of images with more targets than COCO's average precision counts boxes."""
    cut = [s.name for s in scores if max_dets and min(len(s.truth), len(s.found)) > max_dets]
    if not cut:
        return []
    return [
        f"{len(cut)} images have more than {max_dets} targets, of which COCO's average precision "
        f"counts no more boxes (--max-dets 0 counts all): {examples(cut)}"
    ]

"""What a plan pastes into an image: the boxes, points and pixels of its new targets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.stamps import pixels_of, stamps_of
from densesirst_gen.scene.annotate import annotate, points_on_masks


class Pasted(NamedTuple):
    """The new targets of a plan; N rows, in its order.

    Parameters
    ----------
    boxes : ndarray, (N, 4), int64
        Tight, xyxy, half-open.
    points : ndarray, (N, 2), float64
        Centroids (x, y), pixel indices.
    pixels : ndarray, (N, 2), int64
        A pixel (x, y) of each, near the centroid.
    areas : ndarray, (N,), int32
    where : ndarray, (P,), int64
        All their pixels, as indices into the flat image.
    owner : ndarray, (P,), int64
        Row of each of these pixels.
    """

    boxes: np.ndarray
    points: np.ndarray
    pixels: np.ndarray
    areas: np.ndarray
    where: np.ndarray
    owner: np.ndarray


def pasted(plan: PastePlan, library: TargetLibrary, width: int) -> Pasted:
    """What a plan pastes into an image of that width.

    Parameters
    ----------
    plan : PastePlan
    library : TargetLibrary
        The one that it was made with.
    width : int
        Of the image, pixels.
    """
    masks = (plan.stamps or stamps_of(plan, library))[1]
    n, side = len(masks), plan.config.patch_px
    owner = np.broadcast_to(np.arange(n)[:, None, None], masks.shape)
    column = np.where(masks, owner + 1, 0).astype(np.int32).reshape(-1, side)  # one below the other
    found = annotate(column)
    shift = np.stack([plan.pastes["col"], plan.pastes["row"] - side * np.arange(n)], axis=1)
    return Pasted(
        found.boxes + np.tile(shift, 2),
        found.points + shift,
        points_on_masks(column, found) + shift,
        found.areas,
        pixels_of(plan.pastes, side, width)[masks],
        owner[masks],
    )

"""Scenes from plain arrays, and what a plan pastes back into plain arrays.

The arrays of a sample, by name; all but the image may be missing or None:

* ``image``: (H, W), (H, W, 1) or (H, W, 3), uint8, uint16 or float32. Every channel gets the same
  stamps; plans look at the brightest channel.
* ``sky``: (H, W), bool, or uint8 of 0 and 1 or of 0 and 255.
* ``mask``: (H, W) or (H, W, 1), binary or a label image; see `densesirst_gen.augment.masks`.
* ``bboxes``: (N, 4), xyxy, half-open, pixels.
* ``points``: (N, 2), x and y in pixel indices. Float ones get centroids, whole ones a pixel of the
  target.
* ``labels``: (N,) or (N, 1), class numbers.

Boxes, points and labels are lists of the same targets. Boxes may also be of what is to be ignored:
nothing is pasted into any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from scipy import ndimage

from densesirst_gen.augment.levels import assumed_span, known_reach, known_span
from densesirst_gen.augment.lists import (
    append,
    check_rows,
    label_column,
    look_at_pixels,
    shown,
    table,
)
from densesirst_gen.augment.masks import checked_mask, is_label_image, look_at_numbers, paste_mask
from densesirst_gen.augment.pasted import pasted
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.render import render
from densesirst_gen.scene.annotate import EIGHT
from densesirst_gen.scene.counts import Counts
from densesirst_gen.scene.scene import Scene, is_void

KEYS = ("image", "sky", "mask", "bboxes", "points", "labels")
Arrays = Mapping[str, Any]


def to_scene(
    arrays: Arrays,
    name: str,
    patch_px: int,
    span: tuple[float, float] | None = None,
    mask_value: int | None = None,
    counts: Mapping[str, Counts] | None = None,
) -> Scene:
    """A scene to make a plan for.

    Its labels are not 0 where nothing may be pasted: on the mask, in the boxes, and in a patch
    around each point that lies on neither. They number the targets only where the mask does; beside
    a mask, what only boxes and points keep free is -1.

    Parameters
    ----------
    arrays : mapping
        See the module.
    name : str
    patch_px : int
        Side of the square that a point without mask and box keeps free, pixels.
    span : tuple of float, optional
        Of the image, see `Scene`.
    mask_value : int, optional
        Of target pixels in integer masks.
    counts : mapping of str to Counts, optional
        What the values of images of each dtype mean, as a library of the same camera knows it.

    Raises
    ------
    ValueError
        If an array has a wrong shape, dtype or value.
    """
    _check_names(arrays)
    gray = reduce(np.maximum, planes(arrays["image"]))
    labels = taken(arrays, gray.shape, patch_px, mask_value)
    sky = _sky(arrays.get("sky"), gray.shape)
    kind, counts = gray.dtype.name, counts or {}
    void = is_void(gray, counts[kind].nodata) if kind in counts else None
    span, reach = known_span(kind, span, counts), known_reach(kind, counts)
    return Scene(name, gray, labels, sky, assumed_span(gray, span, name), void, reach)


def _check_names(arrays: Arrays) -> None:
    unknown = [name for name in arrays if name not in KEYS]
    if unknown or arrays.get("image") is None:
        raise ValueError(
            f"a sample needs an image and may have {', '.join(KEYS[1:])}; got {', '.join(arrays)}"
        )


def planes(image: np.ndarray) -> np.ndarray:
    """The channels of an image, (C, H, W), as a view."""
    is_gray = isinstance(image, np.ndarray) and image.ndim == 2
    is_colour = isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] in (1, 3)
    if not is_gray and not is_colour:
        raise ValueError(
            f"image must be an array (H, W), (H, W, 1) or (H, W, 3), got {shown(image)}"
        )
    return image[None] if is_gray else np.moveaxis(image, 2, 0)


def _sky(sky: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    if sky is None:
        return None
    if not isinstance(sky, np.ndarray) or sky.shape != shape:
        raise ValueError(f"sky must be an array of the image's shape {shape}, got {shown(sky)}")
    if sky.dtype == np.bool_:
        return sky
    most = sky.max(initial=0)
    if sky.dtype != np.uint8 or most not in (0, 1, 255) or ((sky != 0) & (sky != most)).any():
        raise ValueError(
            "sky must be bool, or uint8 of 0 and 1 or of 0 and 255, "
            f"got {shown(sky)} with values up to {most}"
        )
    return sky != 0


def check_sample(arrays: Arrays) -> None:
    """Raise ValueError unless boxes, points and labels have a row for each of the same targets."""
    check_rows({name: arrays.get(name) for name in KEYS[3:]})


def taken(
    arrays: Arrays, shape: tuple[int, ...], patch_px: int, mask_value: int | None = None
) -> np.ndarray:
    """Where nothing may be pasted: the union of mask, boxes and points.

    A box that is tight around one target of the mask adds nothing to it, nor does a point on it.

    Parameters
    ----------
    arrays : mapping
        See the module.
    shape : tuple of int
        Of the image.
    patch_px, mask_value
        See `to_scene`.

    Returns
    -------
    ndarray, (H, W), int32
        0 where one may; see `to_scene`.
    """
    mask, labels = arrays.get("mask"), np.zeros(shape, np.int32)
    if mask is not None:
        mask = checked_mask(mask, shape, mask_value)
        is_numbered = is_label_image(mask, mask_value)
        labels = (mask if is_numbered else mask != 0).astype(np.int32)
        if is_numbered:
            look_at_numbers(mask)
    value = 1 if mask is None else -1
    if arrays.get("bboxes") is not None:
        boxes = table("bboxes", arrays["bboxes"])
        look_at_pixels(boxes, shape)
        is_known = mask is not None and labels.any()
        cover(labels, boxes[~_drawn(labels, boxes)] if is_known else boxes, value)
    if arrays.get("points") is not None:
        points = table("points", arrays["points"])
        corner = points[~_on(labels, points)] - (patch_px - 1) / 2
        cover(labels, np.concatenate([corner, corner + patch_px], axis=1), value)
    return labels


def cover(labels: np.ndarray, boxes: np.ndarray, value: int) -> None:
    """Give the pixels of boxes that are still free a value, in place.

    Parameters
    ----------
    labels : ndarray, (H, W), int32
    boxes : ndarray, (N, 4)
        Half-open xyxy; pixels that they touch count.
    value : int
    """
    low, high = _pixels(boxes)
    for (x0, y0), (x1, y1) in zip(low, high, strict=True):
        part = labels[y0:y1, x0:x1]
        part[part == 0] = value


def _drawn(labels: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) bool: which boxes are tight around one target of the mask, which says more than they."""
    low, high = _pixels(boxes)
    parts = [labels[y0:y1, x0:x1] != 0 for (x0, y0), (x1, y1) in zip(low, high, strict=True)]
    return np.array([_is_one_piece(part) for part in parts], bool)


def _is_one_piece(part: np.ndarray) -> bool:
    """Whether what is on is connected and reaches all four sides."""
    if not part.size or not all(
        side.any() for side in (part[0], part[-1], part[:, 0], part[:, -1])
    ):
        return False
    return bool(ndimage.label(part, EIGHT)[1] == 1)


def _pixels(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) first column and row that boxes touch, and those behind the last."""
    return np.floor(boxes[:, :2]).clip(0).astype(int), np.ceil(boxes[:, 2:]).clip(0).astype(int)


def _on(labels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,) bool: which points lie on a pixel that is taken."""
    pixels = np.rint(points[:, ::-1]).astype(int)
    inside = ((pixels >= 0) & (pixels < labels.shape)).all(axis=1)
    on = np.zeros(len(points), bool)
    on[inside] = labels[tuple(pixels[inside].T)] != 0
    return on


def paste(
    arrays: Arrays,
    scene: Scene,
    library: TargetLibrary,
    plan: PastePlan,
    label: float | None = None,
    mask_value: int | None = None,
) -> dict[str, Any]:
    """The arrays of a sample with a plan rendered into them; the inputs stay as they are.

    Parameters
    ----------
    arrays : mapping
        See the module.
    scene : Scene
        Of `to_scene`.
    library : TargetLibrary
    plan : PastePlan
    label : number, optional
        Class of the new targets; needed where there are labels.
    mask_value : int, optional
        Of target pixels in integer masks.

    Returns
    -------
    dict
        The same names, shapes and dtypes; the new targets follow the given ones, in all lists in
        the same order.
    """
    new = pasted(plan, library, scene.shape[1])
    out = dict(arrays)
    out["image"] = paste_image(arrays["image"], scene, library, plan)
    if out.get("mask") is not None:
        out["mask"] = paste_mask(out["mask"], new, mask_value)
    if out.get("bboxes") is not None:
        out["bboxes"] = append("bboxes", table("bboxes", out["bboxes"]), new.boxes)
    if out.get("points") is not None:
        points = table("points", out["points"])
        is_whole = points.dtype.kind in "iu"
        out["points"] = append("points", points, new.pixels if is_whole else new.points)
    if out.get("labels") is not None:
        out["labels"] = label_column("labels", out["labels"], label, len(plan))
    return out


def paste_image(
    image: np.ndarray, scene: Scene, library: TargetLibrary, plan: PastePlan
) -> np.ndarray:
    """A new image, every channel with the same stamps."""
    made = (
        render(replace(scene, image=plane, span=scene.levels), library, plan).image
        for plane in planes(image)
    )
    return np.stack(list(made), axis=-1).reshape(image.shape)

"""Scenes from plain arrays, and what a plan pastes back into plain arrays.

The arrays of a sample, by name; all but the image may be missing or None:

* ``image``: (H, W), (H, W, 1) or (H, W, 3), uint8, uint16 or float32. Every channel gets the same
  stamps; plans look at the brightest channel.
* ``sky``: (H, W), bool, or uint8 of 0 and 1 or of 0 and 255.
* ``mask``: (H, W) or (H, W, 1). bool and uint8 masks are binary (True, 255); wider integers are
  label images, whose largest label the new ones follow. With a `mask_value` every integer mask is
  binary, with that value, and what else is not zero is kept.
* ``bboxes``: (N, 4), xyxy, half-open, pixels.
* ``points``: (N, 2), x and y in pixel indices. Float ones get centroids, whole ones a pixel of the
  target.
* ``labels``: (N,), class numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.stamps import pixels_of, stamps_of
from densesirst_gen.scene.annotate import annotate, points_on_masks
from densesirst_gen.scene.scene import Scene

KEYS = ("image", "sky", "mask", "bboxes", "points", "labels")
COLUMNS = {"bboxes": 4, "points": 2}
Arrays = Mapping[str, Any]


def to_scene(
    arrays: Arrays,
    name: str,
    patch_px: int,
    span: tuple[float, float] | None = None,
    mask_value: int | None = None,
) -> Scene:
    """A scene to make a plan for.

    Its labels say where targets are, by the mask, else by the boxes, else by a patch around each
    point; they number the targets only where the mask does.

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

    Raises
    ------
    ValueError
        If an array has a wrong shape, dtype or value.
    """
    _check_names(arrays)
    gray = reduce(np.maximum, planes(arrays["image"]))
    labels = _labels(arrays, gray.shape, patch_px, mask_value)
    return Scene(name, gray, labels, _sky(arrays.get("sky"), gray.shape), span)


def _check_names(arrays: Arrays) -> None:
    unknown = [name for name in arrays if name not in KEYS]
    if unknown or arrays.get("image") is None:
        raise ValueError(
            f"a sample needs an image and may have {', '.join(KEYS[1:])}; got {', '.join(arrays)}"
        )
    rows = {name: len(arrays[name]) for name in KEYS[3:] if arrays.get(name) is not None}
    if len(set(rows.values())) > 1:
        raise ValueError(f"bboxes, points and labels must have the same length, got {rows}")


def planes(image: np.ndarray) -> np.ndarray:
    """The channels of an image, (C, H, W), as a view."""
    is_gray = isinstance(image, np.ndarray) and image.ndim == 2
    is_colour = isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] in (1, 3)
    if not is_gray and not is_colour:
        raise ValueError(
            f"image must be an array (H, W), (H, W, 1) or (H, W, 3), got {_what(image)}"
        )
    return image[None] if is_gray else np.moveaxis(image, 2, 0)


def _what(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__


def _sky(sky: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    if sky is None:
        return None
    if not isinstance(sky, np.ndarray) or sky.shape != shape:
        raise ValueError(f"sky must be an array of the image's shape {shape}, got {_what(sky)}")
    if sky.dtype == np.bool_:
        return sky
    most = sky.max(initial=0)
    if sky.dtype != np.uint8 or most not in (0, 1, 255) or ((sky != 0) & (sky != most)).any():
        raise ValueError(
            "sky must be bool, or uint8 of 0 and 1 or of 0 and 255, "
            f"got {_what(sky)} with values up to {most}"
        )
    return sky != 0


def _labels(
    arrays: Arrays, shape: tuple[int, ...], patch_px: int, mask_value: int | None
) -> np.ndarray:
    mask, bboxes, points = (arrays.get(name) for name in ("mask", "bboxes", "points"))
    if mask is not None:
        mask = _checked_mask(mask, shape, mask_value)
        return (mask if _is_label_image(mask, mask_value) else mask != 0).astype(np.int32)
    labels = np.zeros(shape, np.int32)
    if bboxes is not None:
        boxes = table("bboxes", bboxes)
    elif points is not None:
        corner = table("points", points) - (patch_px - 1) / 2
        boxes = np.concatenate([corner, corner + patch_px], axis=1)
    else:
        return labels
    low = np.floor(boxes[:, :2]).clip(0).astype(int)
    high = np.ceil(boxes[:, 2:]).clip(0).astype(int)
    for (x0, y0), (x1, y1) in zip(low, high, strict=True):
        labels[y0:y1, x0:x1] = 1
    return labels


def _checked_mask(mask: Any, shape: tuple[int, ...], mask_value: int | None) -> np.ndarray:
    if not isinstance(mask, np.ndarray) or mask.shape not in (shape, (*shape, 1)):
        raise ValueError(f"mask must be an array of the image's shape {shape}, got {_what(mask)}")
    if mask.dtype.kind not in "bui" or mask.dtype == np.int8:
        raise ValueError(f"mask must be bool, uint8 or a wider integer, got {_what(mask)}")
    if mask.dtype == np.uint8 and mask_value is None and ((mask != 0) & (mask != 255)).any():
        other = mask[(mask != 0) & (mask != 255)][0]
        raise ValueError(
            f"a uint8 mask must hold 0 and 255, got {other}; say mask_value={other} if that is a "
            "target pixel, or give a label image as int32"
        )
    return mask.reshape(shape)


def _is_label_image(mask: np.ndarray, mask_value: int | None) -> bool:
    return mask_value is None and mask.dtype not in (np.bool_, np.uint8)


def table(name: str, rows: Any) -> np.ndarray:
    """Boxes (N, 4) or points (N, 2) as an array; ValueError if they are none."""
    values, n_columns = np.asarray(rows), COLUMNS[name]
    if values.size == 0:
        return values.reshape(0, n_columns)
    if values.ndim != 2 or values.shape[1] != n_columns or values.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be numbers of shape (N, {n_columns}), got {_what(values)}")
    bad = ~np.isfinite(values).all(axis=1)
    if name == "bboxes":
        bad |= (values[:, 2:] < values[:, :2]).any(axis=1)
    if bad.any():
        k = int(np.argmax(bad))
        rule = "finite x0 <= x1 and y0 <= y1" if name == "bboxes" else "finite"
        raise ValueError(f"{name} must be {rule}, got {values[k].tolist()} in row {k}")
    return values


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


def paste(
    arrays: Arrays,
    scene: Scene,
    library: TargetLibrary,
    plan: PastePlan,
    label: float = 0,
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
    label : number
        Class of the new targets.
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
        given = np.asarray(out["labels"]).reshape(-1)
        if given.dtype.kind in "iuf":
            check_label("labels", given, label)
        out["labels"] = append("labels", given, np.full(len(plan), label))
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


def paste_mask(mask: np.ndarray, new: Pasted, mask_value: int | None = None) -> np.ndarray:
    """A new mask, binary or label image as the given one."""
    out = mask.copy()
    if _is_label_image(mask, mask_value):
        values = max(int(mask.max()), 0) + 1 + new.owner
    else:
        on = 1 if mask.dtype == np.bool_ else mask_value or 255
        values = np.full(new.owner.shape, on)
    most = values.max(initial=0)
    if mask.dtype != np.bool_ and most > np.iinfo(mask.dtype).max:
        raise ValueError(f"mask of {mask.dtype} can't hold the value {most}")
    out.reshape(-1)[new.where] = values
    return out


def target_masks(new: Pasted, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """(N, H, W) masks of the new targets, 1 where each is."""
    masks = np.zeros((len(new.areas), shape[0] * shape[1]), dtype)
    masks[new.owner, new.where] = 1
    return masks.reshape(-1, *shape)


def check_label(name: str, given: Any, label: Any) -> None:
    """Whether new rows can have a label beside the given ones, which stay as they are.

    Parameters
    ----------
    name : str
        Of the list, for the message.
    given : sequence or ndarray
        The labels that are there. None at all: any label serves, unless the dtype says otherwise.
    label : object

    Raises
    ------
    ValueError
        If it is of another kind (numbers, text), or their dtype can't hold it.
    """
    kinds = _kinds(given)
    if kinds - {_kind(label)}:
        found = " and ".join(sorted(kinds))
        raise ValueError(
            f"{name} holds {found}, and new targets would get {label!r}: give label=... of the "
            "same kind"
        )
    if isinstance(given, np.ndarray) and given.dtype.kind in "biufU":
        cast = np.array([label]).astype(given.dtype)[0]
        if cast != label and not (given.dtype.kind == "f" and np.isfinite(cast)):
            raise ValueError(
                f"{name} of {given.dtype} can't hold {label!r}, the label of new targets: give "
                "another label=..., or a wider dtype"
            )


def _kinds(given: Any) -> set[str]:
    """What a list of labels holds, as far as can be told."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "biufU":
        return {"text" if given.dtype.kind == "U" else "numbers"}
    return set(map(_kind, given))


def _kind(label: Any) -> str:
    if isinstance(label, str):
        return "text"
    return "numbers" if isinstance(label, Real | np.bool_) else type(label).__name__


def append(name: str, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Rows of a table with new ones after them, in the table's dtype.

    Raises
    ------
    ValueError
        If that dtype is no number or can't hold them.
    """
    if rows.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be numbers, got {_what(rows)}")
    cast = new.astype(rows.dtype)
    if name != "points" and (cast != new).any():
        raise ValueError(f"{name} of {rows.dtype} can't hold {new[cast != new][0]}")
    return np.concatenate([rows, cast])

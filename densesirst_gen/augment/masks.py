"""What is "on" in a mask: the one place that says which value a target's pixels have.

One mask, (H, W): bool and uint8 masks are binary (True, 255); wider integers are label images,
whose largest label the new ones follow. With a `mask_value` every integer mask is binary, with that
value, and what else is not zero is kept. A stack, (N, H, W), has a binary mask for each target; its
own value says what new ones hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from densesirst_gen.augment.lists import shown
from densesirst_gen.augment.notices import is_told, tell_once
from densesirst_gen.augment.pasted import Pasted
from densesirst_gen.scene.annotate import EIGHT

SUBJECT = "mask"
"""Of the warning, see `densesirst_gen.augment.notices`."""
BINARY = 255
"""Of a target's pixels in a uint8 mask, unless said otherwise."""


def checked_mask(
    mask: Any, shape: tuple[int, ...], mask_value: int | None = None, name: str = "mask"
) -> np.ndarray:
    """A mask of one image, (H, W).

    Parameters
    ----------
    mask : ndarray, (H, W) or (H, W, 1), bool or integer
    shape : tuple of int
        Of the image.
    mask_value : int, optional
        Of target pixels.
    name : str
        Of the mask, for messages.

    Raises
    ------
    ValueError
        If it is none, or what is on in it is not known.
    """
    if not isinstance(mask, np.ndarray) or mask.shape not in (shape, (*shape, 1)):
        raise ValueError(f"{name} must be an array of the image's shape {shape}, got {shown(mask)}")
    if mask.dtype.kind not in "bui" or mask.dtype == np.int8:
        raise ValueError(f"{name} must be bool, uint8 or a wider integer, got {shown(mask)}")
    if mask.dtype == np.uint8 and mask_value is None and ((mask != 0) & (mask != BINARY)).any():
        other = mask[(mask != 0) & (mask != BINARY)][0]
        raise ValueError(
            f"a uint8 {name} must hold 0 and 255, got {other}; say mask_value={other} if that is a "
            "target pixel, or give a label image as int32"
        )
    return mask.reshape(shape)


def is_label_image(mask: np.ndarray, mask_value: int | None) -> bool:
    """Whether a mask numbers its targets."""
    return mask_value is None and mask.dtype not in (np.bool_, np.uint8)


def look_at_numbers(labels: np.ndarray) -> None:
    """Warn once of a label image that has one number for all of several pieces.

    Parameters
    ----------
    labels : ndarray, (H, W), integer
        A label image, by its dtype.
    """
    if is_told(SUBJECT) or not labels.any():
        return
    on = labels != 0
    number = int(labels[on][0])
    n_pieces = ndimage.label(on, EIGHT)[1] if (labels[on] == number).all() else 1
    if n_pieces > 1:
        tell_once(
            SUBJECT,
            f"a mask of {labels.dtype} has one number, {number}, on {n_pieces} pieces; wide "
            f"integers number targets, so new ones get {number + 1}, {number + 2}, ...: say "
            f"mask_value={number} if it is binary",
        )


def paste_mask(mask: np.ndarray, new: Pasted, mask_value: int | None = None) -> np.ndarray:
    """A new mask, binary or label image as the given one.

    Raises
    ------
    ValueError
        If its dtype can't hold the new values.
    """
    out = mask.copy()
    if is_label_image(mask, mask_value):
        values = max(int(mask.max()), 0) + 1 + new.owner
    else:
        on = 1 if mask.dtype == np.bool_ else mask_value or BINARY
        values = np.full(new.owner.shape, on)
    most = values.max(initial=0)
    if mask.dtype != np.bool_ and most > np.iinfo(mask.dtype).max:
        raise ValueError(f"mask of {mask.dtype} can't hold the value {most}")
    out.reshape(-1)[new.where] = values
    return out


def on_value(stack: np.ndarray, mask_value: int | None = None, name: str = "masks") -> Any:
    """What target pixels hold in a stack of binary masks.

    Parameters
    ----------
    stack : ndarray, (N, H, W)
    mask_value : int, optional
        If it was said.
    name : str
        Of the stack, for messages.

    Returns
    -------
    number
        `mask_value`, else the one value beside 0 that the stack holds, else 1.

    Raises
    ------
    ValueError
        If it holds several.
    """
    if mask_value is not None:
        return mask_value
    found = stack[stack != 0]
    if len(found) and (found != found[0]).any():
        other = found[found != found[0]][0]
        raise ValueError(
            f"{name} hold {found[0]} and {other}, and which is on is not known: give masks of one "
            "value, or say mask_value=..."
        )
    return found[0] if len(found) else 1


def extended_stack(
    stack: np.ndarray, new: Pasted, mask_value: int | None = None, name: str = "masks"
) -> np.ndarray:
    """A stack of masks with those of the new targets after them.

    Parameters
    ----------
    stack : ndarray, (N, H, W)
    new : Pasted
    mask_value, name
        See `on_value`.
    """
    n_pixels = int(np.prod(stack.shape[1:]))
    masks = np.zeros((len(new.areas), n_pixels), stack.dtype)
    masks[new.owner, new.where] = on_value(stack, mask_value, name)
    return np.concatenate([stack, masks.reshape(-1, *stack.shape[1:])])

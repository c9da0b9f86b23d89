"""The arithmetic of a paste: turn the target, soften it by a Gaussian, get a stamp to add.

One formula for numpy and torch: `stamps` uses only names that both share (``xp``), in float64, and
rounds target and weight to fixed point before they meet. So the result does not hang on the last
bit of an exponential, and every machine and device gives the same pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from densesirst_gen.paste.config import PasteConfig

GRAY_STEPS = 2**8
WEIGHT_STEPS = 2**16
FAINTEST = 1e-3  # of a softened shape that is still brought to its peak


def stamps(
    shapes: Any, masks: Any, pastes: Any, grid: Any, config: PasteConfig, xp: Any = np
) -> tuple[Any, Any]:
    """Stamps of a set of pastes: what each adds to the image, and which pixels are target.

    ``stamp = T * lambda * G`` (Eq. 1), with T the shape turned by theta about its centre, its edge
    repeated (Eq. 3), times its level, cut to 0..255; G is the Gaussian of `gaussian`, or with
    ``fusion="copy"`` the target's own mask. Levels of the released data are those of the peak of
    ``T * G``, so unless ``level="library"`` T is scaled to reach that. A pixel is target where
    ``lambda * G`` exceeds the threshold.

    Parameters
    ----------
    shapes, masks : array, (K, P, P), float64
        Of the library at pasting size, see `densesirst_gen.paste.shapes.Shapes`.
    pastes : mapping of str to array, (...)
        Rows of a plan: donor, height, width, level, gain, sigma_x, sigma_y, offset_x, offset_y,
        angle.
    grid : array, (P,), float64
        0, 1, ..., P - 1 (on the device of the rest).
    config : PasteConfig
        fusion, rotate, normalise, level and mask_threshold are read.
    xp : module
        numpy or torch.

    Returns
    -------
    rise : array, (..., P, P), float64
        Gray levels to add, at least 0; zero outside height x width.
    mask : array, (..., P, P), bool
        Pixels of the target; none outside height x width.
    """
    rows, cols = grid[:, None], grid[None, :]
    height, width = _of(pastes, "height"), _of(pastes, "width")
    inside = (rows < height) & (cols < width)
    down, right = rows - (height - 1) / 2, cols - (width - 1) / 2
    target_turn = _turn(pastes, config.rotate in ("both", "target"), xp)
    shape = _turned(shapes, pastes, down, right, target_turn, xp)
    if config.fusion == "gaussian":
        turn = _turn(pastes, config.rotate in ("both", "gaussian"), xp)
        weight = gaussian(pastes, down, right, inside, turn, config.normalise, xp)
    else:
        weight = xp.floor(_turned(masks, pastes, down, right, target_turn, xp) + 0.5)
    if config.level != "library":
        shape = shape / _extreme(shape * weight, inside, 0.0, "amax", xp).clip(FAINTEST)
    weight = xp.floor(weight * _of(pastes, "gain") * inside * WEIGHT_STEPS + 0.5)
    target = (shape * _of(pastes, "level")).clip(0, 255)
    target = xp.floor(target * GRAY_STEPS + 0.5)
    rise = target * weight / (GRAY_STEPS * WEIGHT_STEPS)
    return rise, weight > config.mask_threshold * WEIGHT_STEPS


def gaussian(
    pastes: Any, down: Any, right: Any, inside: Any, turn: Any, normalise: bool, xp: Any
) -> Any:
    """The Gaussian of Eq. 2 on a patch whose half side is 1, turned about its own centre.

    Parameters
    ----------
    pastes : mapping of str to array, (...)
        height, width, sigma_x, sigma_y, offset_x, offset_y; sigma and offset in half patches.
    down, right : array
        Pixels from the patch's centre. A side of one pixel lies at the centre.
    inside : array, bool
        Pixels of the patch.
    turn : tuple of array
        Cosine and sine of the angle.
    normalise : bool
        Stretch the values inside the patch to 0..1; a patch of one value becomes 1.

    Returns
    -------
    array, (..., P, P), float64
        0..1.
    """
    cosine, sine = turn
    y = down / ((_of(pastes, "height") - 1) / 2).clip(0.5) - _of(pastes, "offset_y")
    x = right / ((_of(pastes, "width") - 1) / 2).clip(0.5) - _of(pastes, "offset_x")
    u = (x * cosine + y * sine) / _of(pastes, "sigma_x")
    v = (y * cosine - x * sine) / _of(pastes, "sigma_y")
    value = xp.exp((u * u + v * v) * -0.5)
    if not normalise:
        return value
    low = _extreme(value, inside, 1.0, "amin", xp)
    high = _extreme(value, inside, 0.0, "amax", xp)
    return xp.where(high > low, (value - low) / (high - low).clip(1e-300), 1.0)


def _of(pastes: Any, name: str) -> Any:
    return pastes[name][..., None, None]


def _extreme(value: Any, inside: Any, outside: float, reduce: str, xp: Any) -> Any:
    return getattr(xp, reduce)(xp.where(inside, value, outside), (-2, -1))[..., None, None]


def _turn(pastes: Any, turns: bool, xp: Any) -> tuple[Any, Any]:
    angle = _of(pastes, "angle") * float(turns)
    return xp.cos(angle), xp.sin(angle)


def _turned(table: Any, pastes: Any, down: Any, right: Any, turn: Any, xp: Any) -> Any:
    """Patches turned about their centres: bilinear samples, the edge repeated (Eq. 3)."""
    cosine, sine = turn
    last_row, last_col = _of(pastes, "height") - 1, _of(pastes, "width") - 1
    row = xp.minimum((down * cosine - right * sine + last_row / 2).clip(0), last_row * 1.0)
    col = xp.minimum((right * cosine + down * sine + last_col / 2).clip(0), last_col * 1.0)
    top, left = xp.floor(row), xp.floor(col)
    below, beside = row - top, col - left
    side = table.shape[-1]
    values = table.reshape(-1)
    here = xp.asarray(top * side + left, dtype=xp.int64) + _of(pastes, "donor") * side * side
    next_row, next_col = (top < last_row) * side, (left < last_col) * 1
    upper = values[here] * (1 - beside) + values[here + next_col] * beside
    here = here + next_row
    lower = values[here] * (1 - beside) + values[here + next_col] * beside
    return upper * (1 - below) + lower * below

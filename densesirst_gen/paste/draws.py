"""The randomness of a plan: what each of a block of uniform numbers decides."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.plan import DECIMALS
from densesirst_gen.paste.shapes import Shapes

# Peak of a pasted target divided by its gain, gray levels, in the released data: quantiles, with
# the ends of the scale (`scripts/reproduce.py levels` measures them).
PEAK_QUANTILES = (0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 1.0)


PEAK_VALUES = (0.0, 15.0, 38.0, 58.0, 79.0, 109.0, 141.0, 182.0, 213.0, 246.0, 255.0)


# One column of uniform numbers for each thing drawn for a target.
DRAWS = (
    "donor",
    "level",
    "gain",
    "sigma_x",
    "sigma_y",
    "offset_x",
    "offset_y",
    "angle",
    "gap",
    "success",
    "position",
)


class Draws(NamedTuple):
    """Randomness of one plan (or of a batch of them, along leading axes), W windows of n targets.

    Parameters
    ----------
    windows : array, (..., W, C), float64
        Uniform numbers, see `densesirst_gen.paste.placement.choose_windows`.
    per_window : array, (..., W), int64
        Targets asked for; 0 for the windows that are not wanted, which come last.
    targets : dict of str to array, (..., W, n), float64
        Uniform numbers for each of `DRAWS`.
    """

    windows: Any
    per_window: Any
    targets: dict[str, Any]


def n_draws(config: PasteConfig) -> int:
    """How many uniform numbers a plan is made of."""
    n_slots = config.n_regions[1] * config.per_region[1]
    return 1 + config.n_regions[1] + n_slots * (config.smoothest_of + len(DRAWS))


def split_draws(uniforms: Any, config: PasteConfig, xp: Any = np) -> Draws:
    """Say what each of a block of uniform numbers is for.

    Parameters
    ----------
    uniforms : array, (..., `n_draws`), float64, in [0, 1)
    config : PasteConfig
    xp : module
        numpy or torch.
    """
    most_regions, most_targets = config.n_regions[1], config.per_region[1]
    n_slots, lead = most_regions * most_targets, uniforms.shape[:-1]
    last_count, last_window = 1 + most_regions, 1 + most_regions + n_slots * config.smoothest_of
    n_regions = _whole(uniforms[..., :1], config.n_regions, xp)
    per_window = _whole(uniforms[..., 1:last_count], config.per_region, xp)
    per_window = per_window * _first(n_regions, per_window, xp)
    windows = uniforms[..., last_count:last_window].reshape(*lead, n_slots, config.smoothest_of)
    if config.arrangement == "sparse":
        per_window = _first(per_window.sum(-1)[..., None], windows[..., 0], xp) * 1
        most_targets = 1
    n_windows = per_window.shape[-1]
    columns = uniforms[..., last_window:].reshape(*lead, n_windows, most_targets, len(DRAWS))
    targets = {name: columns[..., i] for i, name in enumerate(DRAWS)}
    return Draws(windows[..., :n_windows, :], per_window, targets)


def _first(n: Any, like: Any, xp: Any) -> Any:
    """True for the first n along the last axis."""
    return xp.ones_like(like, dtype=xp.int64).cumsum(-1) <= n


def draw(config: PasteConfig, rng: np.random.Generator) -> Draws:
    """The numbers of one plan, the windows that are not wanted left out."""
    draws = split_draws(rng.random(n_draws(config)), config)
    n = np.count_nonzero(draws.per_window)
    targets = {name: column[:n] for name, column in draws.targets.items()}
    return Draws(draws.windows[:n], draws.per_window[:n], targets)


def _whole(uniforms: Any, limits: tuple[int, int], xp: Any) -> Any:
    whole = limits[0] + xp.floor(uniforms * (limits[1] - limits[0] + 1))
    return xp.asarray(whole, dtype=xp.int64)


def _between(uniforms: Any, limits: tuple[float, float], xp: Any) -> Any:
    return xp.round(limits[0] + uniforms * (limits[1] - limits[0]), decimals=DECIMALS)


def sample(
    draws: dict[str, Any], peaks: Any, shapes: Shapes, config: PasteConfig, xp: Any = np
) -> dict[str, Any]:
    """Everything about a paste but its position, for all slots at once.

    Parameters
    ----------
    draws : dict of str to array, (...)
        Uniform numbers for each of `DRAWS`.
    peaks : array, (...)
        ``draws["level"]`` through the table `PEAK_QUANTILES` to `PEAK_VALUES`.
    shapes : Shapes
        Arrays of `xp`.
    config : PasteConfig
    xp : module
        numpy or torch.

    Returns
    -------
    dict of str to array, (...)
        Columns of a plan.
    """
    donor = _whole(draws["donor"], (0, len(shapes.sizes) - 1), xp)
    columns = {"donor": donor, "gap": _whole(draws["gap"], config.gap_px, xp)}
    columns["height"], columns["width"] = shapes.sizes[donor, 0], shapes.sizes[donor, 1]
    peaks = shapes.peaks[donor] if config.level == "library" else peaks
    columns["level"] = xp.round(peaks, decimals=3)
    softened = config.fusion == "gaussian"
    gain = _between(draws["gain"], config.gain, xp)
    columns["gain"] = gain if softened else xp.ones_like(gain)
    for axis in "xy":
        columns[f"sigma_{axis}"] = _between(draws[f"sigma_{axis}"], config.sigma, xp)
        columns[f"offset_{axis}"] = _between(draws[f"offset_{axis}"], config.offset, xp)
    degrees = math.degrees(config.angle[0]), math.degrees(config.angle[1])
    columns["angle"] = xp.deg2rad(_between(draws["angle"], degrees, xp))
    return columns

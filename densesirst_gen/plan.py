"""Deciding what to paste where. A plan is a table, one row for each target to paste.

`make_plan` is the only step of the method that uses randomness and looks at the sky; what it
returns can be printed, stored, replayed and tested. Rendering it is `densesirst_gen.render`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from densesirst_gen.annotate import EIGHT
from densesirst_gen.boards import place_on_boards
from densesirst_gen.config import PasteConfig
from densesirst_gen.fusion import stamps
from densesirst_gen.library import Shapes, TargetLibrary, shapes_at
from densesirst_gen.placement import choose_windows, free_positions
from densesirst_gen.scene import Scene

_COLUMNS: list[tuple[str, type]] = [
    ("label", np.int64),  # the target's number in the rendered scene
    ("donor", np.int64),  # index in the library
    ("cluster", np.int64),  # region, 0-based
    ("row", np.int64),  # corner of the patch in the image
    ("col", np.int64),
    ("height", np.int64),  # of the patch, pixels
    ("width", np.int64),
    ("gap", np.int64),  # free pixels asked for around it
    ("level", np.float64),  # gray level of its peak before the gain
    ("gain", np.float64),  # lambda, Eq. 1
    ("sigma_x", np.float64),  # Eq. 2, in half patches
    ("sigma_y", np.float64),
    ("offset_x", np.float64),
    ("offset_y", np.float64),
    ("angle", np.float64),  # theta, Eq. 3, radians
    ("increment", np.float64),  # rise of its brightest pixel, in the image's own values
    ("n_clipped", np.int64),  # pixels cut at white
]
PASTE = np.dtype(_COLUMNS)
COLUMNS = tuple(name for name, _ in _COLUMNS)
SHAPED = ("donor", *COLUMNS[COLUMNS.index("height") : -2])
"""Columns that say what a stamp looks like."""

# Peak of a pasted target divided by its gain, gray levels, in the released data: quantiles, with
# the ends of the scale (`scripts/reproduce.py levels` measures them).
LEVEL_QUANTILES = (0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 1.0)
LEVEL_VALUES = (0.0, 15.0, 38.0, 58.0, 79.0, 109.0, 141.0, 182.0, 213.0, 246.0, 255.0)

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
DECIMALS = 6


@dataclass(frozen=True, eq=False)
class PastePlan:
    """What to paste into one scene.

    Parameters
    ----------
    scene : str
        Name of the scene.
    config : PasteConfig
    pastes : ndarray, (N,), `PASTE`
        One row for each paste; labels follow those of the scene.
    windows : ndarray, (K, 2), int64
        (row, col) of the regions.
    requested : int
        Targets asked for, at least N.
    dropped : dict of str to int
        Why fewer were placed: ``no_window`` (targets of regions that found no place), ``no_room``
        (no position left in the region, or none hit), ``invisible`` (would change nothing),
        ``fragmented`` (its mask would fall apart).
    skip_reason : str
        Why nothing at all was pasted: ``no_sky``, ``no_window``, ``nothing_visible``; else empty.
    stamps : tuple of ndarray, optional
        What `plan_stamps` gives for the rows, kept by `make_plan` so that rendering need not
        compute it again; not written, and not taken over by `dataclasses.replace`.
    """

    scene: str
    config: PasteConfig
    pastes: np.ndarray
    windows: np.ndarray
    requested: int
    dropped: dict[str, int] = field(default_factory=dict)
    skip_reason: str = ""
    stamps: tuple[np.ndarray, np.ndarray] | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.pastes)

    def with_stamps(self, rise: np.ndarray, masks: np.ndarray) -> PastePlan:
        """The same plan with its stamps, as `plan_stamps` gives them, at hand for rendering."""
        plan = replace(self)
        object.__setattr__(plan, "stamps", (rise, masks))
        return plan

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; angles in degrees. `from_json` gives back an equal plan."""
        rows = [
            {**dict(zip(COLUMNS, row, strict=True)), "angle": _degrees(row[COLUMNS.index("angle")])}
            for row in self.pastes.tolist()
        ]
        return {
            "scene": self.scene,
            "config": self.config.to_dict(),
            "requested": self.requested,
            "dropped": self.dropped,
            "skip_reason": self.skip_reason,
            "windows": self.windows.tolist(),
            "pastes": rows,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PastePlan:
        """The plan that `to_json` wrote. Raises KeyError or ConfigError if it is none."""
        pastes = np.zeros(len(values["pastes"]), PASTE)
        for name in COLUMNS:
            pastes[name] = [row[name] for row in values["pastes"]]
        pastes["angle"] = np.radians(pastes["angle"])
        return cls(
            scene=values["scene"],
            config=PasteConfig.from_dict(values["config"]),
            pastes=pastes,
            windows=np.array(values["windows"], np.int64).reshape(-1, 2),
            requested=values["requested"],
            dropped=dict(values["dropped"]),
            skip_reason=values["skip_reason"],
        )


def _degrees(angle: float) -> float:
    return round(float(np.degrees(angle)), DECIMALS)


def scene_rng(seed: int, name: str, copy: int = 0) -> np.random.Generator:
    """The generator of one scene: it depends on nothing but seed, name and copy.

    Parameters
    ----------
    seed : int
        At least 0.
    name : str
        Of the scene.
    copy : int
        Which of several renderings of the same background.
    """
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(copy, key))))


def allowed(scene: Scene, config: PasteConfig) -> np.ndarray:
    """Pixels on which a region may lie: sky (if the config says so) that holds no target.

    Parameters
    ----------
    scene : Scene
    config : PasteConfig

    Returns
    -------
    ndarray, (H, W), bool
        All False where sky is asked for and the scene has none.
    """
    free = scene.labels == 0
    if config.region == "anywhere":
        return free
    return free & scene.sky if scene.sky is not None else np.zeros(scene.shape, bool)


def make_plan(
    scene: Scene,
    library: TargetLibrary,
    config: PasteConfig,
    rng: np.random.Generator,
    *,
    free: np.ndarray | None = None,
) -> PastePlan:
    """Decide what to paste into a scene.

    Parameters
    ----------
    scene : Scene
    library : TargetLibrary
        Of the kind that ``config.source`` asks for.
    config : PasteConfig
    rng : numpy.random.Generator
        One block of uniform numbers is drawn from it, its size given by the config alone.
    free : ndarray, bool, optional
        ``free_positions(~allowed(scene, config), window_px, window_px)``, if known already.

    Returns
    -------
    PastePlan
        Fewer rows than asked for where there is no room; the plan says how many and why.

    Raises
    ------
    ValueError
        If the library is empty or of the wrong kind.
    """
    check_library(library, config)
    draws = _draw(config, rng)
    side = config.window_px
    if free is None:
        free = free_positions(~allowed(scene, config), side, side)
    windows = choose_windows(free, draws.windows, side, scene.image)
    if len(windows) == 0:
        reason = "no_window" if allowed(scene, config).any() else "no_sky"
        return _empty(scene.name, config, int(draws.per_window.sum()), reason)
    return _filled(scene, library, config, draws, windows)


def _filled(
    scene: Scene,
    library: TargetLibrary,
    config: PasteConfig,
    draws: Draws,
    windows: np.ndarray,
) -> PastePlan:
    """The plan for regions that have their place: their targets, as far as they fit and show."""
    shapes = shapes_at(library, config.patch_px, config.resize, config.flatten)
    pastes, rise, masks, dropped = _place_clusters(windows, draws, shapes, config)
    seen = _look(scene, pastes, rise, masks, config)
    dropped |= {
        "no_window": int(draws.per_window[len(windows) :].sum()),
        "invisible": int((~seen).sum()),
    }
    pastes, rise, masks = pastes[seen], rise[seen], masks[seen]
    pastes["label"] = scene.n_targets + 1 + np.arange(len(pastes))
    plan = PastePlan(
        scene.name,
        config,
        pastes,
        windows,
        int(draws.per_window.sum()),
        {reason: n for reason, n in dropped.items() if n},
        "" if len(pastes) else "nothing_visible",
    )
    return plan.with_stamps(rise, masks)


def check_library(library: TargetLibrary, config: PasteConfig) -> None:
    """Raise ValueError if the library is empty or not of the kind that ``config.source`` needs."""
    if library.kind != config.library_kind:
        raise ValueError(
            f"source={config.source!r} needs a library of {config.library_kind}, "
            f"got one of {library.kind}"
        )
    if len(library) == 0:
        raise ValueError("the target library is empty")


def _empty(name: str, config: PasteConfig, requested: int, reason: str) -> PastePlan:
    nothing = np.zeros(0, PASTE)
    windows = np.zeros((0, 2), np.int64)
    return PastePlan(name, config, nothing, windows, requested, {reason: requested}, reason)


class Draws(NamedTuple):
    """Randomness of one plan (or of a batch of them, along leading axes), W windows of n targets.

    Parameters
    ----------
    windows : array, (..., W, C), float64
        Uniform numbers, see `densesirst_gen.placement.choose_windows`.
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


def _draw(config: PasteConfig, rng: np.random.Generator) -> Draws:
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
    draws: dict[str, Any], level: Any, shapes: Shapes, config: PasteConfig, xp: Any = np
) -> dict[str, Any]:
    """Everything about a paste but its position, for all slots at once.

    Parameters
    ----------
    draws : dict of str to array, (...)
        Uniform numbers for each of `DRAWS`.
    level : array, (...)
        ``draws["level"]`` through the table `LEVEL_QUANTILES` to `LEVEL_VALUES`.
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
    level = shapes.levels[donor] if config.level == "library" else level
    columns["level"] = xp.round(level, decimals=3)
    softened = config.fusion == "gaussian"
    gain = _between(draws["gain"], config.gain, xp)
    columns["gain"] = gain if softened else xp.ones_like(gain)
    for axis in "xy":
        columns[f"sigma_{axis}"] = _between(draws[f"sigma_{axis}"], config.sigma, xp)
        columns[f"offset_{axis}"] = _between(draws[f"offset_{axis}"], config.offset, xp)
    degrees = math.degrees(config.angle[0]), math.degrees(config.angle[1])
    columns["angle"] = xp.deg2rad(_between(draws["angle"], degrees, xp))
    return columns


@lru_cache(maxsize=8)
def _grid(patch_px: int) -> np.ndarray:
    return np.arange(patch_px, dtype=np.float64)


def plan_stamps(
    pastes: np.ndarray | dict[str, np.ndarray], shapes: Shapes, config: PasteConfig
) -> tuple[np.ndarray, np.ndarray]:
    """`densesirst_gen.fusion.stamps` of rows of a plan, or of its columns, with numpy."""
    columns = {name: pastes[name] for name in SHAPED}
    return stamps(shapes.shapes, shapes.masks, columns, _grid(config.patch_px), config)


def _place_clusters(
    windows: np.ndarray, draws: Draws, shapes: Shapes, config: PasteConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    n = len(windows)
    most = int(draws.per_window[:n].max())
    uniforms = {name: column[:n, :most] for name, column in draws.targets.items()}
    level = np.interp(uniforms["level"], LEVEL_QUANTILES, LEVEL_VALUES)
    columns = sample(uniforms, level, shapes, config)
    rise, masks = plan_stamps(columns, shapes, config)
    asked = np.arange(most) < draws.per_window[:n, None]
    whole = _is_whole(masks)
    sizes = np.stack([columns["height"], columns["width"]], axis=-1) * (asked & whole)[..., None]
    chances = np.stack([uniforms["success"], uniforms["position"]], axis=-1)
    region = config.window_px, config.window_margin
    rows, cols = place_on_boards(masks, sizes, columns["gap"], chances, *region, config.attempts)
    placed = rows >= 0
    cluster = placed.nonzero()[0]
    pastes = np.zeros(len(cluster), PASTE)
    for name, column in columns.items():
        pastes[name] = column[placed]
    pastes["cluster"] = cluster
    pastes["row"] = rows[placed] + windows[cluster, 0]
    pastes["col"] = cols[placed] + windows[cluster, 1]
    dropped = {
        "fragmented": int((asked & ~whole).sum()),
        "no_room": int((asked & whole & ~placed).sum()),
    }
    return pastes, rise[placed], masks[placed], dropped


def _is_whole(masks: np.ndarray) -> np.ndarray:
    """Which masks are one 8-connected piece."""
    flat = masks.reshape(-1, *masks.shape[-2:])
    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1] = EIGHT
    labels, n_pieces = ndimage.label(flat, in_plane)
    if n_pieces == len(flat) and flat.any(axis=(1, 2)).all():
        return np.ones(masks.shape[:-2], bool)
    first = np.where(flat, labels, n_pieces + 1).min(axis=(1, 2))
    return (first == labels.max(axis=(1, 2))).reshape(masks.shape[:-2])


def pixels_of(pastes: np.ndarray, patch_px: int, width: int) -> np.ndarray:
    """(N, P, P) flat indices into an image of that width; meaningful inside height x width."""
    grid = np.arange(patch_px)
    return (pastes["row"] * width + pastes["col"])[:, None, None] + grid[:, None] * width + grid


def _look(
    scene: Scene, pastes: np.ndarray, rise: np.ndarray, masks: np.ndarray, config: PasteConfig
) -> np.ndarray:
    """Record what each paste changes; say which of them can be seen."""
    black, white = scene.levels
    index = np.minimum(pixels_of(pastes, config.patch_px, scene.shape[1]), scene.image.size - 1)
    under = scene.image.ravel()[index].astype(np.float64)
    values = to_values(rise, scene)
    pastes["increment"], pastes["n_clipped"] = effect(under, values, masks, white)
    seen: np.ndarray = pastes["increment"] >= config.min_increment * (white - black) / 255
    return seen


def effect(under: Any, values: Any, masks: Any, white: Any, xp: Any = np) -> tuple[Any, Any]:
    """What pastes do to the pixels that they cover.

    Parameters
    ----------
    under : array, (..., P, P), float64
        Pixels below the patches.
    values : array, (..., P, P), float64
        What is added to them.
    masks : array, (..., P, P), bool
        Pixels of the targets.
    white : float, or array that broadcasts
        Where values are cut.
    xp : module
        numpy or torch.

    Returns
    -------
    increment : array, (...), float64
        Rise of the brightest pixel of the target, at least 0.
    n_clipped : array, (...), int64
        Pixels of the target that are cut at white.
    """
    risen = under + values
    change = (xp.minimum(risen, white) - under) * masks
    n_clipped = ((risen > white) & masks).sum((-2, -1))
    return xp.amax(change, (-2, -1)).clip(0), n_clipped


def to_values(rise: np.ndarray, scene: Scene) -> np.ndarray:
    """Gray levels to add -> the scene's own values; whole numbers (cut) for integer images."""
    black, white = scene.levels
    return scaled(rise, black, white, scene.image.dtype != np.float32)


def scaled(rise: Any, black: Any, white: Any, whole: bool, xp: Any = np) -> Any:
    """Gray levels to add -> values of an image of these levels, cut to whole numbers or not."""
    values = rise * ((white - black) / 255)
    return xp.floor(values) if whole else values

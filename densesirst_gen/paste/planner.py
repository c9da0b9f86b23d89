"""Deciding what to paste where: the only step that uses randomness and looks at the sky."""

from __future__ import annotations

import numpy as np

from densesirst_gen.paste.boards import place_on_boards
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.draws import PEAK_QUANTILES, PEAK_VALUES, Draws, draw, sample
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.placement import choose_windows, free_positions
from densesirst_gen.paste.plan import PASTE, PastePlan
from densesirst_gen.paste.shapes import Shapes, shapes_at
from densesirst_gen.paste.stamps import effect, pixels_of, plan_stamps, to_values
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene, gray_step


def allowed(scene: Scene, config: PasteConfig) -> np.ndarray:
    """Pixels on which a window may lie: sky (if the config says so) with data and no target.

    Parameters
    ----------
    scene : Scene
    config : PasteConfig

    Returns
    -------
    ndarray, (H, W), bool
        All False where sky is asked for and the scene has none.
    """
    free = scene.with_data(scene.labels == 0)
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
    draws = draw(config, rng)
    side = config.window_px
    if free is None:
        free = free_positions(~allowed(scene, config), side, side)
    windows = choose_windows(free, draws.windows, side, scene.image)
    if len(windows) == 0:
        reason = "no_window" if allowed(scene, config).any() else "no_sky"
        return PastePlan.empty(scene.name, config, int(draws.per_window.sum()), reason)
    return _filled(scene, library, config, draws, windows)


def _filled(
    scene: Scene,
    library: TargetLibrary,
    config: PasteConfig,
    draws: Draws,
    windows: np.ndarray,
) -> PastePlan:
    """The plan for windows that have their place: their targets, as far as they fit and show."""
    shapes = shapes_at(library, config.patch_px, config.resize, config.flatten)
    reach = scene.reach if config.level == "scaled" else 1.0
    pastes, rise, masks, dropped = _place_clusters(windows, draws, shapes, config, reach)
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
    """Raise ValueError if it is none, empty, or not of the kind that ``config.source`` needs."""
    if not isinstance(library, TargetLibrary):
        raise ValueError(
            f"library must be a TargetLibrary, got {library!r}; TargetLibrary.load reads a file"
        )
    if library.kind != config.library_kind:
        raise ValueError(
            f"source={config.source!r} needs a library of {config.library_kind}, "
            f"got one of {library.kind}"
        )
    if len(library) == 0:
        raise ValueError("the target library is empty")


def _place_clusters(
    windows: np.ndarray, draws: Draws, shapes: Shapes, config: PasteConfig, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    n = len(windows)
    most = int(draws.per_window[:n].max())
    uniforms = {name: column[:n, :most] for name, column in draws.targets.items()}
    peaks = reach * np.interp(uniforms["level"], PEAK_QUANTILES, PEAK_VALUES)
    columns = sample(uniforms, peaks, shapes, config)
    rise, masks = plan_stamps(columns, shapes, config)
    asked = np.arange(most) < draws.per_window[:n, None]
    whole = _is_whole(masks)
    sizes = np.stack([columns["height"], columns["width"]], axis=-1) * (asked & whole)[..., None]
    chances = np.stack([uniforms["success"], uniforms["position"]], axis=-1)
    square = config.window_px, config.window_margin
    rows, cols = place_on_boards(masks, sizes, columns["gap"], chances, *square, config.attempts)
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
    side = masks.shape[-1]
    apart = np.pad(masks.reshape(-1, *masks.shape[-2:]), ((0, 0), (0, 1), (0, 0)))
    labels = label_mask(apart.reshape(-1, side)).reshape(apart.shape)
    first = np.where(apart, labels, labels.max(initial=0) + 1).min(axis=(1, 2))
    return (first == labels.max(axis=(1, 2))).reshape(masks.shape[:-2])


def _look(
    scene: Scene, pastes: np.ndarray, rise: np.ndarray, masks: np.ndarray, config: PasteConfig
) -> np.ndarray:
    """Record what each paste changes; say which of them can be seen."""
    index = np.minimum(pixels_of(pastes, config.patch_px, scene.shape[1]), scene.image.size - 1)
    under = scene.image.ravel()[index].astype(np.float64)
    values = to_values(rise, scene)
    pastes["increment"], pastes["n_clipped"] = effect(under, values, masks, scene.levels[1])
    seen: np.ndarray = pastes["increment"] >= config.min_increment * gray_step(*scene.levels)
    return seen

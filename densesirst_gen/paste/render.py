"""Rendering a plan: a pure function of scene, library and plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.stamps import pixels_of, risen, stamps_of, to_values
from densesirst_gen.scene.scene import Scene


def render(scene: Scene, library: TargetLibrary, plan: PastePlan) -> Scene:
    """Paste the rows of a plan into a scene.

    ``image = floor(min(white, image + stamp))`` (Eq. 1). Masks never overlap; where the faint
    skirts of two stamps meet, the larger wins, so the order of the rows does not matter.

    Parameters
    ----------
    scene : Scene
        Not modified.
    library : TargetLibrary
        The one that the plan was made with.
    plan : PastePlan

    Returns
    -------
    Scene
        New image and labels; pixels outside the stamps are the same, old labels are the same.

    Raises
    ------
    ValueError
        If a row's patch does not lie in the image, or its donor is not in the library.
    """
    image, labels = scene.image.copy(), scene.labels.copy()
    pastes, config = plan.pastes, plan.config
    if len(pastes):
        _check_rows(scene, library, pastes)
        rise, masks = plan.stamps or stamps_of(plan, library)
        index = pixels_of(pastes, config.patch_px, scene.shape[1])
        label = np.broadcast_to(pastes["label"][:, None, None], masks.shape)
        labels.ravel()[index[masks]] = label[masks]
        touched = rise > 0
        _add(image.ravel(), index[touched], to_values(rise[touched], scene), scene.levels[1])
    return replace(scene, image=image, labels=labels, span=scene.levels)


def n_differing(image: np.ndarray, other: np.ndarray) -> int:
    """How many pixels of two images of one shape differ; NaN, which holds no data, is like NaN."""
    same = image == other
    if image.dtype == np.float32:
        same |= np.isnan(image) & np.isnan(other)
    return int(image.size - np.count_nonzero(same))


def _check_rows(scene: Scene, library: TargetLibrary, pastes: np.ndarray) -> None:
    inside = (pastes["row"] >= 0) & (pastes["row"] + pastes["height"] <= scene.shape[0])
    inside &= (pastes["col"] >= 0) & (pastes["col"] + pastes["width"] <= scene.shape[1])
    inside &= (pastes["donor"] >= 0) & (pastes["donor"] < len(library))
    if not inside.all():
        k = int(np.argmin(inside))
        raise ValueError(
            f"scene {scene.name}: paste {k} at ({pastes['row'][k]}, {pastes['col'][k]}) of donor "
            f"{pastes['donor'][k]} does not fit an image of {scene.shape} and {len(library)} donors"
        )


def _add(image: np.ndarray, index: np.ndarray, rise: np.ndarray, white: float) -> None:
    top = np.iinfo(image.dtype).max if image.dtype.kind == "u" else white
    np.maximum.at(image, index, risen(image[index], rise, min(white, top)).astype(image.dtype))

"""A written sky mask against what its plan says of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from densesirst_gen.build.verify.folder import Given
from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky.limits import SKY_CONFIDENCE, SKY_MARGIN
from densesirst_gen.sky.network import shipped
from densesirst_gen.sky.predict import predict_sky

MAX_SHARE = 0.01
"""Of pixels, in which a prediction may differ from one that another predictor made: up to version
0.1.0 processors differed. The same predictor gives the same pixels everywhere."""
MAX_CONFIDENCE = 0.01
ROUNDED = 1e-4
"""More than the last digit of a confidence that is written."""


def predicted_faults(
    scene: Scene, confidence: float, given: Given
) -> tuple[list[str], np.ndarray | None]:
    """How a written sky differs from the one that is predicted now.

    Parameters
    ----------
    scene : Scene
        The background, with the written sky mask.
    confidence : float
        As recorded.
    given : Given

    Returns
    -------
    faults : list of str
        Empty if mask and confidence are the same but for what processors differ in.
    usable : ndarray, (H, W), bool, or None
        What may be pasted on; None unless every pixel is the same.
    """
    prediction = predict_sky(scene)
    n_odd = int((prediction.sky != scene.sky).sum())
    faults = []
    source = given.recipe.get("sky")
    same = isinstance(source, dict) and source.get("network") == shipped().digest
    if n_odd > (0 if same else MAX_SHARE * prediction.sky.size):
        faults.append(f"{n_odd} pixels differ from the sky that is predicted for its background")
    if abs(prediction.confidence - confidence) > (ROUNDED if same else MAX_CONFIDENCE):
        found = round(prediction.confidence, 4)
        faults.append(f"sky_confidence is {confidence}, the prediction's is {found}")
    if n_odd or faults:
        return faults, None
    least = given.recipe.get("sky_confidence")
    least = least if isinstance(least, float | int) else SKY_CONFIDENCE
    return [], prediction.certain(least, min(given.number("sky_margin", SKY_MARGIN), 10_000))


def unwritten_faults(sky: np.ndarray, word: str) -> Iterator[str]:
    """A scene whose plan knows of no sky has a black mask."""
    if word == "none" and sky.any():
        yield f"{int(sky.sum())} pixels are sky, its plan knows of none"

"""Where the sky is, when nobody has said so: a simple estimate.

Sky is what is calm and reaches the top of the image. On the 768 annotated images of the released
training part this agrees with the masks made by hand with a mean intersection over union of about
0.79 (`scripts/reproduce.py sky`); it fails where smooth sea or ground reaches the top.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from densesirst_gen.scene import Scene

WORKING_SIDE = 320
CALM_LEVELS = 2.5
CALM_RATIO = 4.0
CALM_LIMIT = 8.0


def estimate_sky(scene: Scene) -> np.ndarray:
    """Grow the sky from the top row over pixels of low gradient.

    A pixel is calm if its gradient is below 2.5 gray levels, or below four times the median
    gradient along the top of the image where that is larger (at most 8 gray levels). Clouds that
    are closed in by calm sky belong to it; links thinner than four pixels are cut.

    Parameters
    ----------
    scene : Scene
        Its image is used, at most 320 pixels on the longer side.

    Returns
    -------
    ndarray, (H, W), bool
        True where the sky is thought to be; all False if the top of the image is not calm.
    """
    height, width = scene.shape
    shrink = max(1.0, max(height, width) / WORKING_SIDE)
    size = max(1, round(width / shrink)), max(1, round(height / shrink))
    black, white = scene.levels
    values = (scene.image - np.float32(black)) * np.float32(255 / (white - black))
    small = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))
    sky = Image.fromarray(_grown(_is_calm(small)).astype(np.uint8) * 255)
    return np.asarray(sky.resize((width, height), Image.Resampling.BILINEAR)) > 127


def _is_calm(gray: np.ndarray) -> np.ndarray:
    gradient = ndimage.gaussian_gradient_magnitude(gray, 1.0, mode="nearest")
    along_top = float(np.median(gradient[: max(1, len(gray) // 20)]))
    return gradient < min(max(CALM_LEVELS, CALM_RATIO * along_top), CALM_LIMIT)


def _grown(calm: np.ndarray) -> np.ndarray:
    calm = ndimage.binary_closing(np.pad(calm, 2, mode="edge"))[2:-2, 2:-2]
    labels, _ = ndimage.label(ndimage.binary_erosion(calm, iterations=2, border_value=1))
    at_top = np.unique(labels[0])
    sky = np.isin(labels, at_top[at_top > 0])
    return ndimage.binary_fill_holes(ndimage.binary_dilation(sky, iterations=2))

"""How targets look against their surroundings: every quantity that reads gray levels.

One gray level is 1/255 of what the sensor can give, counted from its black (see `Scene.levels`),
so images of 8 to 16 bits give the same numbers. Surroundings are read in windows around the
target's box, cut at the image border:

* *ground*: pixels that neither belong to a target nor touch one. A pasted target fades into the
  pixels that touch its mask, so these are not background;
* *local background*: median of the ground in the box padded by 5 px;
* *increment*: gray level above the local background.
"""

from __future__ import annotations

import cv2
import numpy as np

from densesirst_gen.scene.annotate import Annotations
from densesirst_gen.scene.scene import Scene, gray_levels
from densesirst_gen.scene.windows import Pixels, around, box_pixels, ring_pixels, target_pixels

BACKGROUND_PAD = 5
SCR_PAD = 10
REGION_PAD = 2
TOUCHING = np.ones((3, 3), np.uint8)


def appearance(scene: Scene, annotations: Annotations) -> dict[str, np.ndarray]:
    """Measure all targets of a scene.

    Parameters
    ----------
    scene : Scene
    annotations : Annotations
        Of its labels.

    Returns
    -------
    dict of ndarray, (N,)
        * ``peak``, ``mean``: greatest and mean gray level in the mask.
        * ``saturated``: bool, the peak is the sensor's white. Never for float images without a
          `span`, whose white is only their own maximum.
        * ``brightness_rank``, ``local_contrast``, ``scr``, ``log_scr``: see the functions.
        * ``peak_increment``: peak above the local background, gray levels.
        * ``profile_mean_over_max``: mean increment in the mask / peak increment.
        * ``halo_ratio``: mean increment of the pixels that touch the mask / peak increment; 0 if
          there is none.
        * ``asymmetry``: px, see `asymmetry`.

        Ratios to the peak increment take it as at least one step (`Scene.step`: of 8-bit images one
        gray level). Where a window has no ground, the peak itself is the background. Pixels
        without data are in no window.
    """
    own = target_pixels(scene.labels, annotations.boxes)
    inside = gray_at(scene, own)
    peak, mean = own.max(inside), own.mean(inside)
    background = local_background(scene, annotations.boxes, empty=peak)
    height = np.maximum(peak - background, gray_of_step(scene))
    ring = ring_pixels(scene.labels, annotations.boxes)
    halo = ring.mean(gray_at(scene, ring), empty=background)
    scr, log_scr = signal_to_clutter(scene, annotations.boxes, mean)
    return {
        "peak": peak,
        "mean": mean,
        "saturated": own.max(own.of(scene.filled)) >= white_level(scene),
        "brightness_rank": brightness_rank(scene.data, own.max(own.of(scene.filled))),
        "local_contrast": local_contrast(scene, annotations.boxes, peak),
        "scr": scr,
        "log_scr": log_scr,
        "peak_increment": peak - background,
        "profile_mean_over_max": (mean - background) / height,
        "halo_ratio": (halo - background) / height,
        "asymmetry": asymmetry(own, inside - background[own.owner], annotations.boxes),
    }


def gray_at(scene: Scene, pixels: Pixels) -> np.ndarray:
    """Gray levels (P,) float64 at the pixels: 0 is the sensor's black, 255 its white."""
    found: np.ndarray = gray_levels(pixels.of(scene.filled).astype(np.float64), scene.levels)
    return found


def gray_mean_std(scene: Scene) -> tuple[float, float]:
    """Mean and standard deviation of all pixels, gray levels."""
    black, white = scene.levels
    data = None if scene.void is None else (~scene.void).astype(np.uint8)
    mean, std = (float(value[0, 0]) for value in cv2.meanStdDev(scene.image, mask=data))
    return gray_levels(mean, (black, white)), gray_levels(std, (0, white - black))


def gray_of_step(scene: Scene) -> float:
    """The step between values of the image, in gray levels: 1 for 8 bits."""
    step: float = gray_levels(scene.step, (0, scene.levels[1] - scene.levels[0]))
    return step


def white_level(scene: Scene) -> float:
    """The raw value at which the sensor clips; infinite if that is not known."""
    unknown = scene.image.dtype == np.float32 and scene.span is None
    return np.inf if unknown else scene.levels[1]


def ground(scene: Scene) -> np.ndarray:
    """True (H, W) where there is data that neither belongs to a target nor touches one."""
    return scene.with_data(cv2.dilate((scene.labels > 0).astype(np.uint8), TOUCHING) == 0)


def local_background(scene: Scene, boxes: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Median gray level (N,) of the ground in each box padded by 5 px; `empty` without ground."""
    pixels = box_pixels(boxes, scene.shape, BACKGROUND_PAD)
    pixels = pixels.where(pixels.of(ground(scene)))
    return pixels.median(gray_at(scene, pixels), empty)


def brightness_rank(image: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Share (N,) of the image's pixels that are strictly brighter than the target's maximum.

    Fig. 3(c) of the paper is its histogram, as published.

    Parameters
    ----------
    image : ndarray
        Its pixels, those without data left out.
    peaks : ndarray, (N,)
        The maximum of each target, in the image's own values.
    """
    ordered = np.sort(image, axis=None, kind="stable")
    peaks = peaks.astype(image.dtype)
    return (image.size - np.searchsorted(ordered, peaks, side="right")) / image.size


def local_contrast(scene: Scene, boxes: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Peak / greatest mean of the eight neighbours over the pixels of the box, (N,).

    The closest definition found to Fig. 3(b) of the paper, which gives none: 2 % of the targets
    fall into other bins. Beyond the border the nearest pixel counts; the denominator is at least
    one step, see `gray_of_step`.
    """
    pixels = box_pixels(boxes, scene.shape)
    rows, cols = around(pixels)
    height, width = scene.shape
    near = Pixels(pixels.n, pixels.owner, rows.clip(0, height - 1), cols.clip(0, width - 1))
    surround = pixels.max(gray_at(scene, near).mean(axis=1))
    return peak / np.maximum(surround, gray_of_step(scene))


def signal_to_clutter(
    scene: Scene, boxes: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Signal-to-clutter ratio and its logarithm, each (N,).

    With m and s the mean and the standard deviation of all pixels of the box padded by 10 px that
    belong to no target: ``scr = |mean - m| / max(s, q)``, the usual definition, and
    ``log_scr = log(1 + |mean - m| / (s + q))``, which stays smooth where the clutter vanishes; q is
    one step of the image, see `gray_of_step`. Both 0 if there is no such pixel.
    """
    pixels = box_pixels(boxes, scene.shape, SCR_PAD)
    pixels = pixels.where(pixels.of(scene.with_data(scene.labels == 0)))
    values, floor = gray_at(scene, pixels), gray_of_step(scene)
    signal = np.abs(mean - pixels.mean(values, empty=mean))
    clutter = pixels.std(values)
    return signal / np.maximum(clutter, floor), np.log1p(signal / (clutter + floor))


def asymmetry(own: Pixels, increment: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """How far the light of a target lies off the centre of its box, (N,) px.

    The centroid of the positive increments in the mask minus the box centre, averaged over x and
    y: positive to the lower right. 0 if no increment is positive.
    """
    light = np.maximum(increment, 0.0)
    total = np.bincount(own.owner, light, own.n)
    moment = np.bincount(own.owner, light * (own.cols + own.rows), own.n)
    centre = (boxes.sum(axis=1) - 2) / 2  # x + y
    centroid = np.divide(moment, total, out=centre.copy(), where=total > 0)
    return (centroid - centre) / 2


def group_log_std(scene: Scene, boxes: np.ndarray) -> np.ndarray:
    """Texture of the background of each group, (K,): log(std + q / 2), std in gray levels.

    Over the ground in the group's box padded by 2 px, about the 20 px window that a cluster is
    pasted into. Half a step of the image (`gray_of_step`: q is 1 for 8 bits) keeps flat background
    finite; log q / 2 without ground.

    Parameters
    ----------
    scene : Scene
    boxes : ndarray, (K, 4), int
        Boxes of the groups, half-open xyxy.
    """
    pixels = box_pixels(boxes, scene.shape, REGION_PAD)
    pixels = pixels.where(pixels.of(ground(scene)))
    return np.log(pixels.std(gray_at(scene, pixels)) + gray_of_step(scene) / 2)

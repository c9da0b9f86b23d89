"""Probability maps as things: connected components, and the boxes around them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from densesirst_gen.detection.metrics.boxes import NOTHING_FOUND, FoundBoxes
from densesirst_gen.detection.metrics.results import check_choice
from densesirst_gen.scene.annotate import EIGHT, annotate


def components(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected components of a predicted mask.

    The numbers are those of `annotate.label_mask`. That one is made for few pixels; a detector
    that is not yet trained may predict a whole frame.

    Parameters
    ----------
    mask : ndarray, (H, W), bool

    Returns
    -------
    ndarray, (H, W), int32
        Labels 1..N in raster order of the first pixel.
    """
    labels: np.ndarray = ndimage.label(mask, EIGHT)[0]
    return labels.astype(np.int32)


@dataclass(frozen=True)
class MaskToBoxes:
    """How a probability map becomes boxes, so that mask detectors can be scored as box detectors.

    Parameters
    ----------
    threshold : float
        Pixels above it belong to a component.
    score : "max" or "mean"
        Of the probabilities of a component.
    min_area : int
        px; smaller components are left out.
    split : "none" or "peak"
        Whether a component with several local maxima is divided among them, see
        `split_at_peaks`: what touches becomes several boxes, and so does what is noisy.
    """

    threshold: float = 0.5
    score: str = "max"
    min_area: int = 1
    split: str = "none"

    def __post_init__(self) -> None:
        check_choice("MaskToBoxes", "score", self.score, ("max", "mean"))
        check_choice("MaskToBoxes", "split", self.split, ("none", "peak"))

    def boxes(self, prob: np.ndarray) -> FoundBoxes:
        """Tight half-open boxes of the components, with scores and the most likely pixels.

        Where several share the highest probability, as in a mask, it is their mean position.

        Parameters
        ----------
        prob : ndarray, (H, W), float or bool
            At the resolution in which the boxes are wanted.
        """
        labels = components(prob > self.threshold)
        if not labels.any():
            return NOTHING_FOUND
        if self.split == "peak":
            labels = split_at_peaks(prob, labels)
        found = annotate(labels)
        peaks, highest, mean = _levels(prob, labels)
        boxes = FoundBoxes(
            found.boxes.astype(np.float64), highest if self.score == "max" else mean, peaks
        )
        return boxes.where(found.areas >= self.min_area)


def _levels(prob: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, y) of the most likely pixels of each label, their probability, and the mean."""
    pixels = labels.ravel().nonzero()[0]
    index, values = labels.ravel()[pixels] - 1, prob.ravel()[pixels].astype(np.float64)
    highest = np.zeros(index.max() + 1)
    np.maximum.at(highest, index, values)
    top = values == highest[index]
    rows, cols = np.divmod(pixels[top], labels.shape[1])
    places = [np.bincount(index[top], line) / np.bincount(index[top]) for line in (cols, rows)]
    return np.stack(places, axis=1), highest, np.bincount(index, values) / np.bincount(index)


def split_at_peaks(prob: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Divide components among their peaks.

    A peak is a pixel, or connected pixels of equal value, that no neighbour exceeds. From the
    peaks downwards, every pixel joins the part that reaches it first.

    Parameters
    ----------
    prob : ndarray, (H, W), float or bool
    labels : ndarray, (H, W), int32
        Components of the pixels above a threshold.

    Returns
    -------
    ndarray, (H, W), int32
        The same pixels, with a label 1..N for each peak.
    """
    height = np.where(labels > 0, prob, -np.inf)
    return _flood(height, _peaks(height))


def _peaks(height: np.ndarray) -> np.ndarray:
    """Labels (H, W) of the peaks; pixels of -inf belong to none."""
    top = (height == ndimage.maximum_filter(height, footprint=EIGHT)) & (height > -np.inf)
    labels = components(top)
    lower = ndimage.maximum_filter(np.where(top, -np.inf, height), footprint=EIGHT)
    slopes = np.unique(labels[top & (lower == height)])  # flat parts that rise elsewhere
    return components(top & ~np.isin(labels, slopes))


def _flood(height: np.ndarray, markers: np.ndarray) -> np.ndarray:
    """Grow markers over all pixels above -inf, the highest first."""
    padded = np.pad(height, 1, constant_values=-np.inf)
    labels = np.pad(markers, 1)
    levels, parts, width = padded.ravel().tolist(), labels.ravel(), padded.shape[1]
    around = [row * width + col for row in (-1, 0, 1) for col in (-1, 0, 1)]
    heap = [(-levels[place], n, place) for n, place in enumerate(np.flatnonzero(parts).tolist())]
    heapq.heapify(heap)
    n = len(heap)
    while heap:
        _, _, here = heapq.heappop(heap)
        for place in (here + step for step in around):
            if levels[place] > -np.inf and not parts[place]:
                parts[place] = parts[here]
                heapq.heappush(heap, (-levels[place], n, place))
                n += 1
    return labels[1:-1, 1:-1].copy()

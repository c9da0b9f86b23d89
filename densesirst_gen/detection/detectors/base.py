"""What every detector is: gray images in, losses or predictions out, and the records it deals in.

Images are (B, 1, H, W) float32, 0 black to 1 white; normalising and repeating the channel are the
detector's own business (`Preprocess`), so a detector can't be fed with the wrong mean. Boxes are
xyxy, half-open, 0-based, in pixels of the network's input until `to_native_boxes`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densesirst_gen.settings import Settings

IGNORE = 255
UNKNOWN = -1


@dataclass(frozen=True)
class DetectorConfig(Settings):
    """Settings of a detector."""


@dataclass(frozen=True)
class Preprocess:
    """How a gray image becomes a network's input.

    Parameters
    ----------
    mean, std : tuple of float
        Of each input channel, the image in 0..1. One channel or three.
    per_image : bool
        Standardise each image by its own mean and deviation instead.
    divisor : int
        The input's sides must be multiples of this; the loader pads at the right and the bottom.
    fill : float
        Gray of the padding, 0..1.
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    per_image: bool = False
    divisor: int = 32
    fill: float = 0.449

    def gray(self) -> Preprocess:
        """The same for a network with one input channel: the mean of the channels' values."""
        mean, std = (sum(values) / len(values) for values in (self.mean, self.std))
        return replace(self, mean=(mean,), std=(std,))

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) gray to (B, C, H, W) normalised."""
        if images.ndim != 4 or images.shape[1] != 1:
            raise ValueError(f"images must be (B, 1, H, W) gray, got {tuple(images.shape)}")
        mean, std = (images.new_tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        if self.per_image:
            std, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True)
            std = std.clamp(min=1e-3)
        return (images.expand(-1, len(self.mean), -1, -1) - mean) / std


@dataclass(frozen=True, eq=False)
class Targets:
    """What is to be found in a batch; one structure for box and for mask detectors.

    Parameters
    ----------
    boxes : list of Tensor, B times (N, 4), float32
        xyxy, half-open, pixels of the input; (0, 4) for an image without targets.
    labels : Tensor, (B, H, W), int32
        0 background, k the target of row k - 1 of its boxes, -1 not known (padding). A target that
        resizing has left without pixels keeps its box.
    sky : Tensor, (B, H, W), uint8
        1 sky, 0 other, 255 not known (padding, or nobody has annotated it).
    """

    boxes: list[Tensor]
    labels: Tensor
    sky: Tensor

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def masks(self) -> Tensor:
        """(B, 1, H, W) float32: 1 target, 0 background or not known."""
        return (self.labels > 0).unsqueeze(1).float()

    @property
    def valid(self) -> Tensor:
        """(B, 1, H, W) float32: 1 where `masks` is known, else 0."""
        return (self.labels != UNKNOWN).unsqueeze(1).float()

    def to(self, device: torch.device | str) -> Targets:
        """The same on another device."""
        boxes = [b.to(device) for b in self.boxes]
        return Targets(boxes, self.labels.to(device), self.sky.to(device))


@dataclass(frozen=True)
class ImageMeta:
    """How an input was made from its image: resized, then put into a larger frame.

    Parameters
    ----------
    size : tuple of int
        (height, width) of the image, native pixels.
    scale : tuple of float
        (y, x) input pixels per native pixel.
    pad : tuple of int
        (top, left) input pixels before the image's first row and column.
    """

    size: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    pad: tuple[int, int] = (0, 0)

    @property
    def resized(self) -> tuple[int, int]:
        """(height, width) of the image in the input."""
        height, width = (round(n * s) for n, s in zip(self.size, self.scale, strict=True))
        return height, width


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a detector has found in an image, in native pixels.

    Parameters
    ----------
    boxes : Tensor, (N, 4), float32
        xyxy, half-open, within the image; (0, 4) for a mask detector.
    scores : Tensor, (N,), float32
        0..1, descending.
    prob_map : Tensor or None, (H, W), float32
        Probability that a pixel is target; None for a box detector.
    sky : Tensor or None, (H, W), float32
        Probability that a pixel is sky; None for a detector without a sky branch.
    """

    boxes: Tensor
    scores: Tensor
    prob_map: Tensor | None = None
    sky: Tensor | None = None


def to_input_boxes(boxes: Tensor, meta: ImageMeta) -> Tensor:
    """Boxes of the image, (N, 4), in pixels of the input."""
    (down, right), (top, left) = meta.scale, meta.pad
    return boxes * boxes.new_tensor([right, down] * 2) + boxes.new_tensor([left, top] * 2)


def to_native_boxes(boxes: Tensor, meta: ImageMeta) -> Tensor:
    """Boxes of the input, (N, 4), in pixels of the image, cut to it; may be left empty."""
    (down, right), (top, left) = meta.scale, meta.pad
    native = (boxes - boxes.new_tensor([left, top] * 2)) / boxes.new_tensor([right, down] * 2)
    height, width = meta.size
    return native.clamp(min=0).minimum(native.new_tensor([width, height] * 2))


def to_native_map(values: Tensor, meta: ImageMeta) -> Tensor:
    """A map of the input, (H, W), without its padding, bilinearly resized to the image."""
    (top, left), (height, width) = meta.pad, meta.resized
    inside = values[top : top + height, left : left + width]
    if inside.shape == meta.size:
        return inside
    return F.interpolate(inside[None, None], meta.size, mode="bilinear", align_corners=False)[0, 0]


def mask_predictions(logits: Tensor, metas: Sequence[ImageMeta]) -> list[Prediction]:
    """Predictions of a mask detector.

    Parameters
    ----------
    logits : Tensor, (B, 1, H, W)
        At the size of the input.
    metas : sequence of ImageMeta
        One per image.

    Returns
    -------
    list of Prediction
        With a `prob_map` each and no boxes.
    """
    probs = logits.float().sigmoid()[:, 0]
    maps = [to_native_map(p, meta) for p, meta in zip(probs, metas, strict=True)]
    return [Prediction(p.new_zeros(0, 4), p.new_zeros(0), p) for p in maps]


# ---- settings


# ---- the detector


class Detector(nn.Module, ABC):
    """A detector of small targets.

    Attributes
    ----------
    task : {"boxes", "mask"}
        What `predict` gives.
    config_type : type
        Its settings, a `DetectorConfig`.
    presets : dict of str to dict
        Named settings: "paper" for the printed equations, "official" for the published code.
    config : DetectorConfig
        In use. ``build_detector(name, **dataclasses.asdict(config))`` builds the same network.
    preprocess : Preprocess
    """

    task: ClassVar[Literal["boxes", "mask"]]
    config_type: ClassVar[type[DetectorConfig]]
    presets: ClassVar[dict[str, dict[str, Any]]]
    config: Any
    preprocess: Preprocess

    @abstractmethod
    def forward(self, images: Tensor) -> Any:
        """Raw outputs for `loss` and `predict`.

        Parameters
        ----------
        images : Tensor, (B, 1, H, W), float32
            Gray, 0..1; sides are multiples of ``preprocess.divisor``.
        """

    @abstractmethod
    def loss(self, raw: Any, targets: Targets) -> dict[str, Tensor]:
        """Parts of the loss, each a weighted scalar; their sum is minimised."""

    @abstractmethod
    def predict(self, raw: Any, metas: Sequence[ImageMeta]) -> list[Prediction]:
        """What was found, one `Prediction` per image, in native pixels."""

    def before_training(self, sizes: Tensor) -> None:
        """Look at the training boxes once, (N, 2) width and height in input pixels."""

    def after_epoch(self) -> None:
        """Close an epoch of training."""

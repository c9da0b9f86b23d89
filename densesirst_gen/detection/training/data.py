"""Scenes to batches: pasted into at their own size, then mirrored, resized, cut and stacked.

What happens to a training image depends on (seed, epoch, index) only, whatever the number of
workers. Augmentations come before resizing; boxes are computed, masks sampled, nothing is re-read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from densesirst_gen.augment.arrays import cover
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.augment.calls import CallStream
from densesirst_gen.datasets import SceneFile
from densesirst_gen.detection.detectors.base import (
    IGNORE,
    UNKNOWN,
    ImageMeta,
    Preprocess,
    Targets,
    to_input_boxes,
)
from densesirst_gen.detection.training.settings import TrainConfig
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene, gray_step
from densesirst_gen.sky.predict import default_store

BLUR_SHARE = 0.5
LEAST_SIGMA = 0.05
"""Below, OpenCV takes a σ of its own; such a blur does nothing."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One input: image (1, H, W), and the rows of `Targets` that belong to it."""

    image: Tensor
    boxes: Tensor
    labels: Tensor
    sky: Tensor
    meta: ImageMeta
    scene: Scene | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs of one size, their targets, and, for evaluation, the scenes they were made of."""

    images: Tensor
    targets: Targets
    metas: list[ImageMeta]
    scenes: list[Scene | None]


# ---- one scene


def gray(scene: Scene) -> np.ndarray:
    """(H, W) float32: black 0, white 1, what is beyond cut."""
    return (scene.gray(np.float32) / 255).clip(0, 1)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear; averages where it shrinks, so that no target falls between the samples."""
    if image.shape == size:
        return image
    values = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    return F.interpolate(values, size, mode="bilinear", antialias=True)[0, 0].numpy()


def sampled(mask: np.ndarray, meta: ImageMeta, frame: tuple[int, int]) -> np.ndarray:
    """The values of a mask under the pixel centres of an input: the nearest, never a mixture."""
    rows, cols = (
        ((np.arange(n) - pad + 0.5) / scale).astype(np.int64)
        for n, pad, scale in zip(frame, meta.pad, meta.scale, strict=True)
    )
    return mask[rows[:, None], cols]


def fitted(size: tuple[int, int], side: int, fit: str, zoom: float = 1.0) -> ImageMeta:
    """How an image comes to be `side` long, or square if it is stretched; 0 leaves its size."""
    longest = max(size)
    wanted = (
        size if side == 0 else tuple(side if fit == "stretch" else n * side / longest for n in size)
    )
    height, width = (max(1, round(n * zoom)) for n in wanted)
    return ImageMeta(size, (height / size[0], width / size[1]))


def to_sample(scene: Scene, meta: ImageMeta, frame: tuple[int, int] | None = None) -> Sample:
    """Put a scene into an input.

    Parameters
    ----------
    scene : Scene
    meta : ImageMeta
        `pad` is not above 0: rows and columns that are cut off at the top and the left.
    frame : tuple of int, optional
        (height, width) of the input, within the resized image. None: the whole.
    """
    frame = frame or meta.resized
    top, left = -meta.pad[0], -meta.pad[1]
    window = np.s_[top : top + frame[0], left : left + frame[1]]
    boxes, labels = _cut_targets(scene.labels, sampled(scene.labels, meta, frame), meta, frame)
    sky = np.full(frame, IGNORE, np.uint8)
    if scene.sky is not None:
        sky = sampled(scene.sky, meta, frame).astype(np.uint8)
    image = np.ascontiguousarray(resize(gray(scene), meta.resized)[window])
    return Sample(
        torch.from_numpy(image)[None], boxes, torch.from_numpy(labels), torch.from_numpy(sky), meta
    )


def _cut_targets(
    native: np.ndarray, labels: np.ndarray, meta: ImageMeta, frame: tuple[int, int]
) -> tuple[Tensor, np.ndarray]:
    """Boxes with something in the frame, and the labels numbered like them."""
    boxes = to_input_boxes(torch.from_numpy(annotate(native).boxes).float().reshape(-1, 4), meta)
    height, width = frame
    boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([width, height] * 2))
    inside = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    numbers = np.zeros(len(boxes) + 1, np.int32)
    numbers[1:][inside.numpy()] = np.arange(1, int(inside.sum()) + 1)
    return boxes[inside], numbers[labels]


def flipped(scene: Scene) -> Scene:
    """The scene mirrored left to right."""
    sky = None if scene.sky is None else scene.sky[:, ::-1]
    return replace(scene, image=scene.image[:, ::-1], labels=scene.labels[:, ::-1], sky=sky)


# ---- datasets


class EvalScenes(TorchDataset[Sample]):
    """Scenes as they are, resized for the network; each sample brings its scene along."""

    def __init__(self, files: Sequence[SceneFile], size: int, fit: str) -> None:
        self.files, self.size, self.fit = files, size, fit

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        scene = self.files[index].load()
        sample = to_sample(scene, fitted(scene.shape, self.size, self.fit))
        return replace(sample, scene=scene)


@dataclass(frozen=True)
class EpochOrder:
    """Which scene each image of an epoch is of: laps through random permutations of the scenes.

    Parameters
    ----------
    config : TrainConfig
    n_scenes : int
        At least 1.
    """

    config: TrainConfig
    n_scenes: int

    def __len__(self) -> int:
        return self.config.images_per_epoch or self.n_scenes

    def at(self, epoch: int, index: int) -> int:
        """The scene of an image; every lap takes each once, in a new order."""
        lap, place = divmod(epoch * len(self) + index, self.n_scenes)
        return int(_lap(self.config.seed, lap, self.n_scenes)[place])


@lru_cache(4)
def _lap(seed: int, lap: int, n: int) -> np.ndarray:
    return np.random.default_rng((seed, lap)).permutation(n)


class TrainScenes(TorchDataset[Sample]):
    """The images of one epoch of training, in the epoch's own order.

    Parameters
    ----------
    files : sequence of SceneFile
        At least one.
    config : TrainConfig
    library : TargetLibrary, optional
        What ``config.augment`` pastes.

    Notes
    -----
    Item i is the i-th image of the epoch that `set_epoch` has named; worker processes see the
    epoch change. Epochs go through random permutations of the scenes one after the other, also
    where an epoch is shorter or longer than these.
    """

    def __init__(
        self, files: Sequence[SceneFile], config: TrainConfig, library: TargetLibrary | None = None
    ) -> None:
        self.files, self.config = files, config
        self.order = EpochOrder(config, len(files))
        self.calls = CallStream(config.seed)
        self.paste = None
        if library is not None:
            self.paste = BagCopyPaste(
                library,
                config.augment,
                p=config.paste,
                seed=config.seed,
                sky="predict",
                sky_store=default_store(),
            )

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; before the loader is iterated."""
        self.calls.epoch.value = epoch
        if self.paste:
            self.paste.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Sample:
        if index >= len(self):  # or a plain loop over the images would never end
            raise IndexError(f"image {index} of an epoch of {len(self)}")
        file = self.files[self.file_at(index)]
        scene = file.load()
        if self.paste:
            scene = self.paste(scene, index=index, free=_free(self.paste, scene, file.ignored))
        rng = self.calls.rng(f"view {index}")
        if rng.random() < self.config.flip:
            scene = flipped(scene)
        return self._blurred(self._zoomed(scene, rng), rng)

    def file_at(self, index: int) -> int:
        """Which file an item of this epoch is of."""
        return self.order.at(self.calls.epoch.value, index)

    def _blurred(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if not self.config.blur or rng.random() >= BLUR_SHARE:
            return sample
        sigma = max(rng.uniform(0, self.config.blur), LEAST_SIGMA)
        image = cv2.GaussianBlur(sample.image[0].numpy(), (0, 0), sigma)
        return replace(sample, image=torch.from_numpy(image)[None])

    def _zoomed(self, scene: Scene, rng: np.random.Generator) -> Sample:
        """Zoomed by chance; what is then larger than the crop, or the input, is cut."""
        config = self.config
        fit = fitted(scene.shape, config.size, config.fit)
        low, high = config.zoom
        meta = fitted(scene.shape, config.size, config.fit, rng.uniform(low, high))
        limits = (config.crop, config.crop) if config.crop else fit.resized
        frame = tuple(map(min, limits, meta.resized))
        aim: tuple[int | None, ...] = (None, None)
        if config.crop and scene.n_targets and rng.random() < config.on_target:
            aim = _centre(scene, int(rng.integers(scene.n_targets)), meta)
        top, left = (
            _start(size, part, pixel, rng)
            for size, part, pixel in zip(meta.resized, frame, aim, strict=True)
        )
        return to_sample(scene, replace(meta, pad=(-top, -left)), (frame[0], frame[1]))


def _free(
    paste: BagCopyPaste, scene: Scene, ignored: Sequence[tuple[float, ...]]
) -> np.ndarray | None:
    """Where windows may lie, with nothing in regions to be ignored; None if there are none."""
    if not ignored:
        return None
    labels = scene.labels.copy()
    cover(labels, np.array(ignored, float), 1)
    return paste.placement_map(replace(scene, labels=labels))


def _start(size: int, part: int, aim: int | None, rng: np.random.Generator) -> int:
    """Where a random part of `size` pixels begins; around pixel `aim`, if it is given."""
    low, high = 0, size - part
    if aim is not None:
        low, high = max(low, aim - part + 1), min(high, aim)
    return int(rng.integers(low, high + 1))


def _centre(scene: Scene, k: int, meta: ImageMeta) -> tuple[int, int]:
    """(row, column) of the input at the middle of the k-th target's box."""
    boxes = torch.from_numpy(annotate(scene.labels).boxes[k : k + 1]).float()
    x0, y0, x1, y1 = to_input_boxes(boxes, meta)[0].tolist()
    height, width = meta.resized
    return min(int((y0 + y1) / 2), height - 1), min(int((x0 + x1) / 2), width - 1)


def box_sizes(files: Sequence[SceneFile], size: int, fit: str) -> Tensor:
    """(N, 2) float32: width and height of all targets in input pixels; looks at masks only."""
    found = [torch.zeros(0, 2)]
    for file in files:
        scene = file.load()
        boxes = torch.from_numpy(annotate(scene.labels).boxes).float().reshape(-1, 4)
        boxes = to_input_boxes(boxes, fitted(scene.shape, size, fit))
        found.append(boxes[:, 2:] - boxes[:, :2])
    return torch.cat(found)


# ---- batches


@dataclass(frozen=True)
class Collate:
    """Samples to a `Batch`: padded at the right and the bottom to one size that the network takes.

    Padding is ``preprocess.fill`` gray; its targets and sky are not known.
    """

    preprocess: Preprocess = field(default_factory=Preprocess)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Samples of any sizes as one batch."""
        divisor = self.preprocess.divisor
        largest = (max(s.image.shape[axis] for s in samples) for axis in (1, 2))
        height, width = (-(-n // divisor) * divisor for n in largest)

        def stack(tensors: list[Tensor], fill: float) -> Tensor:
            out = tensors[0].new_full((len(tensors), height, width), fill)
            for row, tensor in zip(out, tensors, strict=True):
                row[: tensor.shape[0], : tensor.shape[1]] = tensor
            return out

        images = stack([s.image[0] for s in samples], self.preprocess.fill)
        labels = stack([s.labels for s in samples], UNKNOWN)
        targets = Targets(
            [s.boxes for s in samples], labels, stack([s.sky for s in samples], IGNORE)
        )
        return Batch(
            images[:, None], targets, [s.meta for s in samples], [s.scene for s in samples]
        )


# ---- what detectors are tested on


@dataclass(frozen=True)
class ChangedFile(SceneFile):
    """A scene made smaller, noisy, or both, truth included, when it is loaded.

    Parameters
    ----------
    source : SceneFile
    side : int
        Longer side to score at; 0: as it is. Masks are sampled, so small targets may vanish:
        as published comparisons do it, and why scores at other sizes are not comparable.
    noise : float
        Standard deviation, 8-bit gray levels; its values depend on the scene's name only.
    """

    source: SceneFile | None = None
    side: int = 0
    noise: float = 0.0

    @property
    def has_labels(self) -> bool:
        """Whether its source has."""
        return self.source is not None and self.source.has_labels

    def load_with_notes(self) -> tuple[Scene, list[str]]:
        """The changed scene, and the notes of its source."""
        assert self.source is not None
        scene, notes = self.source.load_with_notes()
        if self.side:
            scene = _resized_scene(scene, self.side)
        return _noisy(scene, self.noise) if self.noise else scene, notes


def changed(files: Sequence[SceneFile], *, side: int = 0, noise: float = 0) -> list[SceneFile]:
    """The scenes as `ChangedFile`, where there is anything to change."""
    if not side and not noise:
        return list(files)
    return [
        ChangedFile(
            f.name,
            f.image,
            f.mask,
            f.sky,
            f.span,
            _ignored(f, side),
            source=f,
            side=side,
            noise=noise,
        )
        for f in files
    ]


def _ignored(file: SceneFile, side: int) -> tuple[tuple[float, float, float, float], ...]:
    """The regions of a scene that is resized to `side`; 0: as it is."""
    if not side or not file.ignored:
        return file.ignored
    height, width = file.load().shape
    tall, wide = fitted((height, width), side, "keep").resized
    x, y = wide / width, tall / height
    return tuple((x0 * x, y0 * y, x1 * x, y1 * y) for x0, y0, x1, y1 in file.ignored)


def _resized_scene(scene: Scene, side: int) -> Scene:
    meta = fitted(scene.shape, side, "keep")
    image = _as(scene, resize(scene.filled.astype(np.float32), meta.resized))
    sky = None if scene.sky is None else sampled(scene.sky, meta, meta.resized)
    labels = label_mask(sampled(scene.labels, meta, meta.resized) > 0)
    return Scene(scene.name, image, labels, sky, scene.levels)


def _noisy(scene: Scene, sigma: float) -> Scene:
    black, white = scene.levels
    noise = scene_rng(0, scene.name).normal(0, sigma * gray_step(black, white), scene.shape)
    image = _as(scene, (scene.filled + noise).clip(black, white))
    return replace(scene, image=image, span=scene.levels)


def _as(scene: Scene, values: np.ndarray) -> np.ndarray:
    """In the scene's own dtype, rounded if that is whole numbers."""
    is_float = scene.image.dtype == np.float32
    return (values if is_float else values.round()).astype(scene.image.dtype)

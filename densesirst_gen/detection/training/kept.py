"""Training inputs that lie on the device: made once, after which no step waits for a file.

What an epoch sees is what `densesirst_gen.detection.training.data.TrainScenes` gives: the same
order, mirrored and pasted by the same random numbers. Only where images are resized do mirrored
ones differ, by rounding: here they are mirrored afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from densesirst_gen.augment.batch import BatchBagCopyPaste
from densesirst_gen.augment.calls import CallStream
from densesirst_gen.datasets import SceneFile
from densesirst_gen.detection.detectors.base import IGNORE, UNKNOWN, Preprocess, Targets
from densesirst_gen.detection.training.data import Batch, EpochOrder, Sample, fitted, to_sample
from densesirst_gen.detection.training.settings import TrainConfig
from densesirst_gen.paste.config import profile_named
from densesirst_gen.paste.draws import n_draws
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.scene import Scene
from densesirst_gen.settings import ConfigError

STILL = {"zoom": (1.0, 1.0), "crop": 0, "blur": 0.0}
"""What kept inputs can't have: they are made once."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Samples of one size as tensors, and what is known of each.

    Parameters
    ----------
    images : Tensor, (N, H, W), uint8 or float32
        uint8 (0 black, 255 white) where that is all there is to them, else 0..1.
    labels : Tensor, (N, H, W), int32
    sky : Tensor, (N, H, W), uint8
        As in `Targets`.
    boxes : Tensor, (N, M, 4), float32
        The rows from `counts` on are zero.
    counts : Tensor, (N,), int64
    """

    images: Tensor
    labels: Tensor
    sky: Tensor
    boxes: Tensor
    counts: Tensor

    def to(self, device: torch.device | str) -> Kept:
        """The same on another device."""
        return Kept(*(getattr(self, f.name).to(device) for f in fields(self)))

    def rows(self, chosen: Tensor) -> Kept:
        """Some of them, in this order."""
        return Kept(*(getattr(self, f.name)[chosen] for f in fields(self)))


def kept(samples: Sequence[Sample]) -> Kept:
    """Put samples together.

    Parameters
    ----------
    samples : sequence of Sample
        At least one.

    Raises
    ------
    ConfigError
        If they are of several sizes.
    """
    sizes = sorted({tuple(sample.image.shape[1:]) for sample in samples})
    if len(sizes) > 1:
        raise ConfigError(
            f"keep needs inputs of one size, these are of {len(sizes)}, such as {sizes[0]} and "
            f"{sizes[-1]}: say fit=stretch"
        )
    counts = [len(sample.boxes) for sample in samples]
    boxes = torch.zeros(len(samples), max(counts), 4)
    for row, sample in zip(boxes, samples, strict=True):
        row[: len(sample.boxes)] = sample.boxes
    return Kept(
        _images(samples),
        torch.stack([sample.labels for sample in samples]),
        torch.stack([sample.sky for sample in samples]),
        boxes,
        torch.tensor(counts),
    )


def _images(samples: Sequence[Sample]) -> Tensor:
    """In bytes where these hold every value."""
    values = torch.stack([sample.image[0] for sample in samples])
    levels = values.mul(255).round_().byte()
    return levels if torch.equal(_gray(levels), values) else values


def _gray(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images


def samples_of(files: Sequence[SceneFile], config: TrainConfig) -> list[Sample]:
    """The inputs of scenes.

    Raises
    ------
    ConfigError
        If something is pasted, and a scene is resized, is not of 8 bits, or has regions to be
        ignored.
    """
    made = []
    for file in files:
        scene = file.load()
        sample = to_sample(scene, fitted(scene.shape, config.size, config.fit))
        if config.augment != "none":
            _check_pasted(file, scene, sample, config)
        made.append(sample)
    return made


def _check_pasted(file: SceneFile, scene: Scene, sample: Sample, config: TrainConfig) -> None:
    """What is pasted into an input is what would be pasted into its scene."""
    reasons = {
        "would be resized": sample.meta.scale != (1, 1),
        "is not of 8 bits": scene.image.dtype != np.uint8,
        "has regions to be ignored": bool(file.ignored),
    }
    for why, is_so in reasons.items():
        if is_so:
            raise ConfigError(
                f"keep with augment={config.augment} pastes into inputs as they are, but scene "
                f"{file.name} {why}: say keep=false"
            )


class KeptScenes:
    """The images of one epoch of training, as `TrainScenes` has them, out of kept inputs.

    Parameters
    ----------
    samples : sequence of Sample
        At least one, of one size.
    config : TrainConfig
    library : TargetLibrary, optional
        What ``config.augment`` pastes, at the size of the inputs.

    Raises
    ------
    ConfigError
        If a setting makes another input in each epoch, beside mirroring and pasting; if samples
        are of several sizes, or without a sky where targets are to be pasted into it.
    """

    def __init__(
        self, samples: Sequence[Sample], config: TrainConfig, library: TargetLibrary | None = None
    ) -> None:
        for name, value in STILL.items():
            if getattr(config, name) != value:
                config.refuse(name, f"{value} where inputs are kept")
        self.config, self.calls = config, CallStream(config.seed)
        self.order = EpochOrder(config, len(samples))
        self.kept, self.paste = kept(samples), None
        if library is not None:
            settings = profile_named(config.augment)
            self.paste = BatchBagCopyPaste(library, settings, p=config.paste, inplace=True)
            self._check_sky()

    def _check_sky(self) -> None:
        assert self.paste is not None
        if self.paste.config.region == "sky" and bool((self.kept.sky == IGNORE).any()):
            raise ConfigError("keep with augment needs a sky mask for every scene: say keep=false")

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins."""
        self.calls.epoch.value = epoch

    def __len__(self) -> int:
        return len(self.order)

    def sizes(self) -> Tensor:
        """(N, 2): width and height of all targets of the inputs, for `Detector.before_training`."""
        boxes, counts = self.kept.boxes, self.kept.counts
        used = torch.arange(boxes.shape[1], device=boxes.device) < counts[:, None]
        return boxes[used][:, 2:] - boxes[used][:, :2]

    def batches(
        self, mine: Sequence[int], preprocess: Preprocess, device: torch.device | str
    ) -> KeptBatches:
        """Some images of each epoch, on a device from now on."""
        self.kept = self.kept.to(device)
        if self.paste is not None:
            self.paste.to(device)
        return KeptBatches(self, mine, preprocess)

    def batch(self, indices: Sequence[int], preprocess: Preprocess) -> Batch:
        """The images of these numbers, where the kept inputs are."""
        epoch = self.calls.epoch.value
        chosen = [self.order.at(epoch, index) for index in indices]
        found = self.kept.rows(torch.tensor(chosen, device=self.kept.images.device))
        if self.paste is not None:
            found = self._pasted(found, self.paste, indices)
        return _padded(self._mirrored(found, indices), preprocess)

    def _pasted(self, found: Kept, paste: BatchBagCopyPaste, indices: Sequence[int]) -> Kept:
        """Pasted into by the numbers that `BagCopyPaste` would draw for each."""
        n = 1 + n_draws(paste.config)
        draws = torch.from_numpy(np.stack([self.calls.rng(i).random(n) for i in indices]))
        images, free = found.images[:, None], found.sky == 1
        span = None if images.dtype == torch.uint8 else (0.0, 1.0)
        plan = paste.plan(images, free, found.labels, span=span, draws=draws.to(images.device))
        made = paste.render(images, plan, found.labels, found.boxes, found.counts)
        return Kept(made.images[:, 0], made.labels, found.sky, made.boxes, made.counts)

    def _mirrored(self, found: Kept, indices: Sequence[int]) -> Kept:
        chance = [self.calls.rng(f"view {index}").random() for index in indices]
        where = torch.tensor([c < self.config.flip for c in chance], device=found.images.device)
        images, labels, sky = (
            torch.where(where[:, None, None], values.flip(-1), values)
            for values in (found.images, found.labels, found.sky)
        )
        x0, y0, x1, y1 = found.boxes.unbind(-1)
        width = images.shape[-1]
        mirrored = torch.stack([width - x1, y0, width - x0, y1], dim=-1)
        boxes = torch.where(where[:, None, None], mirrored, found.boxes)
        return Kept(images, labels, sky, boxes, found.counts)


class KeptBatches:
    """The batches of each epoch, in place of a DataLoader's; the last may be left out as there."""

    def __init__(self, scenes: KeptScenes, mine: Sequence[int], preprocess: Preprocess) -> None:
        self.scenes, self.mine, self.preprocess = scenes, mine, preprocess
        self.size = scenes.config.batch

    def __len__(self) -> int:
        """A smaller last batch counts only where it is the only one."""
        return len(self.mine) // self.size or 1

    def __iter__(self) -> Iterator[Batch]:
        for k in range(len(self)):
            part = self.mine[k * self.size : (k + 1) * self.size]
            yield self.scenes.batch(part, self.preprocess)


def _padded(found: Kept, preprocess: Preprocess) -> Batch:
    height, width = (-n % preprocess.divisor for n in found.images.shape[1:])
    fills = ((_gray(found.images), preprocess.fill), (found.labels, UNKNOWN), (found.sky, IGNORE))
    images, labels, sky = (F.pad(v, (0, width, 0, height), value=fill) for v, fill in fills)
    counts = found.counts.tolist()
    boxes = [rows[:n] for rows, n in zip(found.boxes, counts, strict=True)]
    return Batch(images[:, None], Targets(boxes, labels, sky), [], [])

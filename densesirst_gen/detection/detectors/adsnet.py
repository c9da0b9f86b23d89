"""ADSNet: masks of small targets, refined only where there may be one.

Three ideas: a global feature is distributed to the levels with attention (AFD), three stages refine
from coarse to fine and the two finer ones on the best patches only (`adsnet_sparse`), and each
stage predicts how well its targets are covered. "Eq." and "Table" are of the ADSNet paper. There
is no public code; what the paper leaves open was decided here:

* The global feature is brought to the size of a level, not the level to its (``inject_at``), and
  "F_local" of Eq. 2 is the level after its 1x1.
* What a stage drops isn't lost: the input is added everywhere, the refinement to kept patches.
  (With the input dropped too, eight images weren't learnt by heart.)
* ε are shares of all patches, and what stage 3 drops, stage 2 drops too: ε₃ <= ε₂, and stage 2 can
  be dense only if stage 3 is.
* Batch norm of pooled values can't do with one image; it then takes its running statistics.
* Cells that the focal losses count begin at a probability of 0.01. All losses of cells are sums
  over the three stages.
* The IoU of a target: a predicted pixel is the target's that it's connected to by predicted pixels,
  up to 16 px away. A cell over several targets is asked for the best.

Nothing in the paper's loss (Eq. 7) wants patches to be dropped, or ranks them other than through
the features that survive; ``ratio_loss_weight=2`` pulls their number, at least, to that of
inference. Random decisions make training restless: to train dense, ``eps=(None, None)``, and go on
sparse from these weights is quicker. One set of weights can be run at any ε that isn't None: build
it again with other ``eps`` and load the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densesirst_gen.detection.detectors.adsnet_sparse import (
    Cells,
    GatheredCells,
    MaskedCells,
    PatchScores,
    Stage,
    best_patches,
    sampled_patches,
)
from densesirst_gen.detection.detectors.base import (
    IGNORE,
    Detector,
    DetectorConfig,
    ImageMeta,
    Prediction,
    Preprocess,
    Targets,
    mask_predictions,
)
from densesirst_gen.detection.detectors.parts.backbones import load_weights, resnet
from densesirst_gen.detection.detectors.parts.layers import ConvNormAct, conv_same
from densesirst_gen.detection.detectors.parts.losses import bce_loss, focal_loss
from densesirst_gen.settings import option

LEVELS = (2, 3, 4)
FINEST, COARSEST = 4, 16  # strides
PRIOR = 0.01
REACH = 16
Shares = tuple[float | None, ...]


@dataclass(frozen=True)
class ADSNetConfig(DetectorConfig):
    """Settings of ADSNet; those with "unstated" are guesses, as the paper doesn't say."""

    width: int = option(
        128, "channels after the backbone; unstated, that of its middle level", low=4, high=1024
    )
    stem_width: int = option(64, "channels of the backbone's stem", low=4, high=1024)
    in_channels: int = option(3, "of the backbone; the gray image is repeated", among=(1, 3))
    weights: str | None = option(None, "file of ImageNet weights for the ResNet-18")
    afd: bool = option(True, "aware fusion distribute; without it levels stay local (Table 4)")
    channel_att: bool = option(True, "its channel attention (Table 4)")
    spatial_att: bool = option(True, "its spatial attention (Table 4)")
    ca_reduction: int = option(
        4,
        "of the channel attention's hidden layer; unstated, 4 as the width is small",
        low=1,
        high=1024,
    )
    ca_norm: str = option(
        "bn", "of the channel attention; 'none' suits tiny batches", among=("bn", "none")
    )
    distribute_to: tuple[int, ...] = option(
        (3, 4), "levels that get the global feature (Table 5)", among=((4,), (3, 4), (2, 3, 4))
    )
    inject_at: str = option(
        "level",
        "size at which they do: the level's, as the mask's text needs, or the global one's, as "
        "the text of Eq. 2 says",
        among=("level", "global"),
    )
    patches: int = option(16, "patches along a side of the image (Table 7)", low=4, high=256)
    eps: Shares = option(
        (0.25, 0.5),
        "share of all patches that stage 3 and stage 2 drop at inference; None: a dense stage, in "
        "training too (Table 8)",
    )
    tau: float = option(
        1.0, "temperature of decisions in training; unstated, 1 is usual", low=0.01, high=1000
    )
    ratio_loss_weight: float = option(
        0.0, "pulls the kept share in training to 1 - eps; not in the paper, try 2", low=0, high=1e6
    )
    sparse_impl: str = option(
        "gather",
        "how dropped patches are left out at inference: not computed, or computed and set to zero, "
        "which gives the same and saves nothing",
        among=("gather", "dense_masked"),
    )
    iou_aware: bool = option(True, "stages predict the IoU of their targets (Table 6)")
    iou_negatives: bool = option(
        False, "cells without a target learn an IoU of 0; unstated, they would outnumber all others"
    )
    use_iou_score: bool = option(
        False,
        "probabilities times sqrt(class score x IoU) of the finest stage; unstated, the paper only "
        "trains them",
    )
    threshold: float = option(0.5, "of the predicted mask whose IoU is learnt", low=0, high=1)
    mask_head: str = option(
        "bilinear",
        "from stride 4 to the pixel; unstated, 'bilinear' has no weights to train",
        among=("bilinear", "shuffle"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_eps()
        if self.width % self.ca_reduction:
            self.refuse("width", f"a multiple of ca_reduction, {self.ca_reduction}")
        if self.afd and not (self.channel_att or self.spatial_att):
            self.refuse("spatial_att", "True without channel_att: x would be left out")
        attention, sparse = ("ca_reduction", "ca_norm"), ("patches", "tau", "ratio_loss_weight")
        distribution = ("channel_att", "spatial_att", "distribute_to", "inject_at")
        self._unless(self.afd, "afd", *attention, *distribution)
        self._unless(self.channel_att, "channel_att", *attention)
        self._unless(self.is_sparse, "eps", *sparse, "sparse_impl")
        self._unless(self.iou_aware, "iou_aware", "iou_negatives", "use_iou_score", "threshold")

    def _check_eps(self) -> None:
        shares = [share for share in self.eps if share is not None]
        numbers = all(type(share) in (int, float) and 0 <= share < 1 for share in shares)
        if len(self.eps) != 2 or not numbers:
            self.refuse("eps", "two of None or a share, at least 0 and below 1")
        if (None in self.eps[1:] and shares) or shares != sorted(shares):
            self.refuse("eps", "(stage 3, stage 2), None before numbers, the lower number first")

    def _unless(self, used: bool, switch: str, *names: str) -> None:
        """Refuse settings that would do nothing."""
        for f in fields(self):
            if not used and f.name in names and getattr(self, f.name) != f.default:
                self.refuse(f.name, f"{f.default!r} without {switch}")

    @property
    def is_sparse(self) -> bool:
        """Whether any stage drops patches."""
        return self.eps != (None, None)

    @property
    def divisor(self) -> int:
        """Of the input's sides: patches are whole cells of stage 3, at stride 8."""
        return math.lcm(COARSEST, 8 * self.patches) if self.is_sparse else COARSEST


# ---- aware fusion distribute


class Fusion(nn.Module):
    """The global feature, at stride 8: all levels side by side, mixed, with a part for each taker.

    Parameters
    ----------
    channels_in : tuple of int
        Of the levels, finest first.
    width : int
        Of a part.
    n_parts : int
    """

    def __init__(self, channels_in: tuple[int, ...], width: int, n_parts: int) -> None:
        super().__init__()
        channels = n_parts * width
        self.n_parts = n_parts
        self.mix = ConvNormAct(sum(channels_in), channels, 1)
        self.first, self.second = (
            ConvNormAct(channels, channels),
            ConvNormAct(channels, channels, act=None),
        )

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Levels, finest first, to the parts, (B, width, H, W) each."""
        size = levels[1].shape[2:]
        mixed = self.mix(torch.cat([fitted(x, size) for x in levels], dim=1))
        return (self.second(self.first(mixed)) + mixed).relu().chunk(self.n_parts, dim=1)


class PooledNorm(nn.BatchNorm2d):
    """Batch norm of one value per image and channel, which a batch of one image can't provide."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 1, 1); a single image in training is normed by the running statistics."""
        if self.training and len(x) == 1:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


class ChannelAttention(nn.Sequential):
    """How much each channel counts, by its maximum: (B, C, H, W) to (B, C, 1, 1), 0..1."""

    def __init__(self, width: int, reduction: int, norm: str) -> None:
        hidden, make = width // reduction, PooledNorm if norm == "bn" else None
        normed = [make(width)] if make else []
        super().__init__(
            ConvNormAct(width, hidden, 1, norm=make), nn.Conv2d(hidden, width, 1), *normed
        )

    def forward(self, x: Tensor) -> Tensor:
        """Attention (B, C, 1, 1), 0 to 1."""
        out: Tensor = super().forward(x.amax(dim=(2, 3), keepdim=True))
        return out.sigmoid()


class SpatialAttention(nn.Sequential):
    """How much each cell counts, by its maximum: (B, C, H, W) to (B, 1, H, W), 0..1."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))

    def forward(self, x: Tensor) -> Tensor:
        """Attention (B, 1, H, W), 0 to 1."""
        out: Tensor = super().forward(x.amax(dim=1, keepdim=True))
        return out.sigmoid()


class Injection(nn.Module):
    """Give a level its part g of the global feature (Eq. 2-4): ``(F_c + F_s) x + g``.

    F_c and F_s are g times what the attentions to channels and cells make of x + g.
    """

    def __init__(self, config: ADSNetConfig) -> None:
        super().__init__()
        self.at_level = config.inject_at == "level"
        self.attentions = nn.ModuleDict()
        if config.channel_att:
            self.attentions["channel"] = ChannelAttention(
                config.width, config.ca_reduction, config.ca_norm
            )
        if config.spatial_att:
            self.attentions["spatial"] = SpatialAttention()

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        """(B, C, H, W) and (B, C, H', W') to (B, C, H, W)."""
        size = x.shape[2:]
        at = size if self.at_level else g.shape[2:]
        x, g = fitted(x, at), fitted(g, at)
        both = x + g
        weight = torch.stack([a(both).expand_as(g) for a in self.attentions.values()]).sum(dim=0)
        return fitted(weight * g * x + g, size)


def fitted(x: Tensor, size: Sequence[int]) -> Tensor:
    """(B, C, H, W) at another size: maxima if it is smaller, else bilinear."""
    ratio = x.shape[2] // size[0]
    if ratio > 1:
        return F.max_pool2d(x, ratio)
    if x.shape[2] == size[0]:
        return x
    return F.interpolate(x, tuple(size), mode="bilinear")


# ---- the detector


@dataclass(frozen=True, eq=False)
class RawOutput:
    """Logits of pixels and cells.

    Parameters
    ----------
    logits : Tensor, (B, 1, H, W), float32
        Of the mask, at the size of the input.
    cls, iou : tuple of Tensor, (B, 1, h, w)
        Of a target in a cell and of its IoU, at strides 16, 8, 4; `iou` is empty without them.
    kept : tuple of (Tensor, (B, n, n), or None)
        Decisions for stages 3 and 2; None for a dense stage.
    """

    logits: Tensor
    cls: tuple[Tensor, ...]
    iou: tuple[Tensor, ...]
    kept: tuple[Tensor | None, ...]


class ADSNet(Detector):
    """Masks of targets."""

    task = "mask"
    config_type = ADSNetConfig
    presets: ClassVar = {"paper": {}}

    def __init__(self, config: ADSNetConfig) -> None:
        super().__init__()
        self.config = replace(config, weights=None)
        self.preprocess = _preprocess(config)
        self.backbone = resnet(
            18, width=config.stem_width, in_channels=config.in_channels, stages=len(LEVELS)
        )
        if config.weights is not None:
            load_weights(self.backbone, config.weights, unused=("fc.", "layer4."))
        width, channels = config.width, self.backbone.channels
        self.laterals = nn.ModuleList(conv_same(c, width, 1) for c in channels)
        takers = config.distribute_to if config.afd else ()
        self.fusion = Fusion(channels, width, len(takers)) if takers else None
        self.injections = nn.ModuleDict({str(level): Injection(config) for level in takers})
        self.stages = nn.ModuleList(Stage(width, residual=k > 0) for k in range(len(LEVELS)))
        self.scores = nn.ModuleList(
            PatchScores(width, config.patches) if share is not None else nn.Identity()
            for share in config.eps
        )
        self.cls = nn.ModuleList(_rare(nn.Conv2d(width, 1, 1)) for _ in LEVELS)
        self.iou = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in LEVELS if config.iou_aware)
        n_out = 1 if config.mask_head == "bilinear" else FINEST**2
        self.mask = _rare(nn.Conv2d(width, n_out, 1))

    def forward(self, images: Tensor) -> RawOutput:
        """Logits of the mask, and what the stages predict; see `Detector`."""
        self._check_size(images)
        active: list[Tensor] = []
        kept: list[Tensor | None] = [None]
        for k, (stage, x) in enumerate(zip(self.stages, self.levels(images), strict=True)):
            if active:
                kept.append(self._decisions(k - 1, active[-1], kept[-1]))
                x = x + fitted(active[-1], x.shape[2:])
            active.append(stage(x, self._cells(kept[-1], (x.shape[2], x.shape[3]))))
        return RawOutput(
            self._mask_logits(active[-1]),
            tuple(head(x) for head, x in zip(self.cls, active, strict=True)),
            tuple(head(x) for head, x in zip(self.iou, active, strict=False)),
            tuple(kept[1:]),
        )

    def _check_size(self, images: Tensor) -> None:
        divisor = self.preprocess.divisor
        if any(side % divisor for side in images.shape[2:]):
            raise ValueError(
                f"the sides of images must be multiples of {divisor}, got {tuple(images.shape)}"
            )

    def levels(self, images: Tensor) -> list[Tensor]:
        """F_4, F_3, F_2: the levels at one width, with the global feature where it is given."""
        features = self.backbone(self.preprocess(images))
        local = {
            str(level): lateral(x)
            for level, lateral, x in zip(LEVELS, self.laterals, features, strict=True)
        }
        parts = self.fusion(features) if self.fusion is not None else ()
        for (level, inject), part in zip(self.injections.items(), parts, strict=True):
            local[level] = inject(local[level], part)
        return list(local.values())[::-1]

    def _decisions(self, k: int, x: Tensor, coarser: Tensor | None) -> Tensor | None:
        """For the k-th of the two sparse stages, by what the stage before it made, (B, C, H, W)."""
        share = self.config.eps[k]
        if share is None:
            return None
        logits = self.scores[k](x)
        if self.training:
            return sampled_patches(logits, self.config.tau, coarser)
        return best_patches(logits, share, coarser)

    def _cells(self, kept: Tensor | None, size: tuple[int, int]) -> Cells:
        if kept is None:
            return Cells()
        masked = self.training or self.config.sparse_impl == "dense_masked"
        return MaskedCells(kept, size) if masked else GatheredCells(kept, size)

    def _mask_logits(self, x: Tensor) -> Tensor:
        logits = self.mask(x).float()
        if self.config.mask_head == "shuffle":
            return F.pixel_shuffle(logits, FINEST)
        return F.interpolate(logits, scale_factor=float(FINEST), mode="bilinear")

    def loss(self, raw: RawOutput, targets: Targets) -> dict[str, Tensor]:
        """Parts ``seg``, ``cls``, if asked for ``iou`` and ``ratio`` (Eq. 7)."""
        masks, known = targets.masks, targets.valid
        parts = {
            "seg": _focal(raw.logits, masks, known),
            "cls": _total(_focal(x, pooled(masks, x), pooled(known, x)) for x in raw.cls),
        }
        if self.config.iou_aware:
            quality = target_iou(raw.logits.sigmoid() > self.config.threshold, targets.labels)
            counted = known if self.config.iou_negatives else masks
            parts["iou"] = _total(
                bce_loss(x, torch.where(pooled(counted, x) > 0, pooled(quality, x), IGNORE))
                for x in raw.iou
            )
        if self.config.ratio_loss_weight:
            parts["ratio"] = self.config.ratio_loss_weight * self._ratio_loss(raw.kept)
        return parts

    def _ratio_loss(self, kept: Sequence[Tensor | None]) -> Tensor:
        """Σ (mean(M_l) - (1 - ε_l))² of the sparse stages."""
        return _total(
            (mask.mean() - (1 - share)).square()
            for mask, share in zip(kept, self.config.eps, strict=True)
            if mask is not None and share is not None
        )

    def predict(self, raw: RawOutput, metas: Sequence[ImageMeta]) -> list[Prediction]:
        """Probabilities of the mask, at the images' own size; see `Detector`."""
        if not self.config.use_iou_score:
            return mask_predictions(raw.logits, metas)
        score = (raw.cls[-1].float().sigmoid() * raw.iou[-1].float().sigmoid()).sqrt()
        probs = raw.logits.sigmoid() * fitted(score, raw.logits.shape[2:])
        return mask_predictions(probs.logit(eps=1e-6), metas)


def _preprocess(config: ADSNetConfig) -> Preprocess:
    """ImageNet's; of a single channel their mean."""
    base = Preprocess(divisor=config.divisor)
    return base if config.in_channels == 3 else base.gray()


def _rare(conv: nn.Conv2d) -> nn.Conv2d:
    """A classifier of something rare: its probabilities begin near `PRIOR`."""
    nn.init.constant_(conv.get_parameter("bias"), -math.log(1 / PRIOR - 1))
    return conv


# ---- losses


def pooled(values: Tensor, like: Tensor) -> Tensor:
    """Maxima of the pixels, (B, 1, H, W), under each cell of `like`, (B, 1, h, w)."""
    return F.max_pool2d(values, values.shape[2] // like.shape[2])


def _focal(logits: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Focal loss of what is known, per positive."""
    return (focal_loss(logits, wanted) * known).sum() / wanted.sum().clamp(min=1)


def _total(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum()


@torch.no_grad()
def target_iou(predicted: Tensor, labels: Tensor) -> Tensor:
    """How well each target is covered by what is predicted of it.

    A predicted pixel is a target's if predicted pixels connect it to the target, within `REACH`
    px; what touches several is shared out by distance.

    Parameters
    ----------
    predicted : Tensor, (B, 1, H, W), bool
    labels : Tensor, (B, H, W), int
        As of `Targets`.

    Returns
    -------
    Tensor, (B, 1, H, W), float32
        The IoU of a target on its pixels, 0 elsewhere.
    """
    own = _numbered(labels)
    predicted = predicted[:, 0] & (labels >= 0)
    taken = own
    for _ in range(REACH):
        spread = F.max_pool2d(taken, 3, 1, 1)
        taken = torch.where(predicted & (taken == 0), spread, taken)
    size = int(own.max()) + 1
    n_own, n_hit, n_taken = (
        ids.long().flatten().bincount(minlength=size)
        for ids in (own, own * predicted, taken * predicted)
    )
    iou = n_hit / (n_own + n_taken - n_hit).clamp(min=1)
    iou[0] = 0
    return iou[own.long()][:, None]


def _numbered(labels: Tensor) -> Tensor:
    """(B, H, W) float32: the targets of a batch numbered from 1, else 0."""
    n_targets = labels.flatten(1).amax(dim=1).clamp(min=0)
    before = n_targets.cumsum(0) - n_targets
    return torch.where(labels > 0, labels + before[:, None, None], 0).float()

"""SeRankDet: masks of small targets by a U-Net whose channels attend to their brightest pixels.

Three ideas: convolutions side by side, plain, of differences and dilated (DDC); attention between
channels, each described by its K largest values (SeRank); and a fusion of encoder and decoder that
weighs every pixel (LSFF). "Eq." and "Table" are of the SeRankDet paper; where its equations and its
code disagree, the preset says whose side is taken ("paper", "official"). The network starts from
nothing; there are no weights of a backbone.

Read so, where the paper leaves it open or is wrong:

- "1 + softmax" of Eq. 8 is the identity matrix plus the softmax: ``X + A X``.
- K halves from level to level, by its formula and contrary to the prose; Q Kᵀ is C x C as in Eq. 8.
- The logits are standardised for each image by itself. The code does it over the batch: what it
  finds in an image depends on the images beside it.
- ReLUs leave many zeros: a channel with fewer than K positive values gives some of them, and
  `torch.topk` says which.
- "SparseAttn" of Table V is not described. Here Q and K are 1x1 convolutions of the whole map with
  its position embedding, and K logits of a row, or all if there are fewer, are kept.
- Central differences stay in the blocks of the decoder, whatever `ddc` and `ddc_cdc` say; `ddc`
  is about the encoder. Convolutions before a norm have a bias, which does nothing, as in the code.

Full width is heavy: a forward pass takes 98 GMAC at 256 x 256, "official" 142, a quarter of it for
the 3x3 that joins the branches of DDC. Nearly all is in 3x3 convolutions, the same at each level.
The attention is 1 % of it; building A costs the same at any size, choosing the values and applying
A do not. SoftIoU has next to no gradient once all masks are empty: mind the learning rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densesirst_gen.detection.detectors.base import (
    Detector,
    DetectorConfig,
    ImageMeta,
    Prediction,
    Preprocess,
    Targets,
    mask_predictions,
)
from densesirst_gen.detection.detectors.parts.layers import conv_same
from densesirst_gen.detection.detectors.parts.losses import soft_iou_loss
from densesirst_gen.detection.detectors.serankdet_attention import SeRank, SparseAttention
from densesirst_gen.settings import option

LEVELS = 5
DILATIONS = (2, 4, 2)
DEFAULT_OFFSET = 3


@dataclass(frozen=True)
class SeRankDetConfig(DetectorConfig):
    """Settings of SeRankDet; the defaults are the preset "paper"."""

    base_width: int = option(64, "channels at full size, doubled at each level", low=8, high=512)
    ddc: bool = option(True, "DDC in the encoder, else two 3x3 convolutions (Table III)")
    ddc_cdc: bool = option(True, "its branch of central differences (Table IV)")
    ddc_dilated: bool = option(True, "its dilated branch (Table IV)")
    ddc_fuse: int = option(1, "side of the kernel that joins its branches", among=(1, 3))
    cdc_theta: float = option(0.7, "θ: 0 is a convolution, 1 sees differences only", low=0, high=1)
    serank: bool = option(True, "attention between channels (Table III)")
    serank_mode: str = option(
        "pre_topk",
        "choose values, then compare; or compare whole maps, then choose: SparseAttn (Table V)",
        among=("pre_topk", "post_topk"),
    )
    offset: int = option(
        DEFAULT_OFFSET, "o: each step doubles the values chosen (the ablation of o)", low=1, high=5
    )
    pe: bool = option(True, "the attention knows positions (Table III)")
    pe_size: str = option(
        "actual",
        "scale of the position embedding: of the map, or of 512 px inputs, which are then the most",
        among=("actual", "fixed"),
    )
    order: str = option(
        "position", "of the chosen values of a channel", among=("position", "value")
    )
    standardise: str = option(
        "sample", "logits over an image or over the batch", among=("sample", "batch")
    )
    lsff: str = option(
        "paper",
        "how encoder and decoder are fused, 'off' puts them side by side (Table III)",
        among=("paper", "official", "off"),
    )
    deep_supervision: bool = option(True, "five more masks, of all levels, for the loss")
    softiou_per_image: bool = option(False, "sums of the loss over an image, else over the batch")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ddc:
            for name in ("ddc_cdc", "ddc_dilated"):
                if not getattr(self, name):
                    self.refuse(name, "True without ddc")
        if not self.serank and self.offset != DEFAULT_OFFSET:
            self.refuse("offset", f"{DEFAULT_OFFSET} without serank")
        if self.order != "position" and not (self.serank and self.serank_mode == "pre_topk"):
            self.refuse("order", "'position' without serank of mode 'pre_topk'")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels at each level, finest first."""
        return tuple(self.base_width * 2**k for k in range(LEVELS))


# ---- convolutions


class DifferenceConv2d(nn.Conv2d):
    """3x3 convolution of central differences (Yu et al., CDCN): ``conv(x) - θ x Σ taps + bias``.

    It is a convolution whose central tap is less by θ times the sum of all, and done so.
    """

    def __init__(self, channels_in: int, channels: int, theta: float) -> None:
        super().__init__(channels_in, channels, 3, padding=1)
        self.theta = theta

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, channels, H, W)."""
        sums = self.weight.sum((2, 3), keepdim=True)
        weight = self.weight - self.theta * F.pad(sums, (1, 1, 1, 1))
        return F.conv2d(x, weight, self.bias, padding=1)


def _normed(conv: nn.Conv2d) -> nn.Sequential:
    """With batch norm and ReLU behind it."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True))


def _layer(channels_in: int, channels: int, side: int = 3, dilation: int = 1) -> nn.Sequential:
    return _normed(conv_same(channels_in, channels, side, dilation=dilation))


def _chain(channels_in: int, channels: int, dilations: tuple[int, ...]) -> nn.Sequential:
    """Three 3x3, of which the second changes the number of channels."""
    first, second, third = dilations
    return nn.Sequential(
        _layer(channels_in, channels_in, dilation=first),
        _layer(channels_in, channels, dilation=second),
        _layer(channels, channels, dilation=third),
    )


class DilatedDifferenceBlock(nn.Module):
    """DDC: three branches side by side, joined by a convolution."""

    def __init__(self, channels_in: int, channels: int, config: SeRankDetConfig) -> None:
        super().__init__()
        branches = [_chain(channels_in, channels, (1, 1, 1))]
        if config.ddc_cdc:
            branches.append(_normed(DifferenceConv2d(channels_in, channels, config.cdc_theta)))
        if config.ddc_dilated:
            branches.append(_chain(channels_in, channels, DILATIONS))
        self.branches = nn.ModuleList(branches)
        self.fuse = _layer(len(branches) * channels, channels, config.ddc_fuse)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, channels, H, W)."""
        out: Tensor = self.fuse(torch.cat([branch(x) for branch in self.branches], dim=1))
        return out


def _encoder_block(channels_in: int, channels: int, config: SeRankDetConfig) -> nn.Module:
    if config.ddc:
        return DilatedDifferenceBlock(channels_in, channels, config)
    return nn.Sequential(_layer(channels_in, channels), _layer(channels, channels))


def _attention(channels: int, level: int, config: SeRankDetConfig) -> nn.Module:
    if not config.serank:
        return nn.Identity()
    kind = SeRank if config.serank_mode == "pre_topk" else SparseAttention
    return kind(channels, level, config)


# ---- fusion


class PixelFusion(nn.Module):
    """LSFF of the paper: ``Y = X g + X' (1 - g)``, one gate g for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = conv_same(2, 1, 7)

    def forward(self, encoded: Tensor, decoded: Tensor) -> Tensor:
        """Twice (B, C, H, W) to the same size."""
        gate = self.squeeze(channel_summary(encoded, decoded)).sigmoid()
        return torch.lerp(decoded, encoded, gate)


class ScaledConcat(nn.Module):
    """LSFF of the code: side by side, scaled by 1 plus γ times a sum gated for each pixel.

    γ starts at 0, which makes it a concatenation.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = conv_same(2, 2, 7)
        self.expand = conv_same(channels, 2 * channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, encoded: Tensor, decoded: Tensor) -> Tensor:
        """Twice (B, C, H, W) to (B, 2 C, H, W)."""
        one, two = self.squeeze(channel_summary(encoded, decoded)).sigmoid().chunk(2, dim=1)
        scale = 1 + self.gamma * self.expand(encoded * one + decoded * two)
        return torch.cat([encoded, decoded], dim=1) * scale


class Concat(nn.Module):
    """Side by side: no LSFF."""

    def forward(self, encoded: Tensor, decoded: Tensor) -> Tensor:
        """Both, one after the other."""
        return torch.cat([encoded, decoded], dim=1)


def _fusion(channels: int, kind: str) -> tuple[nn.Module, int]:
    """The fusion, and the channels that it gives."""
    if kind == "paper":
        return PixelFusion(), channels
    return (ScaledConcat(channels) if kind == "official" else Concat()), 2 * channels


def channel_summary(a: Tensor, b: Tensor) -> Tensor:
    """Mean and maximum over the channels of both, each (B, C, H, W), to (B, 2, H, W)."""
    mean = (a.mean(1, keepdim=True) + b.mean(1, keepdim=True)) / 2
    return torch.cat([mean, torch.maximum(a.amax(1, keepdim=True), b.amax(1, keepdim=True))], dim=1)


class DecoderStage(nn.Module):
    """The level below, enlarged, fused with the encoder's output of this level."""

    def __init__(self, channels: int, config: SeRankDetConfig) -> None:
        super().__init__()
        self.narrow = _layer(2 * channels, channels)
        self.fusion, fused = _fusion(channels, config.lsff)
        self.block = nn.Sequential(
            _layer(fused, channels),
            _normed(DifferenceConv2d(channels, channels, config.cdc_theta)),
            _layer(channels, channels),
        )

    def forward(self, encoded: Tensor, below: Tensor) -> Tensor:
        """(B, C, H, W) and (B, 2 C, H / 2, W / 2) to (B, C, H, W)."""
        decoded = self.narrow(_enlarged(below, encoded))
        out: Tensor = self.block(self.fusion(encoded, decoded))
        return out


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


# ---- the detector


class SeRankDet(Detector):
    """Masks of targets."""

    task = "mask"
    config_type = SeRankDetConfig
    presets: ClassVar = {
        "paper": {},
        "official": {
            "ddc_fuse": 3,
            "pe_size": "fixed",
            "standardise": "batch",
            "lsff": "official",
        },
    }

    def __init__(self, config: SeRankDetConfig) -> None:
        super().__init__()
        self.config, widths = config, config.widths
        self.preprocess = Preprocess(divisor=2 ** (LEVELS - 1))
        before = (len(self.preprocess.mean), *widths)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                _encoder_block(before[k], widths[k], config), _attention(widths[k], k, config)
            )
            for k in range(LEVELS)
        )
        self.decoder = nn.ModuleList(DecoderStage(c, config) for c in widths[:-1])
        self.main = conv_same(widths[0], 1, 1)
        sides = widths if config.deep_supervision else ()
        self.sides = nn.ModuleList(conv_same(c, 1, 3) for c in sides)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits, each (B, 1, H, W), of the mask and of all levels, finest first.

        Parameters
        ----------
        images : Tensor, (B, 1, H, W), float32

        Returns
        -------
        dict of str to Tensor
            "main" and, with deep supervision, "side_1" to "side_5".
        """
        features = self.features(self.preprocess(images))
        logits = {"main": self.main(features[0])}
        for k, side in enumerate(self.sides):
            logits[f"side_{k + 1}"] = _enlarged(side(features[k]), images)
        return logits

    def features(self, x: Tensor) -> list[Tensor]:
        """Outputs of the decoder and, last, of the encoder; strides 1, 2, 4, 8, 16."""
        levels: list[Tensor] = []
        for k, stage in enumerate(self.encoder):
            levels.append(stage(F.max_pool2d(levels[-1], 2) if k else x))
        for k in reversed(range(LEVELS - 1)):
            levels[k] = self.decoder[k](levels[k], levels[k + 1])
        return levels

    def loss(self, raw: dict[str, Tensor], targets: Targets) -> dict[str, Tensor]:
        """The soft IoU loss of each mask, by its name in `raw`."""
        masks, valid = targets.masks, targets.valid
        per_image = self.config.softiou_per_image
        return {
            name: soft_iou_loss(logits.float().sigmoid(), masks, valid, per_image=per_image)
            for name, logits in raw.items()
        }

    def predict(self, raw: dict[str, Tensor], metas: Sequence[ImageMeta]) -> list[Prediction]:
        """Probabilities of the main map, at the images' own size; see `Detector`."""
        return mask_predictions(raw["main"], metas)

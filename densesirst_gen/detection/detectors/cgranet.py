"""CgraNet: a mask of small targets, refined from coarse to fine by what is not yet found.

Res2Net-50; its last three outputs, reduced to a few channels, give a first map (`MAB`), to which
three stages add corrections (`ReverseAttention`) from features with their surround
(`ContextGuided`). "Eq." and "Table" are of the CgraNet paper. Levels 1, 2 and 3 are the outputs of
stride 8, 16 and 32, Res2 to Res4; Res1 isn't used.

There is no public code. The parts are known from CaraNet and CGNet, and their layers, as taken
here, have 24,172,718 parameters; with the backbone's classifier, 26.22 M of the 26.12 M printed.
What the paper leaves open is an option, or this:

- Eq. 1 omits the values V of the attention; they are there. Its queries and keys have an eighth of
  the channels, and its share γ in the output starts at 0 (CaraNet).
- Of L = λ₁ L_IoU + λ₂ L_BCE + λ₃ L_2, the last is the weight decay of the training, whose
  coefficient isn't printed; the threshold of 0.5 is the evaluation's.
- A map keeps its size where there is nothing to refine it, and is resized once at the end: without
  any module, what is left is a linear map of Res4, 32 times enlarged.
- In CaraNet's code the height attention mixes up rows and columns (it equals the width attention
  on square images); here it is the width attention of the transposed image.

The logits have stride 8: gaps of a pixel or two between targets are lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
from densesirst_gen.detection.detectors.parts.backbones import RES2NETS, load_weights, res2net50
from densesirst_gen.detection.detectors.parts.layers import ConvNormAct, conv_same
from densesirst_gen.detection.detectors.parts.losses import (
    bce_loss,
    dice_loss,
    focal_loss,
    soft_iou_loss,
)
from densesirst_gen.settings import option

LEVELS = (1, 2, 3)
REDUCTION = 8
LOSSES = ("unite", "iou", "dice", "focal", "bce", "iou+dice", "iou+focal")
OF_CONTEXT = ("cgm_reduce", "cgm_residual", "surround_dilation", "gate_reduction")
OF_REVERSE = ("axial_scope", "axial_norm", "deep_supervision")


@dataclass(frozen=True)
class CgraNetConfig(DetectorConfig):
    """Settings of CgraNet; the rows of Table IV are values of `ram`, `cgm` and `mab`."""

    backbone: str = option(RES2NETS[0], "kind of Res2Net-50; the paper doesn't say", among=RES2NETS)
    backbone_width: int = option(64, "channels of the backbone's stem", low=8, high=1024)
    width: int = option(32, "channels of the rest, a multiple of 8", low=REDUCTION, high=1024)
    in_channels: int = option(3, "of the backbone; the gray image is repeated", among=(1, 3))
    weights: str | None = option(None, "file of ImageNet weights for the backbone")
    reduce_kernel: int = option(
        1, "of the convolutions behind the backbone; not printed, 3 in CaraNet", among=(1, 3)
    )
    mab: bool = option(True, "first map of all three levels, else of the coarsest (Table IV)")
    ram: tuple[int, ...] = option(
        LEVELS, "levels with reverse attention, of 1 (fine), 2, 3 (Table IV)"
    )
    cgm: tuple[int, ...] = option(LEVELS, "levels with a context guided module (Table IV)")
    cgm_reduce: str = option(
        "half",
        "channels inside: half as in CGNet, or one as the text says, which leaves two in all",
        among=("half", "one"),
    )
    cgm_residual: bool = option(False, "add the module's input to its output, as CGNet does")
    surround_dilation: int = option(3, "of the surround's convolution", low=1, high=64)
    gate_reduction: int = option(
        8,
        "channels of the module per channel of its gate's hidden layer; not printed",
        low=1,
        high=1024,
    )
    axial_scope: str = option(
        "line",
        "each line of pixels has its own attention, or all share one as in CaraNet's code",
        among=("line", "shared"),
    )
    axial_norm: str = option(
        "softmax",
        "of the attention: as in Eq. 1, or as in CaraNet's code",
        among=("softmax", "sigmoid"),
    )
    deep_supervision: bool = option(
        False, "the loss of all maps, as in CaraNet, else of the last as in the text"
    )
    loss: str = option("unite", "IoU and cross-entropy, or a row of Table III", among=LOSSES)
    lambdas: tuple[float, ...] = option((2.0, 7.0), "unite: weights of IoU and cross-entropy")
    focal_norm: str = option(
        "targets",
        "what the sum of focal loss is divided by, not printed: number of pixels of the targets, "
        "or of all, which makes it small beside the weight decay",
        among=("targets", "pixels"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % REDUCTION:
            self.refuse("width", f"a multiple of {REDUCTION}")
        self._check_levels()
        if self.cgm_residual and self.cgm_reduce == "one":
            self.refuse("cgm_residual", "False where cgm_reduce is 'one'")
        if len(self.lambdas) != 2 or not all(map(_is_weight, self.lambdas)):
            self.refuse("lambdas", "two numbers, at least 0")
        self._refuse_unused(("lambdas",), self.loss == "unite", "unless loss is 'unite'")
        self._refuse_unused(("focal_norm",), "focal" in self.loss, "unless loss has focal")

    def _check_levels(self) -> None:
        for name in ("ram", "cgm"):
            levels = getattr(self, name)
            known = all(type(k) is int and k in LEVELS for k in levels)
            if not known or len(set(levels)) < len(levels):
                self.refuse(name, "a tuple of levels of 1, 2, 3, none twice")
        if not set(self.cgm) <= set(self.ram):
            self.refuse("cgm", "levels that are in ram, which is what reads them")
        self._refuse_unused(OF_CONTEXT, bool(self.cgm), "without cgm")
        self._refuse_unused(OF_REVERSE, bool(self.ram), "without ram")

    def _refuse_unused(self, names: tuple[str, ...], is_used: bool, why: str) -> None:
        for name in names:
            default = type(self).__dataclass_fields__[name].default
            if not is_used and getattr(self, name) != default:
                self.refuse(name, f"{default!r} {why}")

    @property
    def levels(self) -> tuple[int, ...]:
        """Outputs of the backbone that are in use."""
        return tuple(k for k in LEVELS if self.mab or k in self.ram or k == LEVELS[-1])


def _is_weight(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


# ---- modules


def conv_prelu(channels_in: int, channels: int, side: int) -> ConvNormAct:
    """Convolution, batch norm, PReLU with a slope for each channel."""
    return ConvNormAct(channels_in, channels, side, act=partial(nn.PReLU, channels))


def plain_conv(channels_in: int, channels: int, side: int, dilation: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size."""
    pad = dilation * (side // 2)
    return nn.Conv2d(channels_in, channels, side, padding=pad, dilation=dilation, bias=False)


def resized(x: Tensor, like: Tensor) -> Tensor:
    """x bilinearly at the height and width of another."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


class MAB(nn.Module):
    """Multiscale aggregation: a map of stride 8 from three levels (CaraNet's partial decoder).

    Convolutions without bias and norm; coarser levels are multiplied into finer ones, then
    concatenated.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        n2, n3 = 2 * channels, 3 * channels
        self.to_a, self.to_b, self.mid_to_b, self.beside_a = (
            plain_conv(channels, channels, 3) for _ in range(4)
        )
        self.merge_a, self.beside_b = plain_conv(n2, n2, 3), plain_conv(n2, n2, 3)
        self.merge_b, self.last = plain_conv(n3, n3, 3), plain_conv(n3, n3, 3)
        self.map = conv_same(n3, 1, 1)

    def products(self, fine: Tensor, mid: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """The middle level times the coarse one, and the fine level times both."""
        a = self.to_a(_doubled(coarse)) * mid
        b = self.to_b(_doubled(_doubled(coarse))) * self.mid_to_b(_doubled(mid)) * fine
        return a, b

    def forward(self, fine: Tensor, mid: Tensor, coarse: Tensor) -> Tensor:
        """(B, C, H, W), half and a quarter of it, to logits (B, 1, H, W)."""
        a, b = self.products(fine, mid, coarse)
        merged = self.merge_a(torch.cat([a, self.beside_a(_doubled(coarse))], dim=1))
        merged = self.merge_b(torch.cat([b, self.beside_b(_doubled(merged))], dim=1))
        logits: Tensor = self.map(self.last(merged))
        return logits


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)


class ContextGuided(nn.Module):
    """A pixel's neighbours and its surround, weighted channel by channel (CGNet's block).

    Standard convolutions, and by default no residual, as the text says.

    Attributes
    ----------
    channels : int
        Of the output.
    """

    def __init__(self, channels: int, config: CgraNetConfig) -> None:
        super().__init__()
        inner = channels // 2 if config.cgm_reduce == "half" else 1
        self.channels, self.residual = 2 * inner, config.cgm_residual
        hidden = max(self.channels // config.gate_reduction, 1)
        self.reduce = conv_prelu(channels, inner, 1)
        self.near = plain_conv(inner, inner, 3)
        self.around = plain_conv(inner, inner, 3, config.surround_dilation)
        self.join = nn.Sequential(nn.BatchNorm2d(self.channels), nn.PReLU(self.channels))
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv_same(self.channels, hidden, 1),
            nn.ReLU(),
            conv_same(hidden, self.channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, `channels`, H, W)."""
        inner = self.reduce(x)
        joined = self.join(torch.cat([self.near(inner), self.around(inner)], dim=1))
        out: Tensor = joined * self.gate(joined)
        return x + out if self.residual else out


class AxialAttention(nn.Module):
    """Each pixel attends to those of its row: ``x + γ softmax(Q Kᵀ / √d) V`` (Eq. 1).

    Parameters
    ----------
    channels : int
        A multiple of 8.
    config : CgraNetConfig
        With ``axial_scope="shared"`` one attention between columns serves all rows; its queries are
        whole columns, d channels times height long.
    down : bool
        Attend to the column instead.
    """

    def __init__(self, channels: int, config: CgraNetConfig, down: bool = False) -> None:
        super().__init__()
        self.down, self.shared = down, config.axial_scope == "shared"
        self.softmax = config.axial_norm == "softmax"
        self.query, self.key = (plain_conv(channels, channels // REDUCTION, 1) for _ in range(2))
        self.value = plain_conv(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def attention(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, H, W, W): how much a pixel takes from each of its row.

        (B, 1, W, W) if shared.
        """
        query, key = (conv(x).permute(0, 2, 3, 1) for conv in (self.query, self.key))
        if self.shared:
            query, key = (t.transpose(1, 2).flatten(2)[:, None] for t in (query, key))
        energy = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        return energy.softmax(dim=3) if self.softmax else energy.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same size."""
        rows = x.transpose(2, 3) if self.down else x
        values = self.value(rows).permute(0, 2, 3, 1)
        found = (self.attention(rows) @ values).permute(0, 3, 1, 2)
        return x + self.gamma * (found.transpose(2, 3) if self.down else found)


class ReverseAttention(nn.Module):
    """A correction to a map, from features where the map has no target yet."""

    def __init__(self, channels_in: int, channels: int, config: CgraNetConfig) -> None:
        super().__init__()
        self.attend = nn.Sequential(
            plain_conv(channels_in, channels, 1),
            plain_conv(channels, channels, 3),
            AxialAttention(channels, config, down=True),
            AxialAttention(channels, config),
        )
        self.correct = nn.Sequential(
            conv_prelu(channels, channels, 3),
            conv_prelu(channels, channels, 3),
            conv_same(channels, 1, 3),
        )

    def forward(self, x: Tensor, logits: Tensor) -> Tensor:
        """Features (B, C, H, W) and the map so far, (B, 1, H, W), to a better map."""
        unexplained = torch.sigmoid(-logits)  # 1 - sigmoid(logits)
        corrected: Tensor = logits + self.correct(self.attend(x) * unexplained)
        return corrected


class Refinement(nn.Module):
    """Context and reverse attention of one level."""

    def __init__(self, level: int, config: CgraNetConfig) -> None:
        super().__init__()
        channels, self.context = config.width, nn.Sequential()
        if level in config.cgm:
            module = ContextGuided(channels, config)
            channels = module.channels
            self.context.append(module)
        self.reverse = ReverseAttention(channels, config.width, config)

    def forward(self, x: Tensor, logits: Tensor) -> Tensor:
        """The map at the size of the features x, (B, 1, H, W)."""
        better: Tensor = self.reverse(self.context(x), resized(logits, x))
        return better


# ---- the detector


class CgraNet(Detector):
    """Mask of targets."""

    task = "mask"
    config_type = CgraNetConfig
    presets: ClassVar = {"paper": {}}

    def __init__(self, config: CgraNetConfig) -> None:
        super().__init__()
        self.config = replace(config, weights=None)
        self.preprocess = Preprocess() if config.in_channels == 3 else Preprocess().gray()
        self.backbone = res2net50(
            config.backbone, width=config.backbone_width, in_channels=config.in_channels
        )
        if config.weights is not None:
            load_weights(self.backbone, config.weights)
        width, channels = config.width, self.backbone.channels
        self.reduce = nn.ModuleDict(
            {str(k): conv_prelu(channels[k], width, config.reduce_kernel) for k in config.levels}
        )
        self.first = MAB(width) if config.mab else conv_same(width, 1, 1)
        self.refine = nn.ModuleDict(
            {str(k): Refinement(k, config) for k in reversed(LEVELS) if k in config.ram}
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Logits, each (B, 1, H, W): every map with deep supervision; the last is the output."""
        outputs = self.backbone(self.preprocess(images))
        features = {level: reduce(outputs[int(level)]) for level, reduce in self.reduce.items()}
        used = features.values() if self.config.mab else [features[str(LEVELS[-1])]]
        maps = [self.first(*used)]
        for level, refine in self.refine.items():
            maps.append(refine(features[level], maps[-1]))
        supervised = maps if self.config.deep_supervision else maps[-1:]
        return [resized(m.float(), images) for m in supervised]

    def loss(self, raw: list[Tensor], targets: Targets) -> dict[str, Tensor]:
        """The parts that `loss` of the settings names, each summed over the maps."""
        config = self.config
        names, weights = config.loss.split("+"), (1.0, 1.0)
        if config.loss == "unite":
            names, weights = ["iou", "bce"], config.lambdas
        return {
            name: weight * torch.stack([self._part(name, m, targets) for m in raw]).sum()
            for name, weight in zip(names, weights, strict=False)
        }

    def _part(self, name: str, logits: Tensor, targets: Targets) -> Tensor:
        masks, valid = targets.masks, targets.valid
        if name == "bce":
            return bce_loss(logits, torch.where(valid > 0, masks, IGNORE), IGNORE)
        if name == "focal":
            counted = masks if self.config.focal_norm == "targets" else valid
            return (focal_loss(logits, masks) * valid).sum() / counted.sum().clamp(min=1)
        probs = logits.float().sigmoid()
        if name == "dice":
            return dice_loss(probs, masks, valid, per_image=True)
        return soft_iou_loss(probs, masks, valid, per_image=True)

    def predict(self, raw: list[Tensor], metas: Sequence[ImageMeta]) -> list[Prediction]:
        """Probabilities of the last map, at the images' own size; see `Detector`."""
        return mask_predictions(raw[-1], metas)

"""The head of EFLNet: re-parameterised convolutions, dynamic head blocks, predictor.

A dynamic head block (Dai et al., "Dynamic head"; EFLNet section III-C) sums, at each level of the
pyramid, deformable convolutions of the level and of its neighbours, each weighted by a scale
attention, and passes the sum through an activation that depends on the input.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densesirst_gen.detection.detectors.parts.layers import ModulatedDeformConv2d, conv_same

N_TAPS = 9
GROUPS = 16
SQUEEZE = 4
N_ANCHORS = 3
BN_EPS, BN_MOMENTUM = 1e-3, 0.03


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """The batch norm of YOLO."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


# ---- RepConv


class RepConv(nn.Module):
    """Sum of a 3x3, a 1x1 and, if the channels allow, an identity branch; each normed; then SiLU.

    Source: Ding et al., "RepVGG". In evaluation the branches are computed as the one convolution
    that they are equal to.
    """

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.narrow = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.wide_norm, self.narrow_norm = batch_norm(channels), batch_norm(channels)
        self.same_norm = batch_norm(channels) if channels_in == channels else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, channels, H, W)."""
        return F.silu(self.branches(x) if self.training else F.conv2d(x, *self.fused(), padding=1))

    def branches(self, x: Tensor) -> Tensor:
        """Their sum, before the activation."""
        out: Tensor = self.wide_norm(self.wide(x)) + self.narrow_norm(self.narrow(x))
        return out if self.same_norm is None else out + self.same_norm(x)

    def fused(self) -> tuple[Tensor, Tensor]:
        """Kernel (O, C, 3, 3) and bias (O,) of the one convolution, by the running statistics."""
        parts = [
            folded(self.wide.weight, self.wide_norm),
            folded(_padded(self.narrow.weight), self.narrow_norm),
        ]
        if self.same_norm is not None:
            one = torch.eye(self.same_norm.num_features, device=self.wide.weight.device)
            parts.append(folded(_padded(one[:, :, None, None]), self.same_norm))
        kernels, biases = zip(*parts, strict=True)
        return torch.stack(kernels).sum(0), torch.stack(biases).sum(0)


def folded(kernel: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution with its batch norm, in evaluation, taken into it."""
    scale = norm.weight / (norm.get_buffer("running_var") + norm.eps).sqrt()
    return kernel * scale[:, None, None, None], norm.bias - norm.get_buffer("running_mean") * scale


def _padded(kernel: Tensor) -> Tensor:
    """1x1 to 3x3."""
    return F.pad(kernel, (1, 1, 1, 1))


# ---- dynamic head


class NormedDeformConv(nn.Module):
    """Deformable 3x3 convolution and group norm."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = ModulatedDeformConv2d(channels, channels, stride=stride)
        self.norm = nn.GroupNorm(GROUPS, channels)
        nn.init.normal_(self.conv.weight, std=0.01)

    def forward(self, x: Tensor, offset: Tensor, modulation: Tensor) -> Tensor:
        """Deformed convolution, then the norm."""
        out: Tensor = self.norm(self.conv(x, offset, modulation))
        return out


class ScaleAttention(nn.Module):
    """A feature times one number, 1/2 to 1, of itself.

    Parameters
    ----------
    channels : int
    sigmoid : {"paper", "relu6"}
        The hard sigmoid: ``clip((x + 1) / 2, 0, 1)``, or ``clip((x + 3) / 6, 0, 1)`` of the code.
    """

    def __init__(self, channels: int, sigmoid: str) -> None:
        super().__init__()
        self.conv = conv_same(channels, 1, 1)
        self.offset = {"paper": 1, "relu6": 3}[sigmoid]
        nn.init.normal_(self.conv.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Features times the merit of their level."""
        merit = self.conv(x.mean((2, 3), keepdim=True)).relu()
        return x * ((merit + self.offset) / (2 * self.offset)).clamp(0, 1)


class DynamicReLU(nn.Module):
    """The greater of two lines whose slopes and offsets depend on the input, channel by channel.

    Source: Chen et al., "Dynamic ReLU", version B. With all numbers at 1/2 it is a ReLU.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // SQUEEZE)
        self.expand = nn.Linear(channels // SQUEEZE, 4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same size."""
        raw = self.expand(self.squeeze(x.mean((2, 3))).relu())
        theta = F.hardsigmoid(raw)[:, :, None, None] - 0.5
        slope_1, offset_1, slope_2, offset_2 = theta.chunk(4, dim=1)
        return torch.maximum((1 + 2 * slope_1) * x + offset_1, 2 * slope_2 * x + offset_2)


class DynamicHeadBlock(nn.Module):
    """One block; all levels have `channels` and share its weights.

    Offsets and modulation come from the level itself and serve its neighbours too. The published
    code applies them to the coarser neighbour at that one's size, which is half theirs, and its
    operator doesn't look.

    Parameters
    ----------
    channels : int
        A multiple of 16.
    high_order : {"upsample_first", "subsample_offsets"}
        Bring the coarser neighbour to the level's size and convolve there, or convolve it at its
        own size by every other offset, halved, and bring the result.
    scale_sigmoid : {"paper", "relu6"}
        See `ScaleAttention`.
    """

    def __init__(self, channels: int, high_order: str, scale_sigmoid: str) -> None:
        super().__init__()
        self.offset = conv_same(channels, 3 * N_TAPS, 3)
        nn.init.zeros_(self.offset.weight)
        nn.init.constant_(self.offset.get_parameter("bias"), 0.0)
        self.mid, self.high = NormedDeformConv(channels), NormedDeformConv(channels)
        self.low = NormedDeformConv(channels, stride=2)
        self.scale = ScaleAttention(channels, scale_sigmoid)
        self.activation = DynamicReLU(channels)
        self.upsample_first = high_order == "upsample_first"

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Levels, (B, C, H, W), finest first, each half (rounded up) its finer one; same sizes."""
        return [self._level(levels, k) for k in range(len(levels))]

    def _level(self, levels: list[Tensor], k: int) -> Tensor:
        offset, modulation = self.offset(levels[k]).split((2 * N_TAPS, N_TAPS), dim=1)
        modulation = modulation.sigmoid()
        parts = [self.mid(levels[k], offset, modulation)]
        if k > 0:
            parts.append(self.low(levels[k - 1], offset, modulation))
        if k + 1 < len(levels):
            parts.append(self._coarser(levels[k + 1], offset, modulation))
        total: Tensor = sum(self.scale(part) for part in parts)
        out: Tensor = self.activation(total / len(parts))
        return out

    def _coarser(self, x: Tensor, offset: Tensor, modulation: Tensor) -> Tensor:
        if self.upsample_first:
            out: Tensor = self.high(_resized(x, offset), offset, modulation)
            return out
        small = self.high(x, offset[..., ::2, ::2] / 2, modulation[..., ::2, ::2])
        return _resized(small, offset)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


# ---- predictor


class Predictor(nn.Module):
    """Outputs of one level for three anchors: 1x1 with a learnt vector before and after (YOLOR).

    Parameters
    ----------
    channels, n_outputs : int
        Of the feature; for each anchor.
    """

    def __init__(self, channels: int, n_outputs: int) -> None:
        super().__init__()
        self.n_outputs = n_outputs
        self.added = nn.Parameter(torch.randn(1, channels, 1, 1) * 0.02)
        self.conv = conv_same(channels, N_ANCHORS * n_outputs, 1)
        self.factor = nn.Parameter(1 + torch.randn(1, N_ANCHORS * n_outputs, 1, 1) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 3 * H * W, n_outputs), anchor by anchor, cells in raster order."""
        out = self.conv(x + self.added) * self.factor
        return out.unflatten(1, (N_ANCHORS, self.n_outputs)).movedim(2, 4).flatten(1, 3)

"""What two or more detectors share: convolution with norm, pyramid, deformable convolution, boxes.

Boxes are xyxy, half-open; their width is x1 - x0.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

NMS_CHUNK = 512
"""Boxes that are compared at once."""


class ConvNormAct(nn.Sequential):
    """Convolution, normalisation, activation, as ``conv``, ``norm`` and ``act``.

    Parameters
    ----------
    channels_in, channels : int
    side : int
        Of the kernel; odd. The padding keeps the size (at stride 1).
    stride, dilation, groups : int
    norm : callable or None
        Channels to module; the convolution has a bias only without it.
    act : callable or None
        Makes the activation.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        side: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        act: Callable[[], nn.Module] | None = nn.ReLU,
    ) -> None:
        pad, bias = dilation * (side // 2), norm is None
        conv = nn.Conv2d(channels_in, channels, side, stride, pad, dilation, groups, bias)
        parts: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
        if norm is not None:
            parts["norm"] = norm(channels)
        if act is not None:
            parts["act"] = act()
        super().__init__(parts)


def conv_same(
    channels_in: int, channels: int, side: int, *, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution with bias that keeps the size; `side` is odd."""
    pad = dilation * (side // 2)
    return nn.Conv2d(channels_in, channels, side, 1, pad, dilation, groups)


class FPN(nn.Module):
    """Feature pyramid: lateral 1x1, nearest top-down sum, 3x3; all with bias.

    Source: Lin et al., "Feature Pyramid Networks"; the levels in excess as in FCOS: 3x3 of stride 2
    on the coarsest output, with a ReLU before all but the first of them.

    Parameters
    ----------
    channels_in : tuple of int
        Of the backbone's outputs, finest first.
    channels : int
    n_extra : int
        Levels coarser than the backbone's.
    """

    def __init__(self, channels_in: tuple[int, ...], channels: int = 256, n_extra: int = 0) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(conv_same(c, channels, 1) for c in channels_in)
        self.outputs = nn.ModuleList(conv_same(channels, channels, 3) for _ in channels_in)
        self.extra = nn.ModuleList(nn.Conv2d(channels, channels, 3, 2, 1) for _ in range(n_extra))
        for conv in (*self.laterals, *self.outputs, *self.extra):
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Features, finest first, of any sizes, to as many levels plus `n_extra`."""
        merged = [lateral(x) for lateral, x in zip(self.laterals, features, strict=True)]
        for k in reversed(range(len(merged) - 1)):
            merged[k] = merged[k] + F.interpolate(merged[k + 1], merged[k].shape[-2:])
        levels = [output(x) for output, x in zip(self.outputs, merged, strict=True)]
        for k, conv in enumerate(self.extra):
            levels.append(conv(levels[-1].relu() if k else levels[-1]))
        return levels


# ---- deformable convolution


class ModulatedDeformConv2d(nn.Module):
    """Deformable convolution v2 whose offsets and modulation are given from outside.

    See `deform_conv2d`. Weights start as those of ``nn.Conv2d``.
    """

    def __init__(
        self, channels_in: int, channels: int, side: int = 3, *, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__()
        like = nn.Conv2d(channels_in, channels, side, bias=bias)
        self.weight, self.bias = like.weight, like.bias
        self.stride, self.pad = stride, side // 2

    def forward(self, x: Tensor, offset: Tensor, modulation: Tensor) -> Tensor:
        """See `deform_conv2d`."""
        return deform_conv2d(
            x, offset, modulation, self.weight, self.bias, stride=self.stride, pad=self.pad
        )


def deform_conv2d(
    x: Tensor,
    offset: Tensor,
    modulation: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    pad: int = 1,
) -> Tensor:
    """Modulated deformable convolution (Zhu et al., "Deformable ConvNets v2").

    Tap k of the K = kh * kw taps reads x bilinearly at its own place plus its offset, zeros
    outside, times its modulation. torchvision's operator is used where it is installed and gives
    the same.

    Parameters
    ----------
    x : Tensor, (B, C, H, W)
    offset : Tensor, (B, 2 K, H', W')
        (dy, dx) of each tap, pixels of x.
    modulation : Tensor, (B, K, H', W')
    weight : Tensor, (O, C, kh, kw)
    bias : Tensor or None, (O,)
    stride, pad : int

    Returns
    -------
    Tensor, (B, O, H', W')

    Raises
    ------
    ValueError
        If offset or modulation don't have the output's size.
    """
    n_taps = weight.shape[2] * weight.shape[3]
    size = [
        (n + 2 * pad - k) // stride + 1 for n, k in zip(x.shape[2:], weight.shape[2:], strict=True)
    ]
    for name, map_, channels in (
        ("offset", offset, 2 * n_taps),
        ("modulation", modulation, n_taps),
    ):
        wanted = (len(x), channels, *size)
        if map_.shape != wanted:
            raise ValueError(f"{name} must be {wanted} for this output, got {tuple(map_.shape)}")
    operator = _torchvision_operator()
    if operator is not None:
        out: Tensor = operator(x, offset, weight, bias, stride, pad, 1, modulation)
        return out
    return _deform_conv2d(x, offset, modulation, weight, bias, stride, pad)


def _deform_conv2d(
    x: Tensor,
    offset: Tensor,
    modulation: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    pad: int,
) -> Tensor:
    channels, (height, width) = x.shape[1], offset.shape[2:]
    rows = torch.arange(height, device=x.device)[:, None] * stride - pad
    cols = torch.arange(width, device=x.device) * stride - pad
    columns = []
    for k in range(modulation.shape[1]):
        down, right = divmod(k, weight.shape[3])
        y, col = rows + down + offset[:, 2 * k], cols + right + offset[:, 2 * k + 1]
        columns.append(_sampled(x, y, col) * modulation[:, k, None])
    taps = torch.stack(columns, dim=2).reshape(len(x), -1, height * width)
    out = weight.reshape(len(weight), channels * len(columns)) @ taps
    out = out if bias is None else out + bias[:, None]
    return out.reshape(len(x), -1, height, width)


def _sampled(x: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """x at pixel indices (rows, cols), each (B, H', W'): bilinear, zeros outside."""
    grid = torch.stack([(2 * cols + 1) / x.shape[3] - 1, (2 * rows + 1) / x.shape[2] - 1], dim=-1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


@cache
def _torchvision_operator() -> Any:
    """torchvision's operator if it can be used and agrees with ours on a small input, else None."""
    generator = torch.Generator().manual_seed(0)
    x, offset, modulation, weight = (
        torch.randn(shape, generator=generator, device="cpu")
        for shape in ((1, 2, 5, 6), (1, 18, 5, 6), (1, 9, 5, 6), (3, 2, 3, 3))
    )
    try:
        from torchvision.ops import deform_conv2d as operator

        theirs = operator(x, offset, weight, None, 1, 1, 1, modulation)
    except (ImportError, RuntimeError):
        return None
    ours = _deform_conv2d(x, offset, modulation, weight, None, 1, 1)
    return operator if torch.allclose(theirs, ours, atol=1e-4) else None


# ---- boxes


def cell_centres(height: int, width: int, stride: int, device: torch.device | str) -> Tensor:
    """(height * width, 2) centres (x, y) of a level's cells in raster order, input pixels."""
    y = (torch.arange(height, device=device) + 0.5) * stride
    x = (torch.arange(width, device=device) + 0.5) * stride
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)


def box_area(boxes: Tensor) -> Tensor:
    """(..., 4) boxes to (...) areas; 0 where a side is negative."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes row by row: (..., 4) of shapes that broadcast to (...); 0 for empty boxes."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    inter = (high - low).clamp(min=0).prod(dim=-1)
    return inter / (box_area(a) + box_area(b) - inter).clamp(min=1e-9)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """(N, 4) and (M, 4) boxes to (N, M) IoU."""
    return paired_iou(a[:, None], b[None])


def nms(boxes: Tensor, scores: Tensor, max_iou: float, limit: int | None = None) -> Tensor:
    """Greedy non-maximum suppression of boxes of one class.

    The best box is kept and those that overlap it by more than `max_iou` are not, and so on with
    what is left. Of equal scores the earlier box comes first.

    Parameters
    ----------
    boxes : Tensor, (N, 4)
    scores : Tensor, (N,)
    max_iou : float
        An IoU of just this is still kept.
    limit : int or None
        Stop after so many.

    Returns
    -------
    Tensor, (K,), int64
        Rows kept, best first.
    """
    order = scores.argsort(descending=True, stable=True)
    best_first, kept = boxes.detach()[order].cpu(), np.zeros(0, np.int64)
    for start in range(0, len(boxes), NMS_CHUNK):
        chunk = best_first[start : start + NMS_CHUNK]
        free = np.all(_apart(chunk, best_first[kept], max_iou), axis=1)
        kept = np.append(kept, start + _greedy(free, _apart(chunk, chunk, max_iou)))[:limit]
        if len(kept) == limit:
            break
    return order[torch.from_numpy(kept).to(order.device)]


def _apart(a: Tensor, b: Tensor, max_iou: float) -> np.ndarray:
    apart: np.ndarray = (box_iou(a, b) <= max_iou).numpy()
    return apart


def _greedy(free: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Indices of the boxes that stay, of those that are `free`; the best come first."""
    kept = []
    for k in np.flatnonzero(free):
        if free[k]:
            kept.append(k)
            free &= apart[k]
    return np.array(kept, np.int64)

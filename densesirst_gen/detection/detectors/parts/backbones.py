"""Backbones with the parameter names of the public ImageNet weights: ResNet and Res2Net-50.

ResNet: He et al., "Deep residual learning", with the stride on the 3x3 convolution as in the
public weights. Res2Net: Gao et al., "Res2Net", 26 wide, 4 scales; v1b has three 3x3 convolutions as
its stem and average pools in its short cuts.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

MakeNorm = Callable[[int], nn.Module]
MakeBlock = Callable[[int, int, int, bool], nn.Module]


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that keeps its weights and statistics, also in training mode."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenBatchNorm2d:
        """Statistics stay frozen in training, too."""
        super().train(False)
        return self


class Backbone(nn.Module):
    """Stem and up to four stages of residual blocks.

    Attributes
    ----------
    channels : tuple of int
        Of each stage's output.
    strides : tuple of int
        4, 8, 16, 32.
    """

    def __init__(
        self,
        conv1: nn.Module,
        norm: MakeNorm,
        make_block: MakeBlock,
        *,
        width: int,
        expansion: int,
        counts: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv1, norm(width)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.channels = tuple(width * 2**k * expansion for k in range(len(counts)))
        self.strides = (4, 8, 16, 32)[: len(counts)]
        before = (width, *self.channels)
        for k, count in enumerate(counts):
            planes, stride = width * 2**k, 1 if k == 0 else 2
            blocks = [make_block(before[k], planes, stride, True)]
            blocks += [make_block(before[k + 1], planes, 1, False) for _ in range(count - 1)]
            self.add_module(f"layer{k + 1}", nn.Sequential(*blocks))
        _initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W) to the outputs of all stages, finest first."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        outputs = []
        for k in range(len(self.channels)):
            x = self.get_submodule(f"layer{k + 1}")(x)
            outputs.append(x)
        return outputs


def _initialise(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def _conv(channels_in: int, channels: int, side: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, side, stride, side // 2, bias=False)


# ---- ResNet

_RESNETS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
DEPTHS = tuple(_RESNETS)


class _BasicBlock(nn.Module):
    def __init__(self, channels_in: int, planes: int, stride: int, norm: MakeNorm) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(channels_in, planes, 3, stride), norm(planes)
        self.conv2, self.bn2 = _conv(planes, planes, 3), norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _short_cut(channels_in, planes, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class _Bottleneck(nn.Module):
    def __init__(
        self, channels_in: int, planes: int, stride: int, norm: MakeNorm, style: str
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if style == "caffe" else (1, stride)
        self.conv1, self.bn1 = _conv(channels_in, planes, 1, first), norm(planes)
        self.conv2, self.bn2 = _conv(planes, planes, 3, second), norm(planes)
        self.conv3, self.bn3 = _conv(planes, 4 * planes, 1), norm(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _short_cut(channels_in, 4 * planes, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _short_cut(channels_in: int, channels: int, stride: int, norm: MakeNorm) -> nn.Module:
    if stride == 1 and channels_in == channels:
        return nn.Identity()
    return nn.Sequential(_conv(channels_in, channels, 1, stride), norm(channels))


def resnet(
    depth: int,
    *,
    width: int = 64,
    in_channels: int = 3,
    stages: int = 4,
    norm: MakeNorm = nn.BatchNorm2d,
    style: str = "torchvision",
) -> Backbone:
    """A ResNet without its classifier, with torchvision's parameter names.

    Parameters
    ----------
    depth : int
        18, 34, 50 or 101.
    width : int
        Channels of the stem; 64 is the public network, less a tiny one for tests.
    in_channels : int
        3, or 1 (see `load_weights`).
    stages : int
        How many of the four are built.
    norm : callable
        Channels to module; `FrozenBatchNorm2d` keeps the public statistics.
    style : {"torchvision", "caffe"}
        The stride of a bottleneck is on its 3x3 or on its first 1x1 convolution.

    Returns
    -------
    Backbone

    Raises
    ------
    ValueError
        If the depth is none of these.
    """
    if depth not in _RESNETS:
        raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}, got {depth}")

    def block(channels_in: int, planes: int, stride: int, _first: bool) -> nn.Module:
        if depth < 50:
            return _BasicBlock(channels_in, planes, stride, norm)
        return _Bottleneck(channels_in, planes, stride, norm, style)

    stem = _conv(in_channels, width, 7, 2)
    counts, expansion = _RESNETS[depth][:stages], 1 if depth < 50 else 4
    return Backbone(stem, norm, block, width=width, expansion=expansion, counts=counts)


# ---- Res2Net

SCALES, BASE_WIDTH = 4, 26
RES2NETS = ("res2net50_v1b_26w_4s", "res2net50_26w_4s")


class _Bottle2neck(nn.Module):
    """1x1, then a 3x3 for each of three splits that also sees the split before, then 1x1."""

    def __init__(
        self, channels_in: int, planes: int, stride: int, first: bool, short_cut: nn.Module
    ) -> None:
        super().__init__()
        split = planes * BASE_WIDTH // 64
        self.conv1 = _conv(channels_in, split * SCALES, 1)
        self.bn1 = nn.BatchNorm2d(split * SCALES)
        self.convs = nn.ModuleList(_conv(split, split, 3, stride) for _ in range(SCALES - 1))
        self.bns = nn.ModuleList(nn.BatchNorm2d(split) for _ in range(SCALES - 1))
        self.conv3, self.bn3 = _conv(split * SCALES, 4 * planes, 1), nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.first = first
        self.pool = nn.AvgPool2d(3, stride, 1) if first else nn.Identity()
        self.downsample = short_cut

    def forward(self, x: Tensor) -> Tensor:
        splits = self.relu(self.bn1(self.conv1(x))).chunk(SCALES, dim=1)
        outputs: list[Tensor] = []
        for k, (conv, bn) in enumerate(zip(self.convs, self.bns, strict=True)):
            y = splits[k] if self.first or k == 0 else splits[k] + outputs[-1]
            outputs.append(self.relu(bn(conv(y))))
        y = torch.cat([*outputs, self.pool(splits[-1])], dim=1)
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def res2net50(
    variant: str = "res2net50_v1b_26w_4s", *, width: int = 64, in_channels: int = 3, stages: int = 4
) -> Backbone:
    """A Res2Net-50 without its classifier, with the public parameter names.

    Parameters
    ----------
    variant : str
        "res2net50_v1b_26w_4s" or "res2net50_26w_4s".
    width, in_channels, stages : int
        As for `resnet`.

    Returns
    -------
    Backbone

    Raises
    ------
    ValueError
        If the variant is neither.
    """
    if variant not in RES2NETS:
        raise ValueError(f"variant must be one of {', '.join(RES2NETS)}, got {variant!r}")
    v1b = variant == RES2NETS[0]

    def block(channels_in: int, planes: int, stride: int, first: bool) -> nn.Module:
        short_cut: nn.Module = nn.Identity()
        if first:
            cut = _pooled_short_cut if v1b else _short_cut
            short_cut = cut(channels_in, 4 * planes, stride, nn.BatchNorm2d)
        return _Bottle2neck(channels_in, planes, stride, first, short_cut)

    stem = _deep_stem(in_channels, width) if v1b else _conv(in_channels, width, 7, 2)
    counts = _RESNETS[50][:stages]
    return Backbone(stem, nn.BatchNorm2d, block, width=width, expansion=4, counts=counts)


def _deep_stem(in_channels: int, width: int) -> nn.Sequential:
    half = width // 2
    return nn.Sequential(
        _conv(in_channels, half, 3, 2),
        nn.BatchNorm2d(half),
        nn.ReLU(inplace=True),
        _conv(half, half, 3),
        nn.BatchNorm2d(half),
        nn.ReLU(inplace=True),
        _conv(half, width, 3),
    )


def _pooled_short_cut(channels_in: int, channels: int, stride: int, norm: MakeNorm) -> nn.Module:
    pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, _conv(channels_in, channels, 1), norm(channels))


# ---- weights


@dataclass(frozen=True)
class WeightReport:
    """What came of loading a file of weights.

    Parameters
    ----------
    loaded : int
        Tensors taken from the file.
    unused : tuple of str
        Names in the file that the network has no place for, as allowed.
    """

    loaded: int
    unused: tuple[str, ...]


def load_weights(
    model: nn.Module, path: Path | str, *, unused: tuple[str, ...] = ("fc.",)
) -> WeightReport:
    """Load public weights into a backbone, all of it or nothing.

    A first convolution with one input channel gets the sum over the file's three: the same function
    as three equal channels.

    Parameters
    ----------
    model : Module
        A `Backbone`.
    path : Path or str
        ``.safetensors``, or a PyTorch file of plain tensors (nothing else in it is run).
    unused : tuple of str
        Prefixes of the names that the file may have in excess: the classifier, or the stages that
        a shortened backbone leaves out ("layer4.").

    Returns
    -------
    WeightReport

    Raises
    ------
    ValueError
        If the file isn't one of tensors, a parameter of the network is missing in it or has another
        shape, or it has names in excess that are not allowed. The network is left as it was.
    """
    found = _read_tensors(Path(path))
    own = model.state_dict()
    excess = tuple(name for name in found if name not in own)
    fitting = {name: _fitted(found[name], own[name]) for name in found if name in own}
    _refuse(path, "not in the network", [n for n in excess if not n.startswith(unused)])
    missing = [n for n in own if n not in found and not n.endswith("num_batches_tracked")]
    _refuse(path, "not in the file", missing)
    _refuse(path, "of another shape", [n for n, v in fitting.items() if v.shape != own[n].shape])
    model.load_state_dict(fitting, strict=False)
    return WeightReport(len(fitting), excess)


def _refuse(path: Path | str, why: str, names: list[str]) -> None:
    if names:
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise ValueError(f"weights {path}: {len(names)} names are {why}: {some}")


def _fitted(found: Tensor, own: Tensor) -> Tensor:
    is_stem = found.ndim == 4 and found.shape[1] == 3 and own.shape[1] == 1
    return found.sum(dim=1, keepdim=True) if is_stem else found


def _read_tensors(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    with path.open("rb") as file:
        try:
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
            raise ValueError(f"weights {path}: not a file of plain tensors ({error})") from error
    content = content.get("state_dict", content) if isinstance(content, Mapping) else content
    is_plain = isinstance(content, Mapping) and all(map(torch.is_tensor, content.values()))
    if not is_plain:
        raise ValueError(f"weights {path}: not a mapping of names to tensors")
    plain: Mapping[str, Tensor] = content
    return plain


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(f"weights {path} need safetensors: pip install safetensors") from error
    tensors: Mapping[str, Tensor] = load_file(path)
    return tensors

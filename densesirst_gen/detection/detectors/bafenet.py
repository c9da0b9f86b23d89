"""BAFE-Net: boxes of small targets, helped by a sky branch that trades channels with them.

FCOS on a pyramid of three levels, with a third tower that tells sky from the rest. Before the
predictors, half of the channels of the sky and of the class tower change places, through a small
adapter. "Eq." and "Fig." are of the BAFE-Net paper; where its equations and its code disagree, the
preset says whose side is taken ("paper", "official").

Two facts that the settings are about. The indices of the best K channels carry no gradient, so
the "dynamic" selection of paper and code never trains: it is a fixed random function of the input,
and its weights are frozen here; ``dcs_gradient="ste"`` trains it. And a target that holds no
stride-8 point is never a positive sample: of DenseSIRST at 512 px that is two targets in three;
``assign="fcos+nearest"`` and ``fpn_start="C2"`` are two ways out.
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
    to_native_boxes,
    to_native_map,
)
from densesirst_gen.detection.detectors.parts.backbones import (
    DEPTHS,
    FrozenBatchNorm2d,
    load_weights,
    resnet,
)
from densesirst_gen.detection.detectors.parts.layers import (
    FPN,
    ConvNormAct,
    box_area,
    cell_centres,
    conv_same,
    nms,
)
from densesirst_gen.detection.detectors.parts.losses import bce_loss, ciou, focal_loss, iou_loss
from densesirst_gen.settings import option

GROUPS = 32
TOWER_DEPTH = 4
RANGE_STRIDES = 8
COARSEST_STRIDE = 128
CAFFE = Preprocess((103.53 / 255, 116.28 / 255, 123.675 / 255), (1 / 255,) * 3)
METHODS = ("channel", "spatial", "channel+spatial", "spatial+channel")
Ranges = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class BAFENetConfig(DetectorConfig):
    """Settings of BAFE-Net; the defaults are the preset "paper"."""

    depth: int = option(50, "of the ResNet", among=DEPTHS)
    width: int = option(64, "channels of the backbone's stem", low=8, high=1024)
    head_width: int = option(
        256, "channels of pyramid and head, a multiple of 32", low=GROUPS, high=2048
    )
    in_channels: int = option(3, "of the backbone; the gray image is repeated", among=(1, 3))
    weights: str | None = option(None, "file of ImageNet weights for the backbone")
    freeze_bn: bool | None = option(
        None,
        "keep weights and statistics of the backbone's batch norms; None: if there are weights",
        among=(None, True, False),
    )
    norm: str = option(
        "torchvision",
        "mean and deviation that belong to the weights, with the strides that go with them; "
        "'image' standardises each image by its own",
        among=("torchvision", "caffe", "image"),
    )
    num_levels: int = option(3, "pyramid levels from stride 8 up", low=3, high=5)
    fpn_start: str = option("C3", "C2 adds a level of stride 4", among=("C3", "C2"))
    seg_head: bool = option(True, "the sky branch (Table V)")
    exchange: bool = option(True, "sky and class branch trade features (Table V)")
    adapter: bool = option(True, "what is traded passes an adapter (Table V)")
    adapter_hidden: int = option(64, "width of its hidden layer (Table VI)", low=1, high=4096)
    pre_exchange: str = option(
        "none", "layers between towers and exchange, in the code only", among=("none", "official")
    )
    exchange_method: str = option(
        "channel", "what is traded, in sequence (Table VII)", among=METHODS
    )
    exchange_form: str = option(
        "replace", "as in Fig. 4, or Eq. 11-12 as printed", among=("replace", "masked_add")
    )
    selection: str = option(
        "dynamic", "of the channels (Table VIII)", among=("dynamic", "fixed", "random")
    )
    p: float = option(0.5, "share of the channels that are traded (Table IX)", low=0, high=1)
    dcs_projection: str = option("paper", "of the dynamic selection", among=("paper", "official"))
    dcs_gradient: str = option(
        "none", "'ste' trains the dynamic selection, straight through", among=("none", "ste")
    )
    assign: str = option(
        "fcos",
        "'fcos+nearest' gives each target without a point its nearest free one",
        among=("fcos", "fcos+nearest"),
    )
    regress_ranges: Ranges = option(
        (), "(low, high) of a target's longest distance for each level, px; empty: by stride"
    )
    score_thr: float = option(0.05, "least class score", low=0, high=1)
    nms_iou: float = option(0.5, "most overlap of two boxes", low=0, high=1)
    pre_nms: int = option(1000, "boxes of a level before suppression", low=1, high=100_000)
    max_det: int = option(100, "boxes of an image", low=1, high=100_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_width % GROUPS:
            self.refuse("head_width", f"a multiple of {GROUPS}")
        if self.exchange and not self.seg_head:
            self.refuse("exchange", "False without seg_head")
        if self.adapter and not self.exchange:
            self.refuse("adapter", "False without exchange")
        if self.pre_exchange != "none" and not self.seg_head:
            self.refuse("pre_exchange", "'none' without seg_head")
        if self.dcs_gradient != "none" and self.selection != "dynamic":
            self.refuse("dcs_gradient", "'none' without the dynamic selection")
        n_levels, ranges = len(self.strides), self.regress_ranges
        if ranges and (len(ranges) != n_levels or not all(map(_is_range, ranges))):
            self.refuse("regress_ranges", f"{n_levels} pairs (low, high), one for each level")

    @property
    def strides(self) -> tuple[int, ...]:
        """Of the pyramid's levels, finest first."""
        first = 2 if self.fpn_start == "C2" else 3
        return tuple(2**k for k in range(first, 3 + self.num_levels))

    @property
    def ranges(self) -> Ranges:
        """(low, high) of each level: 8 strides to 16, the finest from below, stride 128 to all."""
        if self.regress_ranges:
            return self.regress_ranges
        highs = [
            math.inf if s == COARSEST_STRIDE else float(RANGE_STRIDES * s) for s in self.strides
        ]
        return tuple(zip([-1.0, *highs], highs, strict=False))


def _is_range(pair: Any) -> bool:
    """Whether it is (low, high); high may be infinite."""
    is_pair = isinstance(pair, tuple) and len(pair) == 2
    return is_pair and all(type(end) in (int, float) for end in pair) and pair[0] < pair[1]


# ---- exchange


class TwoScaleAttention(nn.Module):
    """Features at two receptive fields, each weighted by an attention map of its own.

    Depthwise 5x5 and then 7x7 dilated by 3 (as in LSKNet); 1x1 to half the channels each; the maps
    are a 7x7 convolution of their mean and maximum over channels.

    Parameters
    ----------
    channels : int
    project : bool
        Add the two and project back by 1x1 (the code); else put them side by side (the paper).
    """

    def __init__(self, channels: int, project: bool) -> None:
        super().__init__()
        self.near = conv_same(channels, channels, 5, groups=channels)
        self.far = conv_same(channels, channels, 7, dilation=3, groups=channels)
        self.reduce_near = conv_same(channels, channels // 2, 1)
        self.reduce_far = conv_same(channels, channels // 2, 1)
        self.squeeze = conv_same(2, 2, 7)
        self.project = conv_same(channels // 2, channels, 1) if project else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same size."""
        near = self.near(x)
        one, two = self.reduce_near(near), self.reduce_far(self.far(near))
        both = torch.cat([one, two], dim=1)
        summary = torch.cat([both.mean(1, keepdim=True), both.amax(1, keepdim=True)], dim=1)
        map_one, map_two = self.squeeze(summary).sigmoid().chunk(2, dim=1)
        if self.project is None:
            return torch.cat([one * map_one, two * map_two], dim=1)
        projected: Tensor = self.project(one * map_one + two * map_two)
        return projected


class DynamicSelection(nn.Module):
    """The K channels that agree most with an attention of the feature itself.

    A channel's merit is m = mean sigmoid(X Z) (paper) or sigmoid(mean X Z) (code), Z by
    `TwoScaleAttention`. Merits lie so close to 1/2 that float32 would tie them; ``2 m - 1``, which
    is a tanh, is ranked instead.
    """

    def __init__(self, channels: int, k: int, config: BAFENetConfig) -> None:
        super().__init__()
        self.k, self.official = k, config.dcs_projection == "official"
        self.trained = config.dcs_gradient == "ste"
        self.attention = TwoScaleAttention(channels, self.official)
        self.requires_grad_(self.trained)

    def merit(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to 2 m - 1, (B, C)."""
        product = x * self.attention(x) / 2
        if self.official:
            return product.mean((2, 3)).tanh()
        return product.tanh().mean((2, 3))

    def choose(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Indices (B, K), ascending, and the feature that is given away."""
        merit = self.merit(x if self.trained else x.detach())
        index = merit.topk(self.k, dim=1).indices.sort(dim=1).values
        if not self.trained:
            return index, x
        return index, x * (1 + (merit - merit.detach()) / 2)[:, :, None, None]

    def forward(self, seg: Tensor, cls: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Of each branch the channels it gives, and the feature they are taken from."""
        return self.choose(seg), self.choose(cls)


class FixedSelection(nn.Module):
    """The same channels always: every n-th, or all but every n-th."""

    index: Tensor

    def __init__(self, channels: int, p: float) -> None:
        super().__init__()
        index = fixed_channels(channels, p)
        self.k = len(index)
        self.register_buffer("index", index, persistent=False)

    def forward(self, seg: Tensor, cls: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """The same channels always."""
        index = self.index.expand(len(seg), -1)
        return (index, seg), (index, cls)


class RandomSelection(nn.Module):
    """Other K channels at each training step, the same ones always in evaluation."""

    index: Tensor

    def __init__(self, channels: int, k: int) -> None:
        super().__init__()
        self.k, self.channels = k, channels
        order = torch.randperm(channels, generator=torch.Generator().manual_seed(0), device="cpu")
        self.register_buffer("index", order[:k].sort().values, persistent=False)

    def forward(self, seg: Tensor, cls: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Both branches give the same channels, others at each training step."""
        index = self.index
        if self.training:
            order = torch.randperm(self.channels, device=seg.device)
            index = order[: self.k].sort().values
        index = index.expand(len(seg), -1)
        return (index, seg), (index, cls)


def fixed_channels(channels: int, p: float) -> Tensor:
    """Channels c with c mod round(1 / p) = 0; for p above 1/2 those left over by 1 - p."""
    every = torch.arange(channels, device="cpu")
    if p in (0, 1):
        return every[: int(channels * p)]
    is_nth = every % round(1 / min(p, 1 - p)) == 0
    return every[is_nth if p <= 0.5 else ~is_nth]


class ChannelExchange(nn.Module):
    """Selected channels of two features change places, the others stay (Fig. 4, Eq. 11-12).

    The k-th selected channel of one goes, through the adapter, to the k-th selected place of the
    other. Eq. 11-12 as printed ("masked_add") add the adapted channels where they came from
    instead, so that kept channels are added to and others are lost.
    """

    def __init__(self, channels: int, config: BAFENetConfig) -> None:
        super().__init__()
        self.select = _selection(channels, config)
        self.adds = config.exchange_form == "masked_add"
        self.adapter = _adapter(channels if self.adds else self.select.k, config)

    def forward(self, seg: Tensor, cls: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches, with the channels of the other."""
        (seg_index, from_seg), (cls_index, from_cls) = self.select(seg, cls)
        if self.adds:
            is_seg, is_cls = _chosen(seg, seg_index), _chosen(cls, cls_index)
            new_seg = seg * (1 - is_seg) + self.adapter(from_cls * is_cls)
            return new_seg, cls * (1 - is_cls) + self.adapter(from_seg * is_seg)
        new_seg = put_channels(seg, seg_index, self.adapter(take_channels(from_cls, cls_index)))
        new_cls = put_channels(cls, cls_index, self.adapter(take_channels(from_seg, seg_index)))
        return new_seg, new_cls


class ColumnExchange(nn.Module):
    """Every other column of two features changes places, all channels (Table VII, "spatial")."""

    def __init__(self, channels: int, config: BAFENetConfig) -> None:
        super().__init__()
        self.adapter = _adapter(channels, config)

    def forward(self, seg: Tensor, cls: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches, every other column from the other."""
        is_even = torch.arange(seg.shape[3], device=seg.device) % 2 == 0
        new_seg = torch.where(is_even, self.adapter(cls), seg)
        return new_seg, torch.where(is_even, self.adapter(seg), cls)


def take_channels(x: Tensor, index: Tensor) -> Tensor:
    """Channels (B, K) of x, (B, C, H, W), to (B, K, H, W)."""
    return x.gather(1, _everywhere(x, index))


def put_channels(x: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """A copy of x with the channels (B, K) replaced by values, (B, K, H, W)."""
    return x.scatter(1, _everywhere(x, index), values.to(x.dtype))


def _everywhere(x: Tensor, index: Tensor) -> Tensor:
    return index[:, :, None, None].expand(-1, -1, *x.shape[2:])


def _chosen(x: Tensor, index: Tensor) -> Tensor:
    """(B, C, 1, 1): 1 for the channels in index, else 0."""
    return x.new_zeros(x.shape[:2]).scatter(1, index, 1.0)[:, :, None, None]


def _selection(
    channels: int, config: BAFENetConfig
) -> DynamicSelection | FixedSelection | RandomSelection:
    k = int(channels * config.p)
    if config.selection == "fixed":
        return FixedSelection(channels, config.p)
    if config.selection == "random":
        return RandomSelection(channels, k)
    return DynamicSelection(channels, k, config)


def _adapter(channels: int, config: BAFENetConfig) -> nn.Module:
    """Two linear layers over the channels of each pixel, shared by both directions."""
    if not config.adapter or channels == 0:
        return nn.Identity()
    hidden = config.adapter_hidden
    return nn.Sequential(conv_same(channels, hidden, 1), nn.ReLU(), conv_same(hidden, channels, 1))


class PreExchange(nn.Module):
    """What the code, not the paper, has between towers and exchange.

    An attention that replaces the feature, shared by both, then two convolutions for each.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = TwoScaleAttention(channels, project=True)
        self.seg, self.cls = (
            nn.Sequential(*_conv_bn(channels, channels // 2), *_conv_bn(channels // 2, channels))
            for _ in range(2)
        )

    def forward(self, seg: Tensor, cls: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches after the attention that they share."""
        return self.seg(self.attention(seg)), self.cls(self.attention(cls))


def _conv_bn(channels_in: int, channels: int) -> tuple[nn.Module, ...]:
    return conv_same(channels_in, channels, 3), nn.BatchNorm2d(channels), nn.ReLU()


_EXCHANGES: dict[str, Any] = {"channel": ChannelExchange, "spatial": ColumnExchange}


# ---- head


class Head(nn.Module):
    """Towers and predictors, shared by all levels of the pyramid."""

    def __init__(self, config: BAFENetConfig) -> None:
        super().__init__()
        channels, methods = config.head_width, config.exchange_method.split("+")
        self.cls_tower, self.reg_tower = _tower(channels), _tower(channels)
        self.seg_tower = _tower(channels) if config.seg_head else None
        self.cls, self.centre = conv_same(channels, 1, 3), conv_same(channels, 1, 3)
        self.reg = conv_same(channels, 4, 3)
        self.seg = conv_same(channels, 1, 3) if config.seg_head else None
        self.scales = nn.Parameter(torch.ones(len(config.strides)))
        self.linear = config.assign == "fcos+nearest"
        self._initialise()
        trades = [PreExchange(channels)] if config.pre_exchange == "official" else []
        trades += [_EXCHANGES[m](channels, config) for m in methods if config.exchange]
        self.trades = nn.ModuleList(trades)

    def _initialise(self) -> None:
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=0.01)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
        nn.init.constant_(self.cls.get_parameter("bias"), -math.log(99))

    def forward(self, x: Tensor, level: int, stride: int) -> tuple[Tensor, ...]:
        """Class and centre logits, distances, and sky logits if there are any, of one level."""
        cls, distances = self.cls_tower(x), self._distances(self.reg_tower(x), level, stride)
        if self.seg_tower is None or self.seg is None:
            return self.cls(cls), self.centre(cls), distances
        seg = self.seg_tower(x)
        for trade in self.trades:
            seg, cls = trade(seg, cls)
        return self.cls(cls), self.centre(cls), distances, self.seg(seg)

    def _distances(self, x: Tensor, level: int, stride: int) -> Tensor:
        """To left, top, right and bottom, input pixels: positive, or linear about half a cell."""
        raw = (self.reg(x) * self.scales[level]).float()
        return stride * (raw + 0.5) if self.linear else raw.exp()


def _tower(channels: int) -> nn.Sequential:
    norm = partial(nn.GroupNorm, GROUPS)
    return nn.Sequential(*(ConvNormAct(channels, channels, norm=norm) for _ in range(TOWER_DEPTH)))


# ---- assignment


def assign_points(points: Tensor, ranges: Tensor, boxes: Tensor, n_nearest: int = 0) -> Tensor:
    """Which target each point is a sample of.

    A point serves a box that it lies strictly inside of if the longest of its four distances is in
    the range of its level; of several, the smallest.

    Parameters
    ----------
    points : Tensor, (P, 2)
        (x, y), the levels one after the other, finest first.
    ranges : Tensor, (P, 2)
        (low, high) of each point's level, both included.
    boxes : Tensor, (N, 4)
    n_nearest : int
        With more than 0, each box that has no point takes the nearest to its centre of the first
        `n_nearest` points that is still free, in order of the boxes.

    Returns
    -------
    Tensor, (P,), int64
        Row of the box; -1 for a point that serves none.
    """
    if not len(boxes):
        return torch.full((len(points),), -1, device=points.device)
    sides = point_distances(points[:, None], boxes)
    longest = sides.amax(dim=2)
    fits = (sides.amin(dim=2) > 0) & (longest >= ranges[:, :1]) & (longest <= ranges[:, 1:])
    area, owner = torch.where(fits, box_area(boxes), math.inf).min(dim=1)
    owner = torch.where(area.isfinite(), owner, -1)
    return _with_nearest(owner, points[:n_nearest], boxes) if n_nearest else owner


def _with_nearest(owner: Tensor, points: Tensor, boxes: Tensor) -> Tensor:
    device = owner.device
    owner, points, boxes = owner.cpu().clone(), points.cpu(), boxes.cpu()
    for row in range(len(boxes)):
        free = owner[: len(points)] < 0
        if (owner == row).any() or not free.any():
            continue
        away = (points - (boxes[row, :2] + boxes[row, 2:]) / 2).square().sum(dim=1)
        owner[torch.where(free, away, math.inf).argmin()] = row
    return owner.to(device)


def point_distances(points: Tensor, boxes: Tensor) -> Tensor:
    """(..., 2) points and (..., 4) boxes to (..., 4) distances to left, top, right and bottom."""
    return torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], dim=-1)


def boxes_at(points: Tensor, distances: Tensor) -> Tensor:
    """The reverse of `point_distances`."""
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=-1)


def centreness(distances: Tensor) -> Tensor:
    """How central points lie, 0..1 (FCOS Eq. 3); 1 for one outside, its target's only sample."""
    horizontal, vertical = distances[:, ::2], distances[:, 1::2]
    ratios = [(d.amin(1) / d.amax(1)).clamp(min=0) for d in (horizontal, vertical)]
    return torch.where(distances.amin(1) > 0, (ratios[0] * ratios[1]).sqrt(), 1.0)


# ---- the detector


@dataclass(frozen=True, eq=False)
class RawOutput:
    """Outputs of all P points, the levels one after the other.

    Parameters
    ----------
    cls, centre : Tensor, (B, P)
        Logits.
    distances : Tensor, (B, P, 4)
        To left, top, right and bottom, input pixels.
    seg : list of Tensor, (B, 1, H_l, W_l)
        Sky logits of each level; empty without the sky branch.
    points : Tensor, (P, 2)
    counts : list of int
        Points of each level.
    size : tuple of int
        Of the input.
    """

    cls: Tensor
    centre: Tensor
    distances: Tensor
    seg: list[Tensor]
    points: Tensor
    counts: list[int]
    size: tuple[int, int]


class BAFENet(Detector):
    """Boxes of targets, and a map of the sky."""

    task = "boxes"
    config_type = BAFENetConfig
    presets: ClassVar = {
        "paper": {},
        "official": {"pre_exchange": "official", "dcs_projection": "official", "norm": "caffe"},
    }

    def __init__(self, config: BAFENetConfig) -> None:
        super().__init__()
        frozen = config.freeze_bn if config.freeze_bn is not None else config.weights is not None
        self.config = replace(config, weights=None, freeze_bn=frozen)
        self.preprocess = _preprocess(config)
        self.backbone = resnet(
            config.depth,
            width=config.width,
            in_channels=config.in_channels,
            norm=FrozenBatchNorm2d if frozen else nn.BatchNorm2d,
            style="caffe" if config.norm == "caffe" else "torchvision",
        )
        if config.weights is not None:
            load_weights(self.backbone, config.weights)
        self.skipped = 0 if config.fpn_start == "C2" else 1
        used = self.backbone.channels[self.skipped :]
        self.fpn = FPN(used, config.head_width, len(config.strides) - len(used))
        self.head = Head(config)

    def forward(self, images: Tensor) -> RawOutput:
        """What the head says at every level; see `Detector`."""
        levels = self.fpn(self.backbone(self.preprocess(images))[self.skipped :])
        strides = self.config.strides
        outputs = [self.head(x, k, strides[k]) for k, x in enumerate(levels)]
        cls, centre, distances = (
            torch.cat([out[k].flatten(2) for out in outputs], dim=2) for k in range(3)
        )
        return RawOutput(
            cls[:, 0],
            centre[:, 0],
            distances.transpose(1, 2),
            [out[3] for out in outputs if len(out) > 3],
            _points(levels, strides),
            [x.shape[2] * x.shape[3] for x in levels],
            (images.shape[2], images.shape[3]),
        )

    def loss(self, raw: RawOutput, targets: Targets) -> dict[str, Tensor]:
        """Parts ``cls``, ``box``, ``centre`` and, with the sky branch, ``seg``."""
        owners = self.owners(raw, targets)
        positive = owners >= 0
        n_positive = positive.sum().clamp(min=1)
        points = raw.points.expand(len(owners), -1, -1)[positive]
        wanted = torch.cat([b[o[o >= 0]] for b, o in zip(targets.boxes, owners, strict=True)])
        weight = centreness(point_distances(points, wanted))
        box = self._box_loss(boxes_at(points, raw.distances[positive]), wanted) * weight
        centre = F.binary_cross_entropy_with_logits(
            raw.centre[positive].float(), weight, reduction="sum"
        )
        parts = {
            "cls": focal_loss(raw.cls, positive).sum() / n_positive,
            "box": box.sum() / weight.sum().clamp(min=1e-6),
            "centre": centre / n_positive,
        }
        return parts | ({"seg": sky_loss(raw.seg, targets.sky)} if raw.seg else {})

    def owners(self, raw: RawOutput, targets: Targets) -> Tensor:
        """(B, P) rows of the boxes that points are samples of, or -1."""
        device, counts = raw.points.device, torch.tensor(raw.counts)
        ranges = torch.tensor(self.config.ranges).repeat_interleave(counts, dim=0).to(device)
        n_nearest = raw.counts[0] if self.config.assign == "fcos+nearest" else 0
        return torch.stack([assign_points(raw.points, ranges, b, n_nearest) for b in targets.boxes])

    def _box_loss(self, boxes: Tensor, wanted: Tensor) -> Tensor:
        """-ln IoU; 1 - CIoU where points lie outside their targets and boxes may start apart."""
        if self.config.assign == "fcos+nearest":
            return 1 - ciou(boxes, wanted)
        return iou_loss(boxes, wanted)

    def predict(self, raw: RawOutput, metas: Sequence[ImageMeta]) -> list[Prediction]:
        """Boxes after suppression, at the images' own size; see `Detector`."""
        return [self._prediction(raw, k, meta) for k, meta in enumerate(metas)]

    def _prediction(self, raw: RawOutput, k: int, meta: ImageMeta) -> Prediction:
        rows = self._candidates(raw.cls[k].float().sigmoid(), raw.counts)
        boxes = to_native_boxes(boxes_at(raw.points, raw.distances[k])[rows], meta)
        scores = raw.cls[k, rows].float().sigmoid() * raw.centre[k, rows].float().sigmoid()
        inside = box_area(boxes) > 0
        boxes, scores = boxes[inside], scores[inside]
        kept = nms(boxes, scores, self.config.nms_iou, self.config.max_det)
        return Prediction(boxes[kept], scores[kept], sky=_sky(raw, k, meta))

    def _candidates(self, scores: Tensor, counts: list[int]) -> Tensor:
        """Rows of the best points of each level whose class score is above the threshold."""
        rows, start = [], 0
        for level in scores.split(counts):
            best = level.topk(min(self.config.pre_nms, len(level)))
            rows.append(best.indices[best.values > self.config.score_thr] + start)
            start += len(level)
        return torch.cat(rows)


def _points(levels: list[Tensor], strides: tuple[int, ...]) -> Tensor:
    cells = zip(levels, strides, strict=True)
    return torch.cat([cell_centres(x.shape[2], x.shape[3], s, x.device) for x, s in cells])


def sky_loss(logits: list[Tensor], sky: Tensor) -> Tensor:
    """Cross-entropy of sky, the mean over all known pixels of all levels.

    Parameters
    ----------
    logits : list of Tensor, (B, 1, H_l, W_l)
    sky : Tensor, (B, H, W), uint8
        1 sky, 0 other, 255 not known; the nearest pixel counts at each level.
    """
    wanted = [F.interpolate(sky[:, None].float(), x.shape[2:]).flatten() for x in logits]
    return bce_loss(torch.cat([x.flatten() for x in logits]), torch.cat(wanted), IGNORE)


def _sky(raw: RawOutput, k: int, meta: ImageMeta) -> Tensor | None:
    if not raw.seg:
        return None
    probs = raw.seg[0][k : k + 1].float().sigmoid()
    whole = F.interpolate(probs, raw.size, mode="bilinear", align_corners=False)
    return to_native_map(whole[0, 0], meta)


def _preprocess(config: BAFENetConfig) -> Preprocess:
    base = CAFFE if config.norm == "caffe" else Preprocess(per_image=config.norm == "image")
    return base if config.in_channels == 3 else base.gray()

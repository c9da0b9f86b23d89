"""EFLNet: boxes of small targets by a network of YOLOv7's kind with a dynamic head.

Three ideas: an adaptive threshold focal loss for the objectness (ATFL), the normalised Wasserstein
distance instead of IoU (NWD), and dynamic head blocks. "Eq." and "Table" are of the EFLNet paper;
where its equations and its code disagree, the preset says whose side is taken ("paper",
"official"). The network starts from nothing; there are no weights of a backbone.

The baseline of Table VII is ``atfl_mode="bce"``, ``box_loss="ciou"``, ``assign_metric="iou"``,
``dyhead_blocks=0``. With λ = 3.5 the first losses are in the ten thousands: clip the gradient.

The published code keeps no history of p_c and takes its mean over all slots, nearly all of which
are easy background: p_c is soon 0.99, the exponent of easy slots is nearly 0, and they aren't
turned down at all. "official" does the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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
    to_native_boxes,
)
from densesirst_gen.detection.detectors.eflnet_assign import (
    COCO_ANCHORS,
    STRIDES,
    Slots,
    assign_slots,
    candidates,
    decoded,
    fitting_anchors,
    make_slots,
)
from densesirst_gen.detection.detectors.eflnet_head import (
    N_ANCHORS,
    DynamicHeadBlock,
    Predictor,
    RepConv,
    batch_norm,
)
from densesirst_gen.detection.detectors.parts.layers import ConvNormAct, box_area, nms, paired_iou
from densesirst_gen.detection.detectors.parts.losses import (
    atfl_loss,
    ciou,
    focal_loss,
    nwd,
    true_probability,
)
from densesirst_gen.settings import option

conv = partial(ConvNormAct, norm=batch_norm, act=nn.SiLU)

LEAST_WIDTH = 1 / 16
STAGES = ((256, 128, 512), (512, 256, 1024), (1024, 256, 1024))
POOL_SIDES = (5, 9, 13)
HEAD_WIDTH = 256
N_BOX = 5  # x, y, width, height, objectness
REFERENCE_SIDE = 640
BOX_WEIGHT, OBJECT_WEIGHT, CLASS_WEIGHT = 0.05, 0.7, 0.3 / 80
LEVEL_BALANCE = (4.0, 1.0, 0.4)
HISTORY_SHARE = 0.05
EXPECTED_TARGETS = 8
DEFAULT_EXPONENT = 2.0


@dataclass(frozen=True)
class EFLNetConfig(DetectorConfig):
    """Settings of EFLNet; the defaults are the preset "paper"."""

    width_multiple: float = option(
        1.0, "of all channels, a multiple of 1/16", low=LEAST_WIDTH, high=4
    )
    in_channels: int = option(3, "of the network; the gray image is repeated", among=(1, 3))
    n_classes: int = option(
        1, "class outputs; the data have one class, the first", low=1, high=1000
    )
    dyhead_blocks: int = option(4, "dynamic head blocks (Table VI)", low=0, high=64)
    high_order: str = option(
        "upsample_first",
        "how the coarser level enters a block: resized first, or by every other offset",
        among=("upsample_first", "subsample_offsets"),
    )
    scale_sigmoid: str = option("paper", "of the scale attention", among=("paper", "relu6"))
    atfl_mode: str = option(
        "adaptive",
        "loss of the objectness: ATFL, ATFL with fixed exponents (Table II), cross-entropy, focal",
        among=("adaptive", "fixed", "bce", "focal"),
    )
    lambda_: float = option(3.5, "λ of ATFL (Table III)", low=1, high=100)
    threshold: float = option(0.5, "of ATFL, between hard and easy (Table IV)", low=0, high=1)
    eta: float = option(
        DEFAULT_EXPONENT, "exponent of hard ones, mode 'fixed' only", low=0, high=100
    )
    gamma: float = option(
        DEFAULT_EXPONENT, "exponent of easy ones, modes 'fixed' and 'focal' only", low=0, high=100
    )
    pc_scope: str = option(
        "positive", "whose probability p_c is expected", among=("positive", "all")
    )
    pc_history: bool = option(True, "mix the mean of past epochs into p_c (Eq. 6)")
    box_loss: str = option("nwd", "loss of boxes, target of the objectness", among=("nwd", "ciou"))
    nwd_c: float = option(11.0, "C of NWD (Table V)", low=0.1, high=1000)
    nwd_units: str = option("pixel", "unit of C: cells are 8, 16, 32 px", among=("pixel", "cell"))
    assign_metric: str = option("nwd", "similarity in the assignment", among=("nwd", "iou"))
    autoanchor: bool = option(True, "fit the anchors to the training boxes")
    score_thr: float = option(0.001, "least score", low=0, high=1)
    nms_iou: float = option(0.5, "most overlap of two boxes", low=0, high=1)
    max_det: int = option(300, "boxes of an image", low=1, high=100_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width_multiple % LEAST_WIDTH:
            self.refuse("width_multiple", "a multiple of 1/16")
        if self.atfl_mode != "fixed" and self.eta != DEFAULT_EXPONENT:
            self.refuse("eta", f"{DEFAULT_EXPONENT} unless atfl_mode is 'fixed'")
        if self.atfl_mode in ("adaptive", "bce") and self.gamma != DEFAULT_EXPONENT:
            self.refuse("gamma", f"{DEFAULT_EXPONENT} unless atfl_mode is 'fixed' or 'focal'")

    def width(self, channels: int) -> int:
        """Channels of the full network to those of this one."""
        return int(channels * self.width_multiple)


# ---- backbone and neck


class Elan(nn.Module):
    """A chain of four 3x3 whose steps are put side by side (YOLOv7).

    Parameters
    ----------
    channels_in, width, channels : int
        Of the input, of the first 1x1 convolutions, of the output.
    every_step : bool
        Keep all four at half the width (in the neck), or the second and fourth at full width.
    """

    def __init__(self, channels_in: int, width: int, channels: int, every_step: bool) -> None:
        super().__init__()
        inner, self.keep = (width // 2, 1) if every_step else (width, 2)
        self.aside, self.start = conv(channels_in, width, 1), conv(channels_in, width, 1)
        self.chain = nn.ModuleList(conv(width if k == 0 else inner, inner) for k in range(4))
        self.join = conv(4 * width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, channels, H, W)."""
        start = self.start(x)
        steps = [start]
        for layer in self.chain:
            steps.append(layer(steps[-1]))
        newest_first = steps[: 0 : -self.keep]
        out: Tensor = self.join(torch.cat([*newest_first, start, self.aside(x)], dim=1))
        return out


class Halving(nn.Module):
    """Half the size: a strided 3x3 and a maximum, side by side (YOLOv7)."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__()
        self.strided = nn.Sequential(conv(channels_in, width, 1), conv(width, width, stride=2))
        self.pooled = nn.Sequential(nn.MaxPool2d(2), conv(channels_in, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2 * width, H / 2, W / 2)."""
        return torch.cat([self.strided(x), self.pooled(x)], dim=1)


class Backbone(nn.Module):
    """Four ELAN stages at strides 4, 8, 16 and 32; the last three are given."""

    def __init__(self, config: EFLNetConfig) -> None:
        super().__init__()
        width = config.width
        self.stem = nn.Sequential(
            conv(config.in_channels, width(32)),
            conv(width(32), width(64), stride=2),
            conv(width(64), width(64)),
            conv(width(64), width(128), stride=2),
            Elan(width(128), width(64), width(256), every_step=False),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                Halving(width(channels_in), width(channels_in // 2)),
                Elan(width(channels_in), width(inner), width(channels), every_step=False),
            )
            for channels_in, inner, channels in STAGES
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of strides 8, 16 and 32."""
        levels = [self.stem(x)]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        return levels[1:]


class PooledPyramid(nn.Module):
    """Maxima over 5, 9 and 13 cells on one of two branches (SPPCSPC of YOLOv7)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.before = nn.Sequential(
            conv(channels_in, channels, 1), conv(channels, channels), conv(channels, channels, 1)
        )
        self.pools = nn.ModuleList(nn.MaxPool2d(side, 1, side // 2) for side in POOL_SIDES)
        self.after = nn.Sequential(conv(4 * channels, channels, 1), conv(channels, channels))
        self.aside, self.join = conv(channels_in, channels, 1), conv(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, channels, H, W)."""
        before = self.before(x)
        pooled = torch.cat([before, *(pool(before) for pool in self.pools)], dim=1)
        out: Tensor = self.join(torch.cat([self.after(pooled), self.aside(x)], dim=1))
        return out


class Neck(nn.Module):
    """Top-down, then bottom-up, to 128, 256 and 512 channels at strides 8, 16 and 32."""

    def __init__(self, config: EFLNetConfig) -> None:
        super().__init__()
        n128, n256, n512, n1024 = map(config.width, (128, 256, 512, 1024))
        self.pool = PooledPyramid(n1024, n512)
        self.from_5, self.from_4 = conv(n512, n256, 1), conv(n256, n128, 1)
        self.side_4, self.side_3 = conv(n1024, n256, 1), conv(n512, n128, 1)
        self.top_4 = Elan(n512, n256, n256, every_step=True)
        self.out_3 = Elan(n256, n128, n128, every_step=True)
        self.down_3, self.down_4 = Halving(n128, n128), Halving(n256, n256)
        self.out_4 = Elan(n512, n256, n256, every_step=True)
        self.out_5 = Elan(n1024, n512, n512, every_step=True)

    def forward(self, c3: Tensor, c4: Tensor, c5: Tensor) -> list[Tensor]:
        """The same levels, each having seen the others."""
        top_5 = self.pool(c5)
        top_4 = self.top_4(torch.cat([self.side_4(c4), _doubled(self.from_5(top_5))], dim=1))
        out_3 = self.out_3(torch.cat([self.side_3(c3), _doubled(self.from_4(top_4))], dim=1))
        out_4 = self.out_4(torch.cat([self.down_3(out_3), top_4], dim=1))
        return [out_3, out_4, self.out_5(torch.cat([self.down_4(out_4), top_5], dim=1))]


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0)


# ---- the detector


@dataclass(frozen=True, eq=False)
class RawOutput:
    """Outputs of all P slots.

    Parameters
    ----------
    boxes : Tensor, (B, P, 4), float32
        xyxy, input pixels.
    objectness : Tensor, (B, P)
        Logits.
    classes : Tensor, (B, P, n_classes)
        Logits; of a single class they aren't trained and don't count.
    slots : Slots
    n_pixels : int
        Of an input.
    """

    boxes: Tensor
    objectness: Tensor
    classes: Tensor
    slots: Slots
    n_pixels: int

    @property
    def confidence(self) -> Tensor:
        """(B, P), 0..1: objectness, times that of the class if there are several."""
        objectness = self.objectness.float().sigmoid()
        if self.classes.shape[2] == 1:
            return objectness
        return objectness * self.classes[..., 0].float().sigmoid()


class EFLNet(Detector):
    """Boxes of targets.

    Attributes
    ----------
    anchors : Tensor, (3, 3, 2)
        Width and height of each level's, input pixels; kept in checkpoints.
    pc_past, pc_epoch : Tensor, (2,)
        Sum and number of the p_c of past epochs, and of the steps of this one.
    """

    task = "boxes"
    config_type = EFLNetConfig
    presets: ClassVar = {
        "paper": {},
        "official": {
            "dyhead_blocks": 3,
            "high_order": "subsample_offsets",
            "scale_sigmoid": "relu6",
            "lambda_": 1.5,
            "pc_scope": "all",
            "pc_history": False,
            "nwd_c": 12.0,
            "nwd_units": "cell",
            "assign_metric": "iou",
        },
    }
    anchors: Tensor
    pc_past: Tensor
    pc_epoch: Tensor

    def __init__(self, config: EFLNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, n = config.width(HEAD_WIDTH), config.in_channels
        self.preprocess = Preprocess((0.0,) * n, (1.0,) * n, fill=114 / 255)
        self.backbone, self.neck = Backbone(config), Neck(config)
        self.rep = nn.ModuleList(RepConv(config.width(c), channels) for c in (128, 256, 512))
        blocks = (
            DynamicHeadBlock(channels, config.high_order, config.scale_sigmoid)
            for _ in range(config.dyhead_blocks)
        )
        self.blocks = nn.Sequential(*blocks)
        self.predictors = nn.ModuleList(
            _predictor(channels, config.n_classes, stride) for stride in STRIDES
        )
        self.register_buffer("anchors", torch.tensor(COCO_ANCHORS, dtype=torch.float32))
        self.register_buffer("pc_past", torch.zeros(2))
        self.register_buffer("pc_epoch", torch.zeros(2))

    def forward(self, images: Tensor) -> RawOutput:
        """What the predictors say at every anchor; see `Detector`."""
        levels = self.neck(*self.backbone(self.preprocess(images)))
        levels = self.blocks([rep(x) for rep, x in zip(self.rep, levels, strict=True)])
        outputs = [predict(x) for predict, x in zip(self.predictors, levels, strict=True)]
        slots = make_slots([(x.shape[2], x.shape[3]) for x in levels], self.anchors)
        box, objectness, classes = torch.cat(outputs, dim=1).split(
            (N_BOX - 1, 1, self.config.n_classes), dim=2
        )
        n_pixels = images.shape[2] * images.shape[3]
        return RawOutput(decoded(box, slots), objectness[..., 0], classes, slots, n_pixels)

    def loss(self, raw: RawOutput, targets: Targets) -> dict[str, Tensor]:
        """Parts ``box``, ``objectness`` and, with several classes, ``cls``; times the batch."""
        owners = torch.stack([self.owners(raw, k, boxes) for k, boxes in enumerate(targets.boxes)])
        positive = owners >= 0
        wanted = torch.cat([b[o[o >= 0]] for b, o in zip(targets.boxes, owners, strict=True)])
        slot = positive.nonzero()[:, 1]
        quality = self._quality(raw.boxes[positive], wanted, raw.slots.strides[slot])
        level = raw.slots.levels[slot]
        per_level = level.bincount(minlength=len(STRIDES)).clamp(min=1)
        parts = {
            "box": BOX_WEIGHT * ((1 - quality) / per_level[level]).sum(),
            "objectness": self._objectness_loss(raw, positive, quality.detach()),
        }
        if self.config.n_classes > 1:
            parts["cls"] = self._class_loss(raw.classes[positive])
        return {name: part * len(targets) for name, part in parts.items()}

    @torch.no_grad()
    def owners(self, raw: RawOutput, k: int, boxes: Tensor) -> Tensor:
        """(P,) rows of image k's boxes that slots are samples of, or -1."""
        allowed = candidates(boxes, raw.slots)
        near = allowed.any(dim=0)
        pairs = raw.boxes[k, near], boxes[:, None], raw.slots.strides[near]
        similar = self.nwd(*pairs) if self.config.assign_metric == "nwd" else paired_iou(*pairs[:2])
        owner = torch.full_like(raw.slots.levels, -1)
        owner[near] = assign_slots(similar, raw.confidence[k, near], allowed[:, near])
        return owner

    def _quality(self, boxes: Tensor, wanted: Tensor, strides: Tensor) -> Tensor:
        """How well boxes, (M, 4), fit: NWD or CIoU, (M,), at most 1."""
        if self.config.box_loss == "ciou":
            return ciou(boxes, wanted)
        return self.nwd(boxes, wanted, strides)

    def nwd(self, a: Tensor, b: Tensor, strides: Tensor) -> Tensor:
        """Normalised Wasserstein distance of boxes, in pixels or in cells of their level."""
        unit = strides if self.config.nwd_units == "cell" else 1.0
        return nwd(a / unit, b / unit, self.config.nwd_c)

    def _objectness_loss(self, raw: RawOutput, positive: Tensor, quality: Tensor) -> Tensor:
        """Mean over the slots of each level, the levels by their balance."""
        wanted = torch.zeros_like(raw.objectness, dtype=torch.float32)
        wanted[positive] = quality.clamp(0, 1)
        p_t = true_probability(raw.objectness.detach(), wanted)
        each = self.each_loss(raw.objectness, wanted, self.expected(p_t, positive))
        n_slots = raw.slots.levels.bincount(minlength=len(STRIDES))
        weight = (each.new_tensor(LEVEL_BALANCE) / n_slots)[raw.slots.levels]
        share = OBJECT_WEIGHT * raw.n_pixels / REFERENCE_SIDE**2
        return share * (each * weight).sum(dim=1).mean()

    def _class_loss(self, logits: Tensor) -> Tensor:
        """Of the positive slots, (M, n_classes): all are of the first class."""
        wanted = torch.zeros_like(logits, dtype=torch.float32)
        wanted[:, 0] = 1
        each = self.each_loss(logits, wanted, true_probability(logits.detach(), wanted).mean())
        return CLASS_WEIGHT * logits.shape[1] * each.sum() / max(each.numel(), 1)

    def each_loss(self, logits: Tensor, wanted: Tensor, expected: Tensor) -> Tensor:
        """ATFL or what is in its place, with the p_c `expected`; not reduced."""
        config = self.config
        if config.atfl_mode == "focal":
            return focal_loss(logits, wanted, gamma=config.gamma)
        eta, gamma = {
            "adaptive": (None, -expected.log()),
            "fixed": (config.eta, config.gamma),
            "bce": (0.0, 0.0),
        }[config.atfl_mode]
        return atfl_loss(
            logits,
            wanted,
            eta=eta,
            gamma=gamma,
            lambda_=config.lambda_,
            threshold=config.threshold,
        )

    def expected(self, p_t: Tensor, positive: Tensor) -> Tensor:
        """p_c (Eq. 6): the mean p_t of this step, 0.95, and that of past epochs, 0.05.

        Eq. 6 divides a sum of t epochs by t - 1; this by their number, and the present mean counts
        alone as long as there is none. 1 if there is nothing to take the mean of.
        """
        counted = p_t[positive] if self.config.pc_scope == "positive" else p_t
        if not counted.numel():
            return p_t.new_ones(())
        present = counted.mean()
        if not self.config.pc_history:
            return present
        if self.training:
            self.pc_epoch += torch.stack([present, torch.ones_like(present)])
        total, n = self.pc_past
        return torch.where(
            n > 0, HISTORY_SHARE * total / n + (1 - HISTORY_SHARE) * present, present
        )

    def before_training(self, sizes: Tensor) -> None:
        """Fit the anchors to the training boxes if those of COCO don't reach them."""
        if self.config.autoanchor:
            self.anchors.copy_(fitting_anchors(sizes, self.anchors))

    def after_epoch(self) -> None:
        """Add the mean p_c of the epoch to the history."""
        total, n = self.pc_epoch
        if n > 0:
            self.pc_past += torch.stack([total / n, torch.ones_like(n)])
        self.pc_epoch.zero_()

    def predict(self, raw: RawOutput, metas: Sequence[ImageMeta]) -> list[Prediction]:
        """Boxes after suppression, at the images' own size; see `Detector`."""
        return [self._prediction(raw, k, meta) for k, meta in enumerate(metas)]

    def _prediction(self, raw: RawOutput, k: int, meta: ImageMeta) -> Prediction:
        boxes, scores = to_native_boxes(raw.boxes[k], meta), raw.confidence[k]
        found = (scores > self.config.score_thr) & (box_area(boxes) > 0)
        boxes, scores = boxes[found], scores[found]
        kept = nms(boxes, scores, self.config.nms_iou, self.config.max_det)
        return Prediction(boxes[kept], scores[kept])


def _predictor(channels: int, n_classes: int, stride: int) -> Predictor:
    """A predictor that expects eight targets in an image of 640 px."""
    predictor = Predictor(channels, N_BOX + n_classes)
    n_cells = (REFERENCE_SIDE / stride) ** 2
    with torch.no_grad():
        bias = predictor.conv.get_parameter("bias").view(N_ANCHORS, -1)
        bias[:, N_BOX - 1] += math.log(EXPECTED_TARGETS / n_cells)
        bias[:, N_BOX:] += math.log(0.6 / (n_classes - 0.99))
    return predictor

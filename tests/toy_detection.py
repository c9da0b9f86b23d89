"""What the tests of the detectors share: tiny ones, easy images, a short training on them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from densesirst_gen.detection.detectors import build_detector
from densesirst_gen.detection.detectors.base import Detector, ImageMeta, Targets
from densesirst_gen.detection.metrics import FoundBoxes, VocAP

TINY_OPTIONS: dict[str, dict[str, object]] = {
    "adsnet": {"width": 8, "stem_width": 8, "patches": 4},
    "bafenet": {"depth": 18, "width": 16, "head_width": 32},
    "cgranet": {"backbone_width": 8, "width": 8},
    "eflnet": {"width_multiple": 1 / 16, "dyhead_blocks": 1},
    "serankdet": {"base_width": 8},
}


def tiny(name: str, preset: str = "paper", **options: object) -> Detector:
    """A narrow detector, always with the same weights."""
    torch.manual_seed(0)
    return build_detector(name, preset, **{**TINY_OPTIONS[name], **options})


def on_paper(name: str, preset: str = "paper", **options: object) -> Detector:
    """A detector of full size without weights: its shapes only."""
    with torch.device("meta"):
        return build_detector(name, preset, **options)


def n_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def toy_batch(
    n: int = 8, side: int = 128, sizes: tuple[int, int] = (10, 20), *, seed: int = 0
) -> tuple[Tensor, Targets]:
    """Bright rectangles, one to three an image, over a dark lower half and a brighter sky."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.2 + 0.02 * torch.randn(n, 1, side, side, generator=generator)
    images[:, :, : side // 2] += 0.2
    labels = torch.zeros(n, side, side, dtype=torch.int32)
    sky = torch.zeros(n, side, side, dtype=torch.uint8)
    sky[:, : side // 2] = 1
    boxes = [_draw_targets(images[k, 0], labels[k], 1 + k % 3, sizes, generator) for k in range(n)]
    return images.clamp(0, 1), Targets(boxes, labels, sky)


def _draw_targets(
    image: Tensor, labels: Tensor, n: int, sizes: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """Draw `n` targets, each in a vertical strip of its own; give their boxes."""
    strip = image.shape[1] // n
    boxes = []
    for k in range(n):
        height, width = torch.randint(sizes[0], sizes[1] + 1, (2,), generator=generator).tolist()
        y = int(torch.randint(image.shape[0] - height, (1,), generator=generator))
        x = k * strip + int(torch.randint(strip - width, (1,), generator=generator))
        image[y : y + height, x : x + width] += 0.4
        labels[y : y + height, x : x + width] = k + 1
        boxes.append([x, y, x + width, y + height])
    return torch.tensor(boxes, dtype=torch.float32)


def toy_metas(images: Tensor) -> list[ImageMeta]:
    height, width = images.shape[2:]
    return [ImageMeta((height, width))] * len(images)


def overfit(detector: Detector, images: Tensor, targets: Targets, *, steps: int, lr: float) -> None:
    """Train on one batch, then settle the running statistics."""
    trained = [p for p in detector.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=lr, fused=True)
    detector.train()
    for _ in range(steps):
        loss = torch.stack(list(detector.loss(detector(images), targets).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 10.0)
        optimiser.step()
    settle_norms(detector, images)


def average_precision(detector: Detector, images: Tensor, targets: Targets) -> float:
    """VOC AP of what a detector of boxes finds in its own training images."""
    with torch.no_grad():
        found = detector.predict(detector(images), toy_metas(images))
    metric = VocAP()
    return metric.result(
        metric.measure(FoundBoxes(p.boxes.numpy(), p.scores.numpy()), b.numpy())
        for p, b in zip(found, targets.boxes, strict=True)
    ).ap


def settle_norms(detector: Detector, images: Tensor, passes: int = 4) -> None:
    """Batch norms lag after few steps: let them take the mean of some passes; then eval."""
    for norm in (m for m in detector.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for _ in range(passes):
            detector(images)
    detector.eval()

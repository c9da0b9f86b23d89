"""Loss functions, each with its source. Logits are real, probabilities in 0..1.

Losses per element are not reduced: detectors differ in what they divide by. All are computed in
float32 and are finite for any logits.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from densesirst_gen.detection.detectors.parts.layers import paired_iou

LEAST = 1e-7


def focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss of each element (Lin et al., "Focal loss", Eq. 5).

    Parameters
    ----------
    logits, targets : Tensor, same shape
        Targets are 0 or 1.
    alpha : float
        Weight of the positive class; negative: no weights.
    gamma : float
        Exponent that turns easy elements down; 0 leaves (weighted) cross-entropy.
    """
    logits, targets = logits.float(), targets.float()
    p_t = true_probability(logits, targets)
    weight = alpha * targets + (1 - alpha) * (1 - targets) if alpha >= 0 else 1.0
    return weight * (1 - p_t) ** gamma * _cross_entropy(logits, targets)


def bce_loss(logits: Tensor, targets: Tensor, ignore: int = 255) -> Tensor:
    """Mean binary cross-entropy over the elements whose target isn't `ignore`; 0 if there is none.

    Parameters
    ----------
    logits, targets : Tensor, same shape
        Targets are 0, 1 or `ignore`.
    """
    known = targets != ignore
    each = _cross_entropy(logits.float(), torch.where(known, targets, 0).float())
    return (each * known).sum() / known.sum().clamp(min=1)


def iou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """-ln IoU of each pair of boxes (Yu et al., "UnitBox"), (N, 4) to (N,).

    IoU is at least 1e-6; without overlap there is no gradient.
    """
    return -paired_iou(boxes.float(), targets.float()).clamp(min=1e-6).log()


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of each pair of boxes (Zheng et al., "Distance-IoU loss", Eq. 8-11).

    Parameters
    ----------
    a, b : Tensor, (N, 4)
        Sides below 1e-7 count as such.

    Returns
    -------
    Tensor, (N,)
        -2 .. 1, 1 for equal boxes. The loss is 1 - CIoU.
    """
    a, b = a.float(), b.float()
    iou = paired_iou(a, b)
    span = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    centre, (size_a, size_b) = _between_centres(a, b), (_sides(a), _sides(b))
    turn = torch.atan(size_b[:, 0] / size_b[:, 1]) - torch.atan(size_a[:, 0] / size_a[:, 1])
    v = (2 / math.pi * turn) ** 2
    with torch.no_grad():
        alpha = v / (1 - iou + v).clamp(min=LEAST)
    return iou - centre.square().sum(-1) / span.square().sum(-1).clamp(min=LEAST) - alpha * v


def nwd(a: Tensor, b: Tensor, constant: float) -> Tensor:
    """Normalised Wasserstein distance of boxes (Wang et al., "NWD", as in EFLNet).

    ``exp(-sqrt(dx² + dy² + (dw² + dh²) / 4) / C)`` with the differences of centres and sides.

    Parameters
    ----------
    a, b : Tensor, (..., 4)
        Of shapes that broadcast; ``nwd(a[:, None], b)`` is the matrix of all pairs.
    constant : float
        C, in the unit of the boxes.

    Returns
    -------
    Tensor, (...)
        0..1, 1 for equal boxes. The gradient is finite everywhere.
    """
    a, b = a.float(), b.float()
    sides = (a[..., 2:] - a[..., :2]) - (b[..., 2:] - b[..., :2])
    squared = _between_centres(a, b).square().sum(-1) + sides.square().sum(-1) / 4
    return torch.exp(-squared.clamp(min=1e-16).sqrt() / constant)


def atfl_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma: float | Tensor,
    eta: float | None = None,
    lambda_: float = 3.5,
    threshold: float = 0.5,
) -> Tensor:
    """Adaptive threshold focal loss of each element (EFLNet; its Eq. 6 is the adaptive γ's p_c).

    Binary cross-entropy times ``(λ - p_t)^η`` where the true class's probability p_t is at most the
    threshold, else times ``(1 - p_t)^γ``.

    Parameters
    ----------
    logits, targets : Tensor, same shape
        Targets in 0..1; ``p_t = y p + (1 - y) (1 - p)``.
    gamma : float or Tensor
        Exponent of the easy elements; adaptive is ``-ln p_c``, p_c the expected p_t.
    eta : float or None
        Exponent of the hard ones; None is adaptive, ``-ln p_t``.
    lambda_ : float
        At least 1.
    threshold : float
        Between hard and easy.
    """
    logits, targets = logits.float(), targets.float()
    p_t = true_probability(logits, targets).clamp(LEAST, 1 - LEAST)
    eta_ = -p_t.log() if eta is None else eta
    hard = torch.exp(eta_ * (lambda_ - p_t).clamp(min=LEAST).log())
    easy = torch.exp(gamma * (1 - p_t).log())
    return torch.where(p_t <= threshold, hard, easy) * _cross_entropy(logits, targets)


def soft_iou_loss(
    probs: Tensor,
    masks: Tensor,
    valid: Tensor | None = None,
    *,
    per_image: bool = False,
    smooth: float = 1.0,
) -> Tensor:
    """1 - soft IoU (as in SeRankDet): ``1 - (Σ p y + s) / (Σ p + Σ y - Σ p y + s)``.

    Parameters
    ----------
    probs, masks : Tensor, (B, 1, H, W)
    valid : Tensor or None, (B, 1, H, W)
        0 where the mask is not known.
    per_image : bool
        Sums over each image, then the mean; else over the batch.
    smooth : float
        s above.

    Returns
    -------
    Tensor, scalar
    """
    inter, total = _overlap(probs, masks, valid, per_image)
    return (1 - (inter + smooth) / (total - inter + smooth)).mean()


def dice_loss(
    probs: Tensor,
    masks: Tensor,
    valid: Tensor | None = None,
    *,
    per_image: bool = True,
    smooth: float = 1.0,
) -> Tensor:
    """1 - Dice (Milletari et al., "V-Net"): ``1 - (2 Σ p y + s) / (Σ p + Σ y + s)``.

    Parameters as of `soft_iou_loss`.
    """
    inter, total = _overlap(probs, masks, valid, per_image)
    return (1 - (2 * inter + smooth) / (total + smooth)).mean()


def true_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """p_t, what is given to the true class: ``y p + (1 - y) (1 - p)``, of each element."""
    probs = logits.float().sigmoid()
    return probs * targets + (1 - probs) * (1 - targets)


def _overlap(
    probs: Tensor, masks: Tensor, valid: Tensor | None, per_image: bool
) -> tuple[Tensor, Tensor]:
    """Σ p y and Σ p + Σ y, per image or in all."""
    probs, masks = probs.float(), masks.float()
    if valid is not None:
        probs, masks = probs * valid, masks * valid
    dims = tuple(range(1 if per_image else 0, probs.ndim))
    return (probs * masks).sum(dims), probs.sum(dims) + masks.sum(dims)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def _between_centres(a: Tensor, b: Tensor) -> Tensor:
    return (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2


def _sides(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=LEAST)

"""Anchors of EFLNet: their fit to the targets, the boxes they stand for, which target each serves.

A slot is one place that can hold a prediction: an anchor in a cell of a level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from densesirst_gen.detection.detectors.parts.layers import cell_centres

STRIDES = (8, 16, 32)
MAX_RATIO = 4.0
# of the COCO data, px, three for each level
COCO_ANCHORS = (
    ((12, 16), (19, 36), (40, 28)),
    ((36, 75), (76, 55), (72, 146)),
    ((142, 110), (192, 243), (459, 401)),
)
ENOUGH_RECALL = 0.98
N_KMEANS = 30
N_GENERATIONS = 1000
MUTATED, SPREAD, LEAST_GROWTH, MOST_GROWTH = 0.9, 0.1, 0.3, 3.0
N_SIMILAR = 10
SIMILARITY_WEIGHT = 3.0
LEAST = 1e-8


# ---- anchors


def worst_ratio(sizes: Tensor, anchors: Tensor) -> Tensor:
    """The factor by which width or height differ most, at least 1.

    Parameters
    ----------
    sizes : Tensor, (N, 2)
    anchors : Tensor, (A, 2)
        Width and height; positive.

    Returns
    -------
    Tensor, (N, A)
    """
    ratio = sizes[:, None] / anchors
    return torch.maximum(ratio, 1 / ratio).amax(dim=2)


def possible_recall(sizes: Tensor, anchors: Tensor) -> float:
    """Share of sizes, (N, 2), within a factor of 4 of one of the anchors, (A, 2); 1 if N = 0."""
    if not len(sizes):
        return 1.0
    return (worst_ratio(sizes, anchors).amin(dim=1) < MAX_RATIO).float().mean().item()


def fitting_anchors(sizes: Tensor, anchors: Tensor) -> Tensor:
    """The anchors, or better ones for these targets if they reach less than 98 %.

    k-means, then a genetic search, as YOLO has it; targets of any size count. Deterministic.

    Parameters
    ----------
    sizes : Tensor, (N, 2)
        Width and height of the targets, input pixels. Empty ones don't count.
    anchors : Tensor, (L, A, 2)
        Levels finest first.

    Returns
    -------
    Tensor, (L, A, 2)
        By area.
    """
    sizes = sizes[(sizes > 0).all(dim=1)].float().cpu()
    old = anchors.reshape(-1, 2).cpu()
    if possible_recall(sizes, old) >= ENOUGH_RECALL:
        return anchors
    new = evolved(sizes, cluster_centres(sizes, len(old)))
    best = max(old, new, key=lambda a: possible_recall(sizes, a))
    return best[best.prod(dim=1).argsort(stable=True)].reshape(anchors.shape).to(anchors)


def cluster_centres(sizes: Tensor, n: int) -> Tensor:
    """k-means of sizes, (N, 2), to (n, 2), from their quantiles by area."""
    spread = sizes.std(dim=0, correction=0).clamp(min=LEAST)
    points = sizes / spread
    ranks = (torch.arange(n) + 0.5) / n * len(points)
    centres = points[points.prod(dim=1).argsort(stable=True)[ranks.long()]]
    for _ in range(N_KMEANS):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        centres = torch.stack(
            [points[nearest == k].mean(0) if (nearest == k).any() else centres[k] for k in range(n)]
        )
    return centres * spread


def evolved(sizes: Tensor, anchors: Tensor) -> Tensor:
    """Anchors, (A, 2), after a thousand random changes of which those that fit better are kept."""
    generator = torch.Generator().manual_seed(0)
    best = anchor_fitness(sizes, anchors)
    for _ in range(N_GENERATIONS):
        changed = anchors * _growth(anchors, generator)
        fitness = anchor_fitness(sizes, changed)
        if fitness > best:
            anchors, best = changed, fitness
    return anchors


def _growth(anchors: Tensor, generator: torch.Generator) -> Tensor:
    """Random factors about 1, for most of the numbers."""
    hit = torch.rand(anchors.shape, generator=generator) < MUTATED
    step = torch.randn(anchors.shape, generator=generator) * SPREAD
    return (1 + hit * step).clamp(LEAST_GROWTH, MOST_GROWTH)


def anchor_fitness(sizes: Tensor, anchors: Tensor) -> float:
    """Mean of 1 / ratio to the nearest anchor, 0 for sizes that no anchor fits."""
    ratio = worst_ratio(sizes, anchors).amin(dim=1)
    return torch.where(ratio < MAX_RATIO, 1 / ratio, 0.0).mean().item()


# ---- slots


@dataclass(frozen=True, eq=False)
class Slots:
    """All P slots of an input: by level, anchor, row, column.

    Parameters
    ----------
    centres : Tensor, (P, 2)
        (x, y) of the cell, input pixels.
    anchors : Tensor, (P, 2)
        Width and height, input pixels.
    strides : Tensor, (P, 1)
        Side of the cell.
    levels : Tensor, (P,), int64
        0 the finest.
    """

    centres: Tensor
    anchors: Tensor
    strides: Tensor
    levels: Tensor


def make_slots(sizes: Sequence[tuple[int, int]], anchors: Tensor) -> Slots:
    """Slots of levels of (height, width) cells, with (L, A, 2) anchors."""
    parts = []
    for level, (height, width) in enumerate(sizes):
        centres = cell_centres(height, width, STRIDES[level], anchors.device)
        n_cells, n_anchors = len(centres), anchors.shape[1]
        ones = anchors.new_ones(n_cells * n_anchors)
        parts.append((
            centres.repeat(n_anchors, 1),
            anchors[level].repeat_interleave(n_cells, dim=0),
            ones[:, None] * STRIDES[level],
            ones.long() * level,
        ))  # fmt: skip
    return Slots(*(torch.cat(part) for part in zip(*parts, strict=True)))


def decoded(outputs: Tensor, slots: Slots) -> Tensor:
    """Boxes of the network's outputs, (B, P, 4): centres up to a cell off, sides up to 4 times.

    ``xy = (2 σ - 1/2 + cell) stride``, ``wh = (2 σ)² anchor``; xyxy, input pixels, float32.
    """
    twice = 2 * outputs.float().sigmoid()
    centre = slots.centres + (twice[..., :2] - 1) * slots.strides
    half = twice[..., 2:].square() * slots.anchors / 2
    return torch.cat([centre - half, centre + half], dim=-1)


# ---- assignment


def candidates(boxes: Tensor, slots: Slots) -> Tensor:
    """Which slots may serve which target.

    Its anchor differs by less than a factor of 4 in width and height, its cell holds the centre or
    is the nearest beside it or the nearest above or below it.

    Parameters
    ----------
    boxes : Tensor, (N, 4)

    Returns
    -------
    Tensor, (N, P), bool
    """
    sizes, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    away = (centres[:, None] - slots.centres) / slots.strides
    is_inside = (away >= -0.5) & (away < 0.5)
    is_near = is_inside.any(dim=2) & (away.abs() < 1).all(dim=2)
    return is_near & (worst_ratio(sizes, slots.anchors) < MAX_RATIO)


def assign_slots(similarity: Tensor, confidence: Tensor, allowed: Tensor) -> Tensor:
    """Which target each slot is a sample of (SimOTA; Ge et al., "YOLOX").

    A target claims its k cheapest slots, k the sum of its ten best similarities, at least 1. The
    cost is the cross-entropy of the root of the confidence, less three times the logarithm of the
    similarity. A slot that is claimed twice goes to the cheaper target. If that leaves a target
    with nothing, each takes one slot of its own, at the least cost of all together.

    Parameters
    ----------
    similarity : Tensor, (N, M)
        Of targets and predicted boxes, 0..1.
    confidence : Tensor, (M,)
        Of the predictions, 0..1.
    allowed : Tensor, (N, M), bool
        See `candidates`.

    Returns
    -------
    Tensor, (M,), int64
        Row of the target; -1 for a slot that serves none.
    """
    if not allowed.any():
        return torch.full((allowed.shape[1],), -1, device=allowed.device)
    likeness = SIMILARITY_WEIGHT * similarity.clamp(min=LEAST).log()
    cost = -confidence.clamp(min=LEAST).log() / 2 - likeness
    cost = torch.where(allowed, cost, math.inf)
    claimed = torch.where(_claims(similarity, cost, allowed), cost, math.inf)
    least, owner = claimed.min(dim=0)
    owner = torch.where(least.isfinite(), owner, -1)
    lost = allowed.any(dim=1) & ~torch.isin(torch.arange(len(cost), device=owner.device), owner)
    return _with_one_each(owner, cost, allowed) if lost.any() else owner


def _claims(similarity: Tensor, cost: Tensor, allowed: Tensor) -> Tensor:
    """(N, M) bool: the k cheapest slots of each target."""
    best = torch.where(allowed, similarity, 0).topk(min(N_SIMILAR, cost.shape[1])).values
    n_claims = best.sum(dim=1, keepdim=True).int().clamp(min=1)
    rank = cost.argsort(dim=1, stable=True).argsort(dim=1)
    return (rank < n_claims) & allowed


def _with_one_each(owner: Tensor, cost: Tensor, allowed: Tensor) -> Tensor:
    """Give every target with a candidate a slot, as far as there are enough of them."""
    too_much = cost[allowed].max() * len(cost) + 1
    finite = torch.where(allowed, cost, too_much).cpu().numpy()
    row, slot = (torch.from_numpy(k).to(owner) for k in linear_sum_assignment(finite))
    real = allowed[row, slot]
    return owner.scatter(0, slot[real], row[real])

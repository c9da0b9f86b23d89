"""The sparse half of ADSNet: which patches of a level are worth refining, and refining only those.

A level is a grid of n x n patches. A decision is a (B, n, n) float tensor, 1 keep and 0 drop. What
a stage computes is written once (`Stage`); on which cells, and how, is one of three:

* `Cells`: on all;
* `MaskedCells`: on all, but dropped cells are set to zero after every layer. For training, and the
  reference for
* `GatheredCells`: on kept patches only. Each takes a ring of one cell from its neighbours before a
  3x3 convolution, so the multiplications are just the kept share of the dense ones.

Setting dropped cells to zero after every layer, not only before the first, is what makes the last
two equal: a norm's bias would otherwise come back from a dropped cell through the next 3x3.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densesirst_gen.detection.detectors.parts.layers import ConvNormAct


class Cells:
    """All cells of a level."""

    def enter(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the form that `widened`, `apply` and `leave` take."""
        return x

    def widened(self, x: Tensor) -> Tensor:
        """What a 3x3 convolution needs to see."""
        return x

    def apply(self, layer: nn.Module, x: Tensor) -> Tensor:
        """A `ConvNormAct`; one with a 3x3 kernel takes `widened` cells."""
        out: Tensor = layer(x)
        return out

    def leave(self, x: Tensor) -> Tensor:
        """Back to (B, C, H, W), 0 in dropped cells."""
        return x


class MaskedCells(Cells):
    """The cells of kept patches, by setting all others to zero after every layer.

    Parameters
    ----------
    kept : Tensor, (B, n, n)
        1 keep, 0 drop; passes its gradient on.
    size : tuple of int
        (H, W) of the level, multiples of n.
    """

    def __init__(self, kept: Tensor, size: tuple[int, int]) -> None:
        self.mask = F.interpolate(kept[:, None], size)

    def enter(self, x: Tensor) -> Tensor:
        """Dropped cells are zero."""
        return x * self.mask.to(x.dtype)

    def apply(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Dropped cells stay zero."""
        return self.enter(super().apply(layer, x))


class GatheredCells(Cells):
    """The cells of kept patches, as a batch of patches, (K, C, p, q) in channels-last memory.

    Parameters as of `MaskedCells`; for inference, without a gradient to the decision.
    """

    def __init__(self, kept: Tensor, size: tuple[int, int]) -> None:
        self.shape, self.grid = (len(kept), *size), kept.shape[1:]
        self.patch = (size[0] // self.grid[0], size[1] // self.grid[1])
        self.image, self.row, self.column = kept.nonzero(as_tuple=True)

    def enter(self, x: Tensor) -> Tensor:
        """The kept cells, one below the other."""
        return self._gathered(x.permute(0, 2, 3, 1), ring=0)

    def widened(self, x: Tensor) -> Tensor:
        """The kept cells with a ring of their neighbours."""
        return self._gathered(self._scattered(x, ring=1), ring=1)

    def apply(self, layer: nn.Module, x: Tensor) -> Tensor:
        """A layer on kept cells with their ring, which the convolution uses up."""
        x = F.conv2d(x, layer.get_parameter("conv.weight"))
        _, *others = layer.children()
        for part in others:
            x = part(x)
        return x

    def leave(self, x: Tensor) -> Tensor:
        """The kept cells where they belong, zero elsewhere."""
        return self._scattered(x, ring=0).permute(0, 3, 1, 2)

    def _gathered(self, cells: Tensor, ring: int) -> Tensor:
        """The kept patches of (B, H + 2 ring, W + 2 ring, C), with the ring around each."""
        height, width = self.patch
        windows = cells.unfold(1, height + 2 * ring, height).unfold(2, width + 2 * ring, width)
        windows = windows.permute(0, 1, 2, 4, 5, 3)
        return windows[self.image, self.row, self.column].permute(0, 3, 1, 2)

    def _scattered(self, patches: Tensor, ring: int) -> Tensor:
        """Patches at their places in zeros, (B, H + 2 ring, W + 2 ring, C)."""
        n_images, height, width = self.shape
        cells = patches.new_zeros(n_images, height + 2 * ring, width + 2 * ring, patches.shape[1])
        inner = cells[:, ring : ring + height, ring : ring + width]
        split = inner.unflatten(2, (self.grid[1], -1)).unflatten(1, (self.grid[0], -1))
        split[self.image, self.row, :, self.column] = patches.permute(0, 2, 3, 1)
        return cells


class Stage(nn.Module):
    """Refine a level: 1x1, 3x3 and twice 3x3 side by side, joined.

    Parameters
    ----------
    width : int
        Channels of input and output.
    residual : bool
        Add the input, also where cells were dropped: these go on as they came.
    """

    def __init__(self, width: int, *, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.point, self.once = ConvNormAct(width, width, 1), ConvNormAct(width, width)
        self.twice = nn.ModuleList(ConvNormAct(width, width) for _ in range(2))
        self.join = ConvNormAct(3 * width, width, 1, act=None)

    def forward(self, x: Tensor, cells: Cells) -> Tensor:
        """(B, C, H, W) to the same shape."""
        refined = self.refined(x, cells)
        return (refined + x if self.residual else refined).relu()

    def refined(self, x: Tensor, cells: Cells) -> Tensor:
        """What is to be added; 0 in dropped cells."""
        inside = cells.enter(x)
        wide = cells.widened(inside)
        first, second = self.twice
        deep = cells.widened(cells.apply(first, wide))
        steps = (
            cells.apply(self.point, inside),
            cells.apply(self.once, wide),
            cells.apply(second, deep),
        )
        return cells.leave(cells.apply(self.join, torch.cat(steps, dim=1)))


class PatchScores(nn.Module):
    """How much each patch of the next finer level is worth: logits of keep and drop."""

    def __init__(self, width: int, n: int) -> None:
        super().__init__()
        self.n = n
        self.conv = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2, n, n), float32; the grid takes maxima of what is finer."""
        height, width = (max(side, self.n) for side in x.shape[2:])
        if (height, width) != x.shape[2:]:
            x = F.interpolate(x, (height, width), mode="bilinear")
        out: Tensor = self.conv(F.adaptive_max_pool2d(x, self.n))
        return out.float()


def sampled_patches(logits: Tensor, tau: float, coarser: Tensor | None = None) -> Tensor:
    """Decisions drawn by Gumbel noise: 0 or 1 forward, the gradient of the soft ones backward.

    Parameters
    ----------
    logits : Tensor, (B, 2, n, n)
        Of keep and drop.
    tau : float
        Temperature, above 0.
    coarser : Tensor or None, (B, n, n)
        Decisions of the stage before; what it dropped stays dropped.

    Returns
    -------
    Tensor, (B, n, n)
    """
    kept = F.gumbel_softmax(logits, tau, hard=True, dim=1)[:, 0]
    return kept if coarser is None else kept * coarser


def best_patches(logits: Tensor, dropped: float, coarser: Tensor | None = None) -> Tensor:
    """Decisions by rank: of each image the same number of patches.

    Parameters
    ----------
    logits : Tensor, (B, 2, n, n)
        Of keep and drop.
    dropped : float
        ε, the share of all patches that are dropped; exactly ``ceil((1 - ε) n²)`` are kept.
    coarser : Tensor or None, (B, n, n)
        Decisions of the stage before, with at least as many kept; only these are kept again.

    Returns
    -------
    Tensor, (B, n, n)
        0 or 1, without gradient.
    """
    scores = (logits[:, 0] - logits[:, 1]).flatten(1).detach()
    if coarser is not None:
        scores = scores.masked_fill(coarser.flatten(1) == 0, -math.inf)
    rows = scores.topk(n_kept(dropped, scores.shape[1]), dim=1).indices
    return torch.zeros_like(scores).scatter(1, rows, 1.0).view_as(logits[:, 0])


def n_kept(dropped: float, n_patches: int) -> int:
    """``ceil((1 - ε) N)``, rounding errors of ε aside."""
    return math.ceil((1 - dropped) * n_patches - 1e-9)

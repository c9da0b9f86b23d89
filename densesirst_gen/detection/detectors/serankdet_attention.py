"""Attention between the channels of a feature (SeRank): each is compared by its largest values.

"Eq." and "Table" are of the SeRankDet paper. How its open places are read: see `serankdet`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from densesirst_gen.detection.detectors.serankdet import SeRankDetConfig

TABLE_SIDE = 512
EPSILON = 1e-5


class ChannelAttention(nn.Module, ABC):
    """``X + A X``: each channel plus a mean of all, weighted by A. A is computed in float32."""

    def __init__(self, level: int, config: SeRankDetConfig) -> None:
        super().__init__()
        self.table_side = TABLE_SIDE // 2**level if config.pe_size == "fixed" else None
        self.has_positions, self.over_batch = config.pe, config.standardise == "batch"

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same size and memory format."""
        return mix_channels(x, self.attention(x))

    def attention(self, x: Tensor) -> Tensor:
        """A, (B, C, C), float32; its rows sum to 1."""
        with _without_autocast(x.device.type):
            logits = standardised(self.logits(x), over_batch=self.over_batch)
            return self.kept(logits).softmax(dim=-1)

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, C)."""

    def kept(self, logits: Tensor) -> Tensor:
        """Logits with those that don't count at minus infinity."""
        return logits

    def placed(self, values: Tensor, index: Tensor, size: tuple[int, int]) -> Tensor:
        """Values of the pixels in index plus, if wanted, the embedding of their positions."""
        if not self.has_positions:
            return values
        return values + position_embedding(index, size, self.table_side)


class SeRank(ChannelAttention):
    """Channels compared by their K largest values, in the order of the pixels or of the values.

    A map of fewer than K pixels gives all of them, and zeros.
    """

    def __init__(self, channels: int, level: int, config: SeRankDetConfig) -> None:
        super().__init__(level, config)
        self.k, self.by_value = n_ranks(channels, level, config.offset), config.order == "value"
        self.query = nn.Linear(self.k, 2 * self.k, bias=False)
        self.key = nn.Linear(self.k, 2 * self.k, bias=False)

    def logits(self, x: Tensor) -> Tensor:
        """Every token against every other."""
        tokens = self.tokens(x)
        return self.query(tokens) @ self.key(tokens).mT

    def tokens(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, K), float32."""
        flat, (height, width) = x.flatten(2), x.shape[2:]
        k = min(self.k, height * width)
        index = flat.detach().topk(k, sorted=self.by_value).indices
        if not self.by_value:
            index = index.sort().values
        values = self.placed(flat.gather(2, index).float(), index, (height, width))
        return F.pad(values, (0, self.k - k))


class SparseAttention(ChannelAttention):
    """Channels compared by all of their pixels; then the K largest logits of a row are kept.

    Queries and keys are 1x1 convolutions; ``(W_Q X) (W_K X)ᵀ`` is computed as ``W_Q (X Xᵀ) W_Kᵀ``.
    """

    def __init__(self, channels: int, level: int, config: SeRankDetConfig) -> None:
        super().__init__(level, config)
        self.k = min(n_ranks(channels, level, config.offset), channels)
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)

    def logits(self, x: Tensor) -> Tensor:
        """Every channel against every other, by all of their pixels."""
        flat, (height, width) = x.flatten(2).float(), x.shape[2:]
        index = torch.arange(height * width, device=x.device)
        tokens = self.placed(flat, index, (height, width))
        return self.query.weight @ (tokens @ tokens.mT) @ self.key.weight.mT

    def kept(self, logits: Tensor) -> Tensor:
        """The k largest of each row, the rest minus infinity."""
        least = logits.topk(self.k).values[..., -1:]
        return logits.masked_fill(logits < least, -math.inf)


def n_ranks(channels: int, level: int, offset: int) -> int:
    """K at a level, 0 the finest: 2 to the power of ``floor(log2 C + o - 2 level)``."""
    return 2 ** (channels.bit_length() - 1 + offset - 2 * level)


def position_embedding(
    index: Tensor, size: tuple[int, int], table_side: int | None = None
) -> Tensor:
    """Embedding of pixels: ``sin(row w)`` in even columns, ``cos(row w)`` in odd ones.

    ``w = exp(-ln(10000) 2 j / W)``, where 2 j is the column or, of odd ones, the column before.

    Parameters
    ----------
    index : Tensor, any shape, int64
        ``row * width + column``.
    size : tuple of int
        (height, width) of the map.
    table_side : int or None
        W, and the largest side allowed, as of a square table; None: W is the width.

    Returns
    -------
    Tensor, shape of index, float32

    Raises
    ------
    ValueError
        If the map is larger than the table.
    """
    width = size[1]
    if table_side is not None and max(size) > table_side:
        raise ValueError(
            f"with pe_size='fixed' the sides of this map must be at most {table_side}, got {size}"
        )
    row, column = index // width, index % width
    parity = column % 2
    angle = row * torch.exp((column - parity) * (-math.log(10000) / (table_side or width)))
    return torch.where(parity == 0, angle.sin(), angle.cos())


def standardised(logits: Tensor, *, over_batch: bool) -> Tensor:
    """(B, C, C) less their mean, by their deviation; of each element or of all."""
    dims = (0, 1, 2) if over_batch else (1, 2)
    std, mean = torch.std_mean(logits, dim=dims, keepdim=True)
    return (logits - mean) / (std + EPSILON)


def mix_channels(x: Tensor, attention: Tensor) -> Tensor:
    """``X + A X`` in one product, laid out in memory as x is.

    Parameters
    ----------
    x : Tensor, (B, C, H, W)
    attention : Tensor, (B, C, C)
    """
    weights = (attention + torch.eye(x.shape[1], device=x.device)).to(x.dtype)
    flat = x.flatten(2)
    if x.is_contiguous(memory_format=torch.channels_last):
        mixed = (flat.mT @ weights.mT).mT
    else:
        mixed = weights @ flat
    return mixed.unflatten(2, x.shape[2:])


def _without_autocast(device_type: str) -> AbstractContextManager[object]:
    """Shapes without data have no autocast to be switched off."""
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)

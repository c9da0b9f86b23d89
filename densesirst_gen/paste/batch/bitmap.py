"""`placement.free_positions` and `choose_windows` for a batch, made equal to them, by bits.

Masks are 64 pixels of a row in a word, an eighth of the memory to go over: from them the free
corners of a square, and draws among these. No function waits for the device, and
every result has a shape that is known beforehand.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

WORD = 64
GATHER = 0x0102040810204080  # times eight bytes of 0 or 1: their bits side by side in the top byte
EVERY_SECOND, PAIRS, NIBBLES, BYTES = (
    0x5555555555555555,
    0x3333333333333333,
    0x0F0F0F0F0F0F0F0F,
    0x0101010101010101,
)


def pack(pixels: Tensor) -> Tensor:
    """Pixels to words; pixel c of a row is bit c % 64 of its word c // 64.

    Parameters
    ----------
    pixels : Tensor, (..., W), bool

    Returns
    -------
    Tensor, (..., ceil(W / 64)), int64
        Bits beyond W are 0.
    """
    if missing := -pixels.shape[-1] % WORD:
        pixels = pad(pixels, (0, missing))
    gathered = pixels.contiguous().view(torch.int64) * GATHER
    tops = gathered.view(torch.uint8)[..., 7::8]
    return tops.clone(memory_format=torch.contiguous_format).view(torch.int64)


def unpack(words: Tensor) -> Tensor:
    """Words to pixels, the inverse of `pack`.

    Parameters
    ----------
    words : Tensor, (..., N), int64

    Returns
    -------
    Tensor, (..., 64 N), bool
    """
    bits = torch.arange(WORD, device=words.device)
    return ((words[..., None] >> bits) & 1).flatten(-2).bool()


def count(words: Tensor) -> Tensor:
    """Number of pixels set in each row.

    Parameters
    ----------
    words : Tensor, (..., N), int64

    Returns
    -------
    Tensor, (...), int64
    """
    pairs = words - ((words >> 1) & EVERY_SECOND)
    nibbles = (pairs & PAIRS) + ((pairs >> 2) & PAIRS)
    eights = (nibbles + (nibbles >> 4)) & NIBBLES
    return ((eights * BYTES) >> 56).sum(-1)


def rectangle(rows: Tensor, cols: Tensor) -> Tensor:
    """The pixels that are in one of some rows and in one of some columns.

    Parameters
    ----------
    rows : Tensor, (..., H), bool
    cols : Tensor, (..., W), bool

    Returns
    -------
    Tensor, (..., H, N), int64
    """
    return torch.where(rows[..., None], pack(cols)[..., None, :], 0)


def union(words: Tensor) -> Tensor:
    """The pixels set in any of several bitmaps.

    Parameters
    ----------
    words : Tensor, (B, M, H, N), int64

    Returns
    -------
    Tensor, (B, H, N), int64
        Nothing set if M is 0.
    """
    while words.shape[1] > 1:
        half = words.shape[1] // 2
        both = words[:, :half] | words[:, half : 2 * half]
        words = torch.cat([both, words[:, 2 * half :]], dim=1)
    return words.sum(1)


def free_corners(free: Tensor, side: int, width: int) -> Tensor:
    """Corners of the squares in which every pixel is set.

    Parameters
    ----------
    free : Tensor, (B, H, N), int64
    side : int
        Of the square, pixels.
    width : int
        W of the images, of which the words hold the first pixels.

    Returns
    -------
    Tensor, (B, max(H - side + 1, 1), N), int64
        Nothing set where the square is larger than the image.
    """
    if side > free.shape[1] or side > width:
        return torch.zeros_like(free[:, :1])
    reach = 1
    while reach < side:
        step = min(reach, side - reach)
        free = free[:, step:] & free[:, :-step]
        free = free & _ahead(free, step)
        reach += step
    return free


def _ahead(words: Tensor, step: int) -> Tensor:
    """Rows moved to the left; unset at their end."""
    whole, bits = divmod(step, WORD)
    words = pad(words[..., whole:], (0, whole + 1))
    here, following = words[..., :-1], words[..., 1:]
    if bits == 0:
        return here
    low = (here >> bits) & (2 ** (WORD - bits) - 1)  # a shift to the right repeats the sign
    return low | (following << (WORD - bits))


def draw_corners(words: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Draw pixels that are set, each with the same chance: first the row, then the place in it.

    Parameters
    ----------
    words : Tensor, (B, H, N), int64
    uniforms : Tensor, (B, C), float64, in [0, 1)

    Returns
    -------
    rows, cols : Tensor, (B, C), int64
        Pixel number ``floor(u * total)`` in raster order; of no meaning where total is 0.
    total : Tensor, (B,), int64
        Pixels set.
    """
    counts = count(words)
    ends = counts.cumsum(1)
    total = ends[:, -1]
    rank = (uniforms * total[:, None]).long()
    rows = torch.searchsorted(ends, rank, right=True).clamp(max=words.shape[1] - 1)
    within = rank - (ends - counts).gather(1, rows)
    line = unpack(words.take_along_dim(rows[..., None], 1))
    cols = (line.cumsum(-1) <= within[..., None]).sum(-1)
    return rows, cols, total

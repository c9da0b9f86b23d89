"""Which pixels of a mask are on: one rule for gray levels, numbers, colours and palettes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from densesirst_gen.files.images.raster import CodecError, Raster

VOID, VOID_COLOUR = 255, (224, 224, 192)
"""Index and colour of the seam around objects in Pascal VOC, which says nothing."""


MANY = 256
"""More colours than that are shades and no numbers."""
CLASSES = 20
"""Levels up to that beside 255 are numbers of classes."""


class On(NamedTuple):
    """What is on, (H, W) bool; or the values (H, W) to decide from; and notes."""

    array: np.ndarray
    notes: tuple[str, ...] = ()


def mask_of(raster: Raster, *, threshold: int, sparse: bool) -> On:
    """The mask that a file holds; see `densesirst_gen.files.images.codec.read_mask`.

    Raises
    ------
    CodecError
        For an inverted mask of targets, or values that are negative or no numbers.
    """
    decided = _by_palette(raster, threshold)
    if decided is None:
        decided = _on(_brightest(raster.pixels), threshold)
    share = np.count_nonzero(decided.array) / decided.array.size
    if sparse and share > 0.5:
        raise CodecError(f"{share:.0%} of the target mask is white: is it inverted?")
    several = _several(raster, decided.array) if sparse else ()
    return On(decided.array, (*decided.notes, *several))


def _several(raster: Raster, on: np.ndarray) -> tuple[str, ...]:
    """A note if what is on has several indices of a palette, or several colours."""
    values, kind = raster.pixels, "colours"
    if raster.indices is not None and not _is_ramp(raster.indices, raster.pixels):
        values, kind = raster.indices, "indices of its palette"
    elif values.ndim == 2 or (values == values[..., :1]).all():
        return ()
    n = len(np.unique(values[on], axis=0))
    return (f"{n} {kind} are on: instances, or classes?",) if 1 < n <= MANY else ()


def _by_palette(raster: Raster, threshold: int) -> On | None:
    """By index, where index 0 is black; None where the colours decide, as of other images."""
    indices, colours = raster.indices, raster.pixels
    if indices is None or _is_ramp(indices, colours):
        return None
    background = colours[indices == 0]
    dark = (colours == 0).all(axis=2)
    if not len(background) or (background[0] == 0).all() or not dark.any():
        return _without_void(indices, colours)
    values = _brightest(colours)
    decided = _on(values, threshold)
    return On(decided.array, ("palette, index 0 is not black: read by colour", *decided.notes))


def _is_ramp(indices: np.ndarray, colours: np.ndarray) -> bool:
    """Whether the palette is of gray levels, each index its own."""
    return bool((colours == indices[..., None]).all())


def _without_void(indices: np.ndarray, colours: np.ndarray) -> On:
    mask = indices > 0
    void = (indices == VOID) & (colours == VOID_COLOUR).all(axis=2)
    if not void.any():
        return On(mask)
    n = np.count_nonzero(void)
    return On(mask & ~void, (f"{n} void pixels (index {VOID} of the palette) read as background",))


def _brightest(pixels: np.ndarray) -> On:
    """The values, or the largest of red, green and blue."""
    if pixels.ndim == 2:
        return On(pixels)
    coloured = (pixels != pixels[..., :1]).any()
    note = "colours, the largest of red, green and blue counts"
    return On(pixels.max(axis=2), (note,) if coloured else ())


def _on(values: On, threshold: int) -> On:
    peak = values.array.max()
    if not (values.array >= 0).all():
        raise CodecError("a mask must have values from 0 on, some are negative or not numbers")
    decided = _by_number if peak <= threshold else _by_level
    decoded = decided(values.array, threshold)
    return On(decoded.array, (*values.notes, *decoded.notes))


def _by_number(values: np.ndarray, threshold: int) -> On:
    """Masks in which nothing is above the threshold: what is not 0 is on."""
    peak, on = values.max(), values != 0
    if peak == 0:
        return On(on)
    if peak == 1 and (values[on] == 1).all():
        return On(on, ("values {0, 1} read as {0, 255}",))
    if (values % 1 != 0).any():
        if peak > 1:
            raise CodecError(f"fractions up to {peak:g} are neither mask nor probabilities")
        return On(values > 0.5, (f"fractions up to {peak:g}, on is what is above 0.5",))
    n_on = np.count_nonzero(on)
    return On(on, (f"largest value {peak:g}, so all but 0 is on: {n_on} pixels",))


def _by_level(values: np.ndarray, threshold: int) -> On:
    """Masks of gray levels: what is above the threshold is on."""
    mask = values > threshold
    soft = (values != 0) & (values != values.max())
    if not soft.any():
        return On(mask)
    n_soft, n_kept = np.count_nonzero(soft), np.count_nonzero(soft & mask)
    if values.max() == VOID and (largest := values[soft].max()) <= CLASSES:
        levels = f"{n_soft} pixels of 1 to {largest:g} beside {VOID}"
        return On(mask, (f"{levels}: classes and void? only {VOID} is on",))
    return On(mask, (f"{n_soft} soft values, {n_kept} of them above {threshold}",))

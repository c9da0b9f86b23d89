"""Is an image a mask? By what it holds, whatever it is called."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from densesirst_gen.datasets.notes import spread
from densesirst_gen.files.images.codec import BRIGHTNESS, MAX_PIXELS, CodecError, read_image
from densesirst_gen.files.images.frames import frames_in

BY_PILLOW = ("BMP", "JPEG", "PNG", "PPM", "WEBP")
PLAIN = ("1", "L", "LA", "P", "RGB", "RGBA")
N_FRAMES = 8
FEW = 16
"""Distinct values of a mask with a few shades at its edges, at most."""


def looks_like_mask(path: Path) -> bool | None:
    """Whether an image holds two values, but for a few shades between them.

    Parameters
    ----------
    path : Path
        Of a stack some of the frames are looked at, evenly spread.

    Returns
    -------
    bool or None
        None for an image of one value, which may be either, and for what can't be decoded.
    """
    if frames := frames_in(path):
        votes = Counter(map(_by_values, spread(frames, N_FRAMES)))
        return votes[True] > votes[False] if votes[True] or votes[False] else None
    try:
        with Image.open(path, formats=BY_PILLOW) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            if image.mode not in PLAIN:
                return _few_values(np.asarray(image))
            colours = image.getcolors(FEW)
            gray = None if colours else np.asarray(image.convert("L"))
    except UnidentifiedImageError:
        return _by_values(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if gray is not None:
        return _two_ends(gray)
    assert colours is not None
    return _mostly_two([n for n, _ in colours])


def _by_values(path: Path) -> bool | None:
    """Of TIFF, arrays and others that Pillow does not read right."""
    try:
        values = read_image(path, colormap=BRIGHTNESS).array
    except CodecError:
        return None
    found = _few_values(values)
    return _two_ends(values) if found is False and values.dtype == np.uint8 else found


def _few_values(values: np.ndarray) -> bool | None:
    """Of deep images."""
    counts = np.unique(values.ravel(), return_counts=True)[1]
    return _mostly_two(counts.tolist()) if len(counts) <= FEW else False


def _mostly_two(counts: list[int]) -> bool | None:
    counts = sorted(counts, reverse=True)
    if len(counts) == 1:
        return None
    return len(counts) == 2 or sum(counts[:2]) >= 0.98 * sum(counts)


def _two_ends(gray: np.ndarray) -> bool:
    """Many values, as JPEG makes of a mask: nearly all of one value, the rest near both ends."""
    counts = np.bincount(gray.ravel(), minlength=256)
    mode = int(counts.argmax())
    if mode not in range(4) and mode not in range(252, 256):
        return False
    near_ends = counts[:24].sum() + counts[232:].sum()
    return bool(counts[mode] >= 0.9 * gray.size and near_ends >= 0.995 * gray.size) and bool(
        counts[128:].any() and counts[:128].any()
    )

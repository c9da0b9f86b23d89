"""The contact sheet of a library."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.picture import PAPER


def contact_sheet(library: TargetLibrary, *, columns: int = 16, limit: int = 512) -> Image.Image:
    """Targets of a library, each enlarged and scaled to its own peak, its gray level below.

    Parameters
    ----------
    library : TargetLibrary
    columns : int
    limit : int
        Most targets shown, evenly spaced over the library.
    """
    chosen = np.unique(np.linspace(0, max(len(library) - 1, 0), limit).astype(int))
    chosen = chosen[chosen < len(library)]
    cell, label = 64, 14
    n_rows = max(1, -(-len(chosen) // columns))
    sheet = Image.new("RGB", (columns * (cell + 4) + 4, n_rows * (cell + label + 4) + 4), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, k in enumerate(chosen):
        x, y = 4 + place % columns * (cell + 4), 4 + place // columns * (cell + label + 4)
        sheet.paste(_enlarged(library, int(k), cell), (x, y))
        rows, cols = library.sizes[k]
        peak = library.peak_of(library.patches[k])
        draw.text((x + 2, y + cell), f"{cols}x{rows}  +{peak:.0f}", fill=(60, 60, 60))
    return sheet


def _enlarged(library: TargetLibrary, k: int, cell: int) -> Image.Image:
    rows, cols = library.sizes[k]
    patch = library.patches[k, :rows, :cols]
    shades = np.clip(patch * (255 / max(float(patch.max()), 1.0)), 0, 255).astype(np.uint8)
    scale = max(1, cell // max(rows, cols))
    size = (int(cols) * scale, int(rows) * scale)
    picture = Image.new("RGB", (cell, cell), (24, 24, 24))
    enlarged = Image.fromarray(shades).resize(size, Image.Resampling.NEAREST)
    picture.paste(enlarged, ((cell - size[0]) // 2, (cell - size[1]) // 2))
    return picture

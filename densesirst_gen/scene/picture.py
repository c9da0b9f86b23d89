"""Pictures to look at: scenes with their targets marked."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

PANEL = 320
ZOOM_PX = 40
GUTTER = 8
MARK = (255, 176, 0)
SKY_TINT = np.array([100, 143, 255])
PAPER = (255, 255, 255)


def display(image: np.ndarray) -> np.ndarray:
    """Gray values for the eye: 0.5 and 99.9 % quantiles to black and white.

    Parameters
    ----------
    image : ndarray, (H, W)
        In any unit; an image of one value becomes black.

    Returns
    -------
    ndarray, (H, W), uint8
    """
    low, high = np.percentile(image, (0.5, 99.9))
    if not high > low:
        low, high = float(image.min()), float(image.max())
    scaled = (image - low) * (255 / (high - low) if high > low else 0.0)
    return np.clip(scaled, 0, 255).astype(np.uint8)


def scene_panel(scene: Scene, *, marks: bool = True) -> Image.Image:
    """A square panel of a whole scene, its targets boxed and its sky edged in blue.

    Parameters
    ----------
    scene : Scene
    marks : bool
        False shows the bare image.
    """
    shades = np.repeat(display(scene.filled)[..., None], 3, axis=2)
    if marks and scene.sky is not None:
        edge = scene.sky & ~_eroded(scene.sky)
        shades[edge] = SKY_TINT
    picture = Image.fromarray(shades)
    scale = PANEL / max(picture.size)
    picture = picture.resize(max(1, round(s * scale)) for s in picture.size)  # type: ignore[arg-type]
    if marks:
        draw = ImageDraw.Draw(picture)
        for x0, y0, x1, y1 in (annotate(scene.labels).boxes * scale).tolist():
            draw.rectangle((x0 - 2, y0 - 2, x1 + 1, y1 + 1), outline=MARK)
    return _on_paper(picture)


def zoom_panel(scene: Scene, centre: tuple[int, int], *, marks: bool = True) -> Image.Image:
    """A square panel of 40 x 40 pixels around a (row, col), mask outlines drawn on pixel edges.

    Parameters
    ----------
    scene : Scene
    centre : tuple of int
        Moved inward at the image's border.
    marks : bool
        False shows the bare pixels.
    """
    row, col = (
        min(max(c - ZOOM_PX // 2, 0), max(n - ZOOM_PX, 0))
        for c, n in zip(centre, scene.shape, strict=True)
    )
    window = np.s_[row : row + ZOOM_PX, col : col + ZOOM_PX]
    scale = PANEL // ZOOM_PX
    shades = display(scene.filled[window])
    size = (shades.shape[1] * scale, shades.shape[0] * scale)
    picture = Image.fromarray(shades).resize(size, Image.Resampling.NEAREST).convert("RGB")
    if marks:
        _outline(ImageDraw.Draw(picture), scene.labels[window] > 0, scale)
    return _on_paper(picture)


def _outline(draw: ImageDraw.ImageDraw, mask: np.ndarray, scale: int) -> None:
    padded = np.pad(mask, 1)
    for r, c in zip(*np.nonzero(padded[1:] != padded[:-1]), strict=True):
        draw.line([((c - 1) * scale, r * scale), (c * scale, r * scale)], MARK, 2)
    for r, c in zip(*np.nonzero(padded[:, 1:] != padded[:, :-1]), strict=True):
        draw.line([(c * scale, (r - 1) * scale), (c * scale, r * scale)], MARK, 2)


def _eroded(sky: np.ndarray) -> np.ndarray:
    inner = np.pad(sky, 2, mode="edge")
    return inner[:-4, 2:-2] & inner[4:, 2:-2] & inner[2:-2, :-4] & inner[2:-2, 4:]


def _on_paper(picture: Image.Image) -> Image.Image:
    panel = Image.new("RGB", (PANEL, PANEL), PAPER)
    panel.paste(picture, ((PANEL - picture.width) // 2, (PANEL - picture.height) // 2))
    return panel


def mosaic(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Panels of one size in rows, on white.

    Parameters
    ----------
    rows : sequence of sequence of Image
        At least one panel.
    """
    width = max(map(len, rows)) * (PANEL + GUTTER) + GUTTER
    sheet = Image.new("RGB", (width, len(rows) * (PANEL + GUTTER) + GUTTER), PAPER)
    for i, row in enumerate(rows):
        for j, panel in enumerate(row):
            sheet.paste(panel, (GUTTER + j * (PANEL + GUTTER), GUTTER + i * (PANEL + GUTTER)))
    return sheet


def densest_spot(scene: Scene) -> tuple[int, int]:
    """(row, col) of the 40 x 40 window with most targets; the image's centre if there is none."""
    points = annotate(scene.labels).points
    if len(points) == 0:
        return scene.shape[0] // 2, scene.shape[1] // 2
    near = np.abs(points[:, None] - points[None]).max(axis=2) < ZOOM_PX / 2
    x, y = points[near[near.sum(axis=1).argmax()]].mean(axis=0)
    return round(y), round(x)


def overview(scenes: Sequence[Scene]) -> Image.Image:
    """Each scene as a row: whole and marked, its densest spot bare, and the same with masks."""
    rows = []
    for scene in scenes:
        spot = densest_spot(scene)
        bare, marked = zoom_panel(scene, spot, marks=False), zoom_panel(scene, spot)
        rows.append([scene_panel(scene), bare, marked])
    return mosaic(rows)


def png(picture: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = BytesIO()
    picture.save(buffer, "PNG", compress_level=3)  # as small as 6 for these, in half the time
    return buffer.getvalue()

"""The picture sheet of an evaluation: the scenes with most errors, and where in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from densesirst_gen.datasets import SceneFile
from densesirst_gen.detection.evaluation.evaluate import (
    Evaluation,
    SceneRow,
    score_scene,
    taken_targets,
)
from densesirst_gen.detection.evaluation.predictions import Predictions, load_prediction
from densesirst_gen.detection.evaluation.unmasked import in_pixels, unmasked_kind, unmasked_truth
from densesirst_gen.scene.picture import GUTTER, PANEL, PAPER, ZOOM_PX, scene_panel, zoom_panel
from densesirst_gen.scene.scene import Scene

FOUND, MISSED, FALSE = (86, 180, 233), (230, 60, 20), (240, 228, 66)
INK = (40, 40, 40)
LINE = 24
COLUMNS = 3


@dataclass(frozen=True, eq=False)
class Verdict:
    """Boxes (N, 4) of a scene: targets found, targets missed, and false ones."""

    found: np.ndarray
    missed: np.ndarray
    false: np.ndarray

    def coloured(self) -> Iterable[tuple[np.ndarray, tuple[int, int, int]]]:
        """Boxes with the colours that they are drawn in."""
        return (self.found, FOUND), (self.false, FALSE), (self.missed, MISSED)


def worst_sheet(
    evaluation: Evaluation, files: Iterable[SceneFile], predictions: Predictions, *, n: int = 8
) -> Image.Image:
    """Up to n scenes as rows: whole, the spot with most errors bare, and the same marked.

    Parameters
    ----------
    evaluation : Evaluation
    files : iterable of SceneFile
        The scenes that were scored; the worst are read again.
    predictions : Predictions
        That were scored.
    n : int
        Without any error the sheet has its legend only.
    """
    by_name = {file.name: file for file in files}
    rows = []
    for row in evaluation.worst(n):
        file = by_name[row.name]
        scene = file.load()
        verdict = _verdict(scene, file, evaluation, predictions)
        rows.append((_caption(row), _panels(scene, verdict)))
    return _sheet(rows)


def _verdict(
    scene: Scene, file: SceneFile, evaluation: Evaluation, predictions: Predictions
) -> Verdict:
    found = predictions.found.get(scene.name)
    predicted = load_prediction(
        scene.name, predictions.kind, found, scene.shape, zero_one=predictions.zero_one
    )
    unmasked = evaluation.kind != predictions.kind or unmasked_kind([file])
    truth = unmasked_truth(file, scene.shape) if unmasked else None
    score = score_scene(scene, predicted, evaluation.scoring, file.ignored, truth)
    boxes, taken = taken_targets(score, evaluation.scoring, evaluation.threshold)
    hit = np.zeros(len(score.truth), bool)
    hit[taken[taken >= 0]] = True
    true = in_pixels(score.truth, scene.shape).boxes
    return Verdict(true[hit], true[~hit], boxes.boxes[taken < 0])


def _caption(row: SceneRow) -> str:
    iou = "" if row.iou is None else f", IoU of pixels {row.iou:.2f}"
    return f"{row.name}: {row.n_truth} targets, {row.n_missed} missed, {row.n_false} false{iou}"


def _panels(scene: Scene, verdict: Verdict) -> list[Image.Image]:
    spot = _worst_spot(scene, verdict)
    whole, bare, zoom = (
        scene_panel(scene, marks=False),
        zoom_panel(scene, spot, marks=False),
        zoom_panel(scene, spot, marks=False),
    )
    scale = PANEL / max(scene.shape)
    _mark(whole, scene.shape, (0, 0), scale, verdict, out=2)
    origin = [
        min(max(c - ZOOM_PX // 2, 0), max(size - ZOOM_PX, 0))
        for c, size in zip(spot, scene.shape, strict=True)
    ]
    shown = min(scene.shape[0], ZOOM_PX), min(scene.shape[1], ZOOM_PX)
    _mark(zoom, shown, (origin[0], origin[1]), PANEL // ZOOM_PX, verdict, out=0)
    return [whole, bare, zoom]


def _worst_spot(scene: Scene, verdict: Verdict) -> tuple[int, int]:
    """(row, col) of a window with most errors."""
    boxes = np.vstack([verdict.missed, verdict.false])
    if not len(boxes):
        return scene.shape[0] // 2, scene.shape[1] // 2
    points = (boxes[:, :2] + boxes[:, 2:]) / 2
    near = np.abs(points[:, None] - points[None]).max(axis=2) < ZOOM_PX / 2
    x, y = points[near[near.sum(axis=1).argmax()]].mean(axis=0)
    return round(y), round(x)


def _mark(
    panel: Image.Image,
    shown: tuple[int, int],
    origin: tuple[int, int],
    scale: float,
    verdict: Verdict,
    *,
    out: int,
) -> None:
    """Draw boxes on a panel that shows (rows, cols) from `origin`; `out` px outside their edges."""
    picture = [max(1, round(side * scale)) for side in shown]
    left, top = (PANEL - picture[1]) // 2, (PANEL - picture[0]) // 2
    view = Image.new("RGB", (picture[1], picture[0]))
    view.paste(panel.crop((left, top, left + picture[1], top + picture[0])))
    draw = ImageDraw.Draw(view)
    corner = np.array([origin[1], origin[0]] * 2)
    for boxes, colour in verdict.coloured():
        for x0, y0, x1, y1 in ((boxes - corner) * scale).tolist():
            edges = (x0 - out, y0 - out, max(x1 - 1, x0) + out, max(y1 - 1, y0) + out)
            draw.rectangle(edges, outline=colour, width=1 if out else 2)
    panel.paste(view, (left, top))


def _sheet(rows: Sequence[tuple[str, Sequence[Image.Image]]]) -> Image.Image:
    """A legend, and each row of panels below its caption."""
    width, tall = COLUMNS * (PANEL + GUTTER) + GUTTER, PANEL + GUTTER + LINE
    sheet = Image.new("RGB", (width, LINE + GUTTER + len(rows) * tall), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    x = GUTTER
    for name, colour in (("found", FOUND), ("missed", MISSED), ("false", FALSE)):
        draw.rectangle((x, 9, x + 12, 21), fill=colour, outline=INK)
        draw.text((x + 18, 6), name, fill=INK, font=font)
        x += 90
    for k, (caption, panels) in enumerate(rows):
        y = LINE + GUTTER + k * tall
        draw.text((GUTTER, y), caption, fill=INK, font=font)
        for j, panel in enumerate(panels):
            sheet.paste(panel, (GUTTER + j * (PANEL + GUTTER), y + LINE))
    return sheet

"""Detections as files: COCO results, maps and masks, pictures to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from densesirst_gen.datasets import SceneFile
from densesirst_gen.datasets.coco.written import CATEGORY_ID
from densesirst_gen.detection.detectors.base import Prediction
from densesirst_gen.detection.metrics import FoundBoxes
from densesirst_gen.detection.metrics.components import MaskToBoxes, components
from densesirst_gen.detection.training.checkpoint import Checkpoint
from densesirst_gen.detection.training.predict import (
    Found,
    found_in,
    map_png,
    predict_scenes,
    reading_of,
)
from densesirst_gen.detection.training.run import close
from densesirst_gen.files.atomic import file_digest, write_files
from densesirst_gen.files.folder import BuildFolder, locked
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.annotate import annotate, masks_to_rle
from densesirst_gen.scene.picture import MARK, display, png
from densesirst_gen.scene.scene import Scene

RESULTS = "detections.json"


def detect_into(
    checkpoint: Checkpoint,
    files: Sequence[SceneFile],
    out: Path,
    *,
    threshold: float = 0.5,
    overwrite: bool = False,
    **options: Any,
) -> dict[str, int]:
    """Find targets in images and write everything down, see `scene_files`.

    Parameters
    ----------
    checkpoint : Checkpoint
    files : sequence of SceneFile
    out : Path
        New or empty folder.
    threshold : float
        See `scene_files`.
    overwrite : bool
        Replace earlier detections, nothing else.
    **options
        Fields of `densesirst_gen.detection.training.predict.Reading`.

    Returns
    -------
    dict of str to int
        ``scenes`` and ``boxes``.

    Raises
    ------
    RefusedError
        If the folder is in use or holds something else.
    """
    detector = checkpoint.detector
    recipe = {"weights": file_digest(checkpoint.path), "threshold": threshold}
    folder, results = BuildFolder(out, recipe), []
    with locked(out):
        folder.open(resume=False, overwrite=overwrite)
        written: dict[str, str] = {}
        for scene, prediction in predict_scenes(detector, files, reading_of(checkpoint, **options)):
            rows, pictures = scene_files(
                scene, found_in(detector, prediction), prediction, threshold
            )
            digests = write_files(out, pictures)
            folder.append([{"name": scene.name, "files": list(digests)}])
            results += rows
            written |= digests
        written |= write_files(out, [(RESULTS, (json.dumps(results) + "\n").encode())])
        counts = {"scenes": len(files), "boxes": len(results)}
        about = {"content": "detections", "recipe": recipe, "detector": checkpoint.about}
        close(folder, written, {**about, "summary": counts})
    return counts


def scene_files(
    scene: Scene, found: Found, prediction: Prediction, threshold: float
) -> tuple[list[dict[str, Any]], list[tuple[str, bytes]]]:
    """COCO results of one scene, and its pictures.

    Parameters
    ----------
    scene : Scene
    found : FoundBoxes or ndarray
        As `found_in` gives it.
    prediction : Prediction
        For its sky.
    threshold : float
        Probabilities above it are target; boxes from it on are drawn.

    Returns
    -------
    list of dict
        ``image_id`` is the scene's name; with ``segmentation`` of a mask detector.
    list of (str, bytes)
        Relative path and content: ``overlays/``, of a mask detector ``maps/`` and ``masks/``, and
        ``sky/`` where the detector sees the sky.
    """
    name, codes = scene.name, []
    files = []
    if isinstance(found, FoundBoxes):
        boxes = found
    else:
        boxes = MaskToBoxes(threshold).boxes(found)
        labels = components(found > threshold)
        codes = masks_to_rle(labels, annotate(labels))
        mask = (labels > 0).astype(np.uint8) * np.uint8(255)
        files += [(f"maps/{name}.png", map_png(found)), (f"masks/{name}.png", encode_png(mask))]
    files.append((f"overlays/{name}.png", overlay(scene, boxes.where(boxes.scores >= threshold))))
    if prediction.sky is not None:
        sky = (prediction.sky.cpu().numpy() > 0.5).astype(np.uint8) * np.uint8(255)
        files.append((f"sky/{name}_pixels0.png", encode_png(sky)))
    return _results(name, boxes, codes), files


def _results(name: str, boxes: FoundBoxes, codes: list[dict[str, object]]) -> list[dict[str, Any]]:
    corners = boxes.boxes.round(3)
    rows = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).round(3).tolist()
    results = [
        {"image_id": name, "category_id": CATEGORY_ID, "bbox": row, "score": round(score, 6)}
        for row, score in zip(rows, boxes.scores.tolist(), strict=True)
    ]
    for result, code in zip(results, codes, strict=False):
        result["segmentation"] = code
    return results


def overlay(scene: Scene, boxes: FoundBoxes) -> bytes:
    """PNG of the image, stretched for the eye, with a frame around each box."""
    picture = Image.fromarray(display(scene.filled)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in boxes.boxes.round().astype(int).tolist():
        draw.rectangle((x0 - 3, y0 - 3, x1 + 2, y1 + 2), outline=MARK)
    return png(picture)

"""A scene that is to be written: what is known of its targets, and the bytes of its image."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from densesirst_gen.datasets.coco.scene import CocoSceneFile
from densesirst_gen.datasets.dataset import SceneFile
from densesirst_gen.datasets.layouts.devkit import encode_image
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.files.images.frames import image_bytes
from densesirst_gen.files.images.kinds import kind_of
from densesirst_gen.scene.annotate import Annotations, annotate
from densesirst_gen.scene.picture import display
from densesirst_gen.scene.scene import Scene

NEAR = 0.01
"""Corners of boxes as near as this to a whole pixel, in px, are meant to be there."""
SUFFIXES = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg")}


@dataclass(frozen=True, eq=False)
class Item:
    """A decoded scene with its targets.

    Parameters
    ----------
    scene : Scene
    annotations : Annotations
        Of its labels; of none where targets are known by boxes only.
    boxes : ndarray, (N, 4)
        Half-open boxes of the targets: around their masks, or as the source has them.
    has_masks : bool
        Whether the targets have masks.
    ignored : tuple of (x0, y0, x1, y1)
        Regions that are not judged.
    source_id : int, optional
        Of the image in the source.
    n_stated : int
        Targets that the source states.
    notes : tuple of str
        What was decided in decoding.
    is_boxed : bool
        Whether it has no target, in a dataset of boxes, where a black mask would say more.
    """

    scene: Scene
    annotations: Annotations
    boxes: np.ndarray
    has_masks: bool
    ignored: tuple[tuple[float, float, float, float], ...]
    source_id: int | None
    n_stated: int
    notes: tuple[str, ...]
    is_boxed: bool = False


def load_item(file: SceneFile, *, is_boxed: bool = False) -> Item:
    """Decode a scene; CodecError, SceneError or OSError as `SceneFile.load`."""
    scene, notes = file.load_with_notes()
    annotations = annotate(scene.labels)
    has_masks = not file.boxes
    boxes = annotations.boxes if has_masks else snapped(np.array(file.boxes, np.float64))
    source_id, n = None, scene.n_targets
    if isinstance(file, CocoSceneFile):
        n = len(file.segmentations) or len(file.boxes)
        is_number = isinstance(file.image_id, int) and not isinstance(file.image_id, bool)
        source_id = int(file.image_id) if is_number and file.image_id is not None else None
    ignored = tuple(map(tuple, snapped(np.array(file.ignored).reshape(-1, 4)).tolist()))
    is_boxed = is_boxed and not scene.n_targets
    return Item(scene, annotations, boxes, has_masks, ignored, source_id, n, tuple(notes), is_boxed)


def snapped(boxes: np.ndarray) -> np.ndarray:
    """Boxes, float64, with corners that are `NEAR` whole pixels put there."""
    whole = np.round(boxes)
    return np.where(np.abs(boxes - whole) <= NEAR, whole, boxes)


def image_file(
    file: SceneFile, item: Item, kinds: Collection[str], *, view8: bool
) -> tuple[str, bytes]:
    """Suffix and bytes of the image of a scene.

    Byte for byte as it is where its kind is one of `kinds`; encoded without loss if it is not, if
    the file is painted in false colour, or if it asks to be turned, which programs do or don't.

    Parameters
    ----------
    file : SceneFile
    item : Item
        Of the same scene.
    kinds : collection of str
        Keys of `SUFFIXES`.
    view8 : bool
        Of 8 bits, its contrast stretched.
    """
    image = item.scene.image
    if view8 and image.dtype != np.uint8:
        return ".png", encode_png(display(item.scene.filled))
    encoded = ".tif" if image.dtype == np.float32 else ".png"
    if not file.files():  # drawn, not read
        return encoded, encode_image(image)
    data = image_bytes(file.image)
    kind, suffix = kind_of(data), file.image.suffix.lower()
    is_turned = any("orientation" in note for note in item.notes)
    if kind in kinds and not file.colormap and not is_turned:
        return suffix if suffix in SUFFIXES[kind] else SUFFIXES[kind][0], data
    return encoded, encode_image(image)

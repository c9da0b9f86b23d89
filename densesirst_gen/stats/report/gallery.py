"""Scenes as a page shows them: the pixels as a data URI, the layers as SVG paths, the zooms."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.annotate import Annotations, annotate
from densesirst_gen.scene.density import clusters, group_boxes, group_density
from densesirst_gen.scene.picture import ZOOM_PX, display
from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.report.outline import boxes_path, mask_path, masks_path, points_path

MAX_GROUPS = 12
"""Of a scene, those with most targets, that can be zoomed."""

MARGIN_PX = 8
"""Background around a zoomed group, at least."""


@dataclass(frozen=True)
class GroupView:
    """A cluster, or a single target, that can be zoomed.

    Parameters
    ----------
    n_targets : int
    area : int
        px, of all its masks.
    density : float
        Eq. 4.
    box, window : tuple of int
        (x, y, width, height), px: tight around its masks, and what the zoom shows.
    """

    n_targets: int
    area: int
    density: float
    box: tuple[int, int, int, int]
    window: tuple[int, int, int, int]


@dataclass(frozen=True)
class SceneView:
    """A scene, ready to be drawn.

    Parameters
    ----------
    name : str
    width, height : int
        px.
    kind : str
        Of the pixels: "8-bit", "16-bit" or "float".
    image : str
        Data URI of a PNG, every pixel of the scene as `preview.display` shows it.
    sky, masks, boxes, points : str
        SVG path data, see `outline`; empty where there is none.
    n_targets, n_clusters, n_groups : int
        A group is a cluster or a single.
    sky_fraction : float, optional
        None if the sky is not annotated.
    groups : list of GroupView
        At most `MAX_GROUPS`, most targets first.
    """

    name: str
    width: int
    height: int
    kind: str
    image: str
    sky: str
    masks: str
    boxes: str
    points: str
    n_targets: int
    n_clusters: int
    n_groups: int
    sky_fraction: float | None
    groups: list[GroupView]


def scene_view(scene: Scene) -> SceneView:
    """Encode a scene and outline what is annotated."""
    found = annotate(scene.labels)
    groups = clusters(found.points)
    sizes = np.bincount(groups)
    return SceneView(
        name=scene.name,
        width=scene.shape[1],
        height=scene.shape[0],
        kind="float" if scene.image.dtype == np.float32 else f"{8 * scene.image.itemsize}-bit",
        image=data_uri("image/png", encode_png(display(scene.filled))),
        sky="" if scene.sky is None else mask_path(scene.sky),
        masks=masks_path(scene.labels, found),
        boxes=boxes_path(found.boxes),
        points=points_path(found.points),
        n_targets=len(found),
        n_clusters=int((sizes > 1).sum()),
        n_groups=len(sizes),
        sky_fraction=None if scene.sky is None else float(scene.sky.mean()),
        groups=_group_views(scene.shape, found, groups),
    )


def data_uri(kind: str, data: bytes) -> str:
    """Data of a media type as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _group_views(shape: tuple[int, int], found: Annotations, groups: np.ndarray) -> list[GroupView]:
    boxes = group_boxes(found.boxes, groups)
    density = group_density(found, groups)
    sizes, areas = np.bincount(groups), np.bincount(groups, found.areas)
    shown = np.argsort(-sizes, kind="stable")[:MAX_GROUPS]
    return [
        GroupView(int(sizes[k]), int(areas[k]), float(density[k]), *_frames(boxes[k], shape))
        for k in shown
    ]


def _frames(
    box: np.ndarray, shape: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
    """(x, y, width, height) of a box, and of a square around it that is moved into the image."""
    low, size = box[:2], box[2:] - box[:2]
    limit = np.array(shape[::-1])
    side = np.minimum(max(ZOOM_PX, int(size.max()) + 2 * MARGIN_PX), limit)
    corner = np.clip(low + size // 2 - side // 2, 0, limit - side)
    x, y, width, height = np.concatenate([low, size]).tolist()
    left, top, across, down = np.concatenate([corner, side]).tolist()
    return (x, y, width, height), (left, top, across, down)

"""What the annotations of a COCO file say, in little memory, by the row of their image."""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densesirst_gen.datasets.coco.annotation import Reading
from densesirst_gen.datasets.coco.checks import Box
from densesirst_gen.datasets.coco.packed import pack, unpack
from densesirst_gen.datasets.packed import Pieces

IS_MASK, IS_TARGET, HAS_POINT, IS_WHOLE, IS_POLYGON = (1 << k for k in range(5))


@dataclass(frozen=True, eq=False)
class ImageTargets:
    """What a COCO file says about one image, each list in the order of the file.

    Parameters
    ----------
    segmentations : list
        Of the targets; every one is sound and covers a pixel.
    ignored : list of (x0, y0, x1, y1)
        Regions where it is not known what is there; px, half-open.
    boxes : list of (x0, y0, x1, y1)
        Of the targets, where masks are not known, each once; then there are no segmentations.
    points : list of (x, y)
        Likewise, where not even boxes are known.
    """

    segmentations: list[Any] = field(default_factory=list)
    ignored: list[Box] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Outlines:
    """The masks of one image in numbers.

    Parameters
    ----------
    boxes : ndarray, (N, 4), float64
        xyxy of the pixels, of polygons of the corners.
    are_polygons : list of bool
    are_whole : list of bool
        Whether each is certainly in one piece.
    """

    boxes: np.ndarray
    are_polygons: list[bool]
    are_whole: list[bool]


class Found:
    """The readings of annotations, one after the other."""

    def __init__(self) -> None:
        self.pieces, self.boxes = Pieces(), array("d")
        self.flags, self.rows = array("B"), array("i")

    def add(self, row: int, reading: Reading, size: tuple[int, int]) -> None:
        """Keep what a reading says of the image of a row and a size, if it says something."""
        mask, region = reading.mask, reading.ignored
        outline = region if mask is None else mask.extent
        if outline is None:
            return
        flags = IS_TARGET * (mask is not None or reading.is_box)
        flags |= HAS_POINT * (reading.point is not None)
        if mask is not None:
            flags |= IS_MASK | IS_WHOLE * mask.in_one_piece | IS_POLYGON * (mask.turned is None)
        is_region, said = mask is None, (region, reading.point)
        piece = marshal.dumps(said) if is_region else pack(reading.segmentation, size)
        self.pieces.append(piece)
        self.flags.append(flags)
        self.boxes.extend(outline)
        self.rows.append(row)

    @property
    def n_targets(self) -> int:
        """Readings of targets, with or without mask."""
        return int(self._has(IS_TARGET).sum())

    @property
    def are_points(self) -> bool:
        """Whether there are targets, and of none more than a point is known."""
        targets = self._has(IS_TARGET)
        return bool(targets.any() and self._has(HAS_POINT)[targets].all())

    def repeats(self) -> tuple[int, int]:
        """How many targets have the box of an earlier one of their image, and the row of one."""
        targets = np.flatnonzero(self._has(IS_TARGET)).tolist()
        boxes = (tuple(self.boxes[4 * k : 4 * k + 4]) for k in targets)
        hashes = array("q", (hash((self.rows[k], b)) for k, b in zip(targets, boxes, strict=True)))
        first = np.unique(np.asarray(hashes), return_index=True)[1]
        if len(first) == len(targets):
            return 0, -1
        repeat = np.setdiff1d(np.arange(len(targets)), first)[0]
        return len(targets) - len(first), self.rows[targets[repeat]]

    def order(self) -> list[int]:
        """Rows of the images, as the file first speaks of them."""
        rows, first = np.unique(np.asarray(self.rows), return_index=True)
        return rows[np.argsort(first)].tolist()

    def _has(self, flag: int) -> np.ndarray:
        return np.asarray(self.flags) & flag > 0


class Targets:
    """What is known of the targets of each image, by the row of its record.

    Parameters
    ----------
    found : Found
        Complete.
    n_images : int
    kind : "masks", "boxes" or "points"
        What is taken for the targets.
    """

    def __init__(self, found: Found, n_images: int, kind: str) -> None:
        rows = np.asarray(found.rows)
        self._order = None
        if (np.diff(rows) < 0).any():
            self._order = np.argsort(rows, kind="stable").astype(np.int32)
            rows = rows[self._order]
        starts = np.searchsorted(rows, np.arange(n_images + 1))
        self._starts = array("q", starts.tobytes())
        self._pieces, self._kind = found.pieces, kind
        self._flags = found.flags
        self._boxes = np.asarray(found.boxes).reshape(-1, 4)

    def of(self, row: int, size: tuple[int, int]) -> ImageTargets:
        """Those of an image of this size, (H, W)."""
        targets = ImageTargets()
        for k in self._members(row):
            flags = self._flags[k]
            if flags & IS_TARGET and self._kind == "boxes":
                box = self._outline(k) if flags & IS_MASK else self._region(k)[0]
                targets.boxes.append(box)
            elif flags & IS_MASK:
                targets.segmentations.append(unpack(self._pieces[k], size))
            elif flags & IS_TARGET and self._kind == "points":
                targets.points.append(self._region(k)[1])
            else:
                targets.ignored.append(self._region(k)[0])
        targets.boxes[:] = dict.fromkeys(targets.boxes)
        return targets

    def outlines(self, row: int) -> Outlines:
        """Of the masks of an image."""
        masks = [k for k in self._members(row) if self._flags[k] & IS_MASK]
        flags = [self._flags[k] for k in masks]
        return Outlines(
            self._boxes[masks],
            [flag & IS_POLYGON > 0 for flag in flags],
            [flag & IS_WHOLE > 0 for flag in flags],
        )

    def forget_outlines(self) -> None:
        """Keep them only if they are the boxes of targets."""
        if self._kind != "boxes":
            self._boxes = np.zeros((0, 4))

    def _members(self, row: int) -> Sequence[int]:
        """The readings of an image, in the order of the file."""
        start, stop = self._starts[row], self._starts[row + 1]
        return range(start, stop) if self._order is None else self._order[start:stop].tolist()

    def _outline(self, k: int) -> Box:
        x0, y0, x1, y1 = self._boxes[k].tolist()
        return x0, y0, x1, y1

    def _region(self, k: int) -> tuple[Box, tuple[float, float]]:
        return marshal.loads(self._pieces[k])

"""What the annotation tools have in common: sky masks of images, and shapes that people draw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from densesirst_gen.datasets.dataset import check_names
from densesirst_gen.datasets.grammar.voc import extent
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.images.codec import MAX_PIXELS

SKY, NOT_SKY = "sky", "not-sky"
FARTHEST_PX = 1e6


@dataclass(frozen=True, eq=False)
class SkyMask:
    """The sky of one image, on its way to an annotation tool or back.

    Parameters
    ----------
    image : str
        Path of the image, POSIX, relative to the folder of the images.
    sky : ndarray, (H, W), bool
        True where the sky is.
    annotated : bool
        Whether anybody has said so; False for an image of which a tool lists no shape: nobody may
        have got to it yet.

    Raises
    ------
    DatasetError
        If the mask is not a non-empty (H, W) bool array.
    """

    image: str
    sky: np.ndarray
    annotated: bool = True

    def __post_init__(self) -> None:
        if self.sky.ndim != 2 or self.sky.size == 0 or self.sky.dtype != np.bool_:
            raise DatasetError(
                f"image {self.image}: a sky mask is (H, W) bool, "
                f"got {self.sky.dtype} {self.sky.shape}"
            )

    @property
    def name(self) -> str:
        """The path of the image without suffix."""
        return PurePosixPath(self.image).with_suffix("").as_posix()

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        height, width = self.sky.shape
        return height, width


def each_once(masks: Iterable[SkyMask]) -> Iterator[SkyMask]:
    """The masks; DatasetError at a name that comes twice or cannot be written to a text file."""
    seen: set[str] = set()
    for mask in masks:
        check_names({mask.image: None})
        if mask.name in seen:
            raise DatasetError(f"image {mask.image}: a mask of {mask.name} is there already")
        seen.add(mask.name)
        yield mask


def refuse_existing(path: Path, overwrite: bool) -> None:
    """RefusedError if a file is there: somebody may have corrected masks in it."""
    if path.exists() and not overwrite:
        raise RefusedError(f"{path} exists: masks in it may be made by hand, nothing is written")


def checked_size(height: object, width: object) -> tuple[int, int]:
    """(H, W) of an image as a file says it; ValueError if it is none, or too large."""
    if type(height) is not int or type(width) is not int or height < 1 or width < 1:
        raise ValueError(f"the size must be whole positive numbers, got {width!r} x {height!r}")
    if height * width > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels, the limit is {MAX_PIXELS}")
    return height, width


def merge_regions(regions: Iterable[tuple[str, np.ndarray]], size: tuple[int, int]) -> np.ndarray:
    """All that is sky, without what is not.

    Parameters
    ----------
    regions : iterable of (str, ndarray)
        Label, sky or not-sky, and (H, W) bool; in any order.
    size : (int, int)
        (H, W).

    Returns
    -------
    ndarray, (H, W), bool
        All False without regions.
    """
    found = {SKY: np.zeros(size, np.bool_), NOT_SKY: np.zeros(size, np.bool_)}
    for label, region in regions:
        found[label] |= region
    return found[SKY] & ~found[NOT_SKY]


def stacked_regions(
    regions: Iterable[tuple[float, str, np.ndarray]], size: tuple[int, int]
) -> np.ndarray:
    """What is sky where shapes lie above each other, as tools show them.

    Parameters
    ----------
    regions : iterable of (float, str, ndarray)
        Height, sky or not-sky, and (H, W) bool; in any order. What lies higher covers what lies
        lower; at one height not-sky is taken away from sky.
    size : (int, int)
        (H, W).

    Returns
    -------
    ndarray, (H, W), bool
    """
    levels: dict[float, list[tuple[str, np.ndarray]]] = {}
    for height, label, region in regions:
        levels.setdefault(height, []).append((label, region))
    sky = np.zeros(size, np.bool_)
    for height in sorted(levels):
        for label in (SKY, NOT_SKY):
            for found in (region for named, region in levels[height] if named == label):
                sky[found] = label == SKY
    return sky


def rectangle_region(corners: Sequence[float], size: tuple[int, int]) -> np.ndarray:
    """`polygon_region` of a rectangle with the corners (x0, y0, x1, y1), in any order."""
    x0, y0, x1, y1 = corners
    return polygon_region([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], size)


def polygon_region(points: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie in a polygon, by the even-odd rule.

    Of two polygons with a common side, each pixel belongs to exactly one.

    Parameters
    ----------
    points : sequence of (x, y)
        Corners in pixel edges: (0, 0) is the corner of the image, (0.5, 0.5) the first centre.
    size : (int, int)
        (H, W) of the image.

    Returns
    -------
    ndarray, (H, W), bool

    Raises
    ------
    ValueError
        If there are fewer than three corners, or some far away or not finite.
    """
    corners = np.array(points, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError(f"a polygon must have at least three corners x, y, got {len(corners)}")
    if not (abs(corners) <= FARTHEST_PX).all():
        raise ValueError(f"corners must be within {FARTHEST_PX:g} pixels, got {corners.tolist()}")
    height, width = size
    crossed = np.zeros((height, width + 1), np.bool_)
    for start, stop in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        rows, x = _crossings(start, stop, height)
        crossed[rows, np.ceil(x - 0.5).clip(0, width).astype(np.int64)] ^= True
    return np.logical_xor.accumulate(crossed, axis=1)[:, :-1]


def _crossings(start: np.ndarray, stop: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose centre line meets a side, its lower end left out, and x where they do."""
    low, high = (start, stop) if start[1] < stop[1] else (stop, start)
    first, end = np.ceil(np.array([low[1], high[1]]) - 0.5).clip(0, height).astype(np.int64)
    rows = np.arange(first, end)
    if not len(rows):
        return rows, np.zeros(0)
    slope = (high[0] - low[0]) / (high[1] - low[1])
    return rows, low[0] + (rows + 0.5 - low[1]) * slope


def place_patch(patch: np.ndarray, left: int, top: int, size: tuple[int, int]) -> np.ndarray:
    """A mask of the size of the image from its part at a corner; ValueError if it sticks out."""
    height, width = patch.shape
    if not (0 <= top <= size[0] - height and 0 <= left <= size[1] - width):
        raise ValueError(
            f"a mask of {width} x {height} pixels at ({left}, {top}) "
            f"is not inside the image, {size[1]} x {size[0]}"
        )
    region = np.zeros(size, np.bool_)
    region[top : top + height, left : left + width] = patch
    return region


def labelled_region(mask: SkyMask) -> tuple[str, np.ndarray]:
    """What is written of a mask, label and pixels: its sky, or that all of it is not sky.

    Without the latter nobody could tell an image without sky from one that nobody got to.
    """
    return (SKY, mask.sky) if mask.sky.any() else (NOT_SKY, ~mask.sky)


def sky_box(sky: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, width, height) of the box around a mask, (H, W) bool; zeros if it is empty."""
    for left, top, right, bottom in extent(sky).tolist():
        return left, top, right - left, bottom - top
    return 0, 0, 0, 0

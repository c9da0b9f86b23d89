"""Colormaps: the colours that tools paint gray levels with, and the way back.

Those of OpenCV, `ironbow` of thermal cameras, those of matplotlib where it is installed, each of
them reversed as ``NAME_r``, and any other by a picture of its colour bar.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import scipy
from PIL import Image

from densesirst_gen.files.images.raster import CodecError

BRIGHTNESS = "brightness"
"""In place of a name: colours that are no colormap, to be read by their brightness."""
VIVID = (
    *("jet", "turbo", "rainbow", "hot", "ironbow", "inferno", "magma", "plasma", "viridis"),
    *("parula", "autumn", "winter", "spring", "summer", "cool", "ocean"),
)
OF_OPENCV = (*(name for name in VIVID if name != "ironbow"), "bone", "pink", "cividis", "deepgreen")
NEAR = 32
"""Distance in levels within which a pixel, after JPEG or not, can be of a colormap."""
MOST = 0.95

IRONBOW = np.array(
    [
        (0, 0, 0), (0, 0, 51), (2, 0, 90), (11, 0, 115), (27, 0, 128), (48, 0, 140), (66, 0, 149),
        (84, 0, 152), (104, 0, 155), (122, 0, 157), (139, 0, 157), (157, 0, 155), (171, 0, 153),
        (182, 2, 149), (191, 6, 146), (198, 13, 139), (206, 23, 127), (212, 33, 111),
        (219, 46, 89), (224, 56, 54), (229, 68, 25), (234, 78, 12), (237, 90, 7), (240, 100, 3),
        (242, 109, 1), (244, 120, 0), (247, 133, 0), (249, 142, 0), (251, 154, 0), (253, 168, 0),
        (254, 179, 0), (254, 191, 0), (254, 202, 1), (254, 212, 9), (255, 221, 23),
        (255, 229, 50), (255, 238, 88), (255, 242, 134), (255, 247, 179), (255, 251, 216),
        (255, 255, 249),
    ],
    np.float64,
)  # fmt: skip


def check_colormap(name: str | None) -> None:
    """CodecError if there is no such colormap, nor a picture of a bar at this path."""
    if name not in (None, BRIGHTNESS):
        tables(str(name))


def inverted(colours: np.ndarray, name: str) -> np.ndarray:
    """The gray levels that a colormap has painted.

    Parameters
    ----------
    colours : ndarray, (H, W, 3), uint8 or uint16
    name : str
        Of a colormap, or the path of a picture of its colour bar, black first.

    Returns
    -------
    ndarray, (H, W), uint8
        0 for the first colour, 255 for the last.

    Raises
    ------
    CodecError
        If there is no such colormap, or these are not its colours.
    """
    levels = as_bytes(colours)
    found = [_levels_and_distance(levels, table) for table in tables(name)]
    gray, distance = min(found, key=lambda pair: float(pair[1].mean()))
    share = np.count_nonzero(distance > NEAR) / distance.size
    if share > 1 - MOST:
        raise CodecError(f"{share:.0%} of the pixels have colours that {name} does not have")
    return gray


def as_bytes(colours: np.ndarray) -> np.ndarray:
    """Colours of 16 bits cut to 8."""
    return (colours >> 8).astype(np.uint8) if colours.dtype == np.uint16 else colours


def tables(name: str) -> list[np.ndarray]:
    """The colours (n, 3), uint8, of all colormaps that go by a name, black first.

    Raises
    ------
    CodecError
        If there is none.
    """
    forward = name.removesuffix("_r")
    found = [t for t in (_of_opencv(forward), _ironbow(forward), _of_matplotlib(forward)) if len(t)]
    if not found and Path(name).is_file():
        return [_of_bar(name)]
    if not found:
        raise CodecError(
            f"no colormap {name!r}: known are {', '.join(sorted((*OF_OPENCV, 'ironbow')))}, those "
            "of matplotlib where it is installed, each reversed with _r, and pictures of a bar"
        )
    return [table[::-1] for table in found] if name.endswith("_r") else found


def distance_to(colours: np.ndarray, table: np.ndarray) -> np.ndarray:
    """How far each of some colours (n, 3) is from the nearest of a colormap, in levels.

    At most `NEAR`: what lies beyond is not looked for.
    """
    tree = scipy.spatial.cKDTree(_dense(table))
    return np.minimum(tree.query(colours, distance_upper_bound=NEAR)[0], NEAR)


def _levels_and_distance(levels: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    packed = levels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    unique, where = np.unique(packed, return_inverse=True)
    colours = np.stack([unique >> 16, unique >> 8 & 255, unique & 255], axis=1)
    dense = _dense(table)
    distance, index = scipy.spatial.cKDTree(dense).query(colours)
    gray = np.rint(index * (255 / (len(dense) - 1))).astype(np.uint8)
    shape = levels.shape[:2]
    return gray[where].reshape(shape), distance[where].reshape(shape)


def _dense(table: np.ndarray) -> np.ndarray:
    """Three steps between neighbours, or at least 766 in all: near colours that lie between."""
    n = max(3 * (len(table) - 1), 765) + 1
    at = np.linspace(0, len(table) - 1, n)
    return np.stack([np.interp(at, np.arange(len(table)), table[:, k]) for k in range(3)], axis=1)


@cache
def _of_opencv(name: str) -> np.ndarray:
    if name not in OF_OPENCV:
        return np.zeros((0, 3))
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{name.upper()}"))[:, 0, ::-1]


def _ironbow(name: str) -> np.ndarray:
    return IRONBOW if name == "ironbow" else np.zeros((0, 3))


def _of_matplotlib(name: str) -> np.ndarray:
    try:
        from matplotlib import colormaps
    except Exception:  # absent, or broken: by another numpy, say
        return np.zeros((0, 3))
    if name not in colormaps:
        return np.zeros((0, 3))
    return colormaps[name](np.arange(256), bytes=True)[:, :3]


@cache
def _of_bar(path: str) -> np.ndarray:
    """The line through the middle of a picture, along its longer side."""
    try:
        with Image.open(path) as image:
            colours = np.asarray(image.convert("RGB"))
    except (OSError, ValueError) as error:
        raise CodecError(f"{path}: no picture of a colour bar ({error})") from error
    height, width = colours.shape[:2]
    return colours[height // 2] if width >= height else colours[::-1, width // 2]

"""The frames that the release pasted: the sky of whole images, brought to 5x5.

The release cropped its "targets" from the SIRST v1 images (`Misc_*`) by their sky masks: black
outside the sky, cut to the box of the mask. Of a mask in several pieces the last one in reading
order is left; an image without sky gives nothing.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from release.model import N_PIXELS, SIDE
from release.scenes import WHITE, decode, mixed

UNNAMED = Path(__file__).parents[1] / "data" / "unnamed_frames.npz"
"""Frames of images that are not at hand, recovered from the patches (`recover_frames.py`)."""
BESIDE = Path("densesirst") / "misc_frames_5x5.npz"
N_IMAGES = 427
Frames = dict[str, np.ndarray]


def read_frames(
    sirstv2: Path, devkit: Path, file: Path | None = None, unnamed: Path | None = UNNAMED
) -> Frames:
    """Name to T, float (25,).

    From the images of SIRST v2 with the sky masks of the devkit, or of a folder ``densesirst``
    beside SIRST v2. Of those that lack one or the other, whole images at 5x5 from ``file``, or from
    the file beside the data, and ``unnamed``.
    """
    images = sorted(mixed(sirstv2).glob("Misc_*.png"))
    masks = {path: _sky_mask(path.stem, devkit, sirstv2.parent / "densesirst") for path in images}
    known = {path.stem: _cropped(path, mask) for path, mask in masks.items() if mask.is_file()}
    beside = sirstv2.parent / BESIDE
    file = file or (beside if beside.is_file() else None)
    frames = read_file(file) if file else {}
    frames |= {path.stem: _whole(path) for path, mask in masks.items() if not mask.is_file()}
    frames |= known
    if not frames:
        raise SystemExit(f"{sirstv2}: no image Misc_* in it, and no file of frames given")
    if len(known) < N_IMAGES and unnamed and unnamed.is_file():
        frames |= read_file(unnamed)
    return {name: frame for name, frame in frames.items() if frame is not None}


def _sky_mask(name: str, *devkits: Path) -> Path:
    """The mask in the first of some devkits that has it; in the last, if none has."""
    files = [kit / "SkySeg" / "BinaryMask" / f"{name}_pixels0.png" for kit in devkits]
    return next(filter(Path.is_file, files), files[-1])


def _whole(path: Path) -> np.ndarray:
    gray = decode(path, cv2.IMREAD_GRAYSCALE)
    return frame_of(gray, np.ones(gray.shape, bool))


def _cropped(path: Path, mask: Path) -> np.ndarray | None:
    """The frame of an image with a sky mask; None if the mask is empty."""
    sky = decode(mask, cv2.IMREAD_GRAYSCALE) > WHITE // 2
    return frame_of(decode(path, cv2.IMREAD_GRAYSCALE), sky) if sky.any() else None


def frame_of(gray: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """The last piece of the sky at 5x5, pixel floor(i size / 5), float (25,)."""
    n, pieces, boxes, _ = cv2.connectedComponentsWithStats(sky.astype(np.uint8), connectivity=8)
    col, row, width, height = boxes[n - 1, :4]
    box = slice(row, row + height), slice(col, col + width)
    crop = np.where(pieces[box] == n - 1, gray[box], 0)
    small = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return small.ravel().astype(float)


def read_file(file: Path) -> Frames:
    """The frames of a file with ``names`` and ``patches``."""
    with np.load(file, allow_pickle=False) as arrays:
        names, patches = arrays["names"], arrays["patches"]
    rows = patches.reshape(len(names), N_PIXELS).astype(float)
    return {str(name): row for name, row in zip(names, rows, strict=True)}


def write_frames(file: Path, frames: Frames) -> None:
    """The inverse of `read_file`."""
    patches = np.array(list(frames.values()), np.uint8).reshape(-1, SIDE, SIDE)
    np.savez_compressed(file, names=np.array(list(frames)), patches=patches)

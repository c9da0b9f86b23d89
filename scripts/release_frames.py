"""The frames that the release pasted: whole images brought to 5x5 by nearest neighbour."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from release_model import N_PIXELS, SIDE
from release_scenes import decode, mixed

UNNAMED = Path(__file__).parent / "data" / "unnamed_frames.npz"
"""Frames that no image of SIRST v2 gives, recovered from the patches (`recover_frames.py`)."""
BESIDE = Path("densesirst") / "misc_frames_5x5.npz"


def read_frames(sirstv2: Path, file: Path | None, unnamed: Path | None = UNNAMED) -> dict:
    """Name to T, float (25,): the frames of a file or of SIRST v2's own images, and the unnamed."""
    named = _from_file(file) if file else _named(sirstv2)
    if not named:
        raise SystemExit(f"{sirstv2}: no image Misc_* in it, and no file of frames given")
    return named | (_from_file(unnamed) if unnamed and unnamed.is_file() else {})


def _named(sirstv2: Path) -> dict[str, np.ndarray]:
    """The images at hand, and those that a file of frames beside the data adds."""
    images = sorted(mixed(sirstv2).glob("Misc_*.png"))
    frames = {path.stem: frame_of(decode(path, cv2.IMREAD_GRAYSCALE)) for path in images}
    beside = sirstv2.parent / BESIDE
    return (_from_file(beside) if beside.is_file() else {}) | frames


def frame_of(gray: np.ndarray) -> np.ndarray:
    """A gray image at 5x5, pixel floor(i size / 5), float (25,)."""
    small = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return small.ravel().astype(float)


def _from_file(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as arrays:
        names, patches = arrays["names"], arrays["patches"]
    rows = patches.reshape(len(names), N_PIXELS).astype(float)
    return {str(name): row for name, row in zip(names, rows, strict=True)}


def write_frames(file: Path, frames: dict[str, np.ndarray]) -> None:
    """The inverse of reading a file."""
    patches = np.array(list(frames.values()), np.uint8).reshape(-1, SIDE, SIDE)
    np.savez_compressed(file, names=np.array(list(frames)), patches=patches)

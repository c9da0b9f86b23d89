"""The pasted patches of a released image: corner, pixels, and which lie over which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from release.fit import UNBOUNDED, Bank, Evidence
from release.model import BITS, SIDE
from scipy import ndimage

WHITE = 255


@dataclass(frozen=True)
class Pair:
    """A released image and the one that it was made from.

    Parameters
    ----------
    name : str
    before, after : uint8 (H, W)
    labels : int (H, W)
        8-connected targets of the released mask.
    pasted : tuple of int
        The labels that were not in the mask before.
    conversion : str
        How ``before`` was made gray: channel0, channel1, ... or gray (BT.601).
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    labels: np.ndarray
    pasted: tuple[int, ...]
    conversion: str


@dataclass(frozen=True)
class Patches:
    """The pasted patches of one image.

    Parameters
    ----------
    corners : int (n, 2)
    evidence : Evidence
    ambiguous : tuple of int
        Targets for which several corners are possible.
    lost : tuple of int
        Labels of targets that no mask of the model gives.
    stray : int
        Changed pixels that no patch covers.
    earlier : bool (n, n)
        Whether one was surely pasted before another: later patches keep off its mask.
    """

    corners: np.ndarray
    evidence: Evidence
    ambiguous: tuple[int, ...]
    lost: tuple[int, ...]
    stray: int
    earlier: np.ndarray


def decode(path: Path, flag: int = cv2.IMREAD_UNCHANGED) -> np.ndarray:
    """The pixels of a file; a clear word where there are none."""
    if not path.is_file():
        raise SystemExit(f"{path}: no such image")
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), flag)
    if pixels is None:
        raise SystemExit(f"{path}: cannot be read as an image")
    return pixels


def readings(path: Path) -> dict[str, np.ndarray]:
    """The gray images that a file may stand for, channel 0 first."""
    pixels = decode(path)
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    channels = {f"channel{k}": planes[..., k] for k in range(planes.shape[2])}
    return {**channels, "gray": decode(path, cv2.IMREAD_GRAYSCALE)}


def read_pair(sirstv2: Path, devkit: Path, name: str) -> Pair:
    """The image before and after; of several readings the one that was least changed."""
    after = next(iter(readings(devkit / "PNGImages" / f"{name}.png").values()))
    before = readings(mixed(sirstv2) / f"{name}.png")
    fitting = {how: image for how, image in before.items() if image.shape == after.shape}
    if not fitting:
        raise SystemExit(f"{name}: SIRST v2 and the release differ in size")
    how = min(fitting, key=lambda key: int(np.count_nonzero(fitting[key] != after)))
    mask = decode(devkit / "SIRST" / "BinaryMask" / f"{name}_pixels0.png", cv2.IMREAD_GRAYSCALE)
    labels, n = ndimage.label(mask > WHITE // 2, np.ones((3, 3)))
    old = set(np.unique(labels[old_mask(sirstv2, name, after.shape)]))
    pasted = tuple(k for k in range(1, n + 1) if k not in old)
    return Pair(name, fitting[how], after, labels, pasted, how)


def mixed(sirstv2: Path) -> Path:
    """The folder of all images."""
    folders = [sirstv2 / "mixed", sirstv2 / "images" / "mixed"]
    found = [folder for folder in folders if folder.is_dir()]
    if not found:
        raise SystemExit(f"{sirstv2}: no folder mixed of SIRST v2 in it")
    return found[0]


def old_mask(sirstv2: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The targets of SIRST v2; it has no file where there are none."""
    path = sirstv2 / "annotations" / "masks" / f"{name}_pixels0.png"
    if not path.is_file():
        return np.zeros(shape, bool)
    return decode(path, cv2.IMREAD_GRAYSCALE) > WHITE // 2


def patches_of(pair: Pair, bank: Bank) -> Patches:
    """Find the patches of an image by the shape of their masks."""
    found, ambiguous, lost = [], [], []
    boxes = ndimage.find_objects(pair.labels)
    for label in pair.pasted:
        corners = _corners(pair.labels, label, boxes[label - 1], bank)
        if corners:
            found.append((label, max(corners)[1]))
            ambiguous += [len(found) - 1] if len(corners) > 1 else []
        else:
            lost.append(label)
    labels = np.array([label for label, _ in found], int)
    corners = np.array([corner for _, corner in found], int).reshape(-1, 2)
    cover = np.zeros(pair.labels.shape, int)
    for row, col in corners:
        cover[row : row + SIDE, col : col + SIDE] += 1
    stray = int(np.count_nonzero((pair.before != pair.after) & (cover == 0)))
    evidence = _evidence(pair, labels, corners, cover)
    earlier = _earlier(pair.labels, labels, corners)
    return Patches(corners, evidence, tuple(ambiguous), tuple(lost), stray, earlier)


def _corners(
    labels: np.ndarray, label: int, box: tuple[slice, slice], bank: Bank
) -> list[tuple[int, tuple[int, int]]]:
    """Possible corners, each with the number of the bank's draws that would leave such a mask."""
    found = []
    rows, cols = (
        range(max(0, span.stop - SIDE), min(span.start, size - SIDE) + 1)
        for span, size in zip(box, labels.shape, strict=True)
    )
    for row in rows:
        for col in cols:
            patch = labels[row : row + SIDE, col : col + SIDE].ravel()
            key = int(BITS[patch == label].sum())
            known = int(BITS[(patch == label) | (patch == 0)].sum())
            n = int(bank.count[bank.matching(key, known)].sum())
            found += [(n, (row, col))] if n else []
    return found


def _evidence(pair: Pair, labels: np.ndarray, corners: np.ndarray, cover: np.ndarray) -> Evidence:
    def cut(image: np.ndarray) -> np.ndarray:
        parts = [image[r : r + SIDE, c : c + SIDE].ravel() for r, c in corners]
        return np.array(parts).reshape(-1, SIDE * SIDE)

    before, after = cut(pair.before).astype(float), cut(pair.after).astype(float)
    around, many = cut(pair.labels), cut(cover)
    mine = around == labels[:, None]
    low = after - before
    high = np.where(after == WHITE, UNBOUNDED, low + 1)
    sure = ((many == 1) | mine).astype(float)
    sign = np.where(mine, 1.0, np.where(around == 0, -1.0, 0.0))
    return Evidence(low, high, sure, sign)


def _earlier(labels: np.ndarray, mine: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """``[i, j]``: the patch of i comes near the mask of j, so it was pasted before j."""
    earlier = np.zeros((len(mine), len(mine)), bool)
    for i, (row, col) in enumerate(corners):
        near = labels[max(0, row - 1) : row + SIDE + 1, max(0, col - 1) : col + SIDE + 1]
        touched = np.isin(mine, near)
        touched[i] = False
        earlier[i] = touched
    return earlier

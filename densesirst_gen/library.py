"""The target library: small patches with their local background removed, and their origin.

Two kinds share one record. A *targets* library holds real targets; a *regions* library holds random
regions of scenes, sampled down to a patch, which is what the released data were textured with.
Gray levels are 8-bit ones, whatever the bit depth of the donor.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from densesirst_gen.annotate import annotate
from densesirst_gen.scene import Scene

KINDS = ("targets", "regions")
FORMAT = "densesirst-gen/library@1"
LEVEL_FLOOR = 2.0


class LibraryError(ValueError):
    """A library that cannot be made, read or used; the message says why."""


@dataclass(frozen=True, eq=False)
class TargetLibrary:
    """K patches in padded stacks, so that one gather serves numpy and torch.

    Parameters
    ----------
    patches : ndarray, (K, S, S), float32
        Gray levels above the local background (kind ``targets``) or as they are (``regions``).
    masks : ndarray, (K, S, S), bool
        The target inside its patch.
    sizes : ndarray, (K, 2), int32
        Rows and columns in use, 1..S; the rest of a patch is zero.
    sources : ndarray, (K,), str
        Origin: ``scene#label``, or ``scene@x0,y0,x1,y1`` for a region.
    kind : str
        ``targets`` or ``regions``.
    left_out : dict of str to int
        How many targets were left out at extraction, by reason.

    Raises
    ------
    LibraryError
        If the shapes do not fit together.
    """

    patches: np.ndarray
    masks: np.ndarray
    sizes: np.ndarray
    sources: np.ndarray
    kind: str = "targets"
    left_out: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, side = len(self.patches), self.patches.shape[-1]
        stacks = self.patches.shape == self.masks.shape == (n, side, side)
        if not stacks or self.sizes.shape != (n, 2) or self.sources.shape != (n,):
            raise LibraryError(
                f"library arrays do not fit together: patches {self.patches.shape}, masks "
                f"{self.masks.shape}, sizes {self.sizes.shape}, sources {self.sources.shape}"
            )
        if self.kind not in KINDS:
            raise LibraryError(f"library kind must be one of {KINDS}, got {self.kind!r}")

    def __len__(self) -> int:
        return len(self.patches)

    def level_of(self, patch: np.ndarray) -> float:
        """Gray level of a patch: the peak of a target, the mean of a region; at least 2."""
        level = patch.max() if self.kind == "targets" else patch.mean()
        return max(float(level), LEVEL_FLOOR)

    @property
    def digest(self) -> str:
        """SHA-256 of the content: equal libraries, equal digests."""
        content = hashlib.sha256(self.kind.encode())
        for array in (self.patches, self.masks, self.sizes):
            content.update(np.ascontiguousarray(array).tobytes())
        content.update("\n".join(self.sources.tolist()).encode())
        return content.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write as an .npz file without pickles."""
        with open(path, "wb") as file:
            self.write(file)

    def write(self, file: IO[bytes]) -> None:
        """Write the .npz into an open file."""
        np.savez_compressed(
            file,
            format=np.array(FORMAT),
            kind=np.array(self.kind),
            left_out=np.array([f"{reason}={n}" for reason, n in self.left_out.items()], str),
            patches=self.patches,
            masks=self.masks,
            sizes=self.sizes,
            sources=self.sources,
        )

    @classmethod
    def load(cls, path: str | Path) -> TargetLibrary:
        """Read what `save` wrote.

        Raises
        ------
        LibraryError
            If the file is not a library; the message names it.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as data:
                if str(data["format"]) != FORMAT:
                    raise LibraryError(f"{path}: format is {data['format']}, expected {FORMAT}")
                pairs = (entry.rsplit("=", 1) for entry in data["left_out"].tolist())
                return cls(
                    data["patches"],
                    data["masks"],
                    data["sizes"],
                    data["sources"],
                    str(data["kind"]),
                    {reason: int(n) for reason, n in pairs},
                )
        except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, LibraryError):
                raise
            raise LibraryError(f"{path}: not a target library ({error})") from error


def load_library(path: str | Path) -> TargetLibrary:
    """`TargetLibrary.load`, once in a process for each state of the file.

    Raises
    ------
    LibraryError
        As there.
    OSError
        If the file can't be read.
    """
    path = Path(path).resolve()
    state = path.stat()
    return _loaded(path, (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=4)
def _loaded(path: Path, state: tuple[int, ...]) -> TargetLibrary:
    return TargetLibrary.load(path)


class TargetFilter(NamedTuple):
    """Which targets are fit for a library.

    Parameters
    ----------
    min_area : int
        Mask pixels.
    max_side : int
        Longer side of the box, pixels.
    min_contrast : float
        Brightest pixel above the local background, gray levels.
    background_px : int
        Width of the frame around the box that gives the local background, pixels.
    """

    min_area: int = 2
    max_side: int = 16
    min_contrast: float = 10.0
    background_px: int = 5


def extract_targets(scene: Scene, keep: TargetFilter) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Cut the targets out of a scene, their local background removed.

    The background is the median of the pixels of no target in a frame around the box; what lies
    below it becomes zero.

    Parameters
    ----------
    scene : Scene
    keep : TargetFilter

    Returns
    -------
    entries : list of dict
        ``patch``, ``mask``, ``source``; empty for a scene without targets.
    left_out : Counter
        Targets not taken: ``border``, ``size`` or ``contrast``.
    """
    entries, left_out = [], Counter[str]()
    black, white = scene.levels
    for k, box in enumerate(annotate(scene.labels).boxes):
        x0, y0, x1, y1 = (int(v) for v in box)
        mask = scene.labels[y0:y1, x0:x1] == k + 1
        reason = _unfit_shape(mask, (x0, y0, x1, y1), scene.shape, keep)
        if not reason:
            rise = (scene.image[y0:y1, x0:x1] - _background(scene, box, keep)) * 255
            patch = np.clip(rise / (white - black), 0, 255).astype(np.float32)
            reason = "contrast" if patch[mask].max() < keep.min_contrast else ""
        if reason:
            left_out[reason] += 1
            continue
        entries.append({"patch": patch, "mask": mask, "source": f"{scene.name}#{k + 1}"})
    return entries, left_out


def _unfit_shape(
    mask: np.ndarray, box: Sequence[int], shape: tuple[int, int], keep: TargetFilter
) -> str:
    x0, y0, x1, y1 = box
    if x0 == 0 or y0 == 0 or x1 == shape[1] or y1 == shape[0]:
        return "border"
    return "size" if max(mask.shape) > keep.max_side or mask.sum() < keep.min_area else ""


def _background(scene: Scene, box: np.ndarray, keep: TargetFilter) -> float:
    (x0, y0), (x1, y1) = np.maximum(box[:2] - keep.background_px, 0), box[2:] + keep.background_px
    around = scene.labels[y0:y1, x0:x1] == 0
    return float(np.median(scene.image[y0:y1, x0:x1][around]))


DEFAULT_FILTER = TargetFilter()
REGIONS_PER_SCENE = 128
REGION_PX = (60, 250)
REGION_PATCH = 5


def stack_entries(
    entries: list[dict[str, Any]], kind: str, left_out: dict[str, int]
) -> TargetLibrary:
    """A library of what `extract_targets` or `extract_regions` returned.

    Parameters
    ----------
    entries : list of dict
    kind : str
    left_out : dict of str to int
    """
    sizes = np.array([e["mask"].shape for e in entries], np.int32).reshape(-1, 2)
    patches = np.zeros((len(entries), sizes.max(initial=1), sizes.max(initial=1)), np.float32)
    masks = np.zeros(patches.shape, bool)
    for k, (entry, (height, width)) in enumerate(zip(entries, sizes, strict=True)):
        patches[k, :height, :width] = entry["patch"]
        masks[k, :height, :width] = entry["mask"]
    sources = np.array([e["source"] for e in entries], str)
    return TargetLibrary(patches, masks, sizes, sources, kind, left_out)


def build_library(scenes: Iterable[Scene], keep: TargetFilter = DEFAULT_FILTER) -> TargetLibrary:
    """A library of the targets of scenes.

    Parameters
    ----------
    scenes : iterable of Scene
    keep : TargetFilter

    Returns
    -------
    TargetLibrary
        Empty if no target is fit; `left_out` says why.
    """
    entries: list[dict[str, Any]] = []
    left_out = Counter[str]()
    for scene in scenes:
        found, rejected = extract_targets(scene, keep)
        entries += found
        left_out += rejected
    return stack_entries(entries, "targets", dict(sorted(left_out.items())))


def extract_regions(scene: Scene, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Sample random regions of a scene down to patches (method, 1.4).

    128 regions of 60 to 250 pixels on each side (at most the image's own), sampled bilinearly on a
    5 x 5 grid.

    Parameters
    ----------
    scene : Scene
    rng : numpy.random.Generator

    Returns
    -------
    list of dict
        ``patch``, ``mask``, ``source``.
    """
    boxes = _random_boxes(scene.shape, REGION_PX, rng.random((REGIONS_PER_SCENE, 4)))
    patches = _sample_regions(scene, boxes, REGION_PATCH)
    mask = np.ones((REGION_PATCH, REGION_PATCH), bool)
    return [
        {"patch": patch, "mask": mask, "source": f"{scene.name}@{','.join(map(str, box))}"}
        for patch, box in zip(patches, boxes.tolist(), strict=True)
    ]


def _random_boxes(
    shape: tuple[int, int], side: tuple[int, int], uniforms: np.ndarray
) -> np.ndarray:
    """(n, 4) xyxy boxes inside the image, from (n, 4) uniforms: width, height, x, y."""
    frame = np.array(shape[::-1])
    extent = np.floor(side[0] + uniforms[:, :2] * (side[1] - side[0] + 1))
    extent = np.minimum(extent, frame)
    corner = np.floor(uniforms[:, 2:] * (frame - extent + 1))
    return np.concatenate([corner, corner + extent], axis=1).astype(np.int64)


def _sample_regions(scene: Scene, boxes: np.ndarray, patch_px: int) -> np.ndarray:
    """Bilinear samples at the centres of a patch_px x patch_px grid over each box, gray levels."""
    centres = (np.arange(patch_px) + 0.5) / patch_px
    cols = boxes[:, :1] + centres * (boxes[:, 2:3] - boxes[:, :1]) - 0.5
    rows = boxes[:, 1:2] + centres * (boxes[:, 3:] - boxes[:, 1:2]) - 0.5
    top, left = np.floor(rows).astype(int), np.floor(cols).astype(int)
    down, right = (rows - top)[:, :, None], (cols - left)[:, None, :]
    values = np.zeros((len(boxes), patch_px, patch_px))
    for i, weight_row in ((0, 1 - down), (1, down)):
        for j, weight_col in ((0, 1 - right), (1, right)):
            r = np.clip(top + i, 0, scene.shape[0] - 1)[:, :, None]
            c = np.clip(left + j, 0, scene.shape[1] - 1)[:, None, :]
            values += weight_row * weight_col * scene.image[r, c]
    black, white = scene.levels
    return ((values - black) * (255 / (white - black))).astype(np.float32)


class Shapes(NamedTuple):
    """A library at pasting size.

    Parameters
    ----------
    shapes : ndarray, (K, P, P), float64
        Patches with level 1: the peak of a target is 1, the mean of a region is 1.
    masks : ndarray, (K, P, P), float64
        1 where the target is.
    sizes : ndarray, (K, 2), int64
        Rows and columns in use, 1..P.
    levels : ndarray, (K,), float64
        Gray levels that a shape's 1 stands for.
    """

    shapes: np.ndarray
    masks: np.ndarray
    sizes: np.ndarray
    levels: np.ndarray


@lru_cache(maxsize=8)
def shapes_at(library: TargetLibrary, patch_px: int, resize: str, flatten: float) -> Shapes:
    """Bring every patch to its pasting size, once for a library.

    Parameters
    ----------
    library : TargetLibrary
    patch_px : int
        P, the largest side.
    resize : str
        ``stretch``: every patch becomes P x P. ``shrink``: what is larger is brought to P, keeping
        its aspect; smaller patches stay as they are.
    flatten : float
        Exponent on the shape (1: as it is, 0: flat).

    Returns
    -------
    Shapes
    """
    n = len(library)
    sizes = np.array([_pasting_size(size, patch_px, resize) for size in library.sizes]).reshape(
        n, 2
    )
    shapes, masks = np.zeros((2, n, patch_px, patch_px))
    levels = np.empty(n)
    for k, (height, width) in enumerate(sizes):
        rows, cols = library.sizes[k]
        patch = _resized(library.patches[k, :rows, :cols], height, width)
        levels[k] = library.level_of(patch)
        shapes[k, :height, :width] = np.clip(patch / levels[k], 0, None) ** flatten
        mask = _resized(library.masks[k, :rows, :cols].astype(np.float32), height, width)
        masks[k, :height, :width] = (mask >= 0.5) | (patch == patch.max())
    return Shapes(shapes, masks, sizes, levels)


def _pasting_size(size: np.ndarray, patch_px: int, resize: str) -> tuple[int, int]:
    if resize == "stretch":
        return patch_px, patch_px
    scale = min(1.0, patch_px / max(size))
    return max(1, round(float(size[0]) * scale)), max(1, round(float(size[1]) * scale))


def _resized(patch: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, averaging over all source pixels when shrinking."""
    if patch.shape == (height, width):
        return patch.astype(np.float64)
    resized = Image.fromarray(patch).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float64)

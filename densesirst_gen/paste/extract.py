"""Making a library: targets cut out of scenes, or whole scenes brought to patch size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy

from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.paste.npz import MAX_BYTES
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.counts import Counts
from densesirst_gen.scene.scene import Scene, gray_levels


class TargetFilter(NamedTuple):
    """Which targets are fit for a library.

    Parameters
    ----------
    min_area : int
        Mask pixels.
    max_side : int
        Longer side of the box, pixels.
    min_contrast : float
        Brightest pixel above the local background, gray levels in the range that the data set has
        (`Scene.reach`); what is not above it at all never is fit.
    background_px : int
        Width of the frame around the box that gives the local background, pixels.
    """

    min_area: int = 2
    max_side: int = 16
    min_contrast: float = 10.0
    background_px: int = 5


def extract_targets(scene: Scene, keep: TargetFilter) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Cut the targets out of a scene, their local background removed.

    The background is the median of the data of no target in a frame around the box; what lies
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
        Targets not taken: ``border``, ``size``, ``no data`` or ``contrast``.
    """
    entries, left_out = [], Counter[str]()
    rise_of = (0.0, scene.levels[1] - scene.levels[0])
    for k, box in enumerate(annotate(scene.labels).boxes):
        x0, y0, x1, y1 = (int(v) for v in box)
        mask = scene.labels[y0:y1, x0:x1] == k + 1
        reason = _unfit_shape(mask, (x0, y0, x1, y1), scene.shape, keep)
        if not reason and scene.void is not None and scene.void[y0:y1, x0:x1].any():
            reason = "no data"
        if not reason:
            rise = scene.image[y0:y1, x0:x1] - _background(scene, box, keep)
            patch = np.clip(gray_levels(rise, rise_of), 0, 255).astype(np.float32)
            peak = patch[mask].max()
            reason = "contrast" if peak < keep.min_contrast * scene.reach or peak <= 0 else ""
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
    if scene.void is not None:
        around &= ~scene.void[y0:y1, x0:x1]
    return float(np.median(scene.image[y0:y1, x0:x1][around]))


BYTES_PER_PIXEL = 5
"""Of a patch and its mask."""
MOST_BYTES = MAX_BYTES * 9 // 10
"""Of all pixels; the rest of what a file may hold is for names."""


DEFAULT_FILTER = TargetFilter()


def stack_entries(
    entries: list[dict[str, Any]],
    kind: str,
    left_out: dict[str, int],
    counts: Mapping[str, Counts] | None = None,
) -> TargetLibrary:
    """A library of what `extract_targets` or `extract_frame` returned.

    Parameters
    ----------
    entries : list of dict
    kind : str
    left_out : dict of str to int
    counts : mapping of str to Counts, optional
        Of the donors' images; what goes without saying is left out.

    Raises
    ------
    LibraryError
        If the stacks, padded to the largest entry, would be more than a file may hold.
    """
    sizes = np.array([e["mask"].shape for e in entries], np.int32).reshape(-1, 2)
    side = int(sizes.max(initial=1))
    n_bytes = len(entries) * side**2 * BYTES_PER_PIXEL
    if n_bytes > MOST_BYTES:
        raise LibraryError(
            f"{len(entries)} entries of up to {side} px need {n_bytes} bytes, at most "
            f"{MOST_BYTES} can be kept: take a smaller max_side"
        )
    patches = np.zeros((len(entries), side, side), np.float32)
    masks = np.zeros(patches.shape, bool)
    for k, (entry, (height, width)) in enumerate(zip(entries, sizes, strict=True)):
        patches[k, :height, :width] = entry["patch"]
        masks[k, :height, :width] = entry["mask"]
    sources = np.array([e["source"] for e in entries], str)
    return TargetLibrary(patches, masks, sizes, sources, kind, left_out, _telling(counts or {}))


def _telling(counts: Mapping[str, Counts]) -> dict[str, Counts]:
    """Without 8-bit images that fill 0 to 255."""
    return {kind: c for kind, c in counts.items() if kind != "uint8" or c.reach < 1}


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


def filled(library: TargetLibrary, origin: object) -> TargetLibrary:
    """The library itself; LibraryError, with the reasons, if nothing was fit for it."""
    if len(library):
        return library
    why = library.left_out_text if library.left_out else "no target at all"
    raise LibraryError(f"{origin}: nothing fit for a library of {library.kind} ({why})")


def extract_frame(scene: Scene, patch_px: int) -> list[dict[str, Any]]:
    """The sky of a scene, as one patch by nearest neighbour, its gray levels as they are.

    The last piece of the sky in reading order is cut to its box, black outside; a scene whose sky
    is not known is taken as a whole. Row i of the patch is row ``floor(i * H / patch_px)`` of that,
    columns likewise. What lies beyond black or white is cut; pixels without data have the median of
    the others. So the released DenseSIRST was made (docs/the-release.md).

    Parameters
    ----------
    scene : Scene
    patch_px : int
        Side of the patch, at least 1.

    Returns
    -------
    list of dict
        One entry: ``patch``, ``mask`` (all of it), ``source`` (the scene's name). None, if there
        is no sky in it.
    """
    is_in, box = _piece(scene)
    if box is None:
        return []
    rows, cols = (part.start + np.arange(patch_px) * _length(part) // patch_px for part in box)
    places = np.ix_(rows, cols)
    levels = gray_levels(scene.filled[places].astype(np.float64), scene.levels).clip(0, 255)
    patch = np.where(is_in[places], levels, 0).astype(np.float32)
    return [{"patch": patch, "mask": np.ones(patch.shape, bool), "source": scene.name}]


def _piece(scene: Scene) -> tuple[np.ndarray, tuple[slice, slice] | None]:
    """What of a scene becomes a frame, (H, W) bool, and its box; no box where there is nothing."""
    if scene.sky is None:
        return np.ones(scene.shape, bool), (slice(0, scene.shape[0]), slice(0, scene.shape[1]))
    pieces, n = scipy.ndimage.label(scene.sky, np.ones((3, 3)))
    return pieces == n, scipy.ndimage.find_objects(pieces)[-1] if n else None


def _length(part: slice) -> int:
    return int(part.stop - part.start)

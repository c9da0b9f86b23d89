"""What differs between two datasets: scenes, targets, skies, lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from densesirst_gen.datasets.dataset import Dataset, SceneFile
from densesirst_gen.files.atomic import pixel_digest
from densesirst_gen.files.images.codec import CodecError
from densesirst_gen.files.workers import Progress, workers
from densesirst_gen.labels.beside import best_iou
from densesirst_gen.labels.item import load_item
from densesirst_gen.scene.scene import SceneError

NEAR_PX = 5.0
"""Between the centres of a target that was moved, at most."""
KINDS = ("pixels", "size", "added", "removed", "moved", "resized", "sky", "unreadable", "list")


@dataclass(frozen=True, order=True)
class Change:
    """Something that differs.

    Parameters
    ----------
    scene : str
        Or the name of a list.
    kind : str
        ``only A``, ``only B`` or one of `KINDS`.
    what : str
        Where it is, and how it changed.
    """

    scene: str
    kind: str
    what: str = ""


def diff(
    one: Dataset,
    other: Dataset,
    *,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> list[Change]:
    """What is in one dataset and otherwise in the other, scenes by their names.

    Targets are compared by their masks, or by boxes where either has no masks. A target is moved if
    it has the same shape within `NEAR_PX`, and resized if it has another shape there.

    Parameters
    ----------
    one, other : Dataset
        A and B, before and after.
    jobs : int
        Processes. The result does not depend on it.
    progress : callable
        Wraps (results, total) for a progress bar.
    """
    files = [{file.name: file for file in dataset.scenes} for dataset in (one, other)]
    changes = [Change(name, "only A") for name in files[0].keys() - files[1].keys()]
    changes += [Change(name, "only B") for name in files[1].keys() - files[0].keys()]
    both = [(files[0][name], files[1][name]) for name in sorted(files[0].keys() & files[1].keys())]
    with workers(jobs, [__name__]) as mapped:
        for found in progress(mapped(diff_scene, both), len(both)):
            changes += found
    return sorted([*changes, *_lists(one, other)])


def _lists(one: Dataset, other: Dataset) -> Iterable[Change]:
    for split in sorted({*one.splits, *other.splits}):
        a, b = (set(dataset.splits.get(split, ())) for dataset in (one, other))
        if a != b:
            yield Change(split, "list", f"{len(a - b)} names only in A, {len(b - a)} only in B")


def diff_scene(pair: tuple[SceneFile, SceneFile]) -> list[Change]:
    """What differs between two scenes of the same name."""
    name = pair[0].name
    try:
        a, b = map(load_item, pair)
    except (CodecError, SceneError, OSError) as error:
        return [Change(name, "unreadable", str(error))]
    changes = []
    if a.scene.shape != b.scene.shape:
        return [Change(name, "size", f"(H, W) {a.scene.shape} became {b.scene.shape}")]
    if pixel_digest(a.scene.image) != pixel_digest(b.scene.image):
        changes.append(Change(name, "pixels", "the images differ"))
    skies = [np.zeros(0) if i.scene.sky is None else i.scene.sky for i in (a, b)]
    if skies[0].shape != skies[1].shape:
        changes.append(Change(name, "sky", f"only in {'B' if len(skies[1]) else 'A'}"))
    elif n := np.count_nonzero(skies[0] != skies[1]):
        changes.append(Change(name, "sky", f"{n} pixels differ"))
    by_masks = a.has_masks and b.has_masks
    shapes = [_shapes(i.scene.labels if by_masks else None, i.boxes) for i in (a, b)]
    return changes + [Change(name, kind, what) for kind, what in _targets(*shapes)]


Target = tuple[tuple[float, ...], bytes]
"""Its box, and its pixels in it; nothing if only the box is known."""


def _shapes(labels: np.ndarray | None, boxes: np.ndarray) -> list[Target]:
    found = []
    for number, box in enumerate(boxes.tolist(), 1):
        pixels = b""
        if labels is not None:
            x0, y0, x1, y1 = box
            pixels = np.packbits(labels[y0:y1, x0:x1] == number).tobytes()
        found.append((tuple(map(float, box)), pixels))
    return found


def _targets(before: list[Target], after: list[Target]) -> Iterable[tuple[str, str]]:
    same = set(before) & set(after)
    old, new = ([target for target in side if target not in same] for side in (before, after))
    pairs = _near(old, new)
    for i, j in pairs:
        kind = "moved" if _form(old[i]) == _form(new[j]) else "resized"
        yield kind, f"{_text(old[i])} became {_text(new[j])}"
    gone, come = ({pair[k] for pair in pairs} for k in (0, 1))
    yield from (("removed", _text(t)) for k, t in enumerate(old) if k not in gone)
    yield from (("added", _text(t)) for k, t in enumerate(new) if k not in come)


def _near(old: list[Target], new: list[Target]) -> list[tuple[int, int]]:
    """Pairs that may be one target: boxes that overlap, or centres that are near."""
    if not old or not new:
        return []
    boxes = [np.array([target[0] for target in side]) for side in (old, new)]
    centres = [(b[:, :2] + b[:, 2:]) / 2 for b in boxes]
    apart = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2)
    rows, cols = linear_sum_assignment(apart)
    return [
        (int(i), int(j))
        for i, j in zip(rows, cols, strict=True)
        if apart[i, j] <= NEAR_PX or best_iou(boxes[0][i : i + 1], boxes[1][j : j + 1])[0] > 0
    ]


def _form(target: Target) -> tuple[float, float, bytes]:
    (x0, y0, x1, y1), pixels = target
    return x1 - x0, y1 - y0, pixels


def _text(target: Target) -> str:
    return "box " + " ".join(f"{value:g}" for value in target[0])

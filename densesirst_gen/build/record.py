"""What a build records of each scene: its line in the journal, and its line in ``plans.jsonl``."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import cv2
import numpy as np

from densesirst_gen.files.atomic import OutputError, pixel_digest
from densesirst_gen.files.folder import BuildFolder
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.stamps import pixels_of
from densesirst_gen.scene.annotate import EIGHT
from densesirst_gen.scene.scene import Scene


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _is_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _is_digests(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_coco(value: Any) -> bool:
    return isinstance(value, dict) and (not value or value.keys() == {"image", "annotations"})


FITS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("name", "source", "sky", "skip_reason", "plan", "error"), _is_text),
    **dict.fromkeys(("copy", "area"), _is_count),
    **dict.fromkeys(("counts", "dropped"), _is_counts),
    **dict.fromkeys(("inputs", "notes"), _is_list),
    "sky_confidence": lambda value: value is None or isinstance(value, int | float),
    "files": _is_digests,
    "coco": _is_coco,
}
"""What may stand in a record that is read."""


@dataclass(frozen=True)
class Record:
    """A scene's line in the journal of a build.

    Parameters
    ----------
    name, source, copy : str, str, int
        Of the scene, of its background, and which copy of it.
    inputs : sequence of str
        SHA-256 of the files it was read from: image, target mask, sky mask, as far as there are.
    notes : sequence of str
        What was noticed in reading them.
    sky, sky_confidence : str, float or None
        See `densesirst_gen.sky.predict.usable_sky`.
    counts : dict of str to int
        Targets ``original``, ``pasted`` and ``requested``, and ``regions``; of the first two
        ``original_above`` and ``pasted_above``, see `n_above`.
    dropped, skip_reason : dict of str to int, str
        Of the plan.
    files : dict of str to str
        Path -> SHA-256 of what was written; empty for a scene that was only planned.
    area : int
        px, of all its targets.
    plan : str
        Its line in ``plans.jsonl``.
    coco : dict
        Its ``image`` and ``annotations``.
    error : str
        Why the background can't be read; then there is nothing else.
    """

    name: str
    source: str
    copy: int
    inputs: Sequence[str] = ()
    notes: Sequence[str] = ()
    sky: str = ""
    sky_confidence: float | None = None
    counts: dict[str, int] = field(default_factory=dict)
    skip_reason: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    area: int = 0
    plan: str = ""
    coco: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is empty is left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value or value == 0}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The record that `to_dict` gave. ValueError says why it is none."""
        for name, value in values.items():
            if name not in FITS:
                raise ValueError(f"a record has no {name!r}")
            if not FITS[name](value):
                raise ValueError(f"{name} can't be {str(value)[:40]!r}")
        if not {"name", "source", "copy"} <= values.keys():
            raise ValueError("a record has name, source and copy")
        return cls(**values)


def records_of(folder: BuildFolder, *, by_name: bool = False) -> Iterator[Record]:
    """The records in a journal, one in memory at a time.

    Parameters
    ----------
    folder : BuildFolder
    by_name : bool
        In order of the names; else as they were written.

    Raises
    ------
    OutputError
        For a line that is none.
    """
    for entry in folder.sorted_entries() if by_name else folder.entries():
        try:
            yield Record.from_dict(entry)
        except ValueError as error:
            raise OutputError(
                f"{folder.journal}: the line of {entry['name']!r} is no record of a scene "
                f"({error}); delete {folder.root} to begin anew"
            ) from error


def scene_counts(background: Scene, plan: PastePlan) -> dict[str, int]:
    """`Record.counts` of a planned scene."""
    return {
        "original": background.n_targets,
        "pasted": len(plan),
        "requested": plan.requested,
        "regions": len(plan.windows),
    }


def n_above(scene: Scene, background: Scene) -> dict[str, int]:
    """How many targets are brighter than anything else in their image.

    Parameters
    ----------
    scene : Scene
        As it was written.
    background : Scene
        Before.

    Returns
    -------
    dict of str to int
        ``pasted_above``: pasted targets whose peak is above the greatest value of the background;
        ``original_above``: the background's own, above the greatest value off its targets and the
        pixels that touch them.
    """
    peaks, n_own = _peaks(scene), background.n_targets
    own_pixels = (background.labels > 0).astype(np.uint8)
    off = background.with_data(cv2.dilate(own_pixels, EIGHT.astype(np.uint8)) == 0)
    own = peaks[:n_own] > background.image[off].max() if off.any() else peaks[:0]
    return {
        "original_above": int(np.count_nonzero(own)),
        "pasted_above": int(np.count_nonzero(peaks[n_own:] > background.data.max())),
    }


def _peaks(scene: Scene) -> np.ndarray:
    """(N,), the greatest value of each target."""
    on = scene.labels > 0
    order = np.argsort(scene.labels[on], kind="stable")
    first = scene.labels[on][order].searchsorted(np.arange(1, scene.n_targets + 1))
    return np.maximum.reduceat(scene.image[on][order], first)


def _counts_of(background: Scene) -> dict[str, Any]:
    """What else a plan drew on: only where it is not as in most images."""
    values: dict[str, Any] = {}
    if background.reach < 1:
        values["reach"] = background.reach
    if background.void is not None:
        values["void"] = int(np.count_nonzero(background.void))
    return values


def plan_line(
    scene: Scene, background: Scene, plan: PastePlan, library: TargetLibrary, record: Record
) -> dict[str, Any]:
    """A scene's line in ``plans.jsonl``: the plan, and what is needed to undo and redo it.

    ``under`` holds the background's pixels below every patch (rows of the plan, then raster order,
    little-endian, base64), so a rendered scene can be turned back into its background, and
    rendered again, without any other file.
    """
    index = pixels_of(plan.pastes, plan.config.patch_px, scene.shape[1])
    under = background.image.ravel()[np.minimum(index, scene.image.size - 1)]
    values = plan.to_json()
    for row in values["pastes"]:
        row["source"] = str(library.sources[row["donor"]])
    return {
        "name": scene.name,
        **values,
        "levels": list(scene.levels),
        **_counts_of(background),
        "dtype": scene.image.dtype.newbyteorder("<").str,
        "under": base64.b64encode(under.astype(under.dtype.newbyteorder("<"))).decode("ascii"),
        "pixel_sha256": pixel_digest(scene.image),
        "n_original": background.n_targets,
        "copy": record.copy,
        "source": record.source,
        "inputs": list(record.inputs),
        "sky": record.sky,
        "sky_confidence": record.sky_confidence,
    }

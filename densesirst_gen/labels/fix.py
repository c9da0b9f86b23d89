"""Mending labels where nothing has to be guessed: what masks say is written anew.

Boxes and points are derived from the masks, so all are tight, in one dialect and on their targets;
masks are black and white by the rule that they are read by; lists hold scenes only, and files of no
scene are not taken along. What can't be told is left as it is, and scenes whose labels can't be
read or are missing are left out; both are said.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from densesirst_gen.datasets import Dataset, read_dataset
from densesirst_gen.files.workers import Progress
from densesirst_gen.labels.convert import NO_FILE_IS_NO_TARGET, convert
from densesirst_gen.labels.findings import Finding
from densesirst_gen.labels.validate import Validated, validate

WRITTEN_AS = {
    "devkit": "devkit",
    "sirst": "devkit",
    "folders": "masks",
    "coco": "coco",
    "yolo": "yolo",
    "voc": "voc",
    "hf": "hf",
    "labelme": "coco",
    "cvat": "coco",
}
"""Layout -> format that holds all that it says of targets."""
MENDED = frozenset(
    (
        *("values", "coded", "dialect", "box", "loose", "no-box", "count", "point"),
        *("missing", "extra", "unknown"),
    )
)
"""Rules whose breaks may be gone when all is written anew; of others a scene was left out."""


@dataclass(frozen=True, eq=False)
class Fixed:
    """What became of a dataset that was mended.

    Parameters
    ----------
    out : Path
    to : str
        The format that it is in.
    mended : dict of str to int
        Rule -> how many breaks of it are gone.
    left : list of Finding
        What is found in the new folder.
    left_out : dict of str to str
        Scenes that are not in it: name -> reason.
    """

    out: Path
    to: str
    mended: dict[str, int]
    left: list[Finding]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Whether no problem is left, and no scene was left out."""
        return not self.left_out and all(finding.is_note for finding in self.left)


def fix(
    dataset: Dataset,
    found: Validated,
    out: Path,
    *,
    to: str | None = None,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> Fixed:
    """Write a dataset anew, into a new folder, with what can be mended mended.

    Parameters
    ----------
    dataset : Dataset
    found : Validated
        What `validate` found in it.
    out : Path
        Must not exist, or be empty.
    to : str, optional
        A key of `formats.FORMATS`. None: see `written_as`.
    jobs : int
        Processes. The result does not depend on it.
    progress : callable
        Wraps (results, total) for a progress bar.

    Raises
    ------
    DatasetError, RefusedError
        As `convert`.
    """
    to = to or written_as(dataset)
    bare = _without_mask(dataset)
    kept = replace(dataset, scenes=tuple(s for s in dataset.scenes if s.name not in bare))
    made = convert(kept, out, to, allow_loss=True, jobs=jobs, progress=progress)
    after = validate(read_dataset(out, counts=dataset.counts or None), jobs=jobs, progress=progress)
    before, now = (Counter(f.rule for f in v.findings) for v in (found, after))
    mended = {rule: before[rule] - now[rule] for rule in before if rule in MENDED}
    left_out = {**dict.fromkeys(sorted(bare), "it has no mask, others have"), **made.set_aside}
    return Fixed(out, to, {r: n for r, n in mended.items() if n > 0}, after.findings, left_out)


def written_as(dataset: Dataset) -> str:
    """The format that a dataset is mended in, by its layout and what lies in its folder."""
    if dataset.layout == "folders" and (dataset.root / "Annotations").is_dir():
        return "voc"
    if dataset.layout == "yolo" and not any(scene.boxes for scene in dataset.scenes):
        return "yolo-seg"
    return WRITTEN_AS.get(dataset.layout, "coco")


def _without_mask(dataset: Dataset) -> set[str]:
    """Scenes of which it is not known what is in them, where masks say so of others."""
    bare = {scene.name for scene in dataset.scenes if not scene.has_labels}
    is_told = dataset.layout in NO_FILE_IS_NO_TARGET and len(bare) < len(dataset.scenes)
    return bare if is_told else set()

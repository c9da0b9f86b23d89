"""What is known of a scene, and of its dataset, before the scene's files are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from densesirst_gen.build.plan_lines import PLANS
from densesirst_gen.build.verify.coco import CocoEntry
from densesirst_gen.build.verify.folder import IMAGES, Given
from densesirst_gen.build.verify.problem import Problem


@dataclass(frozen=True)
class Frame:
    """What is the same for all scenes of a dataset.

    Parameters
    ----------
    root : Path
    given : Given
        Of the manifest.
    library : Path or None
        None: it is not the one that was pasted from.
    replay : bool
        Whether plans are carried out and drawn again.
    """

    root: Path
    given: Given
    library: Path | None
    replay: bool


@dataclass(frozen=True)
class SceneTask:
    """What is known of a scene before its files are read.

    Parameters
    ----------
    name : str
    image : str or None
        File, relative to the dataset.
    place : (int, int) or None
        Number and offset of its line in ``plans.jsonl``.
    coco : CocoEntry or None
    digests : dict of str to str
        File -> SHA-256, those of the scene that are listed.
    """

    name: str
    image: str | None
    place: tuple[int, int] | None
    coco: CocoEntry | None
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def image_file(self) -> str:
        """Its image; the likely one if there is none."""
        return self.image or f"{IMAGES}{self.name}.png"

    def plan_problem(self, what: str) -> Problem:
        """A problem of its line in ``plans.jsonl``."""
        number = self.place[0] if self.place else 0
        return Problem(PLANS, "plan", f"line {number} ({self.name}): {what}")

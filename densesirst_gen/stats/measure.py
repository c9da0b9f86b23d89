"""Measuring a dataset on disk: each scene decoded once, by several processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from densesirst_gen.datasets import DatasetError, SceneFile
from densesirst_gen.datasets.coco.scene import check_masks
from densesirst_gen.datasets.notes import grouped, nothing_left
from densesirst_gen.files.images.codec import CodecError
from densesirst_gen.files.workers import Progress, workers
from densesirst_gen.scene.scene import SceneError
from densesirst_gen.stats.tables import DatasetStats, SceneStats, collect_stats, scene_stats


@dataclass(frozen=True, eq=False)
class Measured:
    """A dataset with its numbers.

    Parameters
    ----------
    stats : DatasetStats
        Scenes in order of their names.
    set_aside : dict of str to str
        Scenes that could not be read: name -> reason.
    label : str
        What it is called where it is told of; a path.
    files : sequence of SceneFile or None
        The scenes of `stats`; None where only numbers were saved.
    notes : tuple of str
        What was decided in decoding them, each kind with a count and an example.
    """

    stats: DatasetStats
    set_aside: dict[str, str] = field(default_factory=dict)
    label: str = ""
    files: Sequence[SceneFile] | None = None
    notes: tuple[str, ...] = ()


def measure(
    files: Sequence[SceneFile],
    *,
    label: str = "",
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> Measured:
    """Decode and measure scenes; no more than a few are in memory at a time.

    Parameters
    ----------
    files : sequence of SceneFile
    label : str
        See `Measured`.
    jobs : int
        Processes. The result does not depend on it.
    progress : callable
        Wraps (results, total) for a progress bar.

    Raises
    ------
    DatasetError
        If targets have no masks, see `check_masks`, or none of the scenes can be read; with the
        first reason.
    """
    check_masks(files, "stats")
    with workers(jobs, [__name__]) as mapped:
        results = sorted(progress(mapped(measure_file, files), len(files)), key=lambda r: r[0])
    set_aside = {name: part for name, part, _ in results if isinstance(part, str)}
    if set_aside and len(set_aside) == len(results):
        raise DatasetError(nothing_left("measured", set_aside))
    stats = collect_stats(part for _, part, _ in results if isinstance(part, SceneStats))
    told = grouped(((name, note) for name, _, notes in results for note in notes), "scenes")
    read = [f for f in sorted(files, key=lambda f: f.name) if f.name not in set_aside]
    return Measured(stats, set_aside, label, read, tuple(told))


def measure_file(file: SceneFile) -> tuple[str, SceneStats | str, list[str]]:
    """Name and statistics of one scene, or the reason why it can't be read; and notes."""
    try:
        scene, notes = file.load_with_notes()
    except (CodecError, SceneError, OSError) as error:
        return file.name, str(error), []
    return file.name, scene_stats(scene), notes

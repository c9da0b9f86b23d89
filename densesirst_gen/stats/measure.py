"""Measuring a dataset on disk: each scene decoded once, by several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from densesirst_gen.datasets import SceneFile
from densesirst_gen.files.codec import CodecError
from densesirst_gen.files.workers import workers
from densesirst_gen.scene.scene import SceneError
from densesirst_gen.stats.tables import DatasetStats, SceneStats, collect_stats, scene_stats

Progress = Callable[[Iterable[Any], int], Iterable[Any]]


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
    """

    stats: DatasetStats
    set_aside: dict[str, str] = field(default_factory=dict)
    label: str = ""
    files: Sequence[SceneFile] | None = None


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
    """
    with workers(jobs, [__name__]) as mapped:
        results = sorted(progress(mapped(measure_file, files), len(files)), key=lambda r: r[0])
    stats = collect_stats(part for _, part in results if isinstance(part, SceneStats))
    set_aside = {name: part for name, part in results if isinstance(part, str)}
    read = [f for f in sorted(files, key=lambda f: f.name) if f.name not in set_aside]
    return Measured(stats, set_aside, label, read)


def measure_file(file: SceneFile) -> tuple[str, SceneStats | str]:
    """Name and statistics of one scene, or the reason why it can't be read."""
    try:
        return file.name, scene_stats(file.load())
    except (CodecError, SceneError, OSError) as error:
        return file.name, str(error)

"""Two measured datasets side by side: every distance, and one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.compare.fidelity import StatisticDistance, compare
from densesirst_gen.stats.compare.probe import ProbeResult, probe
from densesirst_gen.stats.compare.verdict import sentence
from densesirst_gen.stats.measure import Measured


@dataclass(frozen=True, eq=False)
class Comparison:
    """The reference, and what comparing with it gave.

    Parameters
    ----------
    reference : Measured
    distances : list of StatisticDistance
        See `densesirst_gen.compare`.
    verdict : str
        The distances in a sentence.
    probe : ProbeResult or None
        See `densesirst_gen.stats.compare.probe.probe`.
    """

    reference: Measured
    distances: list[StatisticDistance]
    verdict: str
    probe: ProbeResult | None = None

    def sentence(self) -> str:
        """All of it for a person to read."""
        if self.probe is None:
            return self.verdict
        return (
            f"{self.verdict} A classifier tells the clusters of the two apart with an AUC of "
            f"{self.probe.auc:.2f} ({self.probe.low:.2f} to {self.probe.high:.2f}); 0.5 is chance."
        )


def compare_datasets(
    mine: Measured, reference: Measured, *, seed: int = 0, with_probe: bool = False
) -> Comparison:
    """How near a dataset is to another.

    Parameters
    ----------
    mine, reference : Measured
        Of `densesirst_gen.stats.measure.measure`, or read from what ``stats --save`` wrote.
    seed : int
        Of the draws of the noise floor and of the probe.
    with_probe : bool
        Also train a classifier to tell their clusters apart. It reads the scenes again.

    Raises
    ------
    ValueError
        If the probe is asked for and one of the two has numbers only.
    """
    distances = compare(mine.stats, reference.stats, seed=seed)
    n_images = min(len(mine.stats.scenes), len(reference.stats.scenes))
    result = probe(_scenes(mine), _scenes(reference), seed=seed) if with_probe else None
    return Comparison(reference, distances, sentence(distances, reference.label, n_images), result)


def _scenes(side: Measured) -> Iterator[Scene]:
    if side.files is None:
        raise ValueError(f"{side.label} holds only numbers, the probe looks at pixels")
    return (file.load() for file in side.files)

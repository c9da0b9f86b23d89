"""What the comparison of two datasets comes to: a table, a document, one honest sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from densesirst_gen.stats.compare.fidelity import Score, StatisticDistance, score
from densesirst_gen.stats.compare.scorecard import STATISTICS

PARTS = {
    "all": {s.name for s in STATISTICS},
    "without_profile": {s.name for s in STATISTICS if not s.reads_profile},
    "without_scene": {s.name for s in STATISTICS if not s.reads_scene},
}
"""All statistics, those that ignore how light is spread in a target, those that ignore scenes."""

NEAR_SHARE, NEAR_MEAN, NEAR_MAX = 0.85, 1.0, 3.0
"""What other draws of one dataset keep to: of 20 ratios at least 17 within 1, none above 3."""

FEW_IMAGES = 50
N_NAMED = 3


def parts_of(distances: Sequence[StatisticDistance]) -> dict[str, list[StatisticDistance]]:
    """The distances of each of `PARTS`."""
    return {part: [d for d in distances if d.name in names] for part, names in PARTS.items()}


def comparison_document(distances: Sequence[StatisticDistance]) -> dict[str, Any]:
    """The statistics and the score of each of `PARTS`, ready for JSON."""
    scores = {name: asdict(score(part)) for name, part in parts_of(distances).items()}
    return {"statistics": [asdict(d) for d in distances], "score": scores}


def comparison_text(
    distances: Sequence[StatisticDistance], labels: tuple[str, str] = ("this", "reference")
) -> str:
    """A line for each statistic, and one for each of `PARTS`.

    Parameters
    ----------
    distances : sequence of StatisticDistance
    labels : (str, str)
        Headings of the two columns of means.
    """
    heads = (*labels, "distance", "p95 floor", "ratio")
    lines = [f"{'statistic':<22} {'kind':<4} " + " ".join(f"{head:>9}" for head in heads)]
    for d in distances:
        numbers = (d.mean, d.reference_mean, d.distance, d.floor, d.ratio)
        lines.append(f"{d.name:<22} {d.kind:<4} " + " ".join(map(_cell, numbers)))
    for name, part in parts_of(distances).items():
        s = score(part)
        lines.append(
            f"{name:<16} {s.n_within:2} of {s.n_compared:2} within the floor, "
            f"mean ratio {s.mean_ratio:.2f}, largest {s.max_ratio:.2f}"
        )
    return "\n".join(lines)


def is_near(total: Score) -> bool:
    """Whether another draw of the reference could well have this score."""
    return (
        total.n_compared > 0
        and total.n_within >= NEAR_SHARE * total.n_compared
        and total.mean_ratio <= NEAR_MEAN
        and total.max_ratio <= NEAR_MAX
    )


def sentence(distances: Sequence[StatisticDistance], reference: str, n_images: int) -> str:
    """What can honestly be said of the comparison.

    Parameters
    ----------
    distances : sequence of StatisticDistance
        Output of `fidelity.compare`.
    reference : str
        Name of the reference.
    n_images : int
        Of the smaller of the two datasets; few of them cannot show much.
    """
    total = score(distances)
    if total.n_compared == 0:
        return f"Nothing of this dataset can be compared with {reference}."
    within = f"{total.n_within} of {total.n_compared} statistics within the noise floor"
    far = sorted(distances, key=lambda d: -(d.ratio or 0.0))[:N_NAMED]
    named = ", ".join(f"{d.name} ({d.ratio:.1f})" for d in far if (d.ratio or 0.0) > 1)
    farthest = f"; above it, in multiples of the floor: {named}" if named else ""
    said = f"{within}, mean ratio {total.mean_ratio:.2f}{farthest}{_limits(total, n_images)}."
    if is_near(total):
        return f"As near to {reference} as another draw of it would be: {said}"
    return f"Differs from {reference} by more than chance: {said}"


def _limits(total: Score, n_images: int) -> str:
    """What the comparison could not see."""
    blind = len(STATISTICS) - total.n_compared
    missing = f"; {blind} statistics could not be compared" if blind else ""
    few = f"; with {n_images} images only large differences show" if n_images < FEW_IMAGES else ""
    return missing + few


def _cell(number: float | None) -> str:
    return f"{'-':>9}" if number is None else f"{number:>9.3f}"

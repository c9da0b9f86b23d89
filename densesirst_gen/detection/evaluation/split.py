"""Predictions for one split of a dataset only: which split that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from densesirst_gen.detection.evaluation.predictions import Predictions

ENOUGH = 0.5
"""Share of a split that must have predictions; programs say nothing of images without any."""


def covered_split(
    predictions: Predictions, splits: Mapping[str, Sequence[str]], names: Sequence[str]
) -> str | None:
    """The smallest split that has all scenes with predictions; None if they are not of one split.

    Parameters
    ----------
    predictions : Predictions
        For `names`.
    splits : dict of str to sequence of str
        Of the dataset.
    names : sequence of str
        All scenes that might be scored. A split of all of them is none.
    """
    found = set(predictions.found)
    fitting = {
        split: len(members)
        for split, listed in splits.items()
        if found <= (members := set(listed) & set(names))
        and ENOUGH * len(members) <= len(found)
        and 0 < len(members) < len(names)
    }
    return min(fitting, key=lambda split: (fitting[split], split), default=None)


def narrowed(predictions: Predictions, split: str, members: Sequence[str]) -> Predictions:
    """The same predictions, for the scenes of a split alone; says so in its notes."""
    missing = tuple(name for name in predictions.missing if name in set(members))
    note = (
        f"predictions are those of the split '{split}': its {len(members)} scenes are scored, "
        f"{len(predictions.missing) - len(missing)} others are not; --split FILE scores others"
    )
    return replace(predictions, missing=missing, remarks=(note, *predictions.remarks))

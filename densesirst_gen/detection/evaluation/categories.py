"""Are results of a category that the dataset knows? All are scored as targets, so it is told."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from densesirst_gen.datasets.paths import examples
from densesirst_gen.detection.evaluation.coco_results import read_document
from densesirst_gen.detection.evaluation.errors import PredictionError

MOST_BYTES = 50_000_000
"""Of a COCO file that is read for its categories alone."""


def category_notes(source: Path, used: Collection[str], annotations: Path | None) -> list[str]:
    """A note on results of categories of which the dataset has none.

    Parameters
    ----------
    source : Path
        The predictions.
    used : collection of str
        Their category ids; empty where they have none.
    annotations : Path, optional
        The dataset's COCO file; other files tell nothing.
    """
    known = {} if annotations is None or not used else _categories(annotations)
    if annotations is None or not known or known.keys() & set(used):
        return []
    names = examples(f"{key} {name}" for key, name in known.items())
    return [
        f"{source}: results are of category {examples(sorted(used))}, {annotations.name} has "
        f"{names}: they are scored as targets all the same"
    ]


def _categories(path: Path) -> dict[str, str]:
    """Names by id; none of a file that is large or no COCO document."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return {}
        return {str(one["id"]): str(one["name"]) for one in read_document(path)["categories"]}
    except (PredictionError, OSError, KeyError, TypeError):
        return {}

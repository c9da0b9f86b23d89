"""Everything but the inputs that decides the content of a built dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from densesirst_gen.datasets import Dataset, SceneFile
from densesirst_gen.files.atomic import digest_of
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.sky.limits import SKY_CONFIDENCE, SKY_MARGIN
from densesirst_gen.sky.network import shipped
from densesirst_gen.version import __version__


@dataclass(frozen=True)
class Recipe:
    """Everything but the inputs that decides the content of a built dataset.

    Parameters
    ----------
    config : PasteConfig
    seed : int
        At least 0.
    copies : int
        Scenes made of each background; copy k > 0 is named ``NAME_copyk``.
    voc_dialect : str
        Of the box files, see `densesirst_gen.datasets.grammar.voc`.
    sky_confidence : float
        Least probability of a predicted sky pixel that is pasted on, 0.5 to 1. Of an image as a
        whole `densesirst_gen.sky.limits.DOUBTFUL` is asked, whatever this says.
    sky_margin : int
        Pixels kept free along the boundary of a predicted sky. Given skies are used as they are.
    """

    config: PasteConfig
    seed: int = 0
    copies: int = 1
    voc_dialect: str = "sirst"
    sky_confidence: float = SKY_CONFIDENCE
    sky_margin: int = SKY_MARGIN

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("copies", 1), ("sky_margin", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
        if not 0.5 <= self.sky_confidence <= 1:
            raise ValueError(f"sky_confidence must be 0.5 to 1, got {self.sky_confidence!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "config": self.config.to_dict(),
            "seed": self.seed,
            "copies": self.copies,
            "voc_dialect": self.voc_dialect,
            "sky_confidence": self.sky_confidence,
            "sky_margin": self.sky_margin,
        }


def recipe_of(
    dataset: Dataset, sources: Sequence[SceneFile], recipe: Recipe, library: TargetLibrary | None
) -> dict[str, Any]:
    """All that decides the content of a built dataset but the files it is made from.

    Parameters
    ----------
    dataset : Dataset
    sources : sequence of SceneFile
        The backgrounds.
    recipe : Recipe
    library : TargetLibrary, optional
        None: made of the dataset's own donors.

    Returns
    -------
    dict
        Plain values; a build can only be resumed where they are equal.
    """
    return {
        **recipe.to_dict(),
        "version": __version__,
        "layout": dataset.layout,
        "span": _only(source.span for source in sources),
        "spans_sha256": digest_of([[s.name, s.span] for s in sources if s.span is not None]),
        "counts": {kind: counts.to_dict() for kind, counts in dataset.counts.items()},
        "scenes": len(sources),
        "names_sha256": hashlib.sha256("\n".join(s.name for s in sources).encode()).hexdigest(),
        "splits": {split: digest_of(names) for split, names in dataset.splits.items()},
        "sky": _sky_source(sources, recipe.config.region),
        "library": library.digest if library is not None else "own donors",
        **({"read_as": dict(dataset.read_as)} if dataset.read_as else {}),
    }


def _only(values: Iterable[Any]) -> Any:
    """What all of them are; None if they differ."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _sky_source(sources: Sequence[SceneFile], region: str) -> dict[str, Any]:
    """For how many scenes a sky is given, and the digest of the network that finds the others.

    Drawn scenes, which have no files, bring theirs.
    """
    given = sum(source.sky is not None or not source.files() for source in sources)
    predicts = region != "anywhere" and given < len(sources)
    return {"given": given, "network": shipped().digest if predicts else None}


def copy_name(name: str, copy: int) -> str:
    """Name of the k-th scene made of a background."""
    return f"{name}_copy{copy}" if copy else name

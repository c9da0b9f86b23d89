"""The dataset's own README: what it is, how it was made, how to check it, what it is not."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from densesirst_gen.build.recipe import Recipe
from densesirst_gen.build.summary import BuildSummary
from densesirst_gen.datasets import Dataset
from densesirst_gen.datasets.grammar.dialects import READERS
from densesirst_gen.datasets.size_words import size_category
from densesirst_gen.paste.config import toml_text
from densesirst_gen.version import __version__

PASTED = {
    "library": "the targets are real, their number, place and brightness are drawn",
    "frames": "what is pasted are the skies of whole images, shrunk to patch size, not targets",
    "scene": "what is pasted is the texture of scene regions, not targets",
}
"""What was pasted, by source."""
AGAINST_RELEASED = {
    "library": "Here real targets are pasted, as the paper says, so these data differ from it.",
    "frames": "Here the skies of whole images are pasted likewise, those that `library.npz` names.",
    "scene": "Here regions of scenes are pasted, which was held for it before that was known.",
}
LIBRARY = {
    "targets": "the targets that were pasted, and which scene each comes from",
    "frames": "the skies that were pasted, shrunk, and which scene each is of",
    "regions": "the regions of scenes that were pasted, shrunk, and which scene each comes from",
}
"""What a library holds, by kind."""


def dataset_card(dataset: Dataset, recipe: Recipe, summary: BuildSummary, *, picture: bool) -> str:
    """The text of the card.

    Parameters
    ----------
    dataset : Dataset
        The backgrounds.
    recipe : Recipe
    summary : BuildSummary
    picture : bool
        Whether ``preview.png`` lies beside it.
    """
    source = dataset.root.name or str(dataset.root)
    template = files("densesirst_gen.build") / "card.md"
    return template.read_text(encoding="utf-8").format(
        name=f"Dense clusters on {source}",
        size=size_category(summary.n_scenes),
        version=__version__,
        source=source,
        picture="![scenes, whole and enlarged, with their masks](preview.png)\n\n" * picture,
        n_scenes=summary.n_scenes,
        n_targets=summary.n_targets,
        n_original=summary.n_original,
        n_pasted=summary.n_pasted,
        n_regions=summary.n_regions,
        above=summary.above_text,
        counts=_count_words(dataset),
        unpasted=_table_words(summary.unpasted),
        sky=_table_words(summary.sky),
        n_set_aside=len(summary.set_aside),
        dialect=recipe.voc_dialect,
        readers=READERS[recipe.voc_dialect],
        seed=recipe.seed,
        toml=toml_text(recipe.config),
        source_words=PASTED[recipe.config.source],
        library_words=LIBRARY[recipe.config.library_kind],
        against_released=AGAINST_RELEASED[recipe.config.source],
        links=_link_words(dataset) + _derived_words(dataset),
    )


def _count_words(dataset: Dataset) -> str:
    """Black and white of the images, by dtype."""
    words = [f"{kind} {counts.text()}" for kind, counts in dataset.counts.items()]
    return "; ".join(words) or "each image its own"


def _table_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {reason}" for reason, n in counts.items()) or "none"


def _link_words(dataset: Dataset) -> str:
    """How many inputs were reached by links: what is behind them may be no part of the source."""
    files = [path for scene in dataset.scenes for path in scene.files()]
    linked = {folder for folder in {path.parent for path in files} if _is_linked(folder, dataset)}
    n = sum(path.parent in linked or path.is_symlink() for path in files)
    return f"\nOf the files it was made from, {n:,} were reached by symbolic links." * (n > 0)


def _derived_words(dataset: Dataset) -> str:
    """Whether masks were made of boxes or points."""
    kind = dataset.read_as.get("masks_from")
    return f"\nMasks of the backgrounds' own targets were made of {kind}: nobody drew them." * bool(
        kind
    )


def _is_linked(folder: Path, dataset: Dataset) -> bool:
    """Whether a folder is a link, or is in one below the dataset's own."""
    return any(f.is_symlink() for f in (folder, *folder.parents) if dataset.root in f.parents)

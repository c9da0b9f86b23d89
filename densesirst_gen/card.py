"""The dataset's own README: what it is, how it was made, how to check it, what it is not."""

from __future__ import annotations

from densesirst_gen.config import PasteConfig
from densesirst_gen.formats import Dataset
from densesirst_gen.produce import Recipe
from densesirst_gen.summary import Summary
from densesirst_gen.version import __version__

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

TEMPLATE = """\
---
license: unknown
task_categories: [object-detection, image-segmentation]
size_categories: [{size}]
tags: [synthetic, infrared, small-target-detection, dense-clusters]
---
# {name}

Infrared scenes with clusters of small targets, made by densesirst_gen {version} from the backgrounds
of `{source}` by background-aware copy-paste (BAG-CP, from the paper *Background Semantics Matter:
Cross-Task Feature Exchange Network for Clustered Infrared Small Target Detection*).

{picture}| | |
| --- | --- |
| scenes | {n_scenes:,} |
| targets | {n_targets:,} ({n_original:,} of the backgrounds, {n_pasted:,} pasted) |
| regions pasted into | {n_regions:,} |
| scenes left as they were | {unpasted} |
| sky masks | {sky} |
| backgrounds set aside | {n_set_aside} |

## What is where
| path | what it is |
| --- | --- |
| `PNGImages/` | images, at the bit depth of their backgrounds (`.tif` for float32) |
| `SIRST/BinaryMask/`, `SIRST/PaletteMask/` | target masks: 255, or index 1; one target is one 8-connected piece |
| `SIRST/BBox/` | boxes, XML, dialect `{dialect}` |
| `SIRST/Point_label/` | one point `x y` for each target |
| `SkySeg/` | sky masks: 255, or index 1 |
| `Splits/` | names of each split; copies of a background stay in its split |
| `annotations.json` | COCO: run-length masks, exact areas, boxes, points, cluster and donor of each paste |
| `plans.jsonl` | one line a scene: every paste with its donor, position, size, angle, gain, Gaussian, increment |
| `library.npz` | the targets that were pasted, and which scene each comes from |
| `manifest.json`, `files.sha256` | how it was made, and a checksum of every file |

## Check it, undo it, make it again
```
sha256sum --quiet -c files.sha256
densesirst-gen replay .
densesirst-gen build --backgrounds {source} --config recipe.toml --seed {seed}
```
`replay` takes every paste out again, compares the background with its checksum, and pastes it anew.
The settings, as `recipe.toml`:
```toml
{toml}
```

## Limits
The clusters are synthetic: {source_words}. Statistics that hold for real flocks or swarms (motion,
shape, number) are not in it. A sky mask that was estimated may be wrong, and then targets lie on
ground or sea. The licence of the backgrounds holds for these images too; it is not known to this
program: look it up before you pass the data on.
"""


def dataset_card(dataset: Dataset, recipe: Recipe, summary: Summary, *, picture: bool) -> str:
    """The text of the card.

    Parameters
    ----------
    dataset : Dataset
        The backgrounds.
    recipe : Recipe
    summary : Summary
    picture : bool
        Whether ``preview.png`` lies beside it.
    """
    source = dataset.root.name or str(dataset.root)
    return TEMPLATE.format(
        name=f"Dense clusters on {source}",
        size=next((text for limit, text in SIZES if summary.n_scenes < limit), "n>1M"),
        version=__version__,
        source=source,
        picture="![scenes, whole and enlarged, with their masks](preview.png)\n\n" * picture,
        n_scenes=summary.n_scenes,
        n_targets=summary.n_targets,
        n_original=summary.n_original,
        n_pasted=summary.n_pasted,
        n_regions=summary.n_regions,
        unpasted=_table_words(summary.unpasted),
        sky=_table_words(summary.sky),
        n_set_aside=len(summary.set_aside),
        dialect=recipe.voc_dialect,
        seed=recipe.seed,
        toml=toml_text(recipe.config),
        source_words=_source_words(recipe.config),
    )


def _table_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {reason}" for reason, n in counts.items()) or "none"


def _source_words(config: PasteConfig) -> str:
    if config.source == "scene":
        return "what is pasted is the texture of scene regions, not targets"
    return "the targets are real, their number, place and brightness are drawn"


def toml_text(config: PasteConfig) -> str:
    """A config as TOML, as `--config` reads it."""
    lines = []
    for name, value in config.to_dict().items():
        text = str(value).lower() if isinstance(value, bool) else value
        lines.append(f'{name} = "{text}"' if isinstance(value, str) else f"{name} = {text}")
    return "\n".join(lines)

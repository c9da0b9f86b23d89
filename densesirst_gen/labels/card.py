"""The card of a dataset for Hugging Face: its head says where the parts are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

from densesirst_gen.datasets.size_words import size_category
from densesirst_gen.labels.whole import UNLISTED, Whole
from densesirst_gen.version import __version__

CATEGORY = "Target"
HOW = {
    "hf": '`datasets.load_dataset("{name}")` reads the images with their objects, a line of '
    "`metadata.jsonl` for each.",
    "parquet": '`datasets.load_dataset("{name}")` reads the images with their objects, all of it '
    "in `data/*.parquet`.",
    "webdataset": "Shards for WebDataset: a sample has the image (`png`, `jpg` or `tif`), `json` "
    'with what is below, and `mask.png` and `sky.png`. `datasets.load_dataset("{name}")` reads '
    "them too, if all samples have files of the same kinds. Unpacked (`tar -xf`) into a folder, "
    "densesirst-gen reads them again.",
}
COLUMNS = {
    "hf": ("`image`", "`mask`", "`sky`"),
    "parquet": ("`image`", "`mask`", "`sky`"),
    "webdataset": ("`png`, `jpg`, `tif`", "`mask.png`", "`sky.png`"),
}


def card(to: str, whole: Whole, configs: Sequence[Mapping[str, str]]) -> str:
    """The text of the card.

    Parameters
    ----------
    to : str
        A key of `HOW`.
    whole : Whole
    configs : sequence of mapping of str to str
        Part -> its files, for each configuration; the first is the default.
    """
    template = files("densesirst_gen.labels") / "card.md"
    image, mask, sky = COLUMNS[to]
    n_targets = sum(record["n_out"] for record in whole.records())
    return template.read_text(encoding="utf-8").format(
        name=whole.name,
        size=size_category(len(whole.images)),
        configs="\n".join(map(_config, _names(configs), configs)),
        n_images=len(whole.images),
        n_targets=n_targets,
        version=__version__,
        how=HOW[to].format(name=whole.name),
        image=image,
        mask=mask,
        sky=sky,
        category=CATEGORY,
        more=_more(whole, configs),
    )


def _names(configs: Sequence[Mapping[str, str]]) -> list[str]:
    return ["default", *(next(iter(parts)) for parts in configs[1:])]


def _config(name: str, parts: Mapping[str, str]) -> str:
    lines = [f"- config_name: {name}", "  data_files:"]
    for part, path in parts.items():
        lines += [f"  - split: {part}", f'    path: "{path}"']
    return "\n".join(lines)


def _more(whole: Whole, configs: Sequence[Mapping[str, str]]) -> str:
    lines = []
    if not whole.splits:
        lines.append("No lists of parts came with the source: all is `train`.")
    elif any(UNLISTED in parts for parts in configs):
        lines.append(f"`{UNLISTED}` are images that are in no list of the source.")
    for name, parts in zip(_names(configs)[1:], configs[1:], strict=True):
        said = ", ".join(parts)
        lines.append(
            f"Columns of {said} hold less (no targets, masks or skies) than those of others, so "
            f'it is loaded by itself: `load_dataset("{whole.name}", "{name}")`.'
        )
    return "".join(f"\n{line}\n" for line in lines)

"""COCO's files of the whole: one of all scenes, and one of each part, with the same ids."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

from densesirst_gen.datasets.coco.written import Record, coco_text
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.labels.whole import Whole
from densesirst_gen.version import __version__

INFO = {"description": "converted by densesirst-gen", "version": __version__}


def coco_files(whole: Whole) -> dict[str, str]:
    """Write them; path -> SHA-256."""
    ids = whole.image_ids()
    places: dict[str, Collection[str]] = {"annotations.json": whole.images.keys()}
    for split in sorted(whole.splits):
        places[f"annotations/instances_{part_of(split) or split}.json"] = set(whole.splits[split])
    for place, chosen in places.items():
        own = [ids[name] for name in whole.images if name in chosen]
        with whole.write(place) as file:
            file.writelines(coco_text(partial(_entries, whole, chosen), INFO, ids=own))
    return whole.digests(places)


def _entries(whole: Whole, chosen: Collection[str]) -> Iterator[Record]:
    for record in whole.records():
        if record["name"] in chosen:
            image, annotations = record["coco"]
            yield {"image": image, "annotations": annotations}

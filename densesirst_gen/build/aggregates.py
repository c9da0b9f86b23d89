"""What ends a build: the files that are about the dataset as a whole, the manifest last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from densesirst_gen.build.card import dataset_card
from densesirst_gen.build.inputs import inputs_summary
from densesirst_gen.build.provide import LIBRARY, check_library
from densesirst_gen.build.recipe import Recipe, copy_name
from densesirst_gen.build.record import Record, records_of
from densesirst_gen.build.summary import BuildSummary
from densesirst_gen.datasets import Dataset, read_dataset
from densesirst_gen.datasets.coco.written import coco_text
from densesirst_gen.datasets.layouts.devkit import split_files
from densesirst_gen.files.atomic import PARTS, atomic_file, file_digest, write_files
from densesirst_gen.files.checksums import CHECKSUMS, checksum_lines
from densesirst_gen.files.folder import BuildFolder
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.seeds import RNG_SCHEME
from densesirst_gen.scene.picture import overview, png
from densesirst_gen.scene.scene import Scene
from densesirst_gen.version import __version__

DISTRIBUTIONS = ("numpy", "scipy", "pillow", "opencv-python", "pycocotools")
N_SHOWN = 4


def finish(folder: BuildFolder, dataset: Dataset, recipe: Recipe, summary: BuildSummary) -> None:
    """Write what the scenes of a build make together, then close its folder.

    Parameters
    ----------
    folder : BuildFolder
        Its journal has a `Record` for each scene.
    dataset : Dataset
        The backgrounds.
    recipe : Recipe
    summary : BuildSummary
    """
    check_library(folder)
    parts = folder.root / PARTS
    made = [record.name for record in _records(folder) if not record.error]
    with atomic_file(folder.root / "plans.jsonl", parts) as plans:
        plans.writelines(f"{r.plan}\n".encode() for r in _records(folder) if r.plan)
    with atomic_file(folder.root / "annotations.json", parts) as file:
        file.writelines(_coco(folder))
    splits = _splits(dataset, recipe, set(made))
    files = dict(write_files(folder.root, split_files(splits, made)))
    scenes = _to_show(folder, dataset)
    if scenes:
        files |= write_files(folder.root, [("preview.png", png(overview(scenes)))])
    card = dataset_card(dataset, recipe, summary, picture=bool(scenes))
    files |= write_files(folder.root, [("README.md", card.encode())])
    for name in ("plans.jsonl", "annotations.json", LIBRARY):
        files[name] = file_digest(folder.root / name)
    with atomic_file(folder.root / CHECKSUMS, parts) as file:
        file.writelines(_checksums(folder, files))
    folder.close(_content(folder, dataset, recipe, summary), DISTRIBUTIONS)


def _records(folder: BuildFolder) -> Iterator[Record]:
    """By name, one in memory at a time."""
    return records_of(folder, by_name=True)


def _coco(folder: BuildFolder) -> Iterator[bytes]:
    return coco_text(
        lambda: (record.coco for record in _records(folder) if record.coco),
        {"description": "made by densesirst-gen", "version": __version__},
    )


def _splits(dataset: Dataset, recipe: Recipe, made: set[str]) -> dict[str, tuple[str, ...]]:
    """The source's splits, each background with all its copies."""
    splits = {}
    for split, names in dataset.splits.items():
        copies = (copy_name(name, copy) for name in names for copy in range(recipe.copies))
        splits[split] = tuple(name for name in copies if name in made)
    return {split: names for split, names in splits.items() if names}


def _to_show(folder: BuildFolder, dataset: Dataset) -> list[Scene]:
    """A few scenes with many pastes, spread over the dataset."""
    pasted = [record.name for record in _records(folder) if record.counts.get("pasted")]
    if not pasted:
        return []
    chosen = pasted[:: -(-len(pasted) // N_SHOWN)]
    built = read_dataset(folder.root, layout="devkit", counts=dataset.counts)
    scenes = {scene.name: scene for scene in built.scenes}
    return [scenes[name].load() for name in chosen]


def _checksums(folder: BuildFolder, aggregates: Mapping[str, str]) -> Iterator[bytes]:
    """In the format of sha256sum, sorted by path within the scenes."""
    for record in _records(folder):
        yield from checksum_lines(sorted(record.files.items()))
    yield from checksum_lines(sorted(aggregates.items()))


def _content(
    folder: BuildFolder, dataset: Dataset, recipe: Recipe, summary: BuildSummary
) -> dict[str, Any]:
    """Of the manifest."""
    library = TargetLibrary.load(folder.root / LIBRARY)
    return {
        "synthetic": True,
        "recipe": folder.recipe,
        "inputs": inputs_summary(folder),
        "rng": RNG_SCHEME,
        "source": {"layout": dataset.layout, "name": dataset.root.name},
        "library": {
            "kind": library.kind,
            "n": len(library),
            "sha256": library.digest,
            "left_out": library.left_out,
        },
        "conventions": {
            "boxes": f"COCO: xywh, half-open; XML: dialect {recipe.voc_dialect}",
            "points": "x y, pixel indices from 0, top left",
            "sky": "255",
        },
        "summary": asdict(summary),
        "files": {"list": CHECKSUMS, "sha256": file_digest(folder.root / CHECKSUMS)},
        "unpasted": {r.name: r.skip_reason for r in _records(folder) if r.skip_reason},
        "notes": {r.name: r.notes for r in _records(folder) if r.notes},
    }

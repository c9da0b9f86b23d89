"""What the scenes of a conversion make together, and in which part each of them is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from densesirst_gen.datasets.coco.written import image_ids
from densesirst_gen.datasets.grammar.object_rows import object_row
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.files.atomic import PARTS, atomic_file, file_digest
from densesirst_gen.files.folder import BuildFolder

Record = dict[str, Any]
PART_NAMES = {"train": "train", "val": "validation", "test": "test", "trainval": "trainval"}
"""As Hugging Face datasets call them; those that come first have a scene that is in several."""
UNLISTED = "unlisted"
"""Scenes that are in no list, where others are."""


@dataclass(frozen=True, eq=False)
class Whole:
    """The scenes that are written, after each of them was.

    Parameters
    ----------
    folder : BuildFolder
        Its journal has a line for each.
    name : str
        Of the dataset, the last part of its path.
    images : dict of str to str
        Scene -> path of its image.
    splits : dict of str to sequence of str
        Scenes of each, those that are written.
    """

    folder: BuildFolder
    name: str
    images: Mapping[str, str]
    splits: Mapping[str, Sequence[str]]

    def records(self) -> Iterator[Record]:
        """Lines of the journal, by name, one in memory at a time."""
        return (record for record in self.folder.sorted_entries() if "error" not in record)

    def image_ids(self) -> dict[str, int]:
        """Those of the source, if they are numbers and differ; else as `coco.image_ids` says."""
        own = {record["name"]: record["source_id"] for record in self.records()}
        if None not in own.values() and len(set(own.values())) == len(own):
            return own
        numbers = image_ids(self.images.values())
        return dict(zip(self.images, numbers, strict=True))

    def rows(
        self, called: Callable[[Record, str], str], members: Collection[str] | None = None
    ) -> Iterator[tuple[Record, Record]]:
        """The line of the journal and the row of objects of each scene.

        Parameters
        ----------
        called : callable
            (line, path of a file of the scene) -> how the row names it.
        members : collection of str, optional
            Scenes to give; None: all. Objects have the same ids whichever are given.
        """
        ids, next_id = self.image_ids(), 1
        for record in self.records():
            image, annotations = record["coco"]
            if members is None or record["name"] in members:
                image = {**image, "id": ids[record["name"]]}
                files = {kind: called(record, path) for kind, path in record["places"].items()}
                yield record, object_row(record["name"], image, annotations, files, next_id)
            next_id += len(annotations)

    def by_part(self) -> dict[str, list[str]]:
        """Part -> its scenes, each in one; parts in order of `PART_NAMES`."""
        found: dict[str, list[str]] = {}
        for name, part in parts_of_scenes(self.splits, self.images).items():
            found.setdefault(part, []).append(name)
        order = [*PART_NAMES.values(), UNLISTED]
        return {part: found[part] for part in order if part in found}

    def write(self, name: str) -> Any:
        """A file of the whole, atomically; a context that gives the open file."""
        return atomic_file(self.folder.root / name, self.folder.root / PARTS)

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """SHA-256 of files that were written."""
        return {name: file_digest(self.folder.root / name) for name in names}


def parts_of_scenes(splits: Mapping[str, Sequence[str]], names: Iterable[str]) -> dict[str, str]:
    """The part of each scene, by the lists; train where there are none of any part."""
    parts: dict[str, str] = {}
    for part, called in PART_NAMES.items():
        for split in splits:
            for name in splits[split] if part_of(split) == part else ():
                parts.setdefault(name, called)
    rest = UNLISTED if parts else PART_NAMES["train"]
    return {name: parts.get(name, rest) for name in names}


def lists_of_scenes(splits: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, int]]]:
    """Scene -> the lists that it is in, and its place in each, from 0 on."""
    found: dict[str, list[tuple[str, int]]] = {}
    for split in sorted(splits):
        for place, name in enumerate(splits[split]):
            found.setdefault(name, []).append((split, place))
    return found

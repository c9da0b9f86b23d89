"""An image folder of Hugging Face datasets: ``metadata.jsonl`` of each part, and the card.

``datasets`` takes the types of columns from the first lines of each part, so a line with as many as
there are goes first; and it refuses parts whose columns differ. Such a part, one without any target
among others, is a configuration of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from densesirst_gen.datasets.grammar.object_rows import Record
from densesirst_gen.files.atomic import canonical_json
from densesirst_gen.labels.card import card
from densesirst_gen.labels.whole import Whole

METADATA = "metadata.jsonl"
OPTIONAL = ("mask_file_name", "sky_file_name")
OPTIONAL_OF_OBJECTS = ("segmentation", "points")


def hf_files(whole: Whole) -> dict[str, str]:
    """Write the files of the whole; path -> SHA-256."""
    configs: dict[frozenset[str], dict[str, str]] = {}
    parts = whole.by_part()
    for part, members in parts.items():
        rows = _rows_of(whole, part, set(members))
        held, first = _columns(rows)
        with whole.write(f"{part}/{METADATA}") as file:
            for is_first in (True, False):
                chosen = (row for row in rows() if (row["name"] == first) == is_first)
                file.writelines(f"{canonical_json(_kept(row, held))}\n".encode() for row in chosen)
        configs.setdefault(held, {})[part] = f"{part}/**"
    with whole.write("README.md") as file:
        file.write(card("hf", whole, list(configs.values())).encode())
    return whole.digests([*(f"{part}/{METADATA}" for part in parts), "README.md"])


def _rows_of(whole: Whole, part: str, members: set[str]) -> Callable[[], Iterator[Record]]:
    """The rows of a part, read anew at each call; files are named from its folder on."""

    def called(_: Record, path: str) -> str:
        return path.removeprefix(f"{part}/")

    return lambda: (row for _, row in whole.rows(called, members))


def _columns(rows: Callable[[], Iterator[Record]]) -> tuple[frozenset[str], str]:
    """The columns of which a part holds something, and the scene that has most of them."""
    held, most, first = frozenset[str](), -1, ""
    for row in rows():
        own = frozenset(_filled(row))
        held |= own
        if len(own) > most:
            most, first = len(own), row["name"]
    return held, first


def _filled(row: Record) -> Iterator[str]:
    yield from (name for name in OPTIONAL if row[name] is not None)
    objects = row["objects"]
    yield from (f"objects {name}" for name in objects if any(v is not None for v in objects[name]))


def _kept(row: Record, held: frozenset[str]) -> Record:
    """The row without optional columns of which the part holds nothing."""
    objects = {
        name: values
        for name, values in row["objects"].items()
        if name not in OPTIONAL_OF_OBJECTS or f"objects {name}" in held
    }
    row = {name: value for name, value in row.items() if name not in OPTIONAL or name in held}
    return {**row, "objects": objects}

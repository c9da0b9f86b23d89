"""Shards of a WebDataset: tar files in which the files of a scene follow each other.

``KEY.png`` (or the image's own suffix), ``KEY.json`` with its row of objects, ``KEY.mask.png``,
``KEY.sky.png``. A key is the name of the scene with ``_`` for dots, at the first of which readers
end the key. Nothing in a shard says when or by whom it was written.
"""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import PurePosixPath

from densesirst_gen.datasets.grammar.object_rows import Record
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.atomic import canonical_json
from densesirst_gen.files.regular import read_bytes
from densesirst_gen.labels.card import card
from densesirst_gen.labels.shards import shards
from densesirst_gen.labels.whole import Whole, lists_of_scenes

Lists = Mapping[str, Sequence[tuple[str, int]]]
ENDS = {"image": "", "mask": ".mask", "sky": ".sky"}


def webdataset_files(whole: Whole) -> dict[str, str]:
    """Write the shards and the card; path -> SHA-256."""
    _check_keys(whole)
    written, parts, lists = [], {}, lists_of_scenes(whole.splits)
    sizes = {record["name"]: record["n_bytes"] for record in whole.records()}
    for part, members in whole.by_part().items():
        rows = whole.rows(_beside, set(members))
        for number, group in enumerate(shards((name, sizes[name]) for name in members)):
            written.append(f"{part}-{number:06d}.tar")
            _write(whole, written[-1], islice(rows, len(group)), lists)
        parts[part] = f"{part}-*.tar"
    with whole.write("README.md") as file:
        file.write(card("webdataset", whole, [parts]).encode())
    return whole.digests([*written, "README.md"])


def _check_keys(whole: Whole) -> None:
    """DatasetError if two scenes have the same key."""
    keys = Counter(_key(name) for name in whole.images)
    if twice := [name for name in whole.images if keys[_key(name)] > 1]:
        raise DatasetError(
            f"{len(twice)} scenes have names that differ by dots only, which WebDataset can't tell "
            f"apart: {examples(twice)}"
        )


def _key(name: str) -> str:
    return name.replace(".", "_")


def _write(whole: Whole, shard: str, rows: Iterable[tuple[Record, Record]], lists: Lists) -> None:
    with (
        whole.write(shard) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for record, row in rows:
            places = lists.get(record["name"], [])
            row["splits"] = [split for split, _ in places]
            row["places_in_splits"] = [place for _, place in places]
            key = _key(record["name"])
            _add(tar, f"{key}.json", canonical_json(row).encode())
            for place in record["places"].values():
                path = whole.folder.root / place
                _add(tar, f"{key}{_end(record, place)}", read_bytes(path))
                path.unlink()


def _beside(record: Record, place: str) -> str:
    """Relative to the row, which lies beside it."""
    return f"{PurePosixPath(_key(record['name'])).name}{_end(record, place)}"


def _end(record: Record, place: str) -> str:
    kind = next(kind for kind, own in record["places"].items() if own == place)
    return f"{ENDS[kind]}{PurePosixPath(place).suffix}"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(content))

"""Parquet files as Hugging Face datasets have them: images, masks and skies inside the rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from densesirst_gen.datasets.grammar.object_rows import Record
from densesirst_gen.files.regular import read_bytes
from densesirst_gen.labels.card import card
from densesirst_gen.labels.shards import shards
from densesirst_gen.labels.whole import Whole

if TYPE_CHECKING:
    import pyarrow

GROUP_BYTES = 32 * 2**20
"""Of a row group, about; it is in memory as a whole."""
IMAGES = ("image", "mask", "sky")


def check_pyarrow() -> None:
    """ImportError says what to install."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        hint = "Parquet needs pyarrow: pip install 'densesirst_gen[parquet]'"
        raise ImportError(hint) from error


def parquet_files(whole: Whole) -> dict[str, str]:
    """Write the files and the card; path -> SHA-256."""
    written, parts = [], {}
    sizes = {record["name"]: record["n_bytes"] for record in whole.records()}
    for part, members in whole.by_part().items():
        groups = list(shards((name, sizes[name]) for name in members))
        rows = (_row(whole, *found) for found in whole.rows(_as_it_is, set(members)))
        for number, group in enumerate(groups):
            written.append(f"data/{part}-{number:05d}-of-{len(groups):05d}.parquet")
            _write(whole, written[-1], [(name, sizes[name]) for name in group], rows)
        parts[part] = f"data/{part}-*.parquet"
    with whole.write("README.md") as file:
        file.write(card("parquet", whole, [parts]).encode())
    return whole.digests([*written, "README.md"])


def _as_it_is(_: Record, path: str) -> str:
    return path


def _write(
    whole: Whole, path: str, sizes: Sequence[tuple[str, int]], rows: Iterator[Record]
) -> None:
    import pyarrow
    from pyarrow import parquet

    schema = _schema(pyarrow)
    with whole.write(path) as file, parquet.ParquetWriter(file, schema) as writer:
        for group in shards(sizes, GROUP_BYTES):
            batch = list(islice(rows, len(group)))
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))


def _row(whole: Whole, record: Record, row: Record) -> Record:
    """With the content of the files in place of their names."""
    contents: Record = dict.fromkeys(IMAGES)
    for kind, place in record["places"].items():
        path = whole.folder.root / place
        name = place.rpartition(f"/{'images' if kind == 'image' else kind}/")[2]
        contents[kind] = {"bytes": read_bytes(path), "path": name}
        path.unlink()
    return {**contents, **{name: row[name] for name in row if not name.endswith("file_name")}}


def _schema(pa: Any) -> pyarrow.Schema:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    kinds = {
        "id": pa.int64(),
        "bbox": pa.list_(pa.float64()),
        "area": pa.float64(),
        "categories": pa.int64(),
        "iscrowd": pa.int64(),
        "segmentation": pa.string(),
        "points": pa.list_(pa.int64()),
    }
    objects = pa.struct([(name, pa.list_(kind)) for name, kind in kinds.items()])
    numbers = [(name, pa.int64()) for name in ("image_id", "width", "height")]
    columns = [*((kind, image) for kind in IMAGES), ("name", pa.string()), *numbers]
    return pa.schema([*columns, ("objects", objects)], {"huggingface": json.dumps(_features())})


def _features() -> Record:
    """What ``datasets`` is to make of the columns: pictures of the images."""

    def value(dtype: str) -> Record:
        return {"dtype": dtype, "_type": "Value"}

    def many(feature: Record) -> Record:
        return {"feature": feature, "_type": "List"}

    objects = {
        "id": many(value("int64")),
        "bbox": many(many(value("float64"))),
        "area": many(value("float64")),
        "categories": many({"names": ["Target"], "_type": "ClassLabel"}),
        "iscrowd": many(value("int64")),
        "segmentation": many(value("string")),
        "points": many(many(value("int64"))),
    }
    numbers = {name: value("int64") for name in ("image_id", "width", "height")}
    images = {kind: {"_type": "Image"} for kind in IMAGES}
    features = {**images, "name": value("string"), **numbers, "objects": objects}
    return {"info": {"features": features}}

"""The tables of a dataset in files: JSON that can be read back, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.stats.rows import GROUP, MAY_BE_NONE, NONE, SCENE, SKY_GRID, TARGET
from densesirst_gen.stats.tables import DatasetStats

SCHEMA = "densesirst-gen/stats@1"
DTYPES = {"targets": TARGET, "groups": GROUP, "scenes": SCENE}
EARLIER = {"groups": "regions", "group": "region", "group_targets": "region_targets"}
"""What tables and columns were called in files of an earlier version."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t")


class StatsFileError(ValueError):
    """A file that does not hold statistics; the message names file and reason."""


def tables_document(stats: DatasetStats) -> dict[str, Any]:
    """Every row, as plain values for JSON, column by column.

    Returns
    -------
    dict
        ``names`` of the scenes; ``targets``, ``groups`` and ``scenes`` with a list for each
        column of `rows.TARGET`, `rows.GROUP` and `rows.SCENE`, in full precision and -1 where a
        quantity does not exist; ``sky_map``, a list of rows.
    """
    tables = {
        name: {column: getattr(stats, name)[column].tolist() for column in dtype.names or ()}
        for name, dtype in DTYPES.items()
    }
    return {"names": list(stats.names), **tables, "sky_map": stats.sky_map.tolist()}


def read_saved(path: Path) -> DatasetStats | None:
    """The statistics that ``stats --save`` wrote; None if the file holds something else.

    Raises
    ------
    StatsFileError
        If it has the schema of such a file, but can't be used.
    """
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or "schema" not in document:
        return None
    if document["schema"] != SCHEMA:
        raise StatsFileError(f"{path}: schema is {document['schema']!r}, expected {SCHEMA!r}")
    if "tables" not in document:
        raise StatsFileError(f"{path}: has no rows; `stats DIR --save FILE` writes them")
    try:
        return stats_from_tables(document["tables"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise StatsFileError(f"{path}: damaged, {type(error).__name__}: {error}") from error


def stats_from_tables(document: Mapping[str, Any]) -> DatasetStats:
    """What `tables_document` was made of.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is not such a document.
    """
    tables = {name: _table(_found(document, name), dtype) for name, dtype in DTYPES.items()}
    names = tuple(map(str, document["names"]))
    sky_map = np.array(document["sky_map"], np.float64)
    if len(names) != len(tables["scenes"]) or sky_map.shape != SKY_GRID:
        raise ValueError("names, scenes and sky map do not fit together")
    for name, table in tables.items():
        if len(table) and not 0 <= table["scene"].min() <= table["scene"].max() < len(names):
            raise ValueError(f"{name} of unknown scenes")
    return DatasetStats(names, **tables, sky_map=sky_map)


def _found(values: Mapping[str, Any], name: str) -> Any:
    """What has this name, or had it in an earlier version."""
    return values[name if name in values else EARLIER.get(name, name)]


def _table(columns: Mapping[str, Any], dtype: np.dtype) -> np.ndarray:
    found = {name: _found(columns, name) for name in dtype.names or ()}
    lengths = set(map(len, found.values()))
    if len(lengths) != 1:
        raise ValueError(f"columns of {len(lengths)} different lengths")
    table = np.zeros(lengths.pop(), dtype)
    for name, column in found.items():
        table[name] = column
        if not np.isfinite(table[name]).all():
            raise ValueError(f"{name} is not finite")
    return table


def csv_files(stats: DatasetStats) -> Iterable[tuple[str, bytes]]:
    """``targets.csv`` and ``clusters.csv``: a row for each target, and for each group.

    The first column is the name of the image. What does not exist is an empty cell; a name that a
    spreadsheet would take for a formula gets a leading apostrophe.

    Yields
    ------
    (str, bytes)
        Name and content, UTF-8.
    """
    for name, table in (("targets.csv", stats.targets), ("clusters.csv", stats.groups)):
        yield name, _csv_text(stats.names, table).encode()


def _csv_text(names: tuple[str, ...], table: np.ndarray) -> str:
    columns = [column for column in table.dtype.names or () if column != "scene"]
    safe = [f"'{name}" if name.startswith(FORMULA_STARTS) else name for name in names]
    cells = [[safe[scene] for scene in table["scene"].tolist()]]
    cells += [_cells(table[column], column) for column in columns]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["image", *columns])
    writer.writerows(zip(*cells, strict=True))
    return buffer.getvalue()


def _cells(values: np.ndarray, column: str) -> list[Any]:
    if values.dtype == np.bool_:
        return values.astype(int).tolist()
    if column in MAY_BE_NONE:
        return ["" if value == NONE else value for value in values.tolist()]
    return values.tolist()

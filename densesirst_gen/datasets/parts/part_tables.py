"""Which part a scene is in, where a table, a JSON or a YAML file says it of each or of many.

``split.csv`` has a column of train and test, ``split.json`` and ``split.yaml`` have lists below
these words, or a record for each scene with a field ``split``.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.regular import read_bytes

Said = Iterator[tuple[str, str]]
"""Pairs of a part and what names scenes."""

SUFFIXES = (".csv", ".tsv", ".txt", ".lst", "", ".json", ".jsonl", ".yaml", ".yml", ".toml")
MAX_BYTES = 50_000_000
N_READ = 64
FIELDS = ("split", "subset", "set", "part", "phase", "fold", "usage")
"""Names of the field of a record that says its part."""
SPLIT_WORD = re.compile(r"split|fold|partition|subset", re.I)
KEYED = (".yaml", ".yml", ".toml")
YES = ("1", "true", "yes")
KEY = re.compile(r"^\s*(?:-\s+)?[\"']?(\w+)[\"']?\s*[:=](.*)$")
WORD = re.compile(r"[A-Za-z]+\d*")


def part_tables(
    root: Path, files: Iterable[Path], names: Collection[str]
) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """What some files say of parts: split -> (file, names).

    Parameters
    ----------
    root : Path
    files : iterable of Path
        Of `SUFFIXES`; others, and those that belong to one scene, are passed over.
    names : collection of str
        The scenes of the dataset.

    Returns
    -------
    dict of str to (Path, tuple of str)
        Splits are called by their part, and by their file before it where several files say parts.

    Raises
    ------
    DatasetError
        If a file that is called a split says parts, but of no scene.
    """
    known = SceneNames(names)
    chosen = [p for p in files if p.suffix.lower() in SUFFIXES and not known.owns(p.stem)]
    chosen.sort(key=lambda path: len(path.parts))
    tables = {path: found for path in chosen[:N_READ] if (found := _parts_in(path, known))}
    n_say = Counter(part for found in tables.values() for part in found)
    alone = {p for p in tables if len(tables) == 1 or n_say[part_of(p.stem)] == 1}
    return {
        part if path in alone else _key(root, path, part): (path, members)
        for path, found in tables.items()
        for part, members in found.items()
    }


def part_of_record(record: Mapping[str, Any]) -> str:
    """The part that a field of `FIELDS` says; empty if there is none."""
    words = [value for key, value in record.items() if str(key).casefold() in FIELDS]
    return next(filter(None, (_part_word(word) for word in words)), "")


def _key(root: Path, path: Path, part: str) -> str:
    return f"{path.relative_to(root).with_suffix('').as_posix()}/{part}"


def _parts_in(path: Path, known: SceneNames) -> dict[str, tuple[str, ...]]:
    """Part -> scenes; empty for a file that says no part, or can't be read."""
    parts: dict[str, dict[str, None]] = {}
    texts: list[str] = []
    for part, text in _said(path, known):
        parts.setdefault(part, {}).update(dict.fromkeys(known.listed(text)))
        texts.append(text)
    found = {part: tuple(scenes) for part, scenes in parts.items() if scenes}
    if len(parts) > 1 and not found and SPLIT_WORD.search(path.stem):
        raise DatasetError(
            f"{path}: it says parts, but of no scene, such as {examples(texts[:2])}; scenes are "
            f"called {examples(sorted(known.names)[:2])}"
        )
    return found


def _said(path: Path, known: SceneNames) -> Said:
    try:
        if path.stat().st_size > MAX_BYTES:
            return iter(())
        text = read_bytes(path).decode("utf-8-sig")
        suffix = path.suffix.lower()
        if suffix in (".json", ".jsonl"):
            document = json.loads(text) if suffix == ".json" else _lines_of_json(text)
            part = part_of(path.stem) if _is_list_of_names(document) else ""
            return _in_json(document, part, known)
    except (OSError, ValueError, RecursionError):
        return iter(())
    return _in_yaml(text) if suffix in KEYED else _in_table(text, known)


def _lines_of_json(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line]


def _is_list_of_names(document: Any) -> bool:
    """Whether it is a list of texts, or of records of nothing but texts, as of paths."""
    rows = document if isinstance(document, list) else []
    rows = [[*row.values()] if isinstance(row, dict) else [row] for row in rows]
    return bool(rows) and all(isinstance(value, str) for row in rows for value in row)


def _in_json(node: Any, part: str, known: SceneNames) -> Said:
    """Of texts below a word for a part, and of records and pairs that say a part themselves."""
    if isinstance(node, str):
        if part:
            yield part, node
    elif isinstance(node, list):
        for inner in node:
            yield from _in_json(inner, part, known)
    elif isinstance(node, dict):
        part = part_of_record(node) or part
        for key, inner in node.items():
            if isinstance(inner, str) and (said := _part_word(inner)) and known.listed(key):
                yield said, key
            else:
                yield from _in_json(inner, part_of(key) or part, known)


def _part_word(value: Any) -> str:
    """The part that a single word says."""
    return part_of(value) if isinstance(value, str) and WORD.fullmatch(value.strip()) else ""


def _in_yaml(text: str) -> Said:
    """Of the keys and lists that such files have; see `data_yaml`."""
    part = ""
    for line in text.split("\n"):
        if match := KEY.match(line):
            part = part_of(match[1]) or ("" if line[:1].strip() else part)
            line = match[2]
        for word in re.split(r"[,\[\]]|^\s*-\s", line) if part else ():
            if bare := word.strip().strip("\"'"):
                yield part, bare


def _in_table(text: str, known: SceneNames) -> Said:
    """Of the column in which at least half of the lines have a word for a part, or of headed ones.

    A headed column is called like a part, and holds names, or 1 and 0 beside a name.
    """
    rows = [_cells(line) for line in text.splitlines() if line.strip()]
    rows = [row for row in rows if len(row) > 1]
    if not rows:
        return
    width = max(map(len, rows))
    columns = [[_part_word(row[k]) if k < len(row) else "" for row in rows] for k in range(width)]
    at = max(range(width), key=lambda k: sum(map(bool, columns[k])))
    if 2 * sum(map(bool, columns[at])) < len(rows):
        yield from _in_headed(rows, known)
        return
    for row, part in zip(rows, columns[at], strict=True):
        others = [cell for k, cell in enumerate(row) if k != at]
        if part and others:
            yield part, next(filter(known.listed, others), others[0])


def _in_headed(rows: list[list[str]], known: SceneNames) -> Said:
    if any(map(known.listed, rows[0])):
        return
    parts = {k: part for k, cell in enumerate(rows[0]) if (part := part_of(cell))}
    for row in rows[1:]:
        names = [cell for k, cell in enumerate(row) if k not in parts and known.listed(cell)]
        for k, part in parts.items():
            cell = row[k] if k < len(row) else ""
            is_flag = bool(names) and cell.casefold() in YES
            yield part, names[0] if is_flag else cell


def _cells(line: str) -> list[str]:
    """The columns of a line, by commas, semicolons or tabs, else by blanks."""
    found = re.search(r"[,;\t]", line)
    if found is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=found[0]), [])]

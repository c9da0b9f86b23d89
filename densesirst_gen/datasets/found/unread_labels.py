"""Files that may say where targets are, in a grammar that no layout reads: they are named."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from densesirst_gen.datasets.found.inventory import Inventory, counted
from densesirst_gen.datasets.notes import spread
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.parts.part_tables import part_tables
from densesirst_gen.datasets.parts.split_words import part_of

SETTINGS = re.compile(
    r"config|setting|package|manifest|metric|score|(^|[_-])logs?([_-]|$)|loss|history|time|license"
    r"|readme|requirement|^(sky|plans|recipe|library|summary|dataset_info)$|\.aux$"
    r"|^(label_?map|_?class(es|_?names|_?dict|_?colou?rs)?|colou?r_?map|palette)$",
    re.I,
)
"""Of names of files that hold no labels; ours are among them."""
NEVER = (".yaml", ".yml", ".toml")
N_SAMPLED = 4
N_LINES = 20
ENOUGH, ENOUGH_IN_A_LIST = 2, 4
"""Numbers of a line that may be a point or a box, and of one that names a scene in a list."""


def unread_labels(inventory: Inventory, known: SceneNames) -> list[str]:
    """Notes on texts that may be labels and are not read, by suffix, with a count and an example.

    Parameters
    ----------
    inventory : Inventory
    known : SceneNames
        The scenes of the dataset.

    Returns
    -------
    list of str
        Told are JSON and XML of no known kind, and tables and texts that are called like a scene or
        hold rows of numbers; not those that say the parts of the dataset, nor settings and logs.
    """
    texts = [path for path in inventory.texts if path.suffix.lower() not in NEVER]
    found = [path for path in texts if known.listed(path.stem) or not SETTINGS.search(path.stem)]
    found += _rows(inventory.lists, known)
    tables = {path for path, _ in part_tables(inventory.root, found, known.names).values()}
    by_suffix: dict[str, list[Path]] = defaultdict(list)
    for path in found:
        if path not in tables:
            by_suffix[path.suffix.lower()].append(path)
    return [
        f"not read, {suffix or 'text'} files that may be labels: {counted(paths, inventory.root)}"
        for suffix, paths in sorted(by_suffix.items())
    ]


def _rows(files: Iterable[Path], known: SceneNames) -> list[Path]:
    """Texts like labels; of many in one folder a sample tells."""
    folders: dict[tuple[Path, str, bool], list[Path]] = defaultdict(list)
    for path in files:
        of_scene = known.owns(path.stem)
        if of_scene or not SETTINGS.search(path.stem):
            folders[path.parent, path.suffix.lower(), of_scene].append(path)
    return [
        path
        for (_, _, of_scene), paths in folders.items()
        for path in _alike(paths, known, of_scene)
    ]


def _alike(paths: list[Path], known: SceneNames, of_scene: bool) -> list[Path]:
    if not of_scene:
        return [path for path in paths[: 8 * N_SAMPLED] if _holds_numbers(path, known)]
    sample = spread(paths, N_SAMPLED)
    return paths if any(map(_lines, sample)) else []


def _holds_numbers(path: Path, known: SceneNames) -> bool:
    lines = _lines(path)
    is_list = bool(part_of(path.stem)) and not known.owns(path.stem)
    n_rows = sum(_n_numbers(line) >= _enough(line, known, is_list=is_list) for line in lines)
    return n_rows > 0 and 2 * n_rows >= len(lines)


def _enough(line: str, known: SceneNames, *, is_list: bool) -> int:
    return ENOUGH_IN_A_LIST if is_list and known.listed(line) else ENOUGH


def _n_numbers(line: str) -> int:
    return sum(map(_is_number, re.split(r"""[\s,;:=|"'(){}\[\]]+""", line)))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _lines(path: Path) -> list[str]:
    """The first lines that hold something; none of a file that is no text."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return [line for line in islice(file, N_LINES) if line.strip()]
    except (OSError, UnicodeDecodeError):
        return []

"""Masks that hold several classes or numbers of segments: they can't be read as one target mask."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from densesirst_gen.datasets.found.inventory import Inventory, relative_path
from densesirst_gen.datasets.notes import spread
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.images.codec import CodecError, read_image, read_mask
from densesirst_gen.files.regular import read_bytes

CLASS_LISTS = ("labelmap.txt", "class_names.txt", "label_names.txt", "classes.txt", "_classes.csv")
"""What CVAT, labelme and Roboflow write beside their masks."""
NO_CLASS = re.compile(r"^_*(background|bg|ignored?|void|unlabell?ed|pixel value)_*$", re.I)
SEGMENTS = b'"segments_info"'
MAX_BYTES = 100_000_000
N_LOOKED_AT = 16
N_COLOURS = 256
VOID = 255


def check_one_class(inventory: Inventory, masks: Collection[Path]) -> None:
    """Refuse masks that hold more than targets, where what lies beside them says so.

    Parameters
    ----------
    inventory : Inventory
    masks : collection of Path
        Of targets; a sample of them is looked at.

    Raises
    ------
    DatasetError
        If a panoptic COCO file lies beside them; or if a list of classes names several and a mask
        holds several values.
    """
    for path in inventory.labels.get("COCO", []):
        if _is_panoptic(path):
            raise DatasetError(
                f"{path}: panoptic COCO, its images hold numbers of segments and no masks; export "
                "instances, or pass it over with --ignore (ignore=)"
            )
    several = (p for p in spread(sorted(masks), N_LOOKED_AT) if len(_values(p)) > 1)
    for path in inventory.lists if (mask := next(several, None)) else ():
        if path.name in CLASS_LISTS and len(names := _classes(path)) > 1:
            raise DatasetError(
                f"{path}: several classes ({examples(names)}), and masks of several, such as "
                f"{mask}: give masks of targets only, or take all for targets by --ignore "
                f"{path.name}"
            )


def check_ties(root: Path, ties: Sequence[tuple[Path, Path]]) -> None:
    """Refuse masks of the same images that differ, where nothing tells which are meant.

    Parameters
    ----------
    root : Path
    ties : sequence of (Path, Path)
        See `pairing.Pairing`; a sample of them is looked at.

    Raises
    ------
    DatasetError
        If what is on differs in a pair.
    """
    for one, other in spread(sorted(ties), N_LOOKED_AT):
        try:
            alike = np.array_equal(read_mask(one).array, read_mask(other).array)
        except CodecError:
            continue
        if not alike:
            names = (relative_path(path, root) for path in (one, other))
            raise DatasetError(
                f"{root}: several masks of an image that differ ({examples(names)}); which are "
                "meant? --masks DIR (masks=) says it"
            )


def _is_panoptic(path: Path) -> bool:
    return path.stat().st_size <= MAX_BYTES and SEGMENTS in read_bytes(path)


def _values(path: Path) -> set[object]:
    """The indices, levels or colours of a mask but those of background and void."""
    try:
        with Image.open(path) as image:
            found: set[object] = {value for _, value in image.getcolors(N_COLOURS) or []}
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        found = _numbers(path)
    return {v for v in found if (any(v[:3]) if isinstance(v, tuple) else v)} - _void(found)


def _numbers(path: Path) -> set[object]:
    """The values of an array or another image that Pillow does not read, unless they are many."""
    try:
        values = np.unique(read_image(path).array).tolist()
    except CodecError:
        return set()
    return set(values) if len(values) <= N_COLOURS else set()


def _void(values: Iterable[object]) -> set[object]:
    """255, where there are numbers of classes beside it."""
    return {VOID} if len({v for v in values if v not in (0, VOID)}) else set()


def _classes(path: Path) -> list[str]:
    """Names in a list of classes, one a line, in the first column or behind a number."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    rows = [re.split(r"[:,]", line) for line in lines if line.strip() and line[0] != "#"]
    words = [row[1] if row[0].strip().isdigit() and len(row) > 1 else row[0] for row in rows]
    names = [word.strip() for word in words]
    return [n for n in names if n and not NO_CLASS.match(n)]

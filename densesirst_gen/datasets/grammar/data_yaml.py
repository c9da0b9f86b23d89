"""``data.yaml`` of YOLO: the names of classes, and where the parts are.

Only what such files have is understood of YAML: keys with a text, ``[a, b]``, or lines of ``- a``
or ``0: a`` below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from densesirst_gen.files.regular import read_bytes

PARTS = ("train", "val", "test")
CLASS_LISTS = ("classes.txt", "obj.names", "predefined_classes.txt")
MAX_BYTES = 1_000_000


@dataclass(frozen=True, eq=False)
class DataYaml:
    """What is said of a dataset of YOLO.

    Parameters
    ----------
    names : dict of int to str
        Of the classes.
    parts : dict of str to list of str
        train, val, test -> folders or lists, POSIX, as written.
    is_pose : bool
        Whether its lines are boxes with keypoints.
    """

    names: dict[int, str] = field(default_factory=dict)
    parts: dict[str, list[str]] = field(default_factory=dict)
    is_pose: bool = False


def read_data_yaml(root: Path) -> DataYaml:
    """The one YAML file of a folder that names classes; else its list of classes; else nothing."""
    for path in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        found = _keys(_text(path))
        if "names" in found:
            base = "".join(found.get("path", []))
            parts = {part: [_joined(base, p) for p in found.get(part, [])] for part in PARTS}
            used = {part: places for part, places in parts.items() if places}
            return DataYaml(_numbered(found["names"]), used, "kpt_shape" in found)
    for path in (place / name for place in (root, root / "labels") for name in CLASS_LISTS):
        if path.is_file():
            return DataYaml(dict(enumerate(_text(path).split("\n"))))
    return DataYaml()


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig") if path.stat().st_size < MAX_BYTES else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _keys(text: str) -> dict[str, list[str]]:
    """Key -> its values; those of ``0: a`` keep the number."""
    found: dict[str, list[str]] = {}
    key = ""
    for raw in text.split("\n"):
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        if match := re.match(r"([A-Za-z_]+)\s*:\s*(.*)$", line):
            key = match[1]
            found[key] = _values(match[2])
        elif key and (match := re.match(r"\s*-\s+(.+)$|\s+(\d+\s*:.+)$", line)):
            found[key].append(_bare(match[1] or match[2]))
    return found


def _values(text: str) -> list[str]:
    """Of what stands behind a key: ``[a, b]``, ``{0: a}``, or one text."""
    text = text.strip()
    if text[:1] in ("[", "{"):
        return [_bare(part) for part in text.strip("[]{}").split(",") if part.strip()]
    return [_bare(text)] if text else []


def _bare(text: str) -> str:
    return text.strip().strip("\"'").strip()


def _numbered(values: list[str]) -> dict[int, str]:
    pairs = [re.match(r"(\d+)\s*:\s*(.+)$", value) for value in values]
    if values and all(pairs):
        return {int(pair[1]): _bare(pair[2]) for pair in pairs if pair}
    return dict(enumerate(values))


def _joined(base: str, place: str) -> str:
    return f"{base}/{place}".replace("\\", "/") if base else place.replace("\\", "/")

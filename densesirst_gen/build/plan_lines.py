"""Lines of ``plans.jsonl``: the form of each is checked before anything is done with it."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.files.atomic import OutputError
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.plan import COLUMNS, PASTE, PastePlan
from densesirst_gen.settings import ConfigError

PLANS = "plans.jsonl"
MAX_LINE = 200_000_000
"""Bytes; the line of an image with 10,000 pasted targets has about 10 million."""
MOST = 2**31
"""Of whole numbers."""
MAX_PATCH = 256
"""px, of `PasteConfig.patch_px`: a target is small."""
DTYPES = ("|u1", "<u2", "<f4")

Rule = tuple[str, Callable[[Any], bool], str]


@dataclass(frozen=True)
class PlanLine:
    """A line of ``plans.jsonl``.

    Parameters
    ----------
    number : int
        From 1.
    offset : int
        Of its first byte in the file.
    values : dict
        What it says; empty if its form is wrong.
    problem : str
        What is wrong with its form; else empty.
    """

    number: int
    offset: int
    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def plan_lines(path: Path, offset: int = 0) -> Iterator[PlanLine]:
    """The lines of a file of plans, one in memory at a time.

    Parameters
    ----------
    path : Path
    offset : int
        Where to begin; lines are counted from there.

    Raises
    ------
    OutputError
        If it is no regular file.
    """
    if not path.is_file():
        raise OutputError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    with open(path, "rb") as file:
        file.seek(offset)
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            yield _parsed(number, offset, line)
            offset = file.tell()


def read_plans(root: Path) -> Iterator[dict[str, Any]]:
    """What the lines of a dataset's ``plans.jsonl`` say.

    Raises
    ------
    OutputError
        If the file is missing, or at the first line that is not a plan.
    """
    for line in plan_lines(root / PLANS):
        if line.problem:
            raise OutputError(f"{root / PLANS}, line {line.number}: {line.problem}")
        yield line.values


def _parsed(number: int, offset: int, line: bytes) -> PlanLine:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        return PlanLine(number, offset, problem=f"not JSON ({error})")
    problem = form_fault(values)
    return PlanLine(number, offset, {} if problem else values, problem)


def form_fault(values: Any) -> str:
    """What is wrong with the form of a line's values; empty if nothing is.

    After that, `PastePlan.from_json` takes them, and `below` gives the pixels below the patches.
    """
    if not isinstance(values, dict):
        return f"not an object but {_shown(values)}"
    fault = _broken(values, RULES, "")
    if fault:
        return fault
    if not _is_reach(values.get("reach", 1)):
        return f"reach is {_shown(values['reach'])}, not a number above 0 to 1"
    if not _is_regions(values.get("kept_free", [])):
        return f"kept_free must be a list of x0 y0 x1 y1, got {_shown(values['kept_free'])}"
    for k, row in enumerate(values["pastes"]):
        fault = _broken(row, ROW_RULES, f"paste {k}: ")
        if fault:
            return fault
    return _config_fault(values["config"]) or _under_fault(values)


def _broken(values: Mapping[str, Any], rules: tuple[Rule, ...], place: str) -> str:
    for name, holds, words in rules:
        if name not in values:
            return f"{place}it has no {name}"
        if not holds(values[name]):
            return f"{place}{name} must be {words}, got {_shown(values[name])}"
    return ""


def _config_fault(config: Mapping[str, Any]) -> str:
    try:
        patch_px = PasteConfig.from_dict(config).patch_px
    except (ConfigError, TypeError, OverflowError) as error:
        return f"config: {error}"
    return f"config: patch_px is {patch_px}, at most {MAX_PATCH}" * (patch_px > MAX_PATCH)


def _under_fault(values: Mapping[str, Any]) -> str:
    patch_px = values["config"].get("patch_px", PasteConfig.patch_px)
    wanted = len(values["pastes"]) * patch_px**2 * np.dtype(values["dtype"]).itemsize
    try:
        n_bytes = len(base64.b64decode(values["under"], validate=True))
    except (binascii.Error, ValueError) as error:
        return f"under must be base64 ({error})"
    if n_bytes == wanted:
        return ""
    return f"under holds {n_bytes} bytes, the pixels below its pastes are {wanted}"


def below(values: Mapping[str, Any], plan: PastePlan) -> np.ndarray:
    """(N, P, P) pixels of the background below every patch of a checked line."""
    shape = (len(plan), plan.config.patch_px, plan.config.patch_px)
    return np.frombuffer(base64.b64decode(values["under"]), values["dtype"]).reshape(shape)


def misfit(plan: PastePlan, shape: tuple[int, int], n_donors: int) -> str:
    """The first paste of a plan that an image and a library have no room for; empty if none.

    Parameters
    ----------
    plan : PastePlan
    shape : (int, int)
        (H, W) of the image.
    n_donors : int
        Of the library.
    """
    pastes, patch_px = plan.pastes, plan.config.patch_px
    for k, paste in enumerate(pastes):
        row, col, height, width = (int(paste[n]) for n in ("row", "col", "height", "width"))
        if paste["donor"] >= n_donors:
            return f"paste {k}: donor is {paste['donor']}, the library has {n_donors}"
        if not (1 <= height <= patch_px and 1 <= width <= patch_px):
            return f"paste {k}: its patch is {height} x {width}, at most {patch_px} wide and high"
        if row + height > shape[0] or col + width > shape[1]:
            return f"paste {k}: its patch at ({row}, {col}) leaves the image of {shape}"
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < MOST


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)


def _is_regions(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)) for box in value
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_pair(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(holds, value))


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_whole, value.values()))


def _are_windows(value: Any) -> bool:
    return isinstance(value, list) and all(_is_pair(v, _is_whole) for v in value)


def _are(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(v, kind) for v in value)


def _are_levels(value: Any) -> bool:
    return _is_pair(value, _is_number) and value[0] < value[1]


def _is_reach(value: Any) -> bool:
    return _is_number(value) and 0 < value <= 1


def _is_confidence(value: Any) -> bool:
    return value is None or (_is_number(value) and 0 <= value <= 1)


WHOLE = f"a whole number from 0, below {MOST}"
RULES: tuple[Rule, ...] = (
    *((n, _is_text, "text") for n in ("name", "scene", "source", "skip_reason", "sky", "under")),
    *((n, _is_whole, WHOLE) for n in ("requested", "n_original", "copy")),
    ("config", lambda value: isinstance(value, dict), "an object"),
    ("dropped", _are_counts, "an object of whole numbers"),
    ("windows", _are_windows, f"a list of [row, col], each {WHOLE}"),
    ("pastes", _are(dict), "a list of objects"),
    ("levels", _are_levels, "[black, white], finite, black < white"),
    ("dtype", lambda value: value in DTYPES, f"one of {', '.join(DTYPES)}"),
    ("pixel_sha256", _is_text, "text"),
    ("inputs", _are(str), "a list of texts"),
    ("sky_confidence", _is_confidence, "null or a number from 0 to 1"),
)
ROW_RULES: tuple[Rule, ...] = (
    *((n, _is_whole, WHOLE) for n in COLUMNS if PASTE[n].kind == "i"),
    *((n, _is_number, "a finite number") for n in COLUMNS if PASTE[n].kind == "f"),
    ("source", _is_text, "text"),
)

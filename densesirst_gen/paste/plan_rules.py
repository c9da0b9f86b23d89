"""What the plain values of a plan must be, before anything is made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from densesirst_gen.settings import SHOWN

MOST = 2**31 - 1
"""Of any number in a plan, so that no sum of them overflows."""
PARTS: dict[str, tuple[type, str]] = {
    "scene": (str, "text"),
    "config": (Mapping, "a table"),
    "requested": (int, "a whole number"),
    "dropped": (Mapping, "a table"),
    "skip_reason": (str, "text"),
    "windows": (list, "a list"),
    "pastes": (list, "a list"),
}
LEAST = {"label": 1, "height": 1, "width": 1, "sigma_x": 1e-6, "sigma_y": 1e-6}
"""Of a row; other whole numbers are at least 0, others anything finite."""


class PlanError(ValueError):
    """Values that are no plan; the message says which rule they break."""


def check_plan(values: Any) -> None:
    """Raise PlanError unless the values have the parts of a plan; rows are left to `check_row`."""
    if not isinstance(values, Mapping):
        raise PlanError(f"a plan must be a table of names and values, got {SHOWN.repr(values)}")
    for name, (kind, words) in PARTS.items():
        value = values.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            _refuse("a plan", name, words, value)
    place = f"plan of {SHOWN.repr(values['scene'])}"
    if not len(values["pastes"]) <= values["requested"] <= MOST:
        least = len(values["pastes"])
        _refuse(place, "requested", f"at least {least}, its pastes", values["requested"])
    for reason, n in values["dropped"].items():
        if not _is_within(n, True, 0):
            _refuse(place, f"dropped {SHOWN.repr(reason)}", "a whole number >= 0", n)
    for window in values["windows"]:
        is_pair = isinstance(window, list | tuple) and len(window) == 2
        if not is_pair or not all(_is_within(v, True, 0) for v in window):
            _refuse(place, "a window", "[row, col], whole numbers >= 0", window)


def check_row(row: Any, columns: Mapping[str, bool], patch_px: int, place: str) -> None:
    """Raise PlanError unless a row has all columns, with values that they can hold.

    Parameters
    ----------
    row : mapping
    columns : mapping of str to bool
        Name -> whether it holds whole numbers.
    patch_px : int
        The most of height and width.
    place : str
        Which row it is, for the message.
    """
    if not isinstance(row, Mapping):
        raise PlanError(f"{place} must be a table of names and values, got {SHOWN.repr(row)}")
    for name, is_whole in columns.items():
        least = LEAST.get(name, 0 if is_whole else -MOST)
        most = patch_px if name in ("height", "width") else MOST
        if not _is_within(row.get(name), is_whole, least, most):
            kind = "a whole number" if is_whole else "a number"
            _refuse(place, name, f"{kind} in [{least:g}, {most:g}]", row.get(name))


def _is_within(value: Any, is_whole: bool, least: float, most: float = MOST) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
        return False
    return least <= value <= most and (isinstance(value, int) or math.isfinite(value))


def _refuse(place: str, name: str, rule: str, value: Any) -> None:
    got = "nothing" if value is None else SHOWN.repr(value)
    raise PlanError(f"{place}: {name} must be {rule}, got {got}")

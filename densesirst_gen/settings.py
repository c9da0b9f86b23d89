"""Checked settings: frozen records whose fields carry a default, a meaning and a rule."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from reprlib import Repr
from typing import Any, Self

DEPTH = 3
"""How deeply lists are looked into; no setting is deeper."""
SHOWN = Repr()
SHOWN.maxlevel, SHOWN.maxtuple, SHOWN.maxlist, SHOWN.maxdict = 4, 12, 12, 4
SHOWN.maxstring = SHOWN.maxlong = SHOWN.maxother = 80


class ConfigError(ValueError):
    """A setting that breaks its rule; the message names the field, the rule and the value."""


class UnknownSettingError(ConfigError):
    """A setting that there is not.

    Parameters
    ----------
    name : object
    known : iterable of str
        The names that there are.
    """

    def __init__(self, name: object, known: Iterable[str]) -> None:
        super().__init__(f"unknown setting {SHOWN.repr(name)}; known: {', '.join(known)}")
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfigError, self.args


def option(
    default: Any,
    text: str,
    *,
    among: tuple[Any, ...] = (),
    low: float = -math.inf,
    high: float = math.inf,
) -> Any:
    """A field of `Settings` with one value.

    Parameters
    ----------
    default : object
        Its type is the value's type; None for text that may be missing.
    text : str
        What it means, for the command line's help.
    among : tuple
        The values allowed, if few.
    low, high : float
        Of a number, both included.
    """
    return field(default=default, metadata={"help": text, "among": among, "range": (low, high)})


def drawn(
    default: tuple[float, float],
    text: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float | None = None,
    degrees: bool = False,
) -> Any:
    """A field of `Settings` with a range (low, high) that is drawn from.

    One number x stands for (x, x).

    Parameters
    ----------
    default : tuple
        Of whole numbers, or of numbers: the range is, too.
    text : str
        See `option`.
    low, high : float
        Ends of the range lie between them, both included.
    above : float, optional
        In place of `low`, itself not included.
    degrees : bool
        Radians in memory, degrees in dictionaries and files.
    """
    limits = {"range": (low if above is None else above, high), "above": above is not None}
    return field(
        default=default,
        metadata={"help": text, "among": (), **limits, "drawn": True, "degrees": degrees},
    )


@dataclass(frozen=True)
class Settings:
    """A frozen record whose fields are made by `option` and `drawn`.

    Raises
    ------
    ConfigError
        If a value breaks the rule of its field.
    """

    def __post_init__(self) -> None:
        for f in fields(self):
            value = _normal(f, getattr(self, f.name))
            object.__setattr__(self, f.name, value)
            if not _fits(f, value):
                self.refuse(f.name, _rule(f))

    def refuse(self, name: str, rule: str) -> None:
        """Raise the error of field `name`."""
        f = next(f for f in fields(self) if f.name == name)
        shown = _shown(f, getattr(self, name))
        raise ConfigError(f"{type(self).__name__}.{name} must be {rule}, got {shown}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and TOML, angles in degrees."""
        return {f.name: _to_file(f, getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], base: Self | None = None) -> Self:
        """Settings from plain values (angles in degrees), the rest from `base` or the default.

        Raises
        ------
        ConfigError
            If a name is unknown or a value breaks its rule.
        """
        known = {f.name: f for f in fields(cls)}
        if not isinstance(values, Mapping):
            raise ConfigError(f"settings must be names with values, got {SHOWN.repr(values)}")
        for name in values:
            if name not in known:
                raise UnknownSettingError(name, known)
        parsed = {name: _from_file(known[name], value) for name, value in values.items()}
        return replace(base or cls(), **parsed)


def _normal(f: Field[Any], value: Any) -> Any:
    """Lists become tuples, numpy's numbers Python's; one number a range, where one is asked for."""
    value = _plain(value)
    if "drawn" in f.metadata and _is_number(value):
        return (value, value)
    return _as_tuple(value)


def _plain(value: Any) -> Any:
    """A number or array of numpy as Python's own."""
    return value.tolist() if hasattr(value, "tolist") and hasattr(value, "dtype") else value


def _as_tuple(value: Any, depth: int = DEPTH) -> Any:
    value = _plain(value)
    if depth == 0 or not isinstance(value, list | tuple):
        return value
    return tuple(_as_tuple(inner, depth - 1) for inner in value)


def _fits(f: Field[Any], value: Any) -> bool:
    if f.metadata["among"]:
        return any(type(value) is type(v) and value == v for v in f.metadata["among"])
    if f.default is None:
        return value is None or isinstance(value, str)
    if "drawn" in f.metadata:
        is_pair = isinstance(value, tuple) and len(value) == 2
        return is_pair and all(_is_within(f, v) for v in value) and value[0] <= value[1]
    if _is_number(f.default):
        return _is_within(f, value)
    return type(value) is type(f.default)


def _is_within(f: Field[Any], value: Any) -> bool:
    """Whether it is a number as the field holds them, whole or not, within its limits."""
    low, high = f.metadata["range"]
    if not _is_number(value) or (_is_whole(f) and not isinstance(value, int)):
        return False
    return low <= value <= high and not (value == low and f.metadata.get("above"))


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max  # NaN is not, nor an int beyond it


def _is_whole(f: Field[Any]) -> bool:
    default: Any = f.default
    return isinstance(default[0] if "drawn" in f.metadata else default, int)


def _rule(f: Field[Any]) -> str:
    if f.metadata["among"]:
        return "one of " + ", ".join(map(repr, f.metadata["among"]))
    if f.default is None:
        return "text or None"
    if "drawn" in f.metadata:
        return f"(low, high){', whole numbers' * _is_whole(f)} with {_limits(f, 'low <= high')}"
    if isinstance(f.default, bool):
        return "true or false"
    if not _is_number(f.default):
        return f"a {type(f.default).__name__}"
    low, high = f.metadata["range"]
    ends = f" in [{low:g}, {high:g}]" if math.isfinite(high) else f" >= {low:g}"
    return ("a whole number" if _is_whole(f) else "a number") + ends * math.isfinite(low)


def _limits(f: Field[Any], middle: str) -> str:
    low, high = f.metadata["range"]
    in_degrees = f.metadata.get("degrees")
    low, high = map(math.degrees, (low, high)) if in_degrees else (low, high)
    least = f"{low:g} {'<' if f.metadata['above'] else '<='} " if math.isfinite(low) else ""
    unit = " degrees" * bool(in_degrees)
    return least + middle + (f" <= {high:g}{unit}" if math.isfinite(high) else "")


def _shown(f: Field[Any], value: Any) -> str:
    """A value in a message, as a file would have it."""
    is_angle = f.metadata.get("degrees") and isinstance(value, tuple)
    if is_angle and all(map(_is_number, value)):
        return SHOWN.repr(tuple(_to_file(f, value)))
    return SHOWN.repr(value)


def _to_file(f: Field[Any], value: Any) -> Any:
    if f.metadata.get("degrees"):
        return [round(math.degrees(v), 9) for v in value]
    return list(value) if isinstance(value, tuple) else value


def _from_file(f: Field[Any], value: Any) -> Any:
    value = _normal(f, value)
    if f.metadata.get("degrees") and isinstance(value, tuple) and all(map(_is_number, value)):
        return tuple(math.radians(v) for v in value)
    return value

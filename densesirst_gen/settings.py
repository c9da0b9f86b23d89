"""Checked settings: frozen records whose fields carry a rule, a help text and a default."""

from __future__ import annotations

import math
from dataclasses import Field, dataclass, field, fields
from typing import Any


class ConfigError(ValueError):
    """A setting that breaks its rule; the message names the field, the rule and the value."""


def option(
    default: Any,
    text: str,
    *,
    among: tuple[Any, ...] = (),
    low: float = -math.inf,
    high: float = math.inf,
) -> Any:
    """A field of a `DetectorConfig`.

    Parameters
    ----------
    default : object
        Its type is the value's type; None for text that may be missing.
    text : str
        For the command line's help.
    among : tuple
        The values allowed, if few.
    low, high : float
        Of a number, both included.
    """
    return field(default=default, metadata={"help": text, "among": among, "range": (low, high)})


@dataclass(frozen=True)
class DetectorConfig:
    """Settings of a detector: a frozen record whose fields are made by `option`.

    Raises
    ------
    ConfigError
        If a value breaks the rule of its field; the message names field, rule and value.
    """

    def __post_init__(self) -> None:
        for f in fields(self):
            value = _as_tuple(getattr(self, f.name))
            object.__setattr__(self, f.name, value)
            if not _fits(f, value):
                self.refuse(f.name, _rule(f))

    def refuse(self, name: str, rule: str) -> None:
        """Raise the error of field `name`."""
        raise ConfigError(
            f"{type(self).__name__}.{name} must be {rule}, got {getattr(self, name)!r}"
        )


def _as_tuple(value: Any) -> Any:
    """Lists, as JSON has them, become tuples."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list | tuple) else value


def _fits(f: Field[Any], value: Any) -> bool:
    low, high = f.metadata["range"]
    if f.metadata["among"]:
        return any(
            value == allowed and type(value) is type(allowed) for allowed in f.metadata["among"]
        )
    if f.default is None:
        return value is None or isinstance(value, str)
    if isinstance(f.default, float):
        return type(value) in (int, float) and low <= value <= high
    return type(value) is type(f.default) and (type(value) is not int or low <= value <= high)


def _rule(f: Field[Any]) -> str:
    if f.metadata["among"]:
        return "one of " + ", ".join(map(repr, f.metadata["among"]))
    if f.default is None:
        return "text or None"
    kinds = {bool: "true or false", int: "a whole number", float: "a number"}
    kind = kinds.get(type(f.default), f"a {type(f.default).__name__}")
    low, high = f.metadata["range"]
    least = f", at least {low:g}" if math.isfinite(low) else ""
    return kind + least + (f", at most {high:g}" if math.isfinite(high) else "")

"""Settings: every field is checked by name, and survives a dictionary."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest

from densesirst_gen.settings import ConfigError, Settings, drawn, option


@dataclass(frozen=True)
class Some(Settings):
    number: float = option(0.5, "a number", low=0, high=1)
    count: int = option(3, "a count", low=1)
    flag: bool = option(True, "a flag")
    path: str | None = option(None, "a path")
    kind: str = option("a", "a kind", among=("a", "b"))
    three: bool | None = option(None, "not said, yes, no", among=(None, True, False))
    pairs: tuple = option((), "pairs")
    counts: tuple = drawn((1, 2), "counts", low=1)
    share: tuple = drawn((0.5, 1.0), "a share", above=0, high=1)
    turn: tuple = drawn((0.0, 1.0), "an angle", degrees=True)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"number": 1.5}, r"a number in \[0, 1\], got 1.5"),
        ({"number": True}, "a number .*, got True"),
        ({"number": float("nan")}, "a number .*, got nan"),
        ({"count": 0}, "a whole number >= 1, got 0"),
        ({"count": 2.0}, "a whole number .*, got 2.0"),
        ({"flag": 1}, "true or false, got 1"),
        ({"path": 3}, "text or None, got 3"),
        ({"kind": "c"}, "one of 'a', 'b', got 'c'"),
        ({"three": 1}, "one of None, True, False, got 1"),
        ({"pairs": 3}, "a tuple, got 3"),
        ({"number": float("inf")}, "a number .*, got inf"),
        ({"counts": (0, 2)}, r"\(low, high\), whole numbers with 1 <= low <= high, got \(0, 2\)"),
        ({"counts": (1.5, 2)}, r".*, got \(1.5, 2\)"),
        ({"counts": (1, 2, 3)}, r".*, got \(1, 2, 3\)"),
        ({"share": (0, 1)}, r"\(low, high\) with 0 < low <= high <= 1, got \(0, 1\)"),
        ({"share": (1.0, 0.5)}, r".*, got \(1.0, 0.5\)"),
        ({"share": "half"}, ".*, got 'half'"),
        ({"turn": (0.0, float("nan"))}, r"\(low, high\) with low <= high, got \(0.0, nan\)"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_named(values: dict[str, object], rule: str) -> None:
    (name,) = values
    with pytest.raises(ConfigError, match=rf"Some\.{name} must be {rule}"):
        Some(**values)


def test_settings_that_keep_their_rules() -> None:
    settings = Some(number=1, count=5, path="x", kind="b", three=False, pairs=[[1, 2], [3, 4]])
    assert settings.pairs == ((1, 2), (3, 4))


def test_one_number_is_a_range_of_one_value() -> None:
    assert Some(share=1).share == (1, 1)
    assert Some.from_dict({"turn": 90}).turn == (math.pi / 2, math.pi / 2)


def test_settings_survive_a_dictionary() -> None:
    settings = Some(count=5, pairs=((1, 2),), counts=(3, 4), turn=(-math.pi, math.pi / 2))
    assert settings.to_dict()["turn"] == [-180, 90]
    assert Some.from_dict(settings.to_dict()) == settings
    assert Some.from_dict({"count": 7}, settings) == replace(settings, count=7)

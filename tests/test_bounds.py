"""Every number that can be set has bounds, and all that is published lies within them."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from click.testing import CliRunner

from densesirst_gen.cli.build import build
from densesirst_gen.paste.config import PROFILES, PasteConfig, settings_of, toml_config
from densesirst_gen.settings import ConfigError, Settings

NAMES = ("adsnet", "bafenet", "cgranet", "eflnet", "serankdet")


def settings_types() -> list[type[Settings]]:
    pytest.importorskip("torch")
    from densesirst_gen.detection.detectors import detector_class
    from densesirst_gen.detection.training.settings import TrainConfig

    return [PasteConfig, TrainConfig, *(detector_class(name).config_type for name in NAMES)]


# row 82
def test_every_number_has_both_bounds() -> None:
    """A typo must not cost a day or all memory."""
    for kind in settings_types():
        for f in fields(kind):
            value = f.default[0] if "drawn" in f.metadata else f.default
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and not f.metadata["among"]:
                low, high = f.metadata["range"]
                assert math.isfinite(low), f"{kind.__name__}.{f.name}"
                assert math.isfinite(high), f"{kind.__name__}.{f.name}"


def test_what_is_published_lies_within_the_bounds() -> None:
    pytest.importorskip("torch")
    from tables import TABLES

    from densesirst_gen.detection.detectors import detector_class
    from densesirst_gen.detection.training.settings import RECIPES, settle

    for name in NAMES:
        kind = detector_class(name)
        for preset in kind.presets.values():
            kind.config_type(**preset)
        settle(name, RECIPES.get(name, {}))
    for table in TABLES.values():
        kind = detector_class(table.detector)
        for row in table.rows:
            options, _ = settle(table.detector, table.settings(row))
            kind.config_type(**{**kind.presets[table.preset], **options})


TOO_MUCH: list[dict[str, Any]] = [
    {"smoothest_of": 100_000_000},
    {"attempts": 10**9},
    {"n_regions": (1, 1_000_000_000)},
    {"per_region": (9, 10**6)},
    {"patch_px": 10**5, "region_px": 10**6},
    {"region_px": 100_000},
    {"gap_px": (1, 10**9)},
    {"angle": (-1e308, 1e308)},
    {"angle": (0.0, 10**400)},
    {"sigma": (1e-9, 1e-9)},
    {"sigma": (0.5, 1e308)},
    {"min_increment": 1e9},
]


@pytest.mark.parametrize("values", TOO_MUCH, ids=lambda v: "-".join(v))
def test_what_would_never_end_is_refused(values: dict[str, Any]) -> None:
    name = [*values][-1]
    with pytest.raises(ConfigError, match=rf"PasteConfig\.{name} must be .* got "):
        PasteConfig(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"n_regions": 1000, "per_region": 1000, "smoothest_of": 10},
        {"n_regions": 1000, "per_region": 100, "patch_px": 50, "region_px": 100},
    ],
)
def test_settings_that_cost_too_much_together(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"n_regions must be lower: times per_region"):
        PasteConfig(**values)


def test_angles_are_bounded_and_told_in_degrees() -> None:
    whole_turns = PasteConfig.from_dict({"angle": [-360, 360]})
    assert whole_turns.angle == (-2 * math.pi, 2 * math.pi)
    for wide in ([0, 360.1], [-1e308, 1e308], [0, 10**400]):
        with pytest.raises(ConfigError, match="-360 <= low <= high <= 360 degrees, got "):
            PasteConfig.from_dict({"angle": wide})
    with pytest.raises(ConfigError, match=r"got \(0\.0, 720\.0\)"):
        PasteConfig(angle=(0.0, 4 * math.pi))


@pytest.mark.parametrize("name", ["seed", "epochs", "batch", "size", "blur"])
def test_a_training_is_bounded_too(name: str) -> None:
    pytest.importorskip("torch")
    from densesirst_gen.detection.training.settings import TrainConfig

    with pytest.raises(ConfigError, match=rf"TrainConfig\.{name} must be .* in \["):
        TrainConfig(**{name: 10**12})


@pytest.mark.parametrize("value", [("a",), ((),), (None, 0.5), (0.4, True, "b")])
def test_milestones_of_another_kind(value: Any) -> None:
    pytest.importorskip("torch")
    from densesirst_gen.detection.training.settings import TrainConfig

    with pytest.raises(ConfigError, match=r"milestones must be"):
        TrainConfig(milestones=value)


def refusal_of(start: Settings, name: str, value: Any) -> str:
    """How a value is refused; empty if it is taken."""
    try:
        replace(start, **{name: value})
        start.from_dict({name: value})
    except ConfigError as error:
        return str(error)
    return ""


# row 53
def test_no_value_of_any_kind_breaks_a_setting() -> None:
    """It is taken, or refused by name in a short line."""
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    odd = (None, True, -1, 0, 10**400, 1e308, math.nan, math.inf, "", "x" * 10**6, b"a", {}, set())
    odd += ({"a": 1}, [], [1], (1, "a"), (None, None), ((1, "a"),) * 3, [[]], deep, object())
    for kind in settings_types():
        start = kind()
        for f in fields(kind):
            for value in odd:
                message = refusal_of(start, f.name, value)
                assert not message or f"{kind.__name__}." in message
                assert len(message) < 1000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'profile = ["a"]', r"profile must be one of bag-cp, .* got \['a'\]"),
        (b"profile = 3", "profile must be one of"),
        (b"[profile]\nname = 1", "profile must be one of"),
        (b"profile = 'bag'", "profile must be one of"),
        (b"region_px = " + b"9" * 5000, "not TOML"),
        (b"gain = " + b"[" * 100_000, "not TOML"),
        (b"\xff\xfe", "not TOML"),
        (b"gain = 1979-05-27", "gain must be"),
        (b"[gain]\nlow = 1", "gain must be"),
        (b"region_px = inf", "region_px must be"),
        (b"'a\\nb' = 1", "unknown setting"),
    ],
)
def test_a_config_file_that_is_none(content: bytes, words: str, tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=words):
        toml_config(content)
    (tmp_path / "a.toml").write_bytes(content)
    options = ["-b", "demo", "--config", str(tmp_path / "a.toml"), "--print-config"]
    done = CliRunner().invoke(build, options)
    assert done.exit_code == 2
    assert "a.toml: " in done.output


def test_flags_go_before_the_file_and_the_file_before_the_profile() -> None:
    content = b"\xef\xbb\xbfprofile = 'paper'\nregion_px = 30\npatch_px = 6"
    made = toml_config(content, None, {"patch_px": 7, "gap_px": None})
    assert made == replace(PROFILES["paper"], region_px=30, patch_px=7)
    assert toml_config(content, "release").source == "frames"


@pytest.mark.parametrize("config", [["a"], 3, "bag", ("bag-cp",), {1, 2}])
def test_a_profile_of_another_kind_in_python(config: Any) -> None:
    with pytest.raises(ConfigError, match="config must be one of bag-cp"):
        settings_of(config)


@pytest.mark.parametrize("values", [[], [1], "gain", None, {3: 4}])
def test_settings_from_what_is_no_table(values: Any) -> None:
    with pytest.raises(ConfigError):
        PasteConfig.from_dict(values)

"""Settings: every field is checked by name, and survives files and the command line."""

from __future__ import annotations

import math
import tomllib
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densesirst_gen.paste.config import PROFILES, PasteConfig, toml_text
from densesirst_gen.settings import ConfigError

WRONG: list[tuple[str, Any]] = [
    ("source", "scenes"),
    ("flatten", 1.5),
    ("flatten", math.nan),
    ("n_regions", (0, 2)),
    ("n_regions", (3, 1)),
    ("n_regions", (1.5, 2)),
    ("per_region", (12, 6)),
    ("region_px", 0),
    ("region_px", True),
    ("attempts", 0),
    ("gap_px", (0, 1)),
    ("gain", (1.0, 0.5)),
    ("gain", (0.0, 1.0)),
    ("gain", "high"),
    ("sigma", (0.0, 0.5)),
    ("offset", (-2.0, 0.0)),
    ("angle", (1.0, -1.0)),
    ("angle", (math.inf, math.inf)),
    ("mask_threshold", -0.1),
    ("min_increment", -1),
    ("normalise", 1),
    ("smoothest_of", 0),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
# row 82
def test_a_wrong_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"PasteConfig\.{name} must be "):
        PasteConfig(**{name: value})


def test_every_field_has_a_help() -> None:
    assert all(f.metadata["help"] for f in fields(PasteConfig))


# row 53
def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'lambda'"):
        PasteConfig.from_dict({"lambda": 1})


def test_a_region_must_hold_a_patch_with_its_gaps() -> None:
    with pytest.raises(ConfigError, match=r"PasteConfig\.region_px must be at least"):
        PasteConfig(region_px=6)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_profiles_survive_toml(profile: str) -> None:
    config = PROFILES[profile]
    assert PasteConfig.from_dict(tomllib.loads(toml_text(config))) == config


@given(
    st.tuples(st.integers(-180, 180), st.integers(0, 180)),
    st.floats(0.001, 1),
    st.integers(1, 9),
)
def test_values_survive_a_dictionary(angles: tuple[int, int], gain: float, n: int) -> None:
    low = math.radians(angles[0])
    turned = (low, low + math.radians(angles[1]))
    config = replace(PasteConfig(), gain=(gain, 1.0), per_region=(n, n + 3), angle=turned)
    again = PasteConfig.from_dict(config.to_dict())
    assert replace(again, angle=config.angle) == config
    assert again.angle == pytest.approx(config.angle, abs=1e-10)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        PasteConfig().region_px = 3  # type: ignore[misc]

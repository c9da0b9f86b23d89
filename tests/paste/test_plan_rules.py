"""Plans from plain values: the same plan again, or one error that names the rule."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import make_scene, round_targets

from densesirst_gen.paste.config import PROFILES, PasteConfig
from densesirst_gen.paste.extract import build_library
from densesirst_gen.paste.plan import COLUMNS, PastePlan
from densesirst_gen.paste.plan_rules import PlanError
from densesirst_gen.paste.planner import make_plan


def plan_of(config: PasteConfig = PROFILES["bag-cp"]) -> PastePlan:
    library = build_library([make_scene(targets=3), round_targets()])
    return make_plan(make_scene(), library, config, np.random.default_rng(0))


def values_of(plan: PastePlan) -> Any:
    return json.loads(json.dumps(plan.to_json()))


VALUES = values_of(plan_of())


def changed(place: tuple[Any, ...], value: Any) -> Any:
    """The values of a plan with another one at a place."""
    values = json.loads(json.dumps(VALUES))
    at = values
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    return values


@pytest.mark.parametrize("profile", ["bag-cp", "paper", "copy-paste"])
def test_every_plan_passes_its_own_rules(profile: str) -> None:
    plan = plan_of(PROFILES[profile])
    again = PastePlan.from_json(values_of(plan))
    assert len(again) == len(plan) > 0
    assert again.to_json() == plan.to_json()
    empty = PastePlan.empty("s", PROFILES[profile], 3, "no_sky")
    assert PastePlan.from_json(values_of(empty)).dropped == {"no_sky": 3}


@pytest.mark.parametrize("values", [None, [], "plan", 3, {}, [[1]], {"scene": "s"}])
def test_what_is_no_plan_at_all(values: Any) -> None:
    with pytest.raises(PlanError, match="a plan"):
        PastePlan.from_json(values)


CASES = [
    (("scene",), 3, "scene must be text, got 3"),
    (("config",), [], "config must be a table"),
    (("config", "gain"), "x", "plan of 'scene': PasteConfig.gain must be"),
    (("config", "other"), 1, "unknown setting 'other'"),
    (("requested",), "9", "requested must be a whole number"),
    (("requested",), True, "requested must be"),
    (("requested",), 1, "requested must be at least"),
    (("dropped",), None, "dropped must be a table, got nothing"),
    (("dropped",), {"no_room": -1}, "dropped 'no_room' must be a whole number"),
    (("dropped",), {"no_room": "1"}, "dropped 'no_room' must be a whole number"),
    (("skip_reason",), None, "skip_reason must be"),
    (("windows",), [[1, 2, 3]], "a window must be"),
    (("windows",), [[1, -2]], "a window must be"),
    (("windows",), [["a", 2]], "a window must be"),
    (("windows",), {"a": 1}, "windows must be a list"),
    (("pastes",), {"a": 1}, "pastes must be a list"),
    (("pastes", 2), 3, "plan of 'scene', paste 2 must be a table"),
    (("pastes", 2), {}, "paste 2: label must be a whole number .* got nothing"),
    (("pastes", 0, "row"), -1, r"row must be a whole number in \[0, "),
    (("pastes", 0, "donor"), 1.5, "donor must be a whole number"),
    (("pastes", 0, "label"), 0, r"label must be a whole number in \[1, "),
    (("pastes", 0, "height"), 6, r"height must be a whole number in \[1, 5\], got 6"),
    (("pastes", 0, "col"), 10**30, "col must be a whole number"),
    (("pastes", 0, "gain"), "1", "gain must be a number"),
    (("pastes", 0, "angle"), math.nan, "angle must be a number"),
    (("pastes", 0, "level"), math.inf, "level must be a number"),
    (("pastes", 0, "level"), 10**400, "level must be a number"),
    (("pastes", 0, "sigma_x"), 0, "sigma_x must be a number"),
    (("pastes", 0, "increment"), None, "increment must be a number .* got nothing"),
    (("pastes", 0, "gap"), [1], "gap must be"),
]


@pytest.mark.parametrize(("place", "value", "words"), CASES, ids=str)
def test_a_plan_that_breaks_a_rule(place: tuple[Any, ...], value: Any, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        PastePlan.from_json(changed(place, value))


def test_a_column_that_is_missing_is_named() -> None:
    for name in COLUMNS:
        values = changed(("scene",), "s")
        del values["pastes"][1][name]
        with pytest.raises(PlanError, match=rf"paste 1: {name} must be"):
            PastePlan.from_json(values)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [
        *((name,) for name in VALUES),
        *(("config", name) for name in VALUES["config"]),
        *(("pastes", 0, name) for name in COLUMNS),
        ("pastes", 1),
        ("windows", 0),
    ]
)


@given(PLACES, JSON)
def test_anything_anywhere_is_a_plan_or_one_error(place: tuple[Any, ...], value: Any) -> None:
    try:
        PastePlan.from_json(changed(place, value))
    except PlanError:
        return

"""A white that the image's type can't hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.paste.render import render


@pytest.mark.parametrize("white", [256, 256.0, 10_000])
def test_pastes_end_where_the_type_does(targets: TargetLibrary, white: float) -> None:
    scene = replace(make_scene(targets=0, base=240), span=(0, white))
    plan = make_plan(scene, targets, PasteConfig(), np.random.default_rng(0))
    after = render(scene, targets, plan)
    assert plan.pastes.size
    assert (after.image >= scene.image).all()

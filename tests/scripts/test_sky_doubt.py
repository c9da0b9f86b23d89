"""The cases of the script that counts doubted skies keep their truth, and its fit its sense."""

from __future__ import annotations

import numpy as np
import pytest
import sky_doubt
from sky_doubt import KINDS, Case

from densesirst_gen.sky.doubt import WEIGHTS, Signs


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_goes_with_the_image(kind: str) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(400)[:, None] < np.full(500, 200)
    gray = (0.3 + 0.5 * truth + rng.uniform(-0.1, 0.1, truth.shape)).astype(np.float32)
    pair = KINDS[kind](gray, truth, rng)
    assert pair is not None
    changed, sky = pair
    assert changed.shape == sky.shape
    assert ((changed > 0.55) == sky).mean() > (0.97 if kind == "enlarged" else 0.999)


def test_what_has_sky_in_its_last_row_has_nothing_below_it() -> None:
    rng = np.random.default_rng(0)
    assert sky_doubt.below(np.zeros((90, 90), np.float32), np.ones((90, 90), bool), rng) is None


def test_the_weights_separate_what_the_signs_separate() -> None:
    rng = np.random.default_rng(0)
    cases = [
        Case("any", "", wrong, 0.95, 1.0, Signs(*(0.1 * rng.random(2) + 0.05 * wrong)))
        for wrong in (False, True)
        for _ in range(60)
    ]
    offset, *weights = sky_doubt.weighed(cases)
    assert all(weight > 0 for weight in weights)
    assert offset > 0
    assert np.sign(weights).tolist() == np.sign(WEIGHTS).tolist()

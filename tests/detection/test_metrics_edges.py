"""Ends of metrics that the tests by hand come only near."""

from __future__ import annotations

import numpy as np

from densesirst_gen.detection.metrics.boxes import Ranked
from densesirst_gen.detection.metrics.curves import PixelCurves

NOTHING = np.zeros(0, np.int64)


def test_thresholds_are_the_levels_that_there_are() -> None:
    levels = np.array([[0, 51, 255]]) / 255
    metric = PixelCurves(256)
    curves = metric.result([metric.measure(levels, np.array([[0, 0, 1]]))])
    assert curves.thresholds.tolist() == [1, 51 / 255, 0]
    assert curves.max_f1_threshold == 1


def test_an_empty_list_has_found_nothing() -> None:
    ranked = Ranked(np.zeros(0), NOTHING, NOTHING, 3, 2)
    assert (ranked.n_true, ranked.n_found) == (0, 0)
    assert ranked.precision.shape == ranked.recall.shape == (0,)

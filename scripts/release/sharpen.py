"""The last hundredths: a fit that almost meets all intervals, moved to where it meets them.

Near a fit the pixels change linearly, so the point that keeps farthest from the ends of all
intervals is a linear programme; a few of them in a row, each from the last point.
"""

from __future__ import annotations

import numpy as np
from release.fit import MASK_WEIGHT, UNBOUNDED, Evidence, gains_and_slopes
from release.model import HIGH, LOW, THRESHOLD
from scipy.optimize import linprog

REACH, ENOUGH, ROUNDS = 0.03, 0.2, 4


def sharpened(frame: np.ndarray, evidence: Evidence, values: np.ndarray, theta: float) -> tuple:
    """Five parameters and the least distance (negative: beyond) from an end of an interval.

    ``frame`` (25,), ``evidence`` of one patch, ``theta`` in radians stays.
    """
    now, slack = values.clip(LOW, HIGH), -np.inf
    for _ in range(ROUNDS):
        matrix, limit = _conditions(frame, evidence, np.append(now, theta))
        span = [
            (max(-REACH, low - v), min(REACH, high - v))
            for low, high, v in zip(LOW, HIGH, now, strict=True)
        ]
        found = linprog(
            [0, 0, 0, 0, 0, -1], matrix, limit, bounds=[*span, (None, ENOUGH)], method="highs"
        )
        if not found.success:
            break
        now = (now + found.x[:5]).clip(LOW, HIGH)
        slack = float(found.x[5])
        if abs(found.x[:5]).max() < 1e-5:
            break
    return now, slack


def _conditions(
    frame: np.ndarray, evidence: Evidence, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows a, b with a (d, t) <= b: a step d of the parameters leaves all a distance t."""
    gains, slopes = (part[0] for part in gains_and_slopes(values[None]))
    value, slope = frame * gains, (frame * slopes[:5]).T
    low, high, sure, sign = (
        part[0] for part in (evidence.low, evidence.high, evidence.sure > 0, evidence.sign)
    )
    above, below, known = sure & (low > 0), sure & (high < UNBOUNDED), sign != 0
    side = sign[known] * MASK_WEIGHT
    rows = np.vstack([-slope[above], slope[below], -side[:, None] * slopes[:5].T[known]])
    limit = [(value - low)[above], (high - value)[below], side * (gains - THRESHOLD)[known]]
    return np.column_stack([rows, np.ones(len(rows))]), np.concatenate(limit)

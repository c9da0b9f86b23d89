"""What every metric gives: numbers, and the options that they were measured with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Result:
    """Numbers of a dataset. All are finite: a quotient 0/0 is 0, and the counts tell of it.

    Parameters
    ----------
    options : dict
        The options of the metric, by name.
    """

    options: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the arrays of curves are left out."""
        values = asdict(self)
        return {name: v for name, v in values.items() if not isinstance(v, np.ndarray)}


def share(part: float, whole: float) -> float:
    """part / whole; 0 if there is no whole."""
    return float(part / whole) if whole else 0.0


def shares(part: np.ndarray, whole: np.ndarray | float) -> np.ndarray:
    """`share` of each element, float64."""
    whole = np.asarray(whole, np.float64)
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)


def f_score(precision: float, recall: float, beta: float = 1.0) -> float:
    """F_beta, (1 + beta^2) P R / (beta^2 P + R)."""
    return share((1 + beta**2) * precision * recall, beta**2 * precision + recall)


def check_choice(metric: str, option: str, value: object, known: tuple[str, ...]) -> None:
    """ValueError if an option has none of the known values."""
    if value not in known:
        raise ValueError(f"{metric}.{option} must be one of {', '.join(known)}, got {value!r}")


def check_shapes(prob: np.ndarray, truth: np.ndarray) -> None:
    """ValueError if a map and the labels beside it differ in shape; nothing is resized."""
    if prob.shape != truth.shape or prob.ndim != 2:
        raise ValueError(f"map is {prob.shape}, labels are {truth.shape}, both must be (H, W)")

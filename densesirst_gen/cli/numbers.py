"""Numbers on the command line: never NaN or infinite, and bounded where they cost something."""

from __future__ import annotations

import math
from typing import Any

import click

MOST_JOBS = 256
"""Processes; more are a typo, each takes memory for itself."""

jobs_type = click.IntRange(1, MOST_JOBS)
workers_type = click.IntRange(0, MOST_JOBS)
seed_type = click.IntRange(0, 2**32 - 1)
side_type = click.IntRange(0, 8192)


class Finite(click.FloatRange):
    """A range of numbers. Click compares, and NaN passes every comparison."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """A number within the range, or a usage error."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number

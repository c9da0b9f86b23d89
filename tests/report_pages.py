"""A page of the report with everything on it, under any name, however evil."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.compare.fidelity import StatisticDistance

pytest.importorskip("jinja2")

from densesirst_gen.stats.report.page import report_html

EVIL = """<img src=x onerror="pwned=1">'"&<script>pwned=1</script>{{ 7*7 }}"""
GRAY, PEAK = 60, 200


def figure(title: str = "Size", caption: str = "Width and height, px.") -> SimpleNamespace:
    circle = '<circle cx="50" cy="40" r="20" fill="#648fff"/><script>pwned=1</script>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 80">{circle}</svg>'
    return SimpleNamespace(name="size", title=title, caption=caption, svg=svg)


def distance(name: str, ratio: float | None) -> StatisticDistance:
    known = None if ratio is None else 0.1
    return StatisticDistance(name, "W1", known, known, ratio, 1234.5, None)


def flat_scene(name: str = "flat") -> Scene:
    """A cluster of a cross at (60, 20) and a square at (68, 24), a single at (20, 50)."""
    image = np.full((80, 120), GRAY, np.uint8)
    mask = np.zeros(image.shape, bool)
    mask[20, 59:62] = mask[19:22, 60] = True
    mask[23:26, 67:70] = mask[50, 20] = True
    image[mask] = PEAK
    image[70:] = 0
    sky = np.zeros(image.shape, bool)
    sky[:40] = True
    return Scene(name, image, label_mask(mask), sky)


def full_page(name: str = "a/b c") -> str:
    return report_html(
        f"Data {name}",
        [(f"Targets {name}", [(f"count {name}", f"7 {name}")]), ("nothing", [])],
        [figure(f"Size {name}", f"In px. {name}")],
        [flat_scene(name), make_scene(name=f"{name}2", dtype=np.uint16)],
        comparison=[distance("mask_area", 0.5), distance(name, 9.0), distance("gap", None)],
        sentence=f"As near as can be. {name}",
    )

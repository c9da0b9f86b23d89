"""Draw the README's before/after picture from demo scenes.

python scripts/preview.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

from densesirst_gen import PasteConfig, build_library, make_plan, scene_rng
from densesirst_gen.datasets.demo import N_DEMO_SCENES, demo_scene
from densesirst_gen.paste.render import render
from densesirst_gen.scene.picture import densest_spot, mosaic, png, scene_panel, zoom_panel

SHOWN = (1, 9, 15)


def main(out: Path) -> None:
    """Each scene as a row: before, after, its densest spot, the same with its masks."""
    library = build_library(demo_scene(index) for index in range(N_DEMO_SCENES))
    rows = []
    for index in SHOWN:
        before = demo_scene(index)
        plan = make_plan(before, library, PasteConfig(), scene_rng(2, before.name))
        after = render(before, library, plan)
        spot = densest_spot(after)
        panels = [scene_panel(before, marks=False), scene_panel(after)]
        rows.append([*panels, zoom_panel(after, spot, marks=False), zoom_panel(after, spot)])
    out.write_bytes(png(mosaic(rows).quantize(128)))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "examples/before-after.png"))

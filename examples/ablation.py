"""An ablation is a loop over configs: the same draws, one switch at a time.

python examples/ablation.py
"""

from dataclasses import replace

from densesirst_gen import PasteConfig, build_library, demo_scene, make_plan, render, scene_rng
from densesirst_gen.stats.tables import dataset_stats

scenes = [demo_scene(index) for index in range(1, 10, 2)]
library = build_library(scenes)
full = PasteConfig()
variants = {
    "copy-paste": replace(full, region="anywhere", fusion="copy", arrangement="sparse"),
    "sky only": replace(full, fusion="copy", arrangement="sparse"),
    "Gaussian only": replace(full, region="anywhere", arrangement="sparse"),
    "BAG-CP": full,
}
for name, config in variants.items():
    plans = [make_plan(scene, library, config, scene_rng(0, scene.name)) for scene in scenes]
    made = dataset_stats(map(render, scenes, [library] * len(scenes), plans)).summary()
    print(f"{name:14} {made['targets']:4} targets, {made['targets_in_sky']:.0%} in the sky")

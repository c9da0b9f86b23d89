"""The method in four lines: a scene, a library, a plan, a new scene.

python examples/plan_and_render.py
"""

from densesirst_gen import (
    PasteConfig,
    annotate,
    build_library,
    demo_scene,
    make_plan,
    render,
    scene_rng,
)

scene = demo_scene(1)
library = build_library(demo_scene(index) for index in range(8))
plan = make_plan(scene, library, PasteConfig(), scene_rng(seed=0, name=scene.name))
dense = render(scene, library, plan)

for paste in plan.pastes[:3]:
    donor = library.sources[paste["donor"]]
    print(f"{donor} at row {paste['row']}, column {paste['col']}: +{paste['increment']:.0f} levels")
print(f"{scene.n_targets} targets before, {dense.n_targets} after; boxes (x0, y0, x1, y1):")
print(annotate(dense.labels).boxes[-3:])

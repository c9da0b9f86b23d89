"""Generate, train, test: what do all five detectors learn from a generated dataset?

Tiny networks for a few minutes: enough to see the whole chain, not enough for a detector.

python examples/train_on_generated.py OUT [IMAGES_PER_EPOCH SCENES_A_SPLIT EPOCHS]
"""

import sys
from pathlib import Path

from densesirst_gen import PasteConfig, Recipe, build_dataset, demo_dataset, read_dataset

try:
    import lightning_fabric  # noqa: F401
    import safetensors  # noqa: F401

    from densesirst_gen.detection.training.parts import held_out_part, train_part
    from densesirst_gen.detection.training.run import Running
    from densesirst_gen.detection.training.worth import Plan, measure_worth, worth_text
except ImportError as error:
    print(error)
    raise SystemExit from None

TINY = {"batch": 8, "size": 0, "crop": 96}
TINY |= {"lr": 4e-3, "warmup": 0, "optimiser": "adamw", "schedule": "cosine", "zoom": (1.0, 1.0)}
NEAR = {"assign": "fcos+nearest", "freeze_bn": False}
SMALL = {
    "bafenet": {"depth": 18, "width": 16, "head_width": 32} | NEAR,
    "eflnet": {"width_multiple": 0.125, "dyhead_blocks": 1, "accumulate": 1, "average": 0.0},
    "serankdet": {"base_width": 8, "lr": 1e-2, "crop": 64, "batch": 4},
    "adsnet": {"width": 16, "stem_width": 16, "eps": (None, None)},
    "cgranet": {"width": 8, "backbone_width": 8},
}

if __name__ == "__main__":
    out, backgrounds = Path(sys.argv[1]), demo_dataset()
    images, scenes, epochs = map(int, sys.argv[2:] or (240, 18, 4))
    names = [name for split in ("train", "test") for name in backgrounds.splits[split][:scenes]]
    build_dataset(backgrounds, out / "dense", Recipe(PasteConfig(), copies=2), names=names)
    dense = read_dataset(out / "dense")
    sources, real = {"generated": train_part(dense)}, held_out_part(dense, "test")
    for detector, small in SMALL.items():
        options = {**TINY, "epochs": epochs, "images_per_epoch": images, **small}
        options["batch"] = min(options["batch"], images)
        plan = Plan(detectors=[detector], sources=sources, real=real, options=options)
        rows = measure_worth(plan, out, running=Running(device="cpu"))
        print(worth_text(rows, plan), end="\n\n")

"""Make a dataset from Python: choose backgrounds, a config and a seed, get a summary.

python examples/build_from_python.py OUT
"""

import sys
from dataclasses import replace
from pathlib import Path

from densesirst_gen import PROFILES, Recipe, build_dataset, demo_dataset

if __name__ == "__main__":
    config = replace(PROFILES["bag-cp"], n_regions=(2, 4), gain=(0.7, 1.0))
    backgrounds = demo_dataset()  # or read_dataset("sirstv2/", sky_dir="SkySeg/BinaryMask")
    names = backgrounds.splits["train"][:4]
    summary = build_dataset(backgrounds, Path(sys.argv[1]), Recipe(config, seed=1), names=names)
    print(summary.line())

"""How near a dataset is to a reference: the 20 statistics of the scorecard.

python scripts/fidelity.py GENERATED REFERENCE [--jobs 2] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from densesirst_gen.fidelity import StatisticDistance, compare, score
from densesirst_gen.formats import SceneFile, read_dataset
from densesirst_gen.parallel import workers
from densesirst_gen.scorecard import STATISTICS
from densesirst_gen.stats import DatasetStats, SceneStats, collect_stats, scene_stats

# All statistics, those that ignore how light is spread in a target, those that ignore backgrounds.
PARTS = {
    "all": {s.name for s in STATISTICS},
    "without_profile": {s.name for s in STATISTICS if not s.reads_profile},
    "without_scene": {s.name for s in STATISTICS if not s.reads_scene},
}


def main() -> None:
    """Compare two folders and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("generated", type=Path, help="folder of the dataset to judge")
    parser.add_argument("reference", type=Path, help="folder of the reference")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--seed", type=int, default=0, help="of the draws of the noise floor")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    args = parser.parse_args()
    generated, reference = (measure(d, args.jobs) for d in (args.generated, args.reference))
    distances = compare(generated, reference, seed=args.seed)
    if args.json:
        print(json.dumps(report(generated, reference, distances), indent=2, allow_nan=False))
    else:
        print(table(distances))


def measure(folder: Path, jobs: int) -> DatasetStats:
    """The statistics of a folder, scenes in order of their names."""
    with workers(jobs) as mapped:
        parts: list[SceneStats] = list(mapped(measure_file, read_dataset(folder).scenes))
    return collect_stats(sorted(parts, key=lambda part: part.name))


def measure_file(file: SceneFile) -> SceneStats:
    """Decode one scene and measure it."""
    return scene_stats(file.load())


def report(
    generated: DatasetStats, reference: DatasetStats, distances: Sequence[StatisticDistance]
) -> dict[str, object]:
    """Everything, ready for JSON."""
    return {
        "generated": generated.summary(),
        "reference": reference.summary(),
        "statistics": [asdict(distance) for distance in distances],
        "score": {name: asdict(score(part)) for name, part in parts_of(distances).items()},
    }


def parts_of(distances: Sequence[StatisticDistance]) -> dict[str, list[StatisticDistance]]:
    """The distances of each of `PARTS`."""
    return {part: [d for d in distances if d.name in names] for part, names in PARTS.items()}


def table(distances: Sequence[StatisticDistance]) -> str:
    """A line for each statistic, and one for each part of the score."""
    head = f"{'statistic':<22} {'kind':<4} " + " ".join(
        f"{name:>9}" for name in ("generated", "reference", "distance", "p95 floor", "ratio")
    )
    lines = [head]
    for d in distances:
        numbers = (d.mean, d.reference_mean, d.distance, d.floor, d.ratio)
        lines.append(f"{d.name:<22} {d.kind:<4} " + " ".join(map(cell, numbers)))
    for name, part in parts_of(distances).items():
        s = score(part)
        lines.append(
            f"{name:<16} {s.n_within:2} of {s.n_compared:2} within the floor, "
            f"mean ratio {s.mean_ratio:.2f}, largest {s.max_ratio:.2f}"
        )
    return "\n".join(lines)


def cell(number: float | None) -> str:
    """A number of the table, - where there is none."""
    return f"{'-':>9}" if number is None else f"{number:>9.3f}"


if __name__ == "__main__":
    main()

"""How near a dataset is to a reference: the 20 statistics of the scorecard.

python scripts/fidelity.py GENERATED REFERENCE [--jobs 2] [--json]

`densesirst-gen stats GENERATED --against REFERENCE` says the same and more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from densesirst_gen.datasets import read_dataset
from densesirst_gen.stats.compare.fidelity import compare
from densesirst_gen.stats.compare.verdict import comparison_document, comparison_text
from densesirst_gen.stats.measure import measure
from densesirst_gen.stats.tables import DatasetStats


def main() -> None:
    """Compare two folders and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("generated", type=Path, help="folder of the dataset to judge")
    parser.add_argument("reference", type=Path, help="folder of the reference")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--seed", type=int, default=0, help="of the draws of the noise floor")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    args = parser.parse_args()
    generated, reference = (stats_of(d, args.jobs) for d in (args.generated, args.reference))
    distances = compare(generated, reference, seed=args.seed)
    if args.json:
        summaries = {"generated": generated.summary(), "reference": reference.summary()}
        document = {**summaries, **comparison_document(distances)}
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        print(comparison_text(distances, ("generated", "reference")))


def stats_of(folder: Path, jobs: int) -> DatasetStats:
    """The statistics of a folder; every scene must be readable."""
    measured = measure(read_dataset(folder).scenes, jobs=jobs)
    if measured.set_aside:
        sys.exit("\n".join(f"{name}: {reason}" for name, reason in measured.set_aside.items()))
    return measured.stats


if __name__ == "__main__":
    main()

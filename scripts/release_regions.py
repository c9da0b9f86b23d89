"""How full a region gets: simulated, for several numbers of targets asked for and of attempts.

python scripts/release_regions.py [--regions N] [--seed S]
"""

from __future__ import annotations

import argparse

from release.regions import ASKED, simulate


def main() -> None:
    """Print the simulations."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--regions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for asked, attempts in ASKED:
        found = simulate(asked, attempts, args.regions, args.seed)
        print(f"{asked} asked for, {attempts} attempts: {found['targets']}")
        for n, room in found["room_left"].items():
            print(f"  {n}: {room}")


if __name__ == "__main__":
    main()

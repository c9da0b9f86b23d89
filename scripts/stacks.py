"""Does another stack make the same dataset? Builds the demo with each and compares every file.

    python scripts/stacks.py FOLDER "numpy==2.0.0 opencv-python==4.10.0.84 pillow==11.0.0" ""

Each text is a list of what is installed with pip into an environment of its own; an empty one
stands for the newest versions. Another Python goes before a colon: ``python3.13:numpy==2.1.0``.
The first stack is the one that the others are compared with. Exit code 1 if any file differs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
OWN = {"manifest.json", "README.md", "files.sha256"}
"""Files that say with what they were made, or hold the digest of one that does."""


def made_environment(folder: Path, stack: str) -> Path:
    """The interpreter of a new environment."""
    python, colon, wanted = stack.rpartition(":")
    subprocess.run([python if colon else sys.executable, "-m", "venv", folder], check=True)
    inner = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([inner, "-m", "pip", "install", "-q", ROOT, *wanted.split()], check=True)
    return inner


def digests(folder: Path) -> dict[str, str]:
    """File -> SHA-256, without those that name versions."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in OWN)
    return {p.relative_to(folder).as_posix(): sha256(p.read_bytes()).hexdigest() for p in files}


def built(python: Path, out: Path, options: Sequence[str]) -> dict[str, str]:
    command = [python, "-P", "-m", "densesirst_gen", "build", "-q", "-o", out]
    subprocess.run([*command, "--sky-cache", "none", *options], check=True)
    return digests(out)


def differing(first: dict[str, str], other: dict[str, str]) -> list[str]:
    """Files that are not the same in both."""
    return [name for name in sorted({*first, *other}) if first.get(name) != other.get(name)]


def row(stack: str, versions: dict[str, str], n_files: int, different: Sequence[str]) -> str:
    told = " ".join(f"{name} {version}" for name, version in versions.items())
    return f"| {stack or 'newest'} | {told} | {n_files - len(different)} of {n_files} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for environments and data sets; made anew")
    parser.add_argument("stacks", nargs="+")
    parser.add_argument("--build", default="-b demo --seed 0", help="options of the builds")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True)
    first: dict[str, str] = {}
    any_different = False
    print("| stack | versions | equal files |\n| --- | --- | --- |")
    for number, stack in enumerate(given.stacks):
        place, out = given.folder / f"environment{number}", given.folder / f"out{number}"
        found = built(made_environment(place, stack), out, given.build.split())
        first = first or found
        different = differing(first, found)
        any_different |= bool(different)
        versions = json.loads((out / "manifest.json").read_text())["versions"]
        print(row(stack, versions, len({*first, *found}), different), flush=True)
        print("\n".join(f"  {name}" for name in different), file=sys.stderr)
        shutil.rmtree(place)
    return int(any_different)


if __name__ == "__main__":
    sys.exit(main())

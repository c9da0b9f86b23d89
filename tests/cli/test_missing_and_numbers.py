"""Commands whose modules are missing, and numbers that no command takes: one line each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from densesirst_gen.cli import cli

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(",")))
from densesirst_gen.cli import main
main()
"""


@pytest.mark.parametrize("missing", ["torch", "safetensors"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "-d", "bafenet", "--data", "demo"],
        ["detect", "-c", "{here}", "-i", "{here}", "-o", "{here}/found"],
        ["worth", "{here}"],
        ["evaluate", "-c", "{here}", "-d", "demo"],
    ],
    ids=lambda a: a[0],
)
# row 80
def test_without_torch_one_line_says_what_helps(
    missing: str, arguments: list[str], tmp_path: Path
) -> None:
    filled = [a.format(here=tmp_path) for a in arguments]
    command = [sys.executable, "-c", WITHOUT, missing, *filled]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    wanted = f"Error: {missing} is not installed: pip install 'densesirst_gen[train]'"
    assert done.stderr.splitlines() == [wanted]
    assert list(tmp_path.iterdir()) == []


EVALUATE = ["evaluate", "-p", ".", "-d", "demo"]
TRAIN = ["train", "-d", "bafenet", "--data", "demo"]
DETECT = ["detect", "-c", ".", "-i", ".", "-o", "x"]
EXTRACT = ["library", "extract", "demo", "-o", "x.npz"]


@pytest.mark.parametrize(
    "arguments",
    [
        [*EVALUATE, "--threshold", "nan"],
        [*EVALUATE, "--iou", "nan"],
        [*EVALUATE, "--gt-offset", "inf"],
        [*EVALUATE, "--max-dist", "-1"],
        [*EVALUATE, "--max-dist", "nan"],
        [*EVALUATE, "--jobs", "1000000"],
        [*EVALUATE, "--side", "100000000"],
        [*EVALUATE, "--noise", "1e300"],
        [*TRAIN, "--workers", "1000000"],
        [*TRAIN, "--devices", "1000000"],
        [*TRAIN, "--seed", str(10**30)],
        [*DETECT, "--threshold", "nan"],
        ["worth", ".", "--seeds", "1000000"],
        [*EXTRACT, "--min-contrast", "nan"],
        [*EXTRACT, "--max-side", "1000000"],
        [*EXTRACT, "--jobs", "0"],
    ],
    ids=" ".join,
)
# row 81
def test_a_number_out_of_bounds_is_wrong_usage(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}'" in done.output

"""Masks that others have corrected are named where the set is the one that has them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.codec import encode_png


@pytest.mark.parametrize(
    ("folder", "names", "told"),
    [
        ("some", ("XDU0", "XDU1", "XDU325"), ["XDU0", "XDU325"]),
        ("some", ("XDU0", "b", "c"), []),
        ("NUDT-SIRST", ("000928", "000929"), ["000928"]),
        ("some", ("000928", "000929"), []),
    ],
)
def test_by_set_and_name(
    tmp_path: Path, folder: str, names: tuple[str, ...], told: list[str]
) -> None:
    for k, name in enumerate(names):
        mask = np.zeros((64, 64), np.uint8)
        mask[30:33, 30:33] = 255
        image = (np.random.default_rng(k).normal(90, 9, mask.shape) + mask / 3).astype(np.uint8)
        files = [(f"images/{name}.png", encode_png(image)), (f"masks/{name}.png", encode_png(mask))]
        write_files(tmp_path / folder, files)
    document = json.loads(run("validate", tmp_path / folder, "--json").stdout)
    assert [note["file"] for note in document["notes"] if note["rule"] == "erratum"] == told

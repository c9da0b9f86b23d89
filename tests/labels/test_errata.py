"""Masks that others have corrected are named where the set is the one that has them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png


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


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((512, 512), "known by its name and size, 512 x 512"),
        ((512, 256), "known by its name only: it is 512 x 256, those of the set are 512 x 512"),
    ],
)
def test_the_size_is_compared_too(tmp_path: Path, shape: tuple[int, int], told: str) -> None:
    mask = np.zeros(shape, np.uint8)
    mask[30:33, 30:33] = 255
    image = (np.random.default_rng(0).normal(90, 9, shape) + mask / 3).astype(np.uint8)
    files = [("images/XDU0.png", encode_png(image)), ("masks/XDU0.png", encode_png(mask))]
    write_files(tmp_path, files)
    document = json.loads(run("validate", tmp_path, "--json").stdout)
    (note,) = [note for note in document["notes"] if note["rule"] == "erratum"]
    assert told in json.dumps(note)

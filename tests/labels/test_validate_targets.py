"""What is odd about targets themselves is noted, and no fault."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from command_line import run

from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png


def notes(root: Path, mask: np.ndarray) -> dict[str, list[str]]:
    """Rule -> what is said, of an image with such a mask; nothing is wrong with it."""
    rough = np.random.default_rng(0).normal(90, 9, mask.shape)
    image = (rough + 99 * (mask > 0)).astype(np.uint8)
    files = [("images/a.png", encode_png(image)), ("masks/a.png", encode_png(mask))]
    write_files(root, files)
    document = json.loads(run("validate", root, "--json").stdout)
    found: dict[str, list[str]] = {}
    for note in document["notes"]:
        found.setdefault(note["rule"], []).append(f"{note['file']}: {note['what']}")
    return found


def blank() -> np.ndarray:
    return np.zeros((96, 128), np.uint8)


# row 23
def test_masks_of_0_and_1_say_the_same(tmp_path: Path) -> None:
    mask = blank()
    mask[40:44, 50:54] = 1
    assert notes(tmp_path, mask) == {
        "coded": ["masks/a.png: values {0, 1} read as {0, 255}"],
    }


# row 30
def test_targets_at_each_border_may_be_cut(tmp_path: Path) -> None:
    mask = blank()
    mask[0:3, 50:53] = mask[93:96, 60:63] = mask[30:33, 0:3] = mask[40:43, 125:128] = 255
    mask[60:63, 60:63] = 255
    assert notes(tmp_path, mask) == {
        "border": [
            "a: target at 0 30 3 33",
            "a: target at 125 40 128 43",
            "a: target at 50 0 53 3",
            "a: target at 60 93 63 96",
        ]
    }


# row 31
def test_targets_of_one_pixel_and_giant_ones(tmp_path: Path) -> None:
    mask = blank()
    mask[10, 10] = 255
    mask[30:41, 30:60] = 255
    mask[60:64, 60:64] = 255
    assert notes(tmp_path, mask) == {
        "giant": ["a: target at 30 30 60 41, 330 px"],
        "one-pixel": ["a: target at 10 10 11 11"],
    }

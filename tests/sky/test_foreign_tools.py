"""Sky masks as the annotation tools of other people write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.sky.tools import read_sky_cvat, read_sky_labelme

SIDE = 48


def images(root: Path, *names: str) -> Path:
    (root / "images").mkdir()
    for name in names:
        (root / "images" / name).write_bytes(encode_png(np.zeros((SIDE, SIDE), np.uint8)))
    return root / "images"


def labelme(root: Path, name: str, points: Any, kind: str = "polygon", **changes: Any) -> Path:
    shape = {"label": "sky", "points": points, "shape_type": kind}
    document = {
        "version": "5.3.1", "shapes": [shape], "imagePath": "../images/a.png",
        "imageHeight": SIDE, "imageWidth": SIDE,
    } | changes  # fmt: skip
    (root / "lm").mkdir(exist_ok=True)
    (root / "lm" / name).write_text(json.dumps(document))
    return root / "lm"


def sky(root: Path, folder: Path) -> np.ndarray:
    (mask,) = read_sky_labelme(root / "lm", folder)
    return mask.sky


@pytest.mark.parametrize(
    ("version", "reaches"), [("5.3.1", True), ("4.5.6", True), ("3.16.7", True), ("6.0.0", False)]
)
# row 96
def test_corners_that_labelme_clamped_reach_the_edge(
    tmp_path: Path, version: str, reaches: bool
) -> None:
    last, folder = SIDE - 1, images(tmp_path, "a.png")
    labelme(tmp_path, "a.json", [[0, 0], [last, 0], [last, 20], [0, 20]], version=version)
    assert sky(tmp_path, folder)[:20, last].all() == reaches
    labelme(tmp_path, "a.json", [[0, 0], [last, last]], "rectangle", version=version)
    assert sky(tmp_path, folder).all() == reaches


# row 97
def test_a_rectangle_may_have_four_corners(tmp_path: Path) -> None:
    folder = images(tmp_path, "a.png")
    labelme(tmp_path, "a.json", [[2, 3], [12, 3], [12, 9], [2, 9]], "rectangle")
    expected = np.zeros((SIDE, SIDE), bool)
    expected[3:9, 2:12] = True
    assert (sky(tmp_path, folder) == expected).all()


# row 97
def test_a_file_that_says_no_size_has_that_of_its_image(tmp_path: Path) -> None:
    folder = images(tmp_path, "a.png")
    labelme(tmp_path, "a.json", [[0, 0], [9, 9]], "rectangle", imageHeight=None, imageWidth=None)
    assert sky(tmp_path, folder).sum() == 81


# row 97
def test_a_copied_file_is_named(tmp_path: Path) -> None:
    folder = images(tmp_path, "a.png", "b.png")
    labelme(tmp_path, "b.json", [[0, 0], [9, 9]], "rectangle")
    with pytest.raises(DatasetError, match=r"b\.json: its imagePath is .*a\.png.*is it a copy\?"):
        sky(tmp_path, folder)


@pytest.mark.parametrize(
    ("heights", "rows"), [((0, 1), 20), ((1, 0), 0), ((0, 0), 0), (("-1", "0"), 20)]
)
# row 105
def test_in_cvat_what_lies_higher_covers_what_lies_lower(
    tmp_path: Path, heights: tuple[int, int], rows: int
) -> None:
    folder = images(tmp_path, "a.png")
    box = '<box label="{}" z_order="{}" xtl="0" ytl="0" xbr="48" ybr="{}"/>'
    shapes = box.format("not-sky", heights[0], SIDE) + box.format("sky", heights[1], 20)
    (tmp_path / "a.xml").write_text(
        f'<annotations><image name="a.png" width="48" height="48">{shapes}</image></annotations>'
    )
    (mask,) = read_sky_cvat(tmp_path / "a.xml", folder)
    assert mask.sky.sum() == rows * SIDE

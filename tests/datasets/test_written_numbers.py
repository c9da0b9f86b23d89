"""The numbers in files that we write, one by one: boxes beside masks, points, their dialects."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from densesirst_gen.datasets.grammar.voc import read_voc, write_mask_voc, write_voc
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

SHAPE = (20, 31)
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def numbers(content: bytes) -> list[list[int]]:
    """Corners of every object."""
    found = ElementTree.fromstring(content).iter("bndbox")
    return [[int(str(box.findtext(corner))) for corner in CORNERS] for box in found]


def test_the_box_beside_a_mask_holds_all_that_is_white() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[4, 9] = mask[11, 5] = mask[7, 22] = True
    content = write_mask_voc("a.png", mask, category="Target")
    assert numbers(content) == [[6, 5, 23, 12]]  # pixels counted from 1, the last one within
    size = ElementTree.fromstring(content).find("size")
    assert size is not None
    assert [size.findtext(name) for name in ("width", "height", "depth")] == ["31", "20", "1"]


@pytest.mark.parametrize("place", [(0, 0), (19, 30), (0, 30), (19, 0)])
def test_the_box_of_one_pixel_at_the_border(place: tuple[int, int]) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[place] = True
    row, col = place
    found = numbers(write_mask_voc("a", mask, category="x"))
    assert found == [[col + 1, row + 1, col + 1, row + 1]]


def test_a_black_mask_has_no_box() -> None:
    assert numbers(write_mask_voc("a", np.zeros(SHAPE, bool), category="Target")) == []


@pytest.mark.parametrize(
    ("dialect", "written"),
    [
        ("sirst", [[4, 5, 7, 10], [1, 1, 2, 2]]),
        ("devkit", [[4, 5, 6, 9], [1, 1, 1, 1]]),
        ("densesirst", [[3, 4, 6, 9], [0, 0, 1, 1]]),
    ],
)
def test_the_numbers_of_each_dialect(dialect: str, written: list[list[int]]) -> None:
    boxes = np.array([[3, 4, 6, 9], [0, 0, 1, 1]], np.int32)
    assert numbers(write_voc("a", SHAPE, boxes, dialect=dialect)) == written


def test_a_point_is_written_for_each_target(tmp_path) -> None:  # type: ignore[no-untyped-def]
    labels = np.zeros(SHAPE, np.int32)
    labels[2:5, 7:10], labels[12, 20:26] = 1, 2
    scene = Scene("a", labels.astype(np.uint8), labels)
    write_files(tmp_path, devkit_files(scene, annotate(labels)))
    lines = (tmp_path / "SIRST/Point_label/a_pixels0.txt").read_text().splitlines()
    assert [list(map(int, line.split()[-2:])) for line in lines if line.strip()] == [
        [8, 3],
        [22, 12],
    ]
    found = read_voc(tmp_path / "SIRST/BBox/a.xml").boxes
    assert found.tolist() == [[8, 3, 11, 6], [21, 13, 27, 14]]  # as they stand there: from 1

"""VOC files to the byte: they are as the releases have them, whatever writes them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from densesirst_gen.datasets.grammar.voc import write_mask_voc, write_voc

HEAD = """<annotation>
  <filename>{name}</filename>
{source}  <size>
    <width>44</width>
    <height>33</height>
    <depth>1</depth>
  </size>
"""
SOURCE = """  <source>
    <annotation>box dialect devkit</annotation>
  </source>
"""
OBJECT = """  <object>
    <name>{name}</name>
    <bndbox>
      <xmin>{0}</xmin>
      <ymin>{1}</ymin>
      <xmax>{2}</xmax>
      <ymax>{3}</ymax>
    </bndbox>
  </object>
"""
MASK = """<annotation>
    <folder>PNGImages</folder>
    <filename>a.png</filename>
    <size>
        <width>4</width>
        <height>3</height>
        <depth>1</depth>
    </size>
{objects}</annotation>"""
MASK_OBJECT = """    <object>
        <name>Sky</name>
        <difficult>0</difficult>
        <pixels>
            <id>0</id>
        </pixels>
        <bndbox>
            <xmin>2</xmin>
            <ymin>1</ymin>
            <xmax>3</xmax>
            <ymax>2</ymax>
        </bndbox>
    </object>
"""
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
NUMBERS = st.integers(0, 40) | st.floats(0, 40)


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@given(NAMES, st.lists(st.tuples(*[NUMBERS] * 4), max_size=4), st.booleans())
def test_a_box_file(name: str, boxes: list[tuple[float, ...]], named: bool) -> None:
    array = np.array(boxes).reshape(-1, 4)
    written = write_voc(name, (33, 44), array, dialect="devkit", category=name, named=named)
    moved = (array + np.array([1, 1, 0, 0]).astype(array.dtype)).tolist()
    objects = [OBJECT.format(*box, name=escaped(name)) for box in moved]
    head = HEAD.format(name=escaped(name), source=SOURCE * named)
    assert written == f"{head}{''.join(objects)}</annotation>\n".encode()


def test_a_file_beside_a_mask() -> None:
    mask = np.zeros((3, 4), bool)
    assert write_mask_voc("a.png", mask, category="Sky") == MASK.format(objects="").encode()
    mask[0, 1] = mask[1, 2] = True
    assert write_mask_voc("a.png", mask, category="Sky") == (
        MASK.format(objects=MASK_OBJECT).encode()
    )

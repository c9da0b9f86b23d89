"""The files that are made of a mask: boxes, points, and the two other forms of the mask itself.

Each is made again. Where its bytes are those of the file, all is well; where they are not, what the
file says is compared, as another version of a library may write the same otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from defusedxml import ElementTree

from densesirst_gen.build.verify.problem import Problem, words_of
from densesirst_gen.datasets.grammar.voc import parse_xml, write_mask_voc
from densesirst_gen.datasets.layouts.devkit import palette_png
from densesirst_gen.datasets.paths import MASK_SUFFIX, DatasetError
from densesirst_gen.files.images.codec import CodecError, read_mask

RULE_OF_PART = {"SIRST": "mask", "SkySeg": "sky"}
CATEGORY_OF_PART = {"SIRST": "Target", "SkySeg": "Sky"}


def binary_path(part: str, name: str) -> str:
    """Where a scene has its target mask (part ``SIRST``) or its sky mask (``SkySeg``)."""
    return f"{part}/BinaryMask/{name}{MASK_SUFFIX}.png"


def scene_paths(name: str) -> list[str]:
    """All files of a scene but its image."""
    paths = [f"SIRST/BBox/{name}.xml", f"SIRST/Point_label/{name}{MASK_SUFFIX}.txt"]
    for part in RULE_OF_PART:
        palette = f"{part}/PaletteMask/{name}.png"
        paths += [binary_path(part, name), f"{part}/BinaryMask/{name}.xml", palette]
    return paths


def read_binary(root: Path, part: str, name: str) -> tuple[np.ndarray | None, list[Problem]]:
    """A mask (H, W), bool, and what is wrong with its file."""
    file = binary_path(part, name)
    if not (root / file).is_file():
        return None, []
    try:
        decoded = read_mask(root / file, sparse=False)
    except CodecError as error:
        return None, [Problem(file, "unreadable", words_of(error, root / file))]
    rule = RULE_OF_PART[part]
    return decoded.array, [Problem(file, rule, note) for note in decoded.notes]


def mask_problems(
    root: Path, part: str, name: str, mask: np.ndarray, image_file: str
) -> Iterator[Problem]:
    """What the palette mask and the XML beside the binary mask say otherwise than it does.

    Parameters
    ----------
    root : Path
    part : str
        ``SIRST`` or ``SkySeg``.
    name : str
    mask : ndarray, (H, W), bool
        The binary mask.
    image_file : str
        Of the image, relative to ``PNGImages``.
    """
    rule = RULE_OF_PART[part]
    file = f"{part}/PaletteMask/{name}.png"
    if (root / file).is_file():
        yield from _palette_problems(root, file, part, mask, rule)
    beside = write_mask_voc(image_file, mask, category=CATEGORY_OF_PART[part])
    yield from xml_problems(root, f"{part}/BinaryMask/{name}.xml", beside, rule)


def _palette_problems(
    root: Path, file: str, part: str, mask: np.ndarray, rule: str
) -> Iterator[Problem]:
    expected, found = palette_png(part, mask), (root / file).read_bytes()
    if found == expected:
        return
    try:
        palette = read_mask(root / file, sparse=False).array
    except CodecError as error:
        yield Problem(file, "unreadable", words_of(error, root / file))
        return
    if palette.shape != mask.shape:
        yield Problem(file, rule, f"its size is {palette.shape}, the binary mask's {mask.shape}")
    elif (palette != mask).any():
        yield Problem(file, rule, f"{(palette != mask).sum()} pixels differ from the binary mask")
    elif _head(found) != _head(expected):
        yield Problem(file, rule, "its depth or its colours are not the released ones")


def _head(png: bytes) -> bytes:
    """What comes before the pixels."""
    return png[: max(png.find(b"IDAT"), 0)]


def point_problems(root: Path, name: str, expected: bytes) -> Iterator[Problem]:
    """How a point file differs from the lines that the masks give."""
    file = f"SIRST/Point_label/{name}{MASK_SUFFIX}.txt"
    if not (root / file).is_file():
        return
    content = (root / file).read_bytes()
    found, wanted = content.split(b"\n")[:-1], expected.split(b"\n")[:-1]
    if content == expected:
        return
    if len(found) != len(wanted):
        yield Problem(file, "points", f"{len(found)} points, its mask has {len(wanted)} targets")
        return
    for number, (here, there) in enumerate(zip(found, wanted, strict=True), 1):
        if here.split() != there.split():
            shown = here[:60].decode("ascii", "backslashreplace")
            yield Problem(
                file, "points", f"line {number} is {shown!r}, expected {there.decode()!r}"
            )


def xml_problems(root: Path, file: str, expected: bytes, rule: str) -> Iterator[Problem]:
    """How an XML file differs from the one that the masks give."""
    path = root / file
    if not path.is_file() or path.read_bytes() == expected:
        return
    try:
        found = dict(_leaves(parse_xml(path)))
    except DatasetError as error:
        yield Problem(file, "unreadable", words_of(error, root / file))
        return
    wanted = dict(_leaves(ElementTree.fromstring(expected)))
    n_found, n_wanted = _n_objects(found), _n_objects(wanted)
    if n_found != n_wanted:
        yield Problem(file, rule, f"{n_found} objects, its mask has {n_wanted}")
        return
    places = [p for p in {**wanted, **found} if found.get(p) != wanted.get(p)]
    if places:
        first = places[0]
        more = f" (and {len(places) - 1} more)" * (len(places) > 1)
        here, there = found.get(first), wanted.get(first)
        yield Problem(file, rule, f"{first} is {here!r}, expected {there!r}{more}")


def _leaves(element: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Texts and attributes of an XML file by their place, such as ``object[2]/bndbox/xmin``."""
    for key, value in element.attrib.items():
        yield f"{place}@{key}", value
    if not len(element):
        yield place or element.tag, (element.text or "").strip()
    counts: dict[str, int] = {}
    for child in element:
        counts[child.tag] = counts.get(child.tag, 0) + 1
        number = f"[{counts[child.tag]}]" * (child.tag == "object")
        yield from _leaves(child, f"{place}/{child.tag}{number}".lstrip("/"))


def _n_objects(leaves: dict[str, str]) -> int:
    return len({place.split("/")[0] for place in leaves if place.startswith("object[")})

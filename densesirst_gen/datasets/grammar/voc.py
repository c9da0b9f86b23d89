"""VOC XML: the box file of an image, and the file beside a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import defusedxml
import numpy as np
from defusedxml import ElementTree

from densesirst_gen.datasets.grammar.dialects import DIALECTS, to_dialect
from densesirst_gen.datasets.paths import DatasetError

CORNERS = ("xmin", "ymin", "xmax", "ymax")
MAX_BYTES = 10_000_000


@dataclass(frozen=True, eq=False)
class VocFile:
    """What a VOC file says.

    Parameters
    ----------
    filename : str
        As written; not to be opened.
    boxes : ndarray, (N, 4), float64
        xyxy as written, in whatever dialect, minima first.
    categories : tuple of str
        Of each box.
    dialect : str
        That the file says it is in, a key of `dialects.DIALECTS`; empty if it says nothing.
    n_without_box : int
        Objects that have none.
    size : (int, int)
        (H, W) of the image as stated; (0, 0) if it is not.
    """

    filename: str
    boxes: np.ndarray
    categories: tuple[str, ...]
    dialect: str = ""
    n_without_box: int = 0
    size: tuple[int, int] = (0, 0)


def write_voc(
    name: str,
    shape: tuple[int, int],
    boxes: np.ndarray,
    *,
    dialect: str = "sirst",
    category: str = "Target",
    named: bool = False,
) -> bytes:
    """A VOC file in the words and spaces of the SIRST and DenseSIRST releases.

    Parameters
    ----------
    name : str
        Image name without suffix.
    shape : (int, int)
        (H, W) of the image.
    boxes : ndarray, (N, 4), int
        Half-open, xyxy. None: a file without ``<object>``.
    dialect : str
        A key of `dialects.DIALECTS`.
    category : str
    named : bool
        Whether the file says which dialect it is in, which the releases do not.

    Returns
    -------
    bytes
        UTF-8.
    """
    root = _file(name, shape)
    if named:
        source = Element("source")
        SubElement(source, "annotation").text = f"box dialect {dialect}"
        root.insert(1, source)
    for box in to_dialect(boxes, dialect).tolist():
        _add_box(_added(root, "object", name=category), box)
    return f"{_text(root, 2)}\n".encode()


def write_mask_voc(filename: str, mask: np.ndarray, *, category: str) -> bytes:
    """The VOC file that lies beside a binary mask: one box around all that is white.

    The releases are not of one mind about its numbers; this is the convention that most of their
    files follow on all four sides, VOC's own (dialect ``devkit``).

    Parameters
    ----------
    filename : str
        Of the image.
    mask : ndarray, (H, W), bool
        All black: a file without ``<object>``.
    category : str
    """
    root = _file(filename, mask.shape)
    root.insert(0, Element("folder"))
    root[0].text = "PNGImages"
    for box in to_dialect(extent(mask), "devkit").tolist():
        target = _added(root, "object", name=category, difficult=0)
        _added(target, "pixels", id=0)
        _add_box(target, box)
    return _text(root, 4).encode()


def extent(mask: np.ndarray) -> np.ndarray:
    """The half-open box around a mask, (1, 4), or (0, 4) if it is black."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros((0, 4), np.int32)
    return np.array([[cols[0], rows[0], cols[-1] + 1, rows[-1] + 1]], np.int32)


def _file(name: str, shape: tuple[int, ...]) -> Element:
    root = Element("annotation")
    SubElement(root, "filename").text = name
    height, width = shape
    _added(root, "size", width=width, height=height, depth=1)
    return root


def _added(parent: Element, tag: str, **texts: object) -> Element:
    """A new element at the end of another, with an element for each text."""
    child = SubElement(parent, tag)
    for name, text in texts.items():
        SubElement(child, name).text = str(text)
    return child


def _add_box(target: Element, box: Sequence[float]) -> None:
    _added(target, "bndbox", **dict(zip(CORNERS, box, strict=True)))


def _text(root: Element, spaces: int) -> str:
    """A line for each element, those without text written out, no declaration: as released."""
    indent(root, " " * spaces)
    return tostring(root, encoding="unicode", short_empty_elements=False)


def read_voc(path: str | PathLike[str]) -> VocFile:
    """Read a VOC file that nobody vouches for.

    An ``<object>`` without ``<bndbox>`` says that there is no target (SIRST v2 writes it so).
    Numbers may be decimal, corners may be swapped.

    Parameters
    ----------
    path : path
        At most 10 MB.

    Returns
    -------
    VocFile
        With boxes (0, 4) where there is none.

    Raises
    ------
    DatasetError
        If the file is missing, too large, not XML, has a DOCTYPE, or a corner that is not a finite
        number.
    """
    root = parse_xml(Path(path))
    objects = [(target, target.find("bndbox")) for target in root.iter("object")]
    found = [(target, box) for target, box in objects if box is not None]
    boxes = np.array([_corners(path, box) for _, box in found], np.float64).reshape(-1, 4)
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    categories = tuple(target.findtext("name", "").strip() for target, _ in found)
    said = root.findtext("source/annotation", "").rpartition("box dialect ")[2].strip()
    dialect = said if said in DIALECTS else ""
    filename, n_bare = root.findtext("filename", ""), len(objects) - len(found)
    corners = np.hstack([low, high])
    return VocFile(filename, corners, categories, dialect, n_bare, _size(root))


def _size(root: Any) -> tuple[int, int]:
    height, width = (root.findtext(f"size/{side}", "").strip() for side in ("height", "width"))
    is_stated = height.isdecimal() and width.isdecimal() and len(height + width) < 16
    return (int(height), int(width)) if is_stated and int(height) and int(width) else (0, 0)


def parse_xml(path: Path, max_bytes: int = MAX_BYTES) -> Any:
    """The root of an XML file; DatasetError if it is too large, unsafe or no XML."""
    if not path.is_file() or path.stat().st_size > max_bytes:
        raise DatasetError(f"{path}: not a file of at most {max_bytes} bytes")
    try:
        return ElementTree.parse(path, forbid_dtd=True).getroot()
    except defusedxml.DefusedXmlException as error:
        raise DatasetError(f"{path}: refused, {type(error).__name__}: {error}") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DatasetError(f"{path}: not XML ({error})") from error


def _corners(path: str | PathLike[str], box: Any) -> list[float]:
    texts = [box.findtext(corner, "") for corner in CORNERS]
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        numbers = [np.nan]
    if not np.isfinite(numbers).all():
        raise DatasetError(f"{path}: box corners {texts} are not finite numbers")
    return numbers

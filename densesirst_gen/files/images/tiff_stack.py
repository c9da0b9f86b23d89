"""Which pages of a TIFF are the frames of one sequence, and each of them as a TIFF of its own.

Frames are pages of one gray channel that all are alike, or what ImageJ and tifffile write one after
the other behind a single page. Smaller copies and masks of transparency don't count.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from densesirst_gen.files.images.raster import CodecError

REDUCED, TRANSPARENCY = 1, 4
GRAY = (0, 1)
OLD_JPEG = 6
UNPACK = "unpack it into a file for each frame (as with `tiffsplit`, or tifffile in Python)"
IN_FOLDERS = "in a folder of images, or of images and masks, each of them is a scene"
IN_ONE_PAGE = re.compile(
    r'\A(?:ImageJ=[\s\S]*?^images=(\d+)|\{.*?"shape": \[(\d+(?:, \d+)*)\])', re.M
)
IMAGEJ_SIZE = re.compile(r"^(channels|slices|frames)=(\d+)\s*$", re.M)
IMAGEJ_COLOURS = re.compile(r"^mode=(composite|color)", re.M)
OME_SIZE = re.compile(r'\bSize([CZT])="(\d+)"')
AXES = re.compile(r'"axes": "([A-Z]+)"')
OFFSETS, COUNTS = {False: 273, True: 324}, {False: 279, True: 325}
SIZE_AND_TYPE, LAYOUT = (256, 257, 258, 277, 339, 32997), (266, 278, 284, 322, 323)
PACKING, COLOURS = (259, 292, 293, 317, 347), (262, 320, 338, 529, 530, 531, 532)
ORIENTATION, NODATA = (274, 700), (42113,)
KEPT = (*SIZE_AND_TYPE, *LAYOUT, *PACKING, *COLOURS, *ORIENTATION, *NODATA)
"""Tags that say how an image is read."""


@dataclass(frozen=True)
class Frames:
    """Where the frames of a stack are.

    Parameters
    ----------
    pages : sequence of int
        Places of the directories of the frames in the file; one if all lie behind one page.
    n : int
        How many frames there are; 0 if the file is not a stack of frames.
    step : int
        Bytes from one frame to the next, where all lie behind one page.
    """

    pages: Sequence[int] = ()
    n: int = 0
    step: int = 0


class Page(NamedTuple):
    """Of a `tifffile.TiffPage` what tells whether it is a frame; a page itself takes 10 kB."""

    offset: int
    subfiletype: int
    imagelength: int
    imagewidth: int
    imagedepth: int
    samplesperpixel: int
    bitspersample: Any
    photometric: int
    compression: int


def pages_of(file: Any) -> list[Any]:
    """The first page of a `tifffile.TiffFile`, and of each other one its `Page`.

    Raises
    ------
    CodecError
        If the pages go round in a circle.
    """
    pages, seen = [file.pages.first], {file.pages.first.offset}
    for page in islice(file.pages, 1, None):
        if page.offset in seen:
            raise CodecError("a TIFF that is damaged: its pages go round in a circle")
        seen.add(page.offset)
        pages.append(Page(*(getattr(page, name) for name in Page._fields)))
    return pages


def note_on_others(pages: Sequence[Any]) -> list[str]:
    """A note on what comes after the first page; CodecError if it goes on as the first does."""
    n = _n_frames(pages)
    if n > 1:
        fault = _fault(pages)
        what = f"frame by frame it is not read, for it has {fault}" if fault else IN_FOLDERS
        raise CodecError(f"{n} frames in one file, a sequence: {UNPACK}; {what}")
    n_others = len(_full(pages)) - 1
    return [f"first of {n_others + 1} pages"] if n_others > 0 else []


def frames_of(pages: Sequence[Any]) -> Frames:
    """The frames of a stack; none of a file that is one image, or that is not read by frames."""
    n = _n_frames(pages)
    if n < 2 or _fault(pages):
        return Frames()
    full = _full(pages)
    step = 0 if len(full) > 1 else sum(full[0].databytecounts)
    return Frames(array("Q", (page.offset for page in full)), n, step)


def _full(pages: Sequence[Any]) -> list[Any]:
    """The first page, and others that are no smaller copies or masks."""
    return [*pages[:1], *(p for p in pages[1:] if not p.subfiletype & (REDUCED | TRANSPARENCY))]


def _n_frames(pages: Sequence[Any]) -> int:
    """Pages like the first one, or what the first says that follows it."""
    alike = [page for page in _full(pages) if _geometry(page) == _geometry(pages[0])]
    return max(len(alike), _n_described(pages[0]))


def _geometry(page: Any) -> tuple[Any, ...]:
    return page.imagelength, page.imagewidth, page.samplesperpixel, page.bitspersample


def _n_described(page: Any) -> int:
    """Frames that lie one after the other behind a single page, as ImageJ and tifffile write."""
    found = IN_ONE_PAGE.match(page.description or "")
    if not found:
        return 1
    if found[1]:
        return int(found[1])
    n_values = int(np.prod([int(n) for n in found[2].split(", ")], dtype=object))
    return n_values // (page.imagelength * page.imagewidth * page.samplesperpixel) or 1


def _fault(pages: Sequence[Any]) -> str:
    """Why the pages are not the frames of one gray sequence; empty if they are."""
    full = _full(pages)
    if n_others := sum(_geometry(page) != _geometry(full[0]) for page in full):
        return f"{n_others} page{'s' * (n_others != 1)} of another kind among them"
    if any(page.samplesperpixel != 1 or page.photometric not in GRAY for page in full):
        return "colours"
    if any(page.imagedepth > 1 or page.compression == OLD_JPEG for page in full):
        return "pages of a kind that is not read"
    return _fault_of_axes(full[0].description or "") or _fault_of_place(full)


def _fault_of_axes(description: str) -> str:
    """Channels and slices are no frames, unless they are all that there is.

    Writers that are told nothing of a stack's axis call it channels.
    """
    sizes = _sizes(description)
    channels, slices, times = (sizes.get(axis, 1) for axis in "CZT")
    are_colours = IMAGEJ_COLOURS.search(description) or AXES.search(description)
    if channels > 1 and (are_colours or slices > 1 or times > 1):
        return f"{channels} channels"
    return f"{slices} slices at each of {times} times" if slices > 1 and times > 1 else ""


def _sizes(description: str) -> Mapping[str, int]:
    """How many channels (C), slices (Z) and times (T) there are, as far as it is said."""
    if description.startswith("ImageJ="):
        letters = {"channels": "C", "slices": "Z", "frames": "T"}
        return {letters[name]: int(n) for name, n in IMAGEJ_SIZE.findall(description)}
    shaped, axes = IN_ONE_PAGE.match(description), AXES.search(description)
    if shaped and shaped[2] and axes:
        return dict(zip(axes[1], map(int, shaped[2].split(", ")), strict=False))
    return {axis: int(n) for axis, n in reversed(OME_SIZE.findall(description))}


def _fault_of_place(full: Sequence[Any]) -> str:
    """Of frames behind a single page: they have to follow each other as plain bytes."""
    n, page = _n_described(full[0]), full[0]
    if n <= len(full):
        return ""
    if len(full) > 1:
        return f"{len(full)} pages"
    n_bits = page.imagelength * page.imagewidth * page.bitspersample
    ends = [at + size for at, size in zip(page.dataoffsets, page.databytecounts, strict=False)]
    is_whole = ends[:-1] == list(page.dataoffsets[1:]) and 8 * sum(page.databytecounts) == n_bits
    if page.compression != 1 or page.is_tiled or not is_whole:
        return "one page, behind which they don't follow as plain bytes"
    n_held = (page.parent.filehandle.size - page.dataoffsets[0]) * 8 // n_bits
    return f"{n_held} of them, the file is cut" if n_held < n else ""


def as_file(page: Any, shift: int = 0) -> bytes:
    """A page as a TIFF of its own, its strips or tiles as they are: no pixel is decoded.

    Parameters
    ----------
    page : tifffile.TiffPage
        Of an open file.
    shift : int
        Bytes from the strips that the page names to those that are meant.

    Raises
    ------
    CodecError
        If the file ends before, or the page's strips or tiles are more than the file.
    """
    big, order = page.parent.is_bigtiff, page.parent.byteorder
    parts = _parts(page, shift)
    places = np.cumsum([16 if big else 8, *map(len, parts)]).tolist()
    word, kind = ("Q", 16) if big else ("I", 4)
    tags = dict(_kept_tags(page))
    for code, values in ((OFFSETS, places[:-1]), (COUNTS, [len(part) for part in parts])):
        packed = struct.pack(f"{order}{len(values)}{word}", *values)
        tags[code[page.is_tiled]] = (kind, len(values), packed)
    behind = places[-1]
    return b"".join([_head(behind, order, big), *parts, *_directory(tags, behind, order, big)])


def _head(at: int, order: str, big: bool) -> bytes:
    """With the place of the directory."""
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(f"{order}HHHQ", 43, 8, 0, at)
    return mark + struct.pack(f"{order}HI", 42, at)


def _parts(page: Any, shift: int) -> list[bytes]:
    """The strips or tiles."""
    file = page.parent.filehandle
    counts = page.databytecounts or [file.size - at - shift for at in page.dataoffsets]
    pairs = list(zip(page.dataoffsets, counts, strict=False))
    if any(size <= 0 or at + shift + size > file.size for at, size in pairs):
        raise CodecError("truncated: the data end before the image does")
    if sum(size for _, size in pairs) > file.size:
        raise CodecError("a TIFF that is damaged: strips or tiles that overlap")
    return [_read(file, at + shift, size) for at, size in pairs]


def _kept_tags(page: Any) -> Iterator[tuple[int, tuple[int, int, bytes]]]:
    """Code, and type, count and bytes."""
    file = page.parent.filehandle
    for code in KEPT:
        if (tag := page.tags.get(code)) is not None:
            n_bytes = min(tag.valuebytecount, file.size)
            yield code, (int(tag.dtype), tag.count, _read(file, tag.valueoffset, n_bytes))


def _read(file: Any, at: int, n_bytes: int) -> bytes:
    file.seek(at)
    found: bytes = file.read(n_bytes)
    return found


def _directory(
    tags: Mapping[int, tuple[int, int, bytes]], at: int, order: str, big: bool
) -> Iterator[bytes]:
    """The directory of a file, and behind it the values that don't fit into it."""
    number, entry, room = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    rows, values = [], b""
    behind = at + struct.calcsize(f"={number}") + len(tags) * (4 + 2 * room) + room
    for code, (kind, count, packed) in sorted(tags.items()):
        inline = packed.ljust(room, b"\0")
        if len(packed) > room:
            inline = struct.pack(f"{order}{'Q' if big else 'I'}", behind + len(values))
            values += packed
        rows.append(struct.pack(f"{order}{entry}", code, kind, count) + inline)
    yield struct.pack(f"{order}{number}", len(rows))
    yield b"".join(rows)
    yield bytes(room)
    yield values

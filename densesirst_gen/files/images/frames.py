"""A stack TIFF as a folder of its frames: ``clip.tif/0007.tif`` is the eighth of ``clip.tif``.

A path of this kind stands for a TIFF of one page that is nowhere on the disk: `open_image` gives
its bytes, and whoever opens image files by it reads frames and files alike. Of a stack its
directories are looked at once, and of a frame only its own bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING

from densesirst_gen.files.atomic import file_digest
from densesirst_gen.files.images.tiff_stack import IN_ONE_PAGE, Frames, as_file, frames_of, pages_of
from densesirst_gen.files.regular import open_regular

if TYPE_CHECKING:
    from tifffile import TiffFile

SUFFIXES = (".tif", ".tiff")
NUMBER = re.compile(r"\d{4,}\.tif")
DIGITS = 4
DESCRIPTION = 270
DESCRIBED = 4096
"""Letters of a description that are looked at."""
N_STACKS = 4096
"""Stacks of which it is remembered where their frames are."""
N_FILES = 1 << 17
"""Files of which it is remembered whether they are stacks."""


def frames_in(path: Path) -> tuple[Path, ...]:
    """The frames of a stack TIFF, in order.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple of Path
        ``PATH/0000.tif``, ``PATH/0001.tif``, ...; empty for every other file, also for one that
        can't be read, or whose pages are not frames of gray.
    """
    if path.suffix.lower() not in SUFFIXES:
        return ()
    try:
        state = _state(os.stat(path))
        n = _frames(path, *state).n if _may_be_stack(path, *state) else 0
    except Exception:  # on hostile bytes decoders raise anything; whoever reads the image is told
        return ()
    digits = max(DIGITS, len(str(n - 1)))
    return tuple(path / f"{k:0{digits}d}.tif" for k in range(n))


def stack_of(path: Path) -> Path | None:
    """The stack that a path is a frame of; None if it is a file of its own."""
    parent = path.parent
    is_like = NUMBER.fullmatch(path.name) and parent.suffix.lower() in SUFFIXES
    return parent if is_like and parent.is_file() else None


def on_disk(path: Path) -> Path:
    """The file that holds an image: for a frame its stack."""
    return stack_of(path) or path


def unpacked(path: Path) -> Path:
    """Where a frame would lie if its stack were a folder without a suffix; other files as is."""
    stack = stack_of(path)
    return path if stack is None else stack.with_suffix("") / path.name


def shown(path: Path) -> str:
    """The name of an image file, for messages; of a frame with that of its stack."""
    stack = stack_of(path)
    return path.name if stack is None else f"{stack.name}/{path.name}"


def open_image(path: str | PathLike[str]) -> IO[bytes]:
    """Open an image file, or a frame of a stack as a TIFF of its own, for reading.

    Raises
    ------
    OSError
        See `open_regular`; FileNotFoundError also if the stack has no such frame.
    CodecError
        If the stack is damaged there.
    """
    path = Path(path)
    stack = stack_of(path)
    return open_regular(path) if stack is None else BytesIO(_frame(stack, int(path.stem)))


def image_bytes(path: str | PathLike[str]) -> bytes:
    """The content of an image file, or of a frame; raises as `open_image` does."""
    with open_image(path) as file:
        return file.read()


def image_digest(path: Path) -> str:
    """SHA-256 of an image file, or of a frame as a TIFF of its own; raises as `open_image` does."""
    if stack_of(path) is None:
        return file_digest(path)
    return hashlib.sha256(image_bytes(path)).hexdigest()


def _frame(stack: Path, number: int) -> bytes:
    from tifffile import TiffPage

    with open_regular(stack) as file, _tiff(file, stack) as tiff:
        found = _frames(stack, *_state(os.fstat(file.fileno())))
        if number >= found.n:
            raise FileNotFoundError(f"{stack} has {found.n} frames")
        tiff.filehandle.seek(found.pages[0 if found.step else number])
        return as_file(TiffPage(tiff, index=0), number * found.step)


def _tiff(file: IO[bytes], path: Path) -> TiffFile:
    from tifffile import TiffFile

    return TiffFile(file, name=path.name, offset=0, _multifile=False)


def _state(status: os.stat_result) -> tuple[int, int, int]:
    """Of a file, so that what is remembered of it is not taken for true of a changed one."""
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=N_STACKS)
def _frames(path: Path, *_state: int) -> Frames:
    """Where the frames of a stack are."""
    with open_regular(path) as file, _tiff(file, path) as tiff:
        return frames_of(pages_of(tiff))


@lru_cache(maxsize=N_FILES)
def _may_be_stack(path: Path, *_state: int) -> bool:
    """By a look that is ten times quicker than tifffile's."""
    with open_regular(path) as file:
        return _goes_on(file)


def _goes_on(file: IO[bytes]) -> bool:
    """Whether there is a second page, or a description that speaks of frames behind the first."""
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    number, word, size = ("Q", "Q", 20) if big else ("H", "I", 12)
    file.seek(struct.unpack_from(f"{order}{word}", head, 8 if big else 4)[0])
    n_tags = struct.unpack(f"{order}{number}", file.read(struct.calcsize(number)))[0]
    rows = file.read(min(n_tags, 4096) * size)
    if any(file.read(struct.calcsize(word))):
        return True
    for length, place in _descriptions(rows, order, big):
        file.seek(place)
        if _speaks_of_frames(file.read(min(length, DESCRIBED)).decode("latin-1")):
            return True
    return False


def _descriptions(rows: bytes, order: str, big: bool) -> Iterator[tuple[int, int]]:
    """Length and place of the text in each tag that describes the image, among those of a page."""
    size, lengths = (20, "QQ") if big else (12, "II")
    for at in range(0, len(rows) - size + 1, size):
        if struct.unpack_from(f"{order}H", rows, at)[0] == DESCRIPTION:
            length, place = struct.unpack_from(f"{order}{lengths}", rows, at + 4)
            yield length, place


def _speaks_of_frames(text: str) -> bool:
    found = IN_ONE_PAGE.match(text)
    return found is not None and (int(found[1] or 1) > 1 or (found[2] or "").count(",") > 1)

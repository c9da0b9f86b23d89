"""What is told of plain gray files whose heads say more: a turn, an alpha, another white."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.images.codec import read_head, read_image

Write = Callable[[Path], None]
GRAY = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64)


def turned(path: Path) -> None:
    image = Image.fromarray((GRAY % 101).astype(np.uint8))
    exif = image.getexif()
    exif[274] = 6
    image.save(path, exif=exif)


def see_through(path: Path) -> None:
    Image.fromarray((GRAY % 101).astype(np.uint8)).save(path, transparency=0)


def deep_see_through(path: Path) -> None:
    Image.fromarray((GRAY * 5).astype(np.uint16)).save(path, transparency=0)


def plain(path: Path) -> None:
    Image.fromarray((GRAY % 101).astype(np.uint8)).save(path)


TOLD = {
    turned: "orientation 6 not applied",
    see_through: "alpha ignored",
    deep_see_through: "alpha ignored",
    plain: "",
}


@pytest.mark.parametrize("write", TOLD)
def test_a_dataset_tells_what_reading_a_png_tells(write: Write, tmp_path: Path) -> None:
    for k in range(2):
        write(tmp_path / f"s{k}.png")
    said = TOLD[write]
    assert read_image(tmp_path / "s0.png").notes == ((said,) if said else ())
    assert read_head(tmp_path / "s0.png").is_plain == (not said)
    notes = read_dataset(tmp_path).notes()
    wanted = f"2 of 2 images looked at: {said} (s0.png)"
    assert (wanted in notes) == bool(said)


@pytest.mark.parametrize(("white", "said"), [(100, ("white at 100 read as 255",)), (255, ())])
def test_a_white_below_255_is_told(white: int, said: tuple[str, ...], tmp_path: Path) -> None:
    levels = (GRAY % 101).astype(np.uint8)
    (tmp_path / "a.pgm").write_bytes(b"P5\n64 48\n%d\n" % white + levels.tobytes())
    decoded = read_image(tmp_path / "a.pgm")
    assert decoded.notes == said
    assert decoded.array.max() == (255 if said else 100)

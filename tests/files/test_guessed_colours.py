"""Three frames that tifffile takes for colours unasked are refused; planes of one gray are read."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from densesirst_gen.files.images.codec import CodecError, read_image

FRAMES = np.random.default_rng(0).integers(60, 90, (4, 32, 40)).astype(np.uint8)


def write(path: Path, planes: np.ndarray, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tifffile's, on its own guess
        tifffile.imwrite(path, planes, **options)
    return path


@pytest.mark.parametrize("n", [3, 4])
def test_planes_that_may_be_frames_are_refused(tmp_path: Path, n: int) -> None:
    path = write(tmp_path / "a.tif", FRAMES[:n], photometric="rgb")
    with pytest.raises(CodecError, match=rf"a\.tif: .*{n} planes .*minisblack"):
        read_image(path)


@pytest.mark.parametrize("options", [{"metadata": {"axes": "CYX"}}, {"metadata": None}])
def test_colours_that_are_said_to_be_some_are_read(tmp_path: Path, options: Any) -> None:
    path = write(tmp_path / "a.tif", FRAMES[:3], photometric="rgb", **options)
    assert "true colour" in read_image(path).notes


def test_planes_of_one_gray_are_gray(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.stack([FRAMES[0]] * 3), photometric="rgb")
    np.testing.assert_array_equal(read_image(path).array, FRAMES[0])

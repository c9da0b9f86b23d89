"""Arrays of any memory layout and byte order are the same images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.paste.library import TargetLibrary


def strided(array: np.ndarray) -> np.ndarray:
    wide = np.zeros((array.shape[0] * 2, array.shape[1] * 3), array.dtype)
    wide[::2, ::3] = array
    return wide[::2, ::3]


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Fortran": np.asfortranarray,
    "strided": strided,
    "negative strides": lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": read_only,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "one channel": lambda array: array[..., None],
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", list(LAYOUTS))
def test_layouts_change_nothing(name: str, dtype: type, targets: TargetLibrary) -> None:
    """Rows 18 and 20."""
    scene = make_scene(dtype=dtype)
    given = {"sky": scene.sky, "mask": scene.labels > 0}
    aug = BagCopyPaste(targets, span=scene.levels)
    wanted = aug(image=scene.image, **given, index=3)
    laid = LAYOUTS[name](scene.image)
    before = laid.copy()
    found = aug(image=laid, **given, index=3)
    assert wanted["n_pasted"] > 0
    assert (found["image"].reshape(scene.shape) == wanted["image"]).all()
    assert (found["mask"] == wanted["mask"]).all()
    assert (laid == before).all()


@pytest.mark.parametrize(
    "dtype", [bool, np.int8, np.int64, np.float16, np.float64, object, complex, "datetime64[s]"]
)
def test_other_types_are_refused_with_those_that_are_taken(
    dtype: type, targets: TargetLibrary
) -> None:
    """Row 19."""
    image = np.zeros((96, 128), np.uint8).astype(dtype)
    with pytest.raises(ValueError, match="image must be uint8, uint16 or float32, got"):
        BagCopyPaste(targets)(image=image, sky=np.ones((96, 128), bool))


@pytest.mark.parametrize("shape", [(96,), (1, 1, 96, 128), (96, 128, 4), (96, 128, 4, 1), (0, 9)])
def test_other_shapes_are_refused(shape: tuple[int, ...], targets: TargetLibrary) -> None:
    """Row 20."""
    with pytest.raises(ValueError, match="image must"):
        BagCopyPaste(targets)(image=np.zeros(shape, np.uint8), sky=np.ones(shape[:2], bool))

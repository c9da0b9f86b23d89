"""Laws of conversion: whatever the masks, every format that has them gives them back."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.labels.convert import convert

FORMATS = ("devkit", "voc", "coco", "yolo-seg", "masks", "basicirstd", "hf", "webdataset")
SHAPES = st.tuples(st.integers(12, 20), st.integers(12, 20))


def sparse(mask: np.ndarray) -> np.ndarray:
    """At most some targets: a mask that is mostly white is taken to be inverted."""
    kept = mask.copy()
    kept[::3] = False
    return kept if kept.mean() < 0.4 else np.zeros_like(kept)


def read_again(root: Path, to: str) -> Path:
    if to == "webdataset":
        for shard in root.glob("*.tar"):
            with tarfile.open(shard) as tar:
                tar.extractall(root.parent / "flat", filter="data")
        return root.parent / "flat"
    return root


@pytest.mark.parametrize("to", FORMATS)
@settings(max_examples=12, deadline=None)
@given(mask=SHAPES.flatmap(lambda shape: arrays(np.bool_, shape)), seed=st.integers(0, 99))
def test_masks_and_images_come_back(to: str, mask: np.ndarray, seed: int) -> None:
    mask = sparse(mask)
    image = np.random.default_rng(seed).integers(0, 255, mask.shape).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dot = np.zeros_like(mask)
        dot[5, 5] = True
        for name, on in (("a_b", mask), ("c.d", dot)):  # the dot says what masks look like
            files = [("images", image), ("masks", on.astype(np.uint8) * 255)]
            write_files(root / "in", [(f"{k}/{name}.png", encode_png(v)) for k, v in files])
        source = read_dataset(root / "in", layout="folders")
        made = convert(source, root / "out", to)
        assert made.n_targets == made.n_targets_in
        found = {s.name: s.load() for s in read_dataset(read_again(root / "out", to)).scenes}
        assert set(found) == {"a_b", "c.d"}
        np.testing.assert_array_equal(found["a_b"].labels > 0, mask)
        np.testing.assert_array_equal(found["c.d"].labels > 0, dot)
        np.testing.assert_array_equal(found["a_b"].image, image)

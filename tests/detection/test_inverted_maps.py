"""Maps that are white nearly everywhere are told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.detection.evaluation.readers.map_values import meaning_of


def write(folder: Path, background: float, target: float, dtype: type) -> list[Path]:
    values = np.full((16, 16), background, dtype)
    values[3:5, 3:5] = target
    paths = [folder / f"f{k}{'.npy' if dtype is np.float32 else '.png'}" for k in range(3)]
    for path in paths:
        np.save(path, values) if path.suffix == ".npy" else Image.fromarray(values).save(path)
    return paths


@pytest.mark.parametrize(
    ("background", "target", "dtype"), [(255, 0, np.uint8), (1, 0, np.uint8), (0.9, 0, np.float32)]
)
def test_inverted_maps_are_told_of(
    tmp_path: Path, background: float, target: float, dtype: type
) -> None:
    notes = meaning_of(write(tmp_path, background, target, dtype)).notes
    assert any("3 of 3 maps" in note and "are they inverted" in note for note in notes)
    right = meaning_of(write(tmp_path, target, background, dtype)).notes
    assert not any("inverted" in note for note in right)

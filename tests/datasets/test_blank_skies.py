"""Sky masks that are all white, of scenes without ground, are no images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenes import random_scenes

from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png


@pytest.mark.parametrize("value", [0, 255])
def test_a_folder_of_blank_images_called_sky_is_of_skies(tmp_path: Path, value: int) -> None:
    for scene in random_scenes(5, 3):
        mask = (scene.labels > 0).astype(np.uint8) * 255
        contents = {"images": scene.image, "masks": mask, "sky": np.full_like(mask, value)}
        files = [(f"{place}/{scene.name}.png", encode_png(a)) for place, a in contents.items()]
        write_files(tmp_path, files)
    found = read_dataset(tmp_path)
    assert [scene.name for scene in found.scenes] == ["000", "001", "002"]
    assert all(scene.mask is not None for scene in found.scenes)

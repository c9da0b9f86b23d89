"""Images that give the network nothing to go by, or nothing it knows, are doubted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run

from densesirst_gen.cli.sky import tell_predicted
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky.check import worth_a_look
from densesirst_gen.sky.folder import SkyRow
from densesirst_gen.sky.predict import predict_sky


def bare(image: np.ndarray) -> Scene:
    return Scene("bare", image, np.zeros(image.shape, np.int32))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("values", [(0, 0), (90, 90), (0, 255), (100, 101)])
# row 124
def test_images_of_one_or_two_values_have_no_sky(values: tuple[int, int], dtype: type) -> None:
    image = np.where(np.arange(120)[:, None] < np.full(160, 50), *values).astype(dtype)
    found = predict_sky(bare(image))
    assert not found.sky.any()
    assert found.confidence == 0


# row 124
def test_an_image_that_is_taken_for_all_sky_must_be_surer() -> None:
    assert worth_a_look(0.99, 0.99)
    assert not worth_a_look(0.995, 1.0)
    assert worth_a_look(0.89, 0.5)
    assert not worth_a_look(0.91, 0.5)


def test_a_blank_image_is_listed(tmp_path: Path) -> None:
    write_files(tmp_path / "in", [("a.png", encode_png(np.full((90, 90), 7, np.uint8)))])
    told = run("sky", tmp_path / "in", "--out", tmp_path / "masks").stdout
    assert "1 are worth a look" in told
    assert "0.00    0%  a" in told


def test_little_sky_that_nothing_is_pasted_on_is_counted_not_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [SkyRow("little", confidence=0.3, share=0.02), SkyRow("some", confidence=0.3, share=0.2)]
    tell_predicted(rows, tmp_path, quiet=False, as_json=False)
    told = capsys.readouterr().out
    assert "1 are worth a look" in told
    assert "1 more are unsure of at most 5% sky: nothing is pasted into them" in told
    assert "0.30    2%" not in told

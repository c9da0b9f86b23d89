"""Names that are rare come back, and a folder that we are in is refused at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run

from densesirst_gen.cli.options import REFUSED
from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png

NAMES = ("CON", "x.", "ü 1", "a#%41")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for k, name in enumerate(NAMES):
        image = np.random.default_rng(k).integers(60, 80, (64, 64)).astype(np.uint8)
        mask = np.zeros((64, 64), np.uint8)
        image[30:33, 10:13], mask[30:33, 10:13] = 200, 255
        files = [("images", image), ("masks", mask)]
        write_files(root, [(f"{kind}/{name}.png", encode_png(array)) for kind, array in files])
    lists = "".join(f"{name}\n" for name in NAMES[:2])
    write_files(root, [("splits/train.txt", lists.encode())])
    return root


@pytest.mark.parametrize("to", ["coco", "hf", "yolo-seg", "voc"])
def test_odd_names_come_back(tmp_path: Path, data: Path, to: str) -> None:
    run("convert", data, tmp_path / to, "--to", to)
    found = read_dataset(tmp_path / to)
    assert {scene.name for scene in found.scenes} == set(NAMES)
    assert sum(scene.load().n_targets for scene in found.scenes) == len(NAMES)
    assert set(found.splits["train"]) == set(NAMES[:2])


def test_the_folder_that_we_are_in_is_refused(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for out in (".", here):
        said = run("convert", data, out, "--to", "yolo", code=REFUSED).stderr
        assert f"{out} is the folder that the program runs in" in said
    assert not list(here.iterdir())

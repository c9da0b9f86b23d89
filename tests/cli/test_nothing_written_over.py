"""What a command reads it does not write over, nor does it write into the midst of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from densesirst_gen.cli.options import REFUSED
from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.paste.library import TargetLibrary


def pairs(root: Path, names: str, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for name in names:
        image, mask = rng.integers(60, 80, (64, 64)).astype(np.uint8), np.zeros((64, 64), np.uint8)
        image[30:33, 10:13], mask[30:33, 10:13] = 200, 255
        files = {"images": image, "masks": mask, "sky": np.full((64, 64), 255, np.uint8)}
        write_files(root, [(f"{kind}/{name}.png", encode_png(a)) for kind, a in files.items()])
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return pairs(tmp_path / "data", "ab")


def refused(out: Path, *command: object) -> None:
    before = out.read_bytes()
    assert f"{out} is read, and would be written over" in run(*command, code=REFUSED).stderr
    assert out.read_bytes() == before


def test_predictions_are_not_replaced_by_their_scores(tmp_path: Path, data: Path) -> None:
    found = tmp_path / "r.json"
    found.write_text(json.dumps([{"image_id": "a", "bbox": [10, 30, 3, 3], "score": 0.9}]))
    refused(found, "evaluate", "-p", found, "-d", data, "--json", found)
    scores = tmp_path / "s.json"
    for _ in range(2):
        run("evaluate", "-p", found, "-d", data, "--json", scores)


def test_images_and_masks_are_not_replaced(data: Path) -> None:
    image, mask, sky = (data / f"{kind}/a.png" for kind in ("images", "masks", "sky"))
    refused(image, "library", "extract", data, "-o", image, "--overwrite")
    refused(mask, "stats", data, "--save", mask)
    refused(sky, "sky", "export", data, "--to", "coco", "-o", sky, "--overwrite")
    refused(mask, "evaluate", "-p", data / "masks", "-d", data, "--json", mask)


def test_a_page_does_not_replace_an_image(data: Path) -> None:
    pytest.importorskip("jinja2")
    refused(data / "images/a.png", "validate", data, "--html", data / "images/a.png")


def test_annotations_are_not_replaced(tmp_path: Path, data: Path) -> None:
    run("convert", data, tmp_path / "coco", "--to", "coco")
    out = tmp_path / "coco/annotations.json"
    refused(out, "evaluate", "-p", data / "masks", "-d", tmp_path / "coco", "--json", out)


def test_a_library_is_not_replaced_by_its_picture(tmp_path: Path, data: Path) -> None:
    library = tmp_path / "targets.npz"
    run("library", "extract", data, "-o", library)
    refused(library, "library", "show", library, "-o", library)
    assert len(TargetLibrary.load(library)) == 2


@pytest.mark.parametrize("place", ["both", "images/both"])
def test_datasets_are_not_merged_into_one_of_them(tmp_path: Path, data: Path, place: str) -> None:
    other = pairs(tmp_path / "other", "cd", seed=7)
    said = run("merge", other, data, "-o", data / place, "--to", "masks", code=REFUSED).stderr
    assert f"{data / place}, which is to be written, and {data}" in said
    assert [scene.name for scene in read_dataset(data).scenes] == ["a", "b"]


def test_detections_are_not_written_among_the_images(tmp_path: Path, data: Path) -> None:
    pytest.importorskip("lightning_fabric")
    out = data / "images/found"
    said = run("detect", "-c", tmp_path, "-i", data / "images", "-o", out, code=REFUSED).stderr
    assert f"{out}, which is to be written, and {data / 'images'}" in said

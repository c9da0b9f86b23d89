"""Masks from annotation tools: all are checked before one is written, nothing else is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from densesirst_gen.datasets import DatasetError, SceneFile, read_dataset
from densesirst_gen.files.atomic import RefusedError, write_files
from densesirst_gen.files.images.codec import encode_png, read_mask
from densesirst_gen.sky.exchange import READERS, export_sky, images_folder, import_sky
from densesirst_gen.sky.folder import predict_folder, write_mask

SHAPE = (24, 32)
SKY = np.arange(SHAPE[0])[:, None] < np.full(SHAPE[1], 9)
FILES = {"cvat": "sky.xml", "labelme": "labelme", "coco": "sky.json"}
NAMES = ("a", "b", "sub/c")
SHADES = np.add.outer(*map(np.arange, SKY.shape)).astype(np.uint8)
"""An image that nobody takes for a mask."""


def png(array: np.ndarray) -> bytes:
    return encode_png(array.astype(np.uint8) * 200)


def dataset(root: Path) -> tuple[SceneFile, ...]:
    """Three images, the last of them in a folder of its own, and their masks."""
    write_files(root, [(f"in/{name}.png", encode_png(SHADES)) for name in NAMES])
    write_files(root, [(f"masks/{name}.png", png(SKY)) for name in NAMES])
    return read_dataset(root / "in", sky_dir=root / "masks").scenes


def exported(root: Path, tool: str) -> tuple[tuple[SceneFile, ...], Path]:
    files = dataset(root)
    export_sky(files, tool, root / FILES[tool])
    return files, root / FILES[tool]


def edited(path: Path, before: str, after: str) -> None:
    """Replace a text in the file of the tool, or in all its files."""
    for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        file.write_text(file.read_text().replace(before, after))


@pytest.mark.parametrize("tool", READERS)
# row 21
def test_masks_of_another_size_are_refused_before_any_is_written(tmp_path: Path, tool: str) -> None:
    files, path = exported(tmp_path, tool)
    write_files(tmp_path, [("in/sub/c.png", png(np.pad(SKY, ((0, 0), (0, 1)))))])
    with pytest.raises(DatasetError, match=r"c.png: mask is \(24, 32\), image is \(24, 33\)"):
        import_sky(path, files, tool, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tool", READERS)
@pytest.mark.parametrize("name", ["z.png", "../x.png", "/x.png", "sub/../../x.png"])
def test_images_that_are_not_there_are_refused_before_any_is_written(
    tmp_path: Path, tool: str, name: str
) -> None:
    files, path = exported(tmp_path, tool)
    write_files(tmp_path, [("x.png", png(SKY))])
    edited(path, "sub/c.png", name)
    with pytest.raises(DatasetError):
        import_sky(path, files, tool, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tool", READERS)
def test_images_that_are_no_scene_are_passed_over_aloud(tmp_path: Path, tool: str) -> None:
    files, path = exported(tmp_path, tool)
    told: list[str] = []
    some = [files[0], files[1], other(tmp_path)]
    assert import_sky(path, some, tool, tmp_path / "out", tell=told.append) == 2
    assert any("none of the dataset and passed over, such as sub/c.png" in line for line in told)


@pytest.mark.parametrize("tool", READERS)
def test_a_file_of_no_scene_at_all_is_refused(tmp_path: Path, tool: str) -> None:
    path = exported(tmp_path, tool)[1]
    with pytest.raises(DatasetError):
        import_sky(path, [other(tmp_path)], tool, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def other(root: Path) -> SceneFile:
    write_files(root, [("in/sub/d.png", png(SKY))])
    return SceneFile("sub/d", root / "in/sub/d.png")


@pytest.mark.parametrize("tool", READERS)
def test_a_malformed_shape_in_the_last_image_stops_before_any_is_written(
    tmp_path: Path, tool: str
) -> None:
    files, path = exported(tmp_path, tool)
    if tool == "labelme":
        last = path / "sub/c.json"
        document = json.loads(last.read_text())
        document["shapes"][0]["mask"] = "AAAA"
        last.write_text(json.dumps(document))
    else:
        text = path.read_text()
        end = text.rindex('rle="' if tool == "cvat" else '"counts": "') + (
            5 if tool == "cvat" else 11
        )
        path.write_text(text[:end] + "!" + text[end + 1 :])
    with pytest.raises(DatasetError):
        import_sky(path, files, tool, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tool", READERS)
def test_linked_images_keep_their_own_names(tmp_path: Path, tool: str) -> None:
    write_files(tmp_path, [("elsewhere/000.png", encode_png(SHADES)), ("masks/a.png", png(SKY))])
    write_files(tmp_path, [("in/b.png", encode_png(SHADES)), ("masks/b.png", png(~SKY))])
    (tmp_path / "in/a.png").symlink_to(tmp_path / "elsewhere/000.png")
    files = read_dataset(tmp_path / "in", sky_dir=tmp_path / "masks").scenes
    assert images_folder(files) == tmp_path / "in"
    export_sky(files, tool, tmp_path / FILES[tool])
    assert import_sky(tmp_path / FILES[tool], files, tool, tmp_path / "out") == 2
    for name, sky in (("a", SKY), ("b", ~SKY)):
        found = read_mask(tmp_path / f"out/{name}.png", sparse=False).array
        np.testing.assert_array_equal(found, sky)


# ---------------------------------------------------------------- where masks may be written


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("overwrite", [False, True])
def test_masks_never_come_in_the_place_of_images(tmp_path: Path, *, overwrite: bool) -> None:
    files, path = exported(tmp_path, "coco")
    before = contents(tmp_path / "in")
    with pytest.raises(RefusedError, match=r"would come in the place of .*in/a\.png"):
        import_sky(path, files, "coco", tmp_path / "in", overwrite=overwrite)
    with pytest.raises(RefusedError, match="in the place of"):
        predict_folder(files, tmp_path / "in")
    with pytest.raises(RefusedError, match="in the place of"):
        predict_folder(files, tmp_path / "out", overlay=tmp_path / "in")
    assert contents(tmp_path / "in") == before


def test_a_mask_beside_an_image_of_another_format_is_in_its_place_too(tmp_path: Path) -> None:
    write_files(tmp_path, [("in/a.bmp", encode_png(SHADES))])
    with pytest.raises(RefusedError, match=r"in the place of .*a\.bmp"):
        predict_folder(read_dataset(tmp_path / "in").scenes, tmp_path / "in")


@pytest.mark.parametrize("link", ["out", "out/sub"])
def test_masks_are_not_written_through_links(tmp_path: Path, link: str) -> None:
    files, path = exported(tmp_path, "coco")
    (tmp_path / "real").mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "real")
    with pytest.raises(RefusedError, match="symbolic link: nothing is written through it"):
        import_sky(path, files, "coco", tmp_path / "out")
    with pytest.raises(RefusedError, match="symbolic link: nothing is written through it"):
        predict_folder(files, tmp_path / "out")
    with pytest.raises(RefusedError, match="symbolic link: nothing is written through it"):
        export_sky(files, "labelme", tmp_path / "out")
    assert list((tmp_path / "real").iterdir()) == []


def test_a_link_in_the_place_of_a_mask_is_replaced_and_not_followed(tmp_path: Path) -> None:
    write_files(tmp_path, [("precious.png", b"precious")])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").symlink_to("../precious.png")
    write_mask(tmp_path / "out", "a", SKY, palette=False)
    assert (tmp_path / "precious.png").read_bytes() == b"precious"
    assert not (tmp_path / "out/a.png").is_symlink()


def test_a_pipe_in_the_place_of_the_index_is_replaced(tmp_path: Path) -> None:
    files, path = exported(tmp_path, "coco")
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out/sky.json")
    assert import_sky(path, files, "coco", tmp_path / "out") == 3
    assert (tmp_path / "out/sky.json").is_file()


def test_an_interrupted_prediction_goes_on_where_names_are_alike(tmp_path: Path) -> None:
    write_files(tmp_path, [(f"in/{name}.png", encode_png(SHADES)) for name in ("a", "a_pixels0")])
    files = read_dataset(tmp_path / "in", layout="plain").scenes
    predict_folder(files, tmp_path / "out")
    (tmp_path / "out/a.png").unlink()
    rows = predict_folder(files, tmp_path / "out")
    assert [row.error for row in rows] == ["", ""]
    assert (tmp_path / "out/a.png").is_file()

"""No shapes in a tool's file is not "no sky"; other labels and other paths are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from densesirst_gen.datasets import DatasetError, SceneFile, read_dataset
from densesirst_gen.files.images.codec import encode_png, read_mask
from densesirst_gen.sky.exchange import export_sky, import_sky
from densesirst_gen.sky.folder import predict_folder, write_mask

SIDE = 24
TOP = np.arange(SIDE)[:, None] < np.full(SIDE, 9)
CORNERS = [[0, 0], [SIDE, 0], [SIDE, 9], [0, 9]]
SHADES = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.uint8) * 5
NAMES = ("f0", "f1")
FILES = {"cvat": "sky.xml", "labelme": "lm", "coco": "sky.json"}

Shapes = dict[str, list[str]]
"""File name of an image -> labels of shapes over its upper rows."""


def scenes(root: Path, names: tuple[str, ...] = NAMES) -> tuple[SceneFile, ...]:
    for name in names:
        path = root / f"images/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(SHADES))
    return read_dataset(root / "images").scenes


def cvat(root: Path, shapes: Shapes) -> None:
    points = ";".join(f"{x},{y}" for x, y in CORNERS)
    images = "".join(
        f'<image id="{i}" name="{name}" width="{SIDE}" height="{SIDE}">'
        + "".join(
            f'<tag label="{label[4:]}"/>'
            if label.startswith("tag:")
            else f'<polygon label="{label}" points="{points}"/>'
            for label in labels
        )
        + "</image>"
        for i, (name, labels) in enumerate(shapes.items())
    )
    (root / FILES["cvat"]).write_text(f"<annotations>{images}</annotations>")


def labelme(root: Path, shapes: Shapes) -> None:
    (root / "lm").mkdir()
    for name, labels in shapes.items():
        document = {
            "version": "5.3.1",
            "imagePath": f"../images/{name}",
            "imageHeight": SIDE,
            "imageWidth": SIDE,
            "shapes": [{"label": x, "points": CORNERS, "shape_type": "polygon"} for x in labels],
        }
        (root / "lm" / f"{Path(name).stem}.json").write_text(json.dumps(document))


def coco(root: Path, shapes: Shapes) -> None:
    known = sorted({label for labels in shapes.values() for label in labels})
    polygon = [float(value) for corner in CORNERS for value in corner]
    rows = [(i, label) for i, labels in enumerate(shapes.values()) for label in labels]
    document = {
        "images": [
            {"id": i, "file_name": name, "width": SIDE, "height": SIDE}
            for i, name in enumerate(shapes)
        ],
        "categories": [{"id": i, "name": label} for i, label in enumerate(known)],
        "annotations": [
            {"id": n, "image_id": i, "category_id": known.index(x), "segmentation": [polygon]}
            for n, (i, x) in enumerate(rows)
        ],
    }
    (root / FILES["coco"]).write_text(json.dumps(document))


WRITERS: dict[str, Callable[[Path, Shapes], None]] = {
    "cvat": cvat,
    "labelme": labelme,
    "coco": coco,
}


@pytest.mark.parametrize("tool", WRITERS)
# row 95
def test_images_without_shapes_are_not_written_but_told(tmp_path: Path, tool: str) -> None:
    files, notes = scenes(tmp_path), list[str]()
    WRITERS[tool](tmp_path, {"f0.png": ["sky"], "f1.png": []})
    n = import_sky(tmp_path / FILES[tool], files, tool, tmp_path / "out", tell=notes.append)
    assert n == 1
    assert not (tmp_path / "out/f1.png").exists()
    assert notes == [
        "1 images have no shapes, such as f1.png: not annotated yet, so no mask is written of "
        "them; --empty-is-no-sky takes it that such images have no sky"
    ]


@pytest.mark.parametrize("tool", WRITERS)
def test_who_insists_gets_black_masks(tmp_path: Path, tool: str) -> None:
    files = scenes(tmp_path)
    WRITERS[tool](tmp_path, {"f0.png": ["sky"], "f1.png": []})
    import_sky(tmp_path / FILES[tool], files, tool, tmp_path / "out", empty_is_no_sky=True)
    assert not read_mask(tmp_path / "out/f1.png", sparse=False).array.any()


# row 95
def test_a_prediction_stays_where_nobody_drew_and_gives_way_aloud_elsewhere(tmp_path: Path) -> None:
    files, notes = scenes(tmp_path), list[str]()
    predict_folder(files, tmp_path / "out")
    before = (tmp_path / "out/f1.png").read_bytes()
    cvat(tmp_path, {"f0.png": ["sky"], "f1.png": []})
    import_sky(tmp_path / "sky.xml", files, "cvat", tmp_path / "out", tell=notes.append)
    assert (tmp_path / "out/f1.png").read_bytes() == before
    assert "1 predictions are replaced, such as that of f0.png" in notes


@pytest.mark.parametrize("tool", WRITERS)
def test_no_sky_that_we_export_comes_back(tmp_path: Path, tool: str) -> None:
    scenes(tmp_path)
    for name, sky in zip(NAMES, (TOP, TOP & False), strict=True):
        write_mask(tmp_path / "masks", name, sky, palette=False)
    files = read_dataset(tmp_path / "images", sky_dir=tmp_path / "masks").scenes
    export_sky(files, tool, tmp_path / FILES[tool])
    assert import_sky(tmp_path / FILES[tool], files, tool, tmp_path / "out") == 2
    for name, sky in zip(NAMES, (TOP, TOP & False), strict=True):
        found = read_mask(tmp_path / f"out/{name}.png", sparse=False).array
        np.testing.assert_array_equal(found, sky)


@pytest.mark.parametrize("tool", WRITERS)
def test_a_file_without_any_shape_is_refused(tmp_path: Path, tool: str) -> None:
    files = scenes(tmp_path)
    WRITERS[tool](tmp_path, {"f0.png": [], "f1.png": []})
    with pytest.raises(DatasetError, match="none of 2 images has shapes"):
        import_sky(tmp_path / FILES[tool], files, tool, tmp_path / "out")


@pytest.mark.parametrize("tool", WRITERS)
# row 105
def test_other_labels_are_counted_and_passed_over(tmp_path: Path, tool: str) -> None:
    files, notes = scenes(tmp_path), list[str]()
    tag = ["tag:done"] if tool == "cvat" else []
    WRITERS[tool](tmp_path, {"f0.png": ["sky", "cloud", *tag], "f1.png": ["cloud"]})
    import_sky(tmp_path / FILES[tool], files, tool, tmp_path / "out", tell=notes.append)
    n = 2 + len(tag)
    assert notes[0].startswith(f"{n} shapes and tags have other labels than")
    assert "'cloud' in f0" in notes[0]
    found = read_mask(tmp_path / "out/f0.png", sparse=False).array
    np.testing.assert_array_equal(found, TOP)


@pytest.mark.parametrize("tool", WRITERS)
def test_the_sky_may_be_called_otherwise(tmp_path: Path, tool: str) -> None:
    files = scenes(tmp_path)
    WRITERS[tool](tmp_path, {"f0.png": ["Himmel"], "f1.png": ["himmel"]})
    with pytest.raises(DatasetError, match="--label NAME says what the sky is called"):
        import_sky(tmp_path / FILES[tool], files, tool, tmp_path / "out")
    assert import_sky(tmp_path / FILES[tool], files, tool, tmp_path / "out", label="Himmel") == 2


@pytest.mark.parametrize("tool", ["cvat", "coco"])
@pytest.mark.parametrize(
    "name", ["F0.PNG", "upload/f0.png", "C:\\data\\f0.png", "/mnt/images/f0.jpg"]
)
# row 105
def test_images_are_found_by_the_end_of_their_path(tmp_path: Path, tool: str, name: str) -> None:
    files, notes = scenes(tmp_path, ("f0",)), list[str]()
    WRITERS[tool](tmp_path, {name: ["sky"]})
    import_sky(tmp_path / FILES[tool], files, tool, tmp_path / "out", tell=notes.append)
    assert notes == [
        f"1 images are found by the end of their path only, such as {name}, read as f0.png"
    ]


def test_an_end_that_two_paths_have_is_no_image(tmp_path: Path) -> None:
    files = scenes(tmp_path, ("a/f0", "b/f0"))
    cvat(tmp_path, {"upload/f0.png": ["sky"]})
    with pytest.raises(DatasetError, match=r"1 images not in .*upload/f0\.png"):
        import_sky(tmp_path / "sky.xml", files, "cvat", tmp_path / "out")


def test_a_stale_image_path_is_found_by_its_end_and_told(tmp_path: Path) -> None:
    files, notes = scenes(tmp_path, ("f0",)), list[str]()
    labelme(tmp_path, {"f0.png": ["sky"]})
    path = tmp_path / "lm/f0.json"
    path.write_text(path.read_text().replace("../images/f0.png", "C:/other/f0.png"))
    import_sky(tmp_path / "lm", files, "labelme", tmp_path / "out", tell=notes.append)
    assert notes == [
        "1 images are not where imagePath says, found by name, such as C:/other/f0.png, read as "
        "f0.png"
    ]

"""A dataset goes into any format and comes back: nothing is moved, nothing lost unsaid."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from PIL import Image
from scenes import make_scene, random_scenes

from densesirst_gen.cli.options import FAILED, REFUSED, USAGE
from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files, split_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.labels.formats import FORMATS
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

SPLITS = {"train_v2": ("000", "001"), "val_v2": ("002",)}
WITH_MASKS = ("coco", "yolo-seg", "voc", "masks", "basicirstd")


def devkit(root: Path, n: int = 3) -> Path:
    for scene in random_scenes(5, n):
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    write_files(root, split_files(SPLITS, ["000", "001", "002"]))
    return root


def labels_of(root: Path) -> dict[str, bytes]:
    files = [p for p in root.rglob("*") if p.is_file() and p.parent != root]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(files)}


def convert(source: Path, out: Path, to: str, *more: object, code: int = 0) -> str:
    result = run("convert", source, out, "--to", to, *more, code=code)
    return result.stdout if code == 0 else result.stderr


@pytest.mark.parametrize("to", WITH_MASKS)
def test_there_and_back_every_byte_of_image_box_point_mask_sky_and_list(
    tmp_path: Path, to: str
) -> None:
    source = devkit(tmp_path / "kit")
    said = convert(source, tmp_path / "there", to)
    assert "images 3 in, 3 out; targets 16 in, 16 out" in said
    convert(tmp_path / "there", tmp_path / "back", "devkit", "--sky", tmp_path / "there/sky")
    assert labels_of(tmp_path / "back") == {
        name: data for name, data in labels_of(source).items() if not name.startswith(".")
    }


def test_one_format_after_the_other_keeps_masks_images_and_parts(tmp_path: Path) -> None:
    source = here = devkit(tmp_path / "kit")
    for to in (*WITH_MASKS, "coco"):
        convert(here, tmp_path / f"{to}-of-{here.name[:4]}", to)
        here = tmp_path / f"{to}-of-{here.name[:4]}"
    before, after = read_dataset(source), read_dataset(here)
    assert [scene.name for scene in after.scenes] == [scene.name for scene in before.scenes]
    for a, b in zip(before.scenes, after.scenes, strict=True):
        np.testing.assert_array_equal(a.load().labels > 0, b.load().labels > 0)
        assert a.image.read_bytes() == b.image.read_bytes()
    assert (after.splits["train"], after.splits["val"]) == (("000", "001"), ("002",))


@pytest.mark.parametrize("dialect", ["sirst", "densesirst", "devkit"])
def test_boxes_stay_boxes_in_every_dialect(tmp_path: Path, dialect: str) -> None:
    kit = devkit(tmp_path / "kit")
    convert(kit, tmp_path / "yolo", "yolo")
    convert(tmp_path / "yolo", tmp_path / "voc", "voc", "--voc-dialect", dialect)
    assert not (tmp_path / "voc/SegmentationClass").exists()
    convert(tmp_path / "voc", tmp_path / "coco", "coco")
    convert(tmp_path / "coco", tmp_path / "again", "yolo")
    for name in ("000", "001", "002"):
        text = f"labels/{name}.txt"
        assert (tmp_path / "again" / text).read_bytes() == (tmp_path / "yolo" / text).read_bytes()
    found = read_dataset(tmp_path / "coco").scenes[0]
    expected = annotate(read_dataset(kit).scenes[0].load().labels).boxes
    assert sorted(found.boxes) == sorted(map(tuple, expected.astype(float).tolist()))


def test_masks_of_boxes_are_made_only_if_asked(tmp_path: Path) -> None:
    kit = devkit(tmp_path / "kit")
    convert(kit, tmp_path / "yolo", "yolo")
    said = convert(tmp_path / "yolo", tmp_path / "kit2", "devkit", code=FAILED)
    assert "--masks-from boxes" in said
    assert not (tmp_path / "kit2").exists()
    convert(tmp_path / "yolo", tmp_path / "kit2", "devkit", "--masks-from", "boxes")
    assert len(list((tmp_path / "kit2/SIRST/BBox").iterdir())) == 3


def touching(root: Path) -> Path:
    """Two annotations, one target in a mask."""
    write_files(root, [("images/a.png", encode_png(make_scene(name="a").image))])
    squares = [
        [5, 5, 8, 5, 8, 8, 5, 8],
        [8, 5, 11, 5, 11, 8, 8, 8],
        [40, 40, 43, 40, 42, 43, 40, 42],
    ]
    rows = [
        {"id": k, "image_id": 7, "category_id": 3, "segmentation": [s]}
        for k, s in enumerate(squares, 1)
    ]
    document = {
        "images": [{"id": 7, "file_name": "a.png", "width": 128, "height": 96}],
        "annotations": rows,
        "categories": [{"id": 3, "name": "drone"}],
    }
    (root / "annotations.json").write_text(json.dumps(document))
    return root


@pytest.mark.parametrize("to", FORMATS)
def test_lost_targets_are_named_and_nothing_is_written(tmp_path: Path, to: str) -> None:
    if to == "parquet":
        pytest.importorskip("pyarrow")
    source = touching(tmp_path / "in")
    said = convert(source, tmp_path / "out", to, code=FAILED)
    assert "3 targets in, 2 out" in said
    assert "a (3 become 2)" in said
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    convert(source, tmp_path / "out", to, "--allow-loss")
    assert json.loads((tmp_path / "out/manifest.json").read_text())["summary"]["n_targets"] == 2


def test_an_image_that_cannot_be_read_is_a_loss(tmp_path: Path) -> None:
    kit = devkit(tmp_path / "kit")
    (kit / "PNGImages/001.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    said = convert(kit, tmp_path / "out", "coco", code=FAILED)
    assert "1 scenes can't be read: 001: " in said
    assert not (tmp_path / "out").exists()
    convert(kit, tmp_path / "out", "coco", "--allow-loss")
    assert (tmp_path / "out/splits/train_v2.txt").read_text() == "000\n"


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    kit = devkit(tmp_path / "kit")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("x")
    assert "is there already" in convert(kit, tmp_path / "out", "coco", code=REFUSED)
    convert(kit, kit / "inside", "coco", code=REFUSED)
    assert "has none" in convert(
        kit, tmp_path / "new", "coco", "--voc-dialect", "sirst", code=USAGE
    )
    (tmp_path / "empty").mkdir()
    convert(kit, tmp_path / "empty", "coco")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "kit", "out"]


def test_ids_of_images_are_kept_and_pycocotools_reads_the_masks(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    source = touching(tmp_path / "in")
    convert(source, tmp_path / "out", "coco", "--allow-loss")
    api = COCO(str(tmp_path / "out/annotations.json"))
    assert api.getImgIds() == [7]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools and numpy 2
        masks = [api.annToMask(record) for record in api.loadAnns(api.getAnnIds())]
    labels = read_dataset(source).scenes[0].load().labels
    np.testing.assert_array_equal(sum(masks), labels > 0)
    assert [record["area"] for record in api.loadAnns(api.getAnnIds())] == [18, masks[1].sum()]


def test_parts_of_coco_have_the_ids_of_the_whole(tmp_path: Path) -> None:
    convert(devkit(tmp_path / "kit"), tmp_path / "out", "coco")
    whole = json.loads((tmp_path / "out/annotations.json").read_text())
    part = json.loads((tmp_path / "out/annotations/instances_val.json").read_text())
    assert part["images"] == [image for image in whole["images"] if image["file_name"] == "002.png"]
    assert read_dataset(tmp_path / "out").splits["train"] == ("000", "001")


def folders(root: Path, name: str, image: bytes, mask: np.ndarray) -> Path:
    masks = encode_png(mask.astype(np.uint8) * 255)
    stem = name.partition(".")[0]
    write_files(root, [(f"images/{name}", image), (f"masks/{stem}.png", masks)])
    return root


def test_yolo_says_which_lists_it_had_to_do_without(tmp_path: Path) -> None:
    scene = make_scene(name="a")
    source = folders(tmp_path / "in", "a.png", encode_png(scene.image), scene.labels > 0)
    convert(source, tmp_path / "out", "yolo")
    text = (tmp_path / "out/data.yaml").read_text()
    assert 'train: "images"\nval: "images"\nnames:\n  0: "Target"\n' in text
    assert text.startswith("# no list of training images")
    assert len((tmp_path / "out/labels/a.txt").read_text().splitlines()) == 2


def test_jpeg_is_copied_where_it_may_be(tmp_path: Path) -> None:
    scene = make_scene(name="a")
    source = tmp_path / "in"
    folders(source, "a.png", encode_png(scene.image), scene.labels > 0)
    (source / "images/a.png").unlink()
    Image.fromarray(scene.image).save(source / "images/a.jpg", quality=95)
    convert(source, tmp_path / "coco", "coco")
    assert (tmp_path / "coco/images/a.jpg").read_bytes() == (source / "images/a.jpg").read_bytes()
    convert(source, tmp_path / "kit", "devkit")
    pixels = read_dataset(tmp_path / "kit").scenes[0].load().image
    np.testing.assert_array_equal(pixels, read_dataset(source).scenes[0].load().image)


def test_an_image_that_asks_to_be_turned_is_written_as_it_lies(tmp_path: Path) -> None:
    scene = make_scene(name="a")
    source = folders(tmp_path / "in", "a.png", b"", scene.labels > 0)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(scene.image).save(source / "images/a.png", exif=exif)
    convert(source, tmp_path / "out", "yolo")
    with Image.open(tmp_path / "out/images/a.png") as image:
        assert image.getexif().get(274, 1) == 1
        np.testing.assert_array_equal(np.array(image), scene.image)


def deep(root: Path) -> Scene:
    scene = make_scene(name="a", dtype=np.uint16)
    folders(root, "a.png", encode_png(scene.image), scene.labels > 0)
    return scene


def test_deep_images_stay_deep_and_get_copies_of_8_bits_beside(tmp_path: Path) -> None:
    deep(tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "out", "yolo", "--view8")
    original = (tmp_path / "in/images/a.png").read_bytes()
    assert (tmp_path / "out/images/a.png").read_bytes() == original
    with Image.open(tmp_path / "out-view8/images/a.png") as view:
        assert view.mode == "L"
        assert np.ptp(np.array(view)) > 200
    text = (tmp_path / "out-view8/labels/a.txt").read_bytes()
    assert text == (tmp_path / "out/labels/a.txt").read_bytes()


def test_images_that_nobody_annotated_are_not_written_as_empty(tmp_path: Path) -> None:
    scene = make_scene(name="a")
    write_files(tmp_path / "in", [(f"{name}.png", encode_png(scene.image)) for name in "ab"])
    shape = {"label": "target", "shape_type": "rectangle", "points": [[5, 5], [8, 8]]}
    document = {"version": "5", "imagePath": "a.png", "imageHeight": 96, "imageWidth": 128}
    text = json.dumps({**document, "shapes": [shape], "flags": {}, "imageData": None})
    (tmp_path / "in/a.json").write_text(text)
    said = convert(tmp_path / "in", tmp_path / "out", "yolo", code=FAILED)
    assert "1 images without labels are left out: b" in said
    convert(tmp_path / "in", tmp_path / "out", "yolo", "--allow-loss")
    assert [path.name for path in (tmp_path / "out/labels").iterdir()] == ["a.txt"]


def test_jobs_change_nothing(tmp_path: Path) -> None:
    kit = devkit(tmp_path / "kit")
    for jobs in (1, 2):
        convert(kit, tmp_path / str(jobs), "coco", "--jobs", jobs)
    one, two = (tmp_path / n / "files.sha256" for n in "12")
    assert one.read_bytes() == two.read_bytes()


def test_a_converted_dataset_is_no_build_that_could_be_verified(tmp_path: Path) -> None:
    run("convert", devkit(tmp_path / "in"), tmp_path / "kit", "--to", "devkit", "-q")
    assert "is not a build" in run("verify", tmp_path / "kit", code=1).stderr

"""What is written is read again; every layout is recognised; nothing leaves the dataset."""

from __future__ import annotations

import json
import os
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from densesirst_gen.datasets import (
    DatasetError,
    SceneFile,
    detect_layout,
    read_coco,
    read_dataset,
    read_split,
)
from densesirst_gen.datasets.coco.written import coco_image, coco_text
from densesirst_gen.datasets.grammar.dialects import (
    DIALECTS,
    dialect_votes,
    from_dialect,
    infer_dialect,
)
from densesirst_gen.datasets.grammar.segmentation import segment_labels
from densesirst_gen.datasets.grammar.voc import read_voc, write_voc
from densesirst_gen.datasets.layouts.devkit import devkit_files, split_files
from densesirst_gen.datasets.paths import safe_join
from densesirst_gen.files.images.codec import CodecError, encode_png, read_image, read_mask
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene, SceneError

SHAPE = (24, 32)
# pycocotools 2.0.11 has not caught up with NumPy 2; only the tests call its decode.
old_pycocotools = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def make_labels(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = SHAPE) -> np.ndarray:
    labels = np.zeros(shape, np.int32)
    for k, (x0, y0, x1, y1) in enumerate(boxes, 1):
        labels[y0:y1, x0:x1] = k
    return labels


LABELS = make_labels((3, 2, 6, 4), (20, 2, 21, 3), (9, 10, 13, 12), (31, 23, 32, 24))


def make_scene(
    name: str = "a", labels: np.ndarray = LABELS, dtype: type = np.uint8, *, sky: bool = True
) -> Scene:
    image = np.random.default_rng(0).integers(0, 200, labels.shape).astype(dtype)
    half = np.arange(labels.shape[0])[:, None] < labels.shape[0] // 2
    return Scene(name, image, labels, np.broadcast_to(half, labels.shape).copy() if sky else None)


def write_all(root: Path, files: Iterable[tuple[str, bytes]]) -> None:
    for name, data in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_devkit(root: Path, *scenes: Scene, **options: str) -> None:
    for scene in scenes:
        write_all(root, devkit_files(scene, annotate(scene.labels), **options))


def gray(value: int = 7) -> bytes:
    return encode_png(np.full(SHAPE, value, np.uint8))


def mask(labels: np.ndarray = LABELS) -> bytes:
    return encode_png((labels > 0).astype(np.uint8) * 255)


def tree(root: Path, **files: bytes) -> Path:
    """Files named with ``__`` for a slash; PNG where there is no suffix."""
    for name, data in files.items():
        path = name.replace("__", "/")
        write_all(root, [(path if "." in path else path + ".png", data)])
    return root


def names_of(root: Path, **options: str) -> list[str]:
    return [scene.name for scene in read_dataset(root, **options).scenes]


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


label_images = (
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
    .flatmap(
        lambda shape: hnp.arrays(np.bool_, shape, elements=st.integers(0, 4).map(lambda n: not n))
    )
    .filter(lambda m: 2 * m.sum() <= m.size)
    .map(label_mask)
)
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# ---------------------------------------------------------------- devkit


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("folder", ["", "SIRSTdevkit"])
def test_devkit_round_trip(tmp_path: Path, dtype: type, folder: str) -> None:
    scene = make_scene(dtype=dtype)
    write_devkit(tmp_path / folder, scene)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "devkit"
    read, notes = dataset.scenes[0].load_with_notes()
    assert (read.name, notes) == ("a", [])
    assert read.image.dtype == dtype
    np.testing.assert_array_equal(read.image, scene.image)
    np.testing.assert_array_equal(read.labels, label_mask(scene.labels > 0))
    np.testing.assert_array_equal(read.sky, scene.sky)


@quick
@given(labels=label_images, dialect=st.sampled_from(sorted(DIALECTS)))
def test_devkit_files_agree_with_each_other(
    tmp_path: Path, labels: np.ndarray, dialect: str
) -> None:
    scene = make_scene(labels=labels)
    write_devkit(tmp_path, scene, voc_dialect=dialect)
    read = read_dataset(tmp_path).scenes[0].load()
    assert same_partition(read.labels, labels)
    boxes = from_dialect(read_voc(tmp_path / "SIRST/BBox/a.xml").boxes, dialect)
    np.testing.assert_array_equal(boxes, annotate(labels).boxes)
    lines = (tmp_path / "SIRST/Point_label/a_pixels0.txt").read_text().splitlines()
    points = [tuple(map(int, line.split(" "))) for line in lines]
    assert [labels[y, x] for x, y in points] == list(range(1, labels.max() + 1))


def test_devkit_has_the_files_of_the_release() -> None:
    scene = make_scene("b c/&")
    assert [path for path, _ in devkit_files(scene, annotate(scene.labels))] == [
        "PNGImages/b c/&.png",
        "SIRST/BBox/b c/&.xml",
        "SIRST/Point_label/b c/&_pixels0.txt",
        "SIRST/BinaryMask/b c/&_pixels0.png",
        "SIRST/BinaryMask/b c/&.xml",
        "SIRST/PaletteMask/b c/&.png",
        "SkySeg/BinaryMask/b c/&_pixels0.png",
        "SkySeg/BinaryMask/b c/&.xml",
        "SkySeg/PaletteMask/b c/&.png",
    ]


@pytest.mark.parametrize("name", ["sub/a", "a.b", "-x #1%", "云 ☁️", "<&>\"'"])
def test_names_survive(tmp_path: Path, name: str) -> None:
    write_devkit(tmp_path, make_scene(name))
    assert names_of(tmp_path) == [name]
    assert read_dataset(tmp_path).scenes[0].load().n_targets == 4
    assert read_voc(tmp_path / f"SIRST/BBox/{name}.xml").filename == name


def test_labels_give_the_order_of_boxes_and_points() -> None:
    labels = make_labels((9, 10, 13, 12), (3, 2, 6, 4))  # not raster order
    files = dict(devkit_files(make_scene(labels=labels), annotate(labels)))
    assert files["SIRST/Point_label/a_pixels0.txt"] == b"10 10\n4 2\n"
    text = files["SIRST/BBox/a.xml"].decode()
    assert text.index("<xmin>10<") < text.index("<xmin>4<")


def test_a_scene_without_targets_and_sky(tmp_path: Path) -> None:
    scene = make_scene(labels=LABELS * 0, sky=False)
    write_devkit(tmp_path, scene)
    read = read_dataset(tmp_path).scenes[0].load()
    assert read.n_targets == 0
    assert read.sky is not None
    assert not read.sky.any()
    assert len(read_voc(tmp_path / "SIRST/BBox/a.xml").boxes) == 0
    assert (tmp_path / "SIRST/Point_label/a_pixels0.txt").read_bytes() == b""


def test_palette_masks_serve_where_binary_masks_are_missing(tmp_path: Path) -> None:
    write_devkit(tmp_path, make_scene())
    for part in ("SIRST", "SkySeg"):
        (tmp_path / part / "BinaryMask/a_pixels0.png").unlink()
    read = read_dataset(tmp_path).scenes[0].load()
    np.testing.assert_array_equal(read.labels > 0, LABELS > 0)
    np.testing.assert_array_equal(read.sky, make_scene().sky)


def test_palette_masks_have_the_released_palettes() -> None:
    files = dict(devkit_files(make_scene(), annotate(LABELS)))
    target = Image.open(BytesIO(files["SIRST/PaletteMask/a.png"]))
    assert (target.mode, target.getpalette()) == ("P", [0, 0, 0, 255, 0, 0])
    sky = Image.open(BytesIO(files["SkySeg/PaletteMask/a.png"])).getpalette()
    assert sky is not None
    assert (sky[:12], len(sky)) == ([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0], 768)
    assert sky[-3:] == [224, 224, 192]


def test_scene_files_are_small_and_travel(tmp_path: Path) -> None:
    write_devkit(tmp_path, make_scene())
    (file,) = read_dataset(tmp_path).scenes
    assert pickle.loads(pickle.dumps(file)) == file
    assert len(pickle.dumps(file)) < 1000
    assert [path.name for path in file.files()] == ["a.png", "a_pixels0.png", "a_pixels0.png"]


# ---------------------------------------------------------------- splits


@pytest.mark.parametrize(
    "text",
    [
        b"a\nb\n",
        b"a\r\nb\r\n",
        b"\xef\xbb\xbfa\nb",
        b"\n a  \n\n\tb\n\n",
        b"a.png\nb.BMP",
        b"a\na\nb",
    ],
    ids=["plain", "CRLF", "BOM", "blanks", "suffixes", "twice"],
)
# row 41
def test_splits_are_read_tolerantly(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "s.txt").write_bytes(text)
    assert read_split(tmp_path / "s.txt", ["a", "b"]) == ("a", "b")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"a\nx1\nx2\nx3\nx4\nx5\nx6\n", "6 unknown scenes: x1, x2, x3, x4, x5, ...$"),
        (b"../a", "out of the dataset"),
        (b"/etc/passwd", "out of the dataset"),
        (b"C:\\x.png", "out of the dataset"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
# row 41
def test_wrong_splits_are_refused(tmp_path: Path, text: bytes, reason: str) -> None:
    (tmp_path / "s.txt").write_bytes(text)
    with pytest.raises(DatasetError, match=reason):
        read_split(tmp_path / "s.txt", ["a", "b"])


def test_a_name_is_taken_before_its_suffix_is_cut(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_bytes(b"a.png\na")
    assert read_split(tmp_path / "s.txt", ["a", "a.png"]) == ("a.png", "a")


def written_splits(splits: Mapping[str, tuple[str, ...]], names: str) -> dict[str, str]:
    return {
        path.removeprefix("Splits/").removesuffix(".txt"): data.decode().replace("\n", "")
        for path, data in split_files(splits, names)
    }


def test_splits_get_the_names_that_configs_read() -> None:
    full = {"train_full": ("a", "b"), "val_full": ("c",), "test": ("d",), "fog": ("a",)}
    assert written_splits(full, "abcd") == {
        "train_v2": "ab",
        "val_v2": "c",
        "trainval_v2": "abc",
        "test_v2": "d",
        "fog": "a",
    }


def test_the_newest_of_several_splits_is_renamed_and_none_is_lost() -> None:
    both = {"train_v1": ("a",), "train": ("a", "b"), "train_full": ("a", "b", "c")}
    assert written_splits(both, "abc") == {"train_v1": "a", "train": "ab", "train_v2": "abc"}


def test_splits_hold_only_what_is_there() -> None:
    assert written_splits({"train": ("b", "a"), "val": ("c",)}, "bc") == {
        "train_v2": "b",
        "val_v2": "c",
        "trainval_v2": "bc",
    }
    assert written_splits({}, "ab") == {}


# ---------------------------------------------------------------- other layouts


def sirst_v2(root: Path) -> Path:
    return tree(
        root,
        annotations__masks__a_pixels0=mask(),
        annotations__masks__b_pixels0=mask(LABELS * 0),
        splits__train_full__txt=b"",
    )


def test_sirst_v2_takes_mixed_and_not_the_same_images_again(tmp_path: Path) -> None:
    images = {f"{folder}__{name}": gray() for folder in ("mixed", "images__x") for name in "abc"}
    tree(tmp_path, **images, images__targets__a=gray(), images__backgrounds__b=gray())
    sirst_v2(tmp_path)
    write_all(tmp_path, [("splits/train_full.txt", b"a\nb\n"), ("splits/._train.txt", b"\0")])
    write_all(tmp_path, [("mixed/.DS_Store", b"x"), ("mixed/._a.png", b"x"), ("mixed/R.md", b"x")])
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "sirst"
    assert dataset.splits == {"train_full": ("a", "b")}
    assert [scene.name for scene in dataset.scenes] == ["a", "b", "c"]
    assert {scene.image.parent.name for scene in dataset.scenes} == {"mixed"}
    assert [scene.load().n_targets for scene in dataset.scenes] == [4, 0, 0]
    assert [scene.has_targets() for scene in dataset.scenes] == [True, False, False]
    assert dataset.notes() == ["1 scenes have no mask file, read as without targets: c"]


def test_sirst_v2_without_mixed(tmp_path: Path) -> None:
    tree(sirst_v2(tmp_path), images__targets__a=gray(), images__backgrounds__b=gray())
    assert detect_layout(tmp_path) == "sirst"
    assert names_of(tmp_path) == ["a", "b"]
    tree(tmp_path, images__backgrounds__a=gray())
    with pytest.raises(DatasetError, match=r"come twice: .*targets/a.png and .*backgrounds/a.png"):
        read_dataset(tmp_path)


def test_sirst_v1(tmp_path: Path) -> None:
    tree(tmp_path, images__a=gray(), masks__a_pixels0=mask())
    write_all(tmp_path, [("idx_427/test.txt", b"a\n")])
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, dataset.splits) == ("sirst", {"test": ("a",)})
    assert dataset.scenes[0].load().n_targets == 4


@pytest.mark.parametrize(
    ("images", "masks", "lists"),
    [
        ("images", "masks", {"img_idx/train_NUDT.txt": "train", "img_idx/test_NUDT.txt": "test"}),
        ("images", "masks", {"50_50/train.txt": "train", "50_50/test.txt": "test"}),
        ("IRSTD1k_Img", "IRSTD1k_Label", {"trainval.txt": "trainval", "test.txt": "test"}),
    ],
    ids=["BasicIRSTD", "DNANet", "IRSTD-1k"],
)
def test_folder_pairs(tmp_path: Path, images: str, masks: str, lists: dict[str, str]) -> None:
    write_all(tmp_path, [(f"{images}/{name}.png", gray()) for name in "ab"])
    write_all(tmp_path, [(f"{masks}/a.png", mask()), (f"{masks}/b_pixels0.png", mask())])
    write_all(tmp_path, [(path, b"a\nb\n") for path in lists])
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "folders"
    assert dataset.splits == dict.fromkeys(lists.values(), ("a", "b"))
    assert [scene.load().n_targets for scene in dataset.scenes] == [4, 4]


def test_lists_that_share_their_first_word_keep_their_names(tmp_path: Path) -> None:
    tree(tmp_path, images__a=gray(), masks__a=mask())
    write_all(tmp_path, [(f"img_idx/train_{version}.txt", b"a") for version in ("v1", "v2")])
    assert read_dataset(tmp_path).splits == {"train_v1": ("a",), "train_v2": ("a",)}


def test_subset_folders_become_splits(tmp_path: Path) -> None:
    for subset, name in (("trainval", "a"), ("trainval", "b"), ("test", "a")):
        write_all(tmp_path, [(f"{subset}/images/{name}.png", gray())])
        write_all(tmp_path, [(f"{subset}/masks/{name}.png", mask())])
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "folders"
    assert dataset.splits == {"trainval": ("trainval/a", "trainval/b"), "test": ("test/a",)}
    assert [s.name for s in dataset.scenes] == ["test/a", "trainval/a", "trainval/b"]
    assert all(scene.load().n_targets == 4 for scene in dataset.scenes)


def test_plain_images(tmp_path: Path) -> None:
    tree(tmp_path, a=gray(), deep__er__b=gray())
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(tmp_path / "c.JPG")
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "plain"
    assert [scene.name for scene in dataset.scenes] == ["a", "c", "deep/er/b"]
    assert [scene.mask for scene in dataset.scenes] == [None] * 3
    assert dataset.scenes[0].load().sky is None


def test_masks_are_no_images_even_where_plain_is_asked_for(tmp_path: Path) -> None:
    tree(tmp_path, one__images__a=gray(), one__masks__a=mask())
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, [scene.name for scene in dataset.scenes]) == ("folders", ["one/a"])
    plain = read_dataset(tmp_path, layout="plain")
    assert [scene.name for scene in plain.scenes] == ["one/images/a"]
    assert plain.notes() == [
        "labels passed over: masks in one/masks/, 1 file such as one/masks/a.png"
    ]


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Found: nothing"):
        read_dataset(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        read_dataset(tmp_path / "none")
    with pytest.raises(DatasetError, match="no images in the folders layout"):
        read_dataset(tmp_path, layout="folders")
    with pytest.raises(DatasetError, match="unknown layout 'pascal', known are devkit, sirst"):
        read_dataset(tmp_path, layout="pascal")


# row 25
def test_masks_that_are_named_otherwise_are_not_forgotten(tmp_path: Path) -> None:
    tree(tmp_path / "known", images__a=gray(), masks__a_mask=mask())
    assert read_dataset(tmp_path / "known").scenes[0].load().n_targets == 4
    tree(tmp_path / "unknown", images__a=gray(), masks__b=mask())
    with pytest.raises(DatasetError, match=r"none of 1 masks .*b.png.* like an image"):
        read_dataset(tmp_path / "unknown")


def test_sky_from_another_folder(tmp_path: Path) -> None:
    tree(tmp_path / "d", a=gray(), b=gray(), c=gray())
    tree(tmp_path / "s", a_pixels0=mask(), b=mask())
    dataset = read_dataset(tmp_path / "d", sky_dir=tmp_path / "s")
    assert [scene.sky and scene.sky.name for scene in dataset.scenes] == [
        "a_pixels0.png",
        "b.png",
        None,
    ]
    assert dataset.notes() == ["1 scenes have no sky file, not annotated: c"]
    with pytest.raises(DatasetError, match=r"such as a_pixels0.png or a.png"):
        read_dataset(tmp_path / "d", sky_dir=tmp_path / "empty")


def test_a_sky_may_be_white_and_a_target_mask_may_not(tmp_path: Path) -> None:
    white = encode_png(np.full(SHAPE, 255, np.uint8))
    files = tree(tmp_path, a=gray(), white=white)
    assert SceneFile("a", files / "a.png", sky=files / "white.png").load().sky.all()
    with pytest.raises(CodecError, match="inverted"):
        SceneFile("a", files / "a.png", mask=files / "white.png").load()


@pytest.mark.parametrize("kind", ["mask", "sky"])
# row 21
def test_masks_of_another_size_are_refused(tmp_path: Path, kind: str) -> None:
    tree(tmp_path, a=gray(), small=encode_png(np.zeros((12, 32), np.uint8)))
    file = SceneFile("n", tmp_path / "a.png", **{kind: tmp_path / "small.png"})
    with pytest.raises(SceneError, match=rf"scene n: {kind} small.png is \(12, 32\), .*\(24, 32\)"):
        file.load()


# row 25
def test_notes_say_which_file(tmp_path: Path) -> None:
    rgb = np.zeros((*SHAPE, 3), np.uint8)
    rgb[..., 0] = 9
    Image.fromarray(rgb).save(tmp_path / "a.png")
    tree(tmp_path, m=encode_png((LABELS > 0).astype(np.uint8)))
    file = SceneFile("a", tmp_path / "a.png", tmp_path / "m.png", tmp_path / "m.png")
    ones = "values {0, 1} read as {0, 255}"
    assert file.load_with_notes()[1] == ["image: true colour", f"mask: {ones}", f"sky: {ones}"]


# ---------------------------------------------------------------- names and paths


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../a", "a/../../b", "C:\\a", "C:a", "a\\b", "a\0b"]
)
# row 49
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError):
        safe_join(tmp_path, name)


@pytest.mark.parametrize("kind", ["dangling", "loop", "fifo"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    tree(tmp_path, a=gray())
    path = tmp_path / "b.png"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("b.png" if kind == "loop" else "none.png")
    with pytest.raises(DatasetError, match=r"b.png"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("other", ["A.png", "a.bmp"])
# row 42
def test_names_that_are_nearly_the_same(tmp_path: Path, other: str) -> None:
    tree(tmp_path, a=gray())
    (tmp_path / other).write_bytes(gray())
    with pytest.raises(DatasetError, match=r"(differ|come twice).*\band\b"):
        read_dataset(tmp_path)


def test_names_that_no_text_file_can_hold(tmp_path: Path) -> None:
    (tmp_path / "a\nb.png").write_bytes(gray())
    with pytest.raises(DatasetError, match="control characters"):
        read_dataset(tmp_path)


# ---------------------------------------------------------------- VOC


@pytest.mark.parametrize(
    ("dialect", "numbers"),
    [
        ("sirst", [4, 3, 7, 5]),
        ("densesirst", [3, 2, 6, 4]),
        ("devkit", [4, 3, 6, 4]),
        ("inclusive0", [3, 2, 5, 3]),
    ],
)
# row 28
def test_dialects(tmp_path: Path, dialect: str, numbers: list[int]) -> None:
    boxes = annotate(LABELS).boxes
    path = tmp_path / "a.xml"
    path.write_bytes(write_voc("a", SHAPE, boxes, dialect=dialect))
    read = read_voc(path)
    assert read.boxes[0].tolist() == numbers
    assert read.categories == ("Target",) * 4
    assert infer_dialect(read.boxes, boxes) == dialect


def test_unknown_dialects_are_named() -> None:
    with pytest.raises(ValueError, match="unknown box dialect 'voc', known are sirst"):
        write_voc("a", SHAPE, annotate(LABELS).boxes, dialect="voc")


def test_no_box_no_dialect() -> None:
    assert infer_dialect(np.zeros((0, 4)), annotate(LABELS).boxes) is None


def voc(tmp_path: Path, inner: str, head: str = "") -> Path:
    path = tmp_path / "a.xml"
    path.write_text(f"{head}<annotation><object><name>Target</name>{inner}</object></annotation>")
    return path


def box(*corners: object) -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(f"<{n}>{c}</{n}>" for n, c in zip(names, corners, strict=False))
    return f"<bndbox>{inner}</bndbox>"


# row 26
def test_an_object_without_a_box_is_no_target(tmp_path: Path) -> None:
    assert read_voc(voc(tmp_path, "")).boxes.shape == (0, 4)


# row 27
def test_decimal_and_swapped_corners(tmp_path: Path) -> None:
    read = read_voc(voc(tmp_path, box("9.0", 2, " 5.5 ", "8")))
    assert read.boxes.tolist() == [[5.5, 2, 9, 8]]


@pytest.mark.parametrize("corners", [(1, 2, 3), (1, 2, 3, ""), (1, 2, 3, "nan"), (1, 2, 3, "x")])
# row 27
def test_corners_that_are_no_numbers(tmp_path: Path, corners: tuple[object, ...]) -> None:
    with pytest.raises(DatasetError, match="not finite numbers"):
        read_voc(voc(tmp_path, box(*corners)))


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd">',
    ],
)
# row 48
def test_doctypes_are_refused(tmp_path: Path, doctype: str) -> None:
    with pytest.raises(DatasetError, match="refused, DTDForbidden"):
        read_voc(voc(tmp_path, box(1, 2, 3, 4), doctype))


def test_what_is_not_xml(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(b"<annotation>")
    with pytest.raises(DatasetError, match="not XML"):
        read_voc(path)
    path.write_bytes(b" " * 10_000_001)
    with pytest.raises(DatasetError, match="at most 10000000 bytes"):
        read_voc(path)


# ---------------------------------------------------------------- COCO


def coco_folder(root: Path, *scenes: Scene) -> Path:
    """Images and `annotations.json` in a folder."""
    entries = []
    for scene in scenes:
        write_all(root, [(f"PNGImages/{scene.name}.png", encode_png(scene.image))])
        image, targets = coco_image(scene, annotate(scene.labels), 0, f"PNGImages/{scene.name}.png")
        entries.append({"image": image, "annotations": targets})
    (root / "annotations.json").write_bytes(b"".join(coco_text(lambda: entries, {"seed": 1})))
    return root


def edited(root: Path, **changes: object) -> Path:
    """Change fields of the first annotation, or with ``image_*`` of the first image."""
    path = root / "annotations.json"
    document = json.loads(path.read_bytes())
    for key, value in changes.items():
        record = document["images" if key.startswith("image_") else "annotations"][0]
        record[key.removeprefix("image_").removeprefix("target_")] = value
    path.write_text(json.dumps(document))
    return root


@quick
@given(labels=label_images)
def test_coco_round_trip(tmp_path: Path, labels: np.ndarray) -> None:
    scene = make_scene(labels=labels)
    dataset = read_dataset(coco_folder(tmp_path, scene))
    assert dataset.layout == "coco"
    assert dataset.annotations == tmp_path / "annotations.json"
    read = dataset.scenes[0].load()
    np.testing.assert_array_equal(read.labels, labels)
    np.testing.assert_array_equal(read.image, scene.image)
    assert dataset.scenes[0].has_targets() == bool(labels.any())


@old_pycocotools
def test_coco_as_pycocotools_sees_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = make_scene("b", LABELS * 0)
    root = coco_folder(tmp_path, make_scene("a"), empty, make_scene("c"))
    coco = COCO(root / "annotations.json")
    capsys.readouterr()
    assert list(coco.imgs) == [1, 2, 3]
    assert list(coco.anns) == list(range(1, 9))
    assert [len(coco.getAnnIds(i)) for i in (1, 2, 3)] == [4, 0, 4]
    for k, target in enumerate(coco.loadAnns(coco.getAnnIds(3)), 1):
        mask_of_k = coco.annToMask(target)
        np.testing.assert_array_equal(mask_of_k, k == LABELS)
        assert target["area"] == mask_of_k.sum() == coco_mask.area(target["segmentation"])
        assert target["bbox"] == coco_mask.toBbox(target["segmentation"]).tolist()
        assert (target["iscrowd"], target["category_id"]) == (0, 1)
        x, y = target["attributes"]["point"]
        assert LABELS[y, x] == k
    assert coco.cats == {1: {"id": 1, "name": "Target", "supercategory": ""}}


@old_pycocotools
@quick
@given(labels=label_images, form=st.sampled_from(["str", "bytes", "list"]))
# row 45
def test_run_lengths_in_every_form(labels: np.ndarray, form: str) -> None:
    codes = [
        coco_mask.encode(np.asfortranarray(labels == k, np.uint8))
        for k in range(1, labels.max() + 1)
    ]
    for code in codes:
        if form == "str":
            code["counts"] = code["counts"].decode()
        if form == "list":
            flat = coco_mask.decode(code).ravel(order="F")
            edges = np.flatnonzero(np.diff(flat, prepend=0)).tolist()
            code["counts"] = np.diff([0, *edges, flat.size]).tolist()
    read, n_hidden = segment_labels(codes, labels.shape)
    np.testing.assert_array_equal(read, labels)
    assert n_hidden == 0


@pytest.mark.parametrize("nested", [True, False])
def test_polygons(nested: bool) -> None:
    polygon = [3, 2, 6, 2, 6, 4, 3, 4]
    labels, _ = segment_labels([[polygon] if nested else polygon], SHAPE)
    np.testing.assert_array_equal(labels, LABELS == 1)


def test_the_first_target_keeps_its_pixels() -> None:
    square = [3, 2, 6, 2, 6, 4, 3, 4]
    labels, n_hidden = segment_labels([square, square, [3, 2, 9, 2, 9, 4, 3, 4]], SHAPE)
    assert n_hidden == 1
    assert np.bincount(labels.ravel())[1:].tolist() == [6, 6]


@pytest.mark.parametrize(
    "broken",
    [
        [],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [1, 2, 3, 4, 5, "x"],
        {"size": [24, 32]},
        {"size": [24, 31], "counts": [768]},
        {"size": [24, 32], "counts": [767]},
        {"size": [24, 32], "counts": [-1, 769]},
        {"size": [24, 32], "counts": [1.5, 766.5]},
        {"size": [24, 32], "counts": "P"},
        {"size": [24, 32], "counts": "PPPPPPPPPPPPPPPPPPPP"},
        {"size": [24, 32], "counts": "~~"},
        "x",
        None,
    ],
)
def test_broken_segmentations_are_refused(broken: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        segment_labels([broken], SHAPE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_id": 2}, "image id 2 comes twice"),
        ({"target_image_id": 9}, "its image or its category is not in the file"),
        ({"target_category_id": 9}, "its image or its category is not in the file"),
        ({"image_file_name": "../a.png"}, "not a path inside the dataset"),
        ({"image_file_name": "/etc/passwd"}, "not a path inside the dataset"),
        ({"image_file_name": "x.png"}, "image x.png is not in"),
        ({"image_file_name": "PNGImages/b.png"}, "come twice"),
        ({"image_file_name": 3}, "annotations.json"),
    ],
)
def test_coco_files_that_contradict_themselves(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    root = coco_folder(tmp_path, make_scene("a"), make_scene("b"))
    with pytest.raises(DatasetError, match=reason):
        read_dataset(edited(root, **change))


def test_string_and_scattered_ids(tmp_path: Path) -> None:
    root = edited(coco_folder(tmp_path, make_scene()), target_id="t", image_id="i")
    document = json.loads((root / "annotations.json").read_text())
    for target in document["annotations"]:
        target["image_id"] = "i"
    (root / "annotations.json").write_text(json.dumps(document))
    assert read_dataset(root).scenes[0].load().n_targets == 4


def test_crowds_are_not_targets(tmp_path: Path) -> None:
    root = edited(coco_folder(tmp_path, make_scene()), target_iscrowd=1)
    scene, notes = read_dataset(root).scenes[0].load_with_notes()
    assert scene.n_targets == 3
    assert notes == ["coco: 1 regions are ignored"]


def test_coco_sizes_are_compared_with_the_image(tmp_path: Path) -> None:
    root = edited(coco_folder(tmp_path, make_scene()), image_height=25)
    with pytest.raises(DatasetError, match=r"segmentation is for \[24, 32\], image is \[25, 32\]"):
        read_dataset(root)
    document = json.loads((root / "annotations.json").read_text())
    (root / "annotations.json").write_text(json.dumps(document | {"annotations": []}))
    with pytest.raises(SceneError, match=r"says \(25, 32\), a.png is \(24, 32\)"):
        read_dataset(root).scenes[0].load()


@pytest.mark.parametrize(
    "text",
    [b"", b"[1]", b"{}", b'{"images": NaN}', b"\xff", b"[" * 100_000, b'{"images": [1]}'],
    ids=["empty", "list", "no keys", "NaN", "bytes", "depth", "types"],
)
# row 46
def test_what_is_not_coco(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "coco.json"
    path.write_bytes(text)
    with pytest.raises(DatasetError, match=r"coco.json"):
        read_coco(path)


def test_coco_places(tmp_path: Path) -> None:
    root = coco_folder(tmp_path, make_scene())
    (root / "annotations").mkdir()
    file = (root / "annotations.json").rename(root / "annotations/instances_val.json")
    assert names_of(root) == names_of(file) == ["PNGImages/a"]
    assert [s.name for s in read_coco(file, images=root).scenes] == ["PNGImages/a"]
    (root / "annotations/instances_train.json").write_bytes(file.read_bytes())
    with pytest.raises(DatasetError, match=r"1 images are in two of .*PNGImages/a"):
        read_dataset(root)
    file.rename(root / "instances.json")
    edited_file = root / "instances.json"
    assert pickle.loads(pickle.dumps(read_coco(edited_file).scenes[0])).load().n_targets == 4


# ---------------------------------------------------------------- the released data


def test_sirst_v2_as_released(real_data: Path) -> None:
    dataset = read_dataset(real_data / "sirstv2")
    assert (dataset.layout, len(dataset.scenes)) == ("sirst", 768)
    assert dataset.notes() == ["15 of 100 images looked at: true colour (Misc_116.png)"]
    assert {k: len(v) for k, v in dataset.splits.items()} == {
        "train_full": 512,
        "trainval_full": 768,
        "val_full": 256,
    }
    loaded = [scene.load_with_notes() for scene in dataset.scenes[::3]]
    assert sum(scene.n_targets for scene, _ in loaded) == 158
    notes = Counter(note for _, notes in loaded for note in notes)
    assert notes == {"image: true colour": 38, "image: alpha ignored": 5}


def released_devkit(data: Path, root: Path, step: int) -> Path:
    """Every step-th released scene, the images remade from SIRST v2 and the pasted pixels."""
    pasted = np.load(data / "densesirst/pasted_pixels.npz")
    for i in range(0, len(pasted["names"]), step):
        name = str(pasted["names"][i])
        image = read_image(data / f"sirstv2/mixed/{name}.png").array
        span = slice(*pasted["offsets"][i : i + 2])
        image.flat[pasted["index"][span]] = pasted["value"][span]
        write_all(root, [(f"PNGImages/{name}.png", encode_png(image))])
        for part in ("SIRST", "SkySeg"):
            mask_name = f"{part}/BinaryMask/{name}_pixels0.png"
            write_all(root, [(mask_name, (data / "densesirst" / mask_name).read_bytes())])
    return root


def test_densesirst_as_released(real_data: Path, tmp_path: Path) -> None:
    dataset = read_dataset(released_devkit(real_data, tmp_path, step=16))
    assert (dataset.layout, len(dataset.scenes), dataset.notes()) == ("devkit", 48, [])
    released = real_data / "densesirst"
    n_equal = 0
    for file in dataset.scenes:
        scene = file.load()
        files = dict(devkit_files(scene, annotate(scene.labels), voc_dialect="densesirst"))
        points = (released / f"SIRST/Point_label/{file.name}_pixels0.txt").read_bytes()
        assert scene.n_targets == points.count(b"\n")
        name = f"SIRST/BBox/{file.name}.xml"
        n_equal += files[name] == (released / name).read_bytes()
    assert n_equal >= 46  # a few released files have boxes that do not fit their masks


# row 28
def test_the_published_dialects(real_data: Path) -> None:
    for boxes, masks, dialect, share in (
        ("densesirst/SIRST/BBox", "densesirst/SIRST/BinaryMask", "densesirst", 0.99),
        ("sirstv2/annotations/bboxes", "sirstv2/annotations/masks", "sirst", 0.99),
    ):
        votes: Counter[str] = Counter()
        n_boxes = 0
        for path in sorted((real_data / boxes).iterdir())[::8]:
            read = read_voc(path)
            labels = label_mask(read_mask(real_data / masks / f"{path.stem}_pixels0.png").array)
            votes += dialect_votes(read.boxes, annotate(labels).boxes)
            n_boxes += len(read.boxes)
        assert votes.most_common(1)[0][0] == dialect
        assert votes[dialect] >= share * n_boxes > 0


def test_palette_masks_are_as_the_samples(real_data: Path) -> None:
    samples = sorted((real_data / "densesirst/SIRST/PaletteMask").glob("*.png"))
    assert len(samples) == 4
    for sample in samples:
        masks = {
            part: read_mask(
                real_data / f"densesirst/{part}/PaletteMask/{sample.name}", sparse=False
            )
            for part in ("SIRST", "SkySeg")
        }
        labels = label_mask(masks["SIRST"].array)
        scene = Scene(sample.stem, (labels > 0).astype(np.uint8), labels, masks["SkySeg"].array)
        files = dict(devkit_files(scene, annotate(labels)))
        for part in masks:
            name = f"{part}/PaletteMask/{sample.name}"
            ours = Image.open(BytesIO(files[name]))
            with Image.open(real_data / "densesirst" / name) as theirs:
                assert (ours.mode, ours.getpalette()) == (theirs.mode, theirs.getpalette())
                np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
            binary = read_mask(
                real_data / f"densesirst/{part}/BinaryMask/{sample.stem}_pixels0.png", sparse=False
            )
            np.testing.assert_array_equal(binary.array, masks[part].array)

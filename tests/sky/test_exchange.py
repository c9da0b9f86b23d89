"""Sky masks to annotation tools and back: to the pixel, and never from a damaged file."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools.coco import COCO

from densesirst_gen.datasets import DatasetError
from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.sky.tools import (
    SkyMask,
    read_sky_coco,
    read_sky_cvat,
    read_sky_labelme,
    write_sky_coco,
    write_sky_cvat,
    write_sky_labelme,
)
from densesirst_gen.sky.tools.masks import polygon_region

TOOLS = ("cvat", "labelme", "coco")
READERS = {"cvat": read_sky_cvat, "labelme": read_sky_labelme, "coco": read_sky_coco}
FILES = {"cvat": "sky.xml", "labelme": "labelme", "coco": "sky.json"}
NAMES = ("a.png", "b.c.d.tif", "sub/a.png", "空 天.png", "ä'\"<&>#%.png", "-x.png", "sub.1/é.jpg")
quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(tool: str, root: Path, *masks: SkyMask, overwrite: bool = False) -> Path:
    """What one tool is given, beside empty files in the place of the images."""
    images, out = root / "images", root / FILES[tool]
    for mask in masks:
        (images / mask.image).parent.mkdir(parents=True, exist_ok=True)
        (images / mask.image).touch()
    if tool == "labelme":
        write_sky_labelme(masks, out, images, overwrite=overwrite)
    else:
        {"cvat": write_sky_cvat, "coco": write_sky_coco}[tool](masks, out, overwrite=overwrite)
    return out


def read(tool: str, root: Path) -> dict[str, np.ndarray]:
    return {m.image: m.sky for m in READERS[tool](root / FILES[tool], root / "images")}


def assert_round_trip(tool: str, root: Path, *masks: SkyMask) -> None:
    write(tool, root, *masks, overwrite=True)
    found = read(tool, root)
    assert sorted(found) == sorted(mask.image for mask in masks)
    for mask in masks:
        assert found[mask.image].dtype == np.bool_
        np.testing.assert_array_equal(found[mask.image], mask.sky)


def shapes_of_sky(height: int, width: int) -> list[np.ndarray]:
    """Nothing, all, thin lines along every side, holes, a checkerboard, single pixels."""
    rows, cols = np.mgrid[:height, :width]
    middle = (rows == height // 2, cols == width // 2)
    ring = (rows - height / 2) ** 2 + (cols - width / 2) ** 2 < min(height, width) ** 2 / 5
    hole = (rows - height / 2) ** 2 + (cols - width / 2) ** 2 < min(height, width) ** 2 / 20
    masks = [rows < 0, rows >= 0, *middle, rows == 0, cols == 0, rows == height - 1]
    masks += [cols == width - 1, ring & ~hole, ~(middle[0] & middle[1]), middle[0] & middle[1]]
    return [*masks, (rows + cols) % 2 == 0, rows == cols, (rows == 0) & (cols == 0)]


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (96, 135)])
def test_round_trip_of_every_kind_of_sky(tmp_path: Path, tool: str, size: tuple[int, int]) -> None:
    skies = shapes_of_sky(*size)
    assert_round_trip(tool, tmp_path, *(SkyMask(f"{i}.png", sky) for i, sky in enumerate(skies)))


@pytest.mark.parametrize("tool", TOOLS)
def test_round_trip_of_a_large_frame_with_ragged_sky(tmp_path: Path, tool: str) -> None:
    horizon = 500 + np.random.default_rng(0).integers(-90, 90, 1918)
    sky = np.arange(1080)[:, None] < horizon
    sky[100:300:3, 40:1900:7] = False
    assert_round_trip(tool, tmp_path, SkyMask("large.png", sky))


@quick
@given(
    sky=hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=13)),
    tool=st.sampled_from(TOOLS),
)
def test_round_trip_of_any_mask(tmp_path: Path, tool: str, sky: np.ndarray) -> None:
    assert_round_trip(tool, tmp_path, SkyMask("a.png", sky))


@pytest.mark.parametrize("tool", TOOLS)
def test_names_with_dots_folders_and_unicode(tmp_path: Path, tool: str) -> None:
    masks = [SkyMask(name, np.eye(i + 2, dtype=bool)) for i, name in enumerate(NAMES)]
    assert_round_trip(tool, tmp_path, *masks)
    assert [mask.name for mask in masks[:3]] == ["a", "b.c.d", "sub/a"]


def test_labelme_files_may_lie_beside_the_images(tmp_path: Path) -> None:
    mask = SkyMask("sub/a.png", np.eye(3, dtype=bool))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").touch()
    write_sky_labelme([mask], tmp_path, tmp_path)
    assert json.loads((tmp_path / "sub" / "a.json").read_text())["imagePath"] == "a.png"
    (found,) = read_sky_labelme(tmp_path / "sub" / "a.json", tmp_path)
    assert found.image == "sub/a.png"
    assert found.size == (3, 3)


@pytest.mark.parametrize("tool", TOOLS)
def test_real_sky_round_trips(tmp_path: Path, tool: str, real_data: Path) -> None:
    from densesirst_gen.files.images.codec import read_mask

    paths = sorted((real_data / "densesirst/SkySeg/BinaryMask").glob("*.png"))[::60]
    skies = [read_mask(path, sparse=False).array for path in paths]
    masks = [SkyMask(path.name, sky) for path, sky in zip(paths, skies, strict=True)]
    assert_round_trip(tool, tmp_path, *masks)


# ---------------------------------------------------------------- as the tools read it


def test_cvat_runs_as_its_server_reads_them(tmp_path: Path) -> None:
    """First background, row by row inside the box; left, top, width and height of the box."""
    sky = np.zeros((6, 9), bool)
    sky[2:4, 3:7] = True
    sky[2, 3] = sky[3, 5] = False
    root = ElementTree.parse(write("cvat", tmp_path, SkyMask("a.png", sky))).getroot()
    assert [label.findtext("name") for label in root.iter("label")] == ["sky", "not-sky"]
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/size") == "1"
    image = root.find("image")
    assert image is not None
    assert image.attrib == {"id": "0", "name": "a.png", "width": "9", "height": "6"}
    (shape,) = image
    box = [int(shape.attrib[key]) for key in ("left", "top", "width", "height")]
    assert (shape.tag, box, shape.attrib["label"]) == ("mask", [3, 2, 4, 2], "sky")
    assert [int(n) for n in shape.attrib["rle"].split(",")] == [1, 5, 1, 1]


def test_labelme_shape_as_labelme_reads_it(tmp_path: Path) -> None:
    """Points are the first and the last pixel; the PNG has the size of the box, not 0 is mask."""
    sky = np.zeros((6, 9), bool)
    sky[2:4, 3:7] = True
    sky[2, 3] = False
    file = write("labelme", tmp_path, SkyMask("a.png", sky)) / "a.json"
    document = json.loads(file.read_text("utf-8"))
    assert (file.parent / document["imagePath"]).resolve() == tmp_path / "images" / "a.png"
    (shape,) = document["shapes"]
    (x1, y1), (x2, y2) = shape["points"]
    drawn = np.zeros((document["imageHeight"], document["imageWidth"]), bool)
    png = Image.open(BytesIO(b64decode(shape["mask"])))
    drawn[y1 : y2 + 1, x1 : x2 + 1] = np.asarray(png).astype(bool)
    np.testing.assert_array_equal(drawn, sky)
    assert (shape["shape_type"], shape["label"], document["imageData"]) == ("mask", "sky", None)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_as_pycocotools_reads_it(tmp_path: Path) -> None:
    sky = shapes_of_sky(20, 31)[8]
    path = write("coco", tmp_path, SkyMask("a.png", sky), SkyMask("b.png", sky & False))
    coco = COCO(path)
    annotation, none = coco.dataset["annotations"]
    assert coco.annToMask(none).all()
    assert coco.loadCats([none["category_id"]])[0]["name"] == "not-sky"
    np.testing.assert_array_equal(coco.annToMask(annotation), sky)
    rows, cols = np.nonzero(sky)
    x, y, width, height = annotation["bbox"]
    assert (x, y, x + width, y + height) == (
        cols[0:].min(),
        rows.min(),
        cols.max() + 1,
        rows.max() + 1,
    )
    assert annotation["area"] == sky.sum()
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["sky", "not-sky"]
    assert len(coco.getImgIds()) == 2


# ---------------------------------------------------------------- what people draw

SIZE = (8, 10)
SQUARE = [[2.0, 1.0], [6.0, 1.0], [6.0, 5.0], [2.0, 5.0]]


def square() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[1:5, 2:6] = True
    return mask


def cvat_file(root: Path, shapes: str, *, width: int = 10, name: str = "a.png") -> None:
    (root / "images").mkdir(exist_ok=True)
    (root / "images" / "a.png").touch()
    image = f'<image id="0" name="{name}" width="{width}" height="8">{shapes}</image>'
    (root / "sky.xml").write_text(f"<annotations>{image}</annotations>", "utf-8")


def labelme_file(root: Path, *shapes: dict[str, Any], **changes: Any) -> None:
    (root / "images").mkdir(exist_ok=True)
    (root / "labelme").mkdir(exist_ok=True)
    (root / "images" / "a.png").touch()
    size = {"imagePath": "../images/a.png", "imageHeight": 8, "imageWidth": 10}
    document = {"version": "5.5.0", "shapes": shapes, "imageData": None, **size, **changes}
    (root / "labelme" / "a.json").write_text(json.dumps(document), "utf-8")


def polygon(label: str, points: list[list[float]], kind: str = "polygon") -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind}


def coco_file(root: Path, *segmentations: Any, label: str = "sky", **changes: Any) -> None:
    (root / "images").mkdir(exist_ok=True)
    (root / "images" / "a.png").touch()
    document = {
        "images": [{"id": 7, "file_name": "a.png", "width": 10, "height": 8}],
        "categories": [{"id": 3, "name": label}, {"id": 4, "name": "not-sky"}],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": 3 + i, "segmentation": s, "iscrowd": i % 2}
            for i, s in enumerate(segmentations)
        ],
        **changes,
    }
    (root / "sky.json").write_text(json.dumps(document), "utf-8")


POINTS = "2,1;6,1;6,5;2,5"


def draw_square(tool: str, root: Path) -> None:
    """A square polygon of sky, of which a rectangle is not sky."""
    if tool == "cvat":
        cvat_file(
            root,
            '<box label="not-sky" xtl="5" ytl="4" xbr="9" ybr="8"/>'
            f'<polygon label="sky" points="{POINTS}"/>',
        )
    elif tool == "labelme":
        cut = polygon("not-sky", [[9, 8], [5, 4]], "rectangle")
        labelme_file(root, cut, polygon("sky", SQUARE))
    else:
        flat = [2, 1, 6, 1, 6, 5, 2, 5]
        coco_file(root, [flat], [[5, 4, 9, 4, 9, 8, 5, 8]])


@pytest.mark.parametrize("tool", TOOLS)
def test_drawn_shapes_are_united_and_not_sky_is_taken_away(tmp_path: Path, tool: str) -> None:
    draw_square(tool, tmp_path)
    wanted = square()
    wanted[4, 5] = False
    np.testing.assert_array_equal(read(tool, tmp_path)["a.png"], wanted)


def test_a_mask_and_a_polygon_are_united(tmp_path: Path) -> None:
    cvat_file(
        tmp_path,
        f'<polygon label="sky" points="{POINTS}"/>'
        '<mask label="sky" rle="1,2" left="7" top="7" width="3" height="1"/>',
    )
    wanted = square()
    wanted[7, 8:10] = True
    np.testing.assert_array_equal(read("cvat", tmp_path)["a.png"], wanted)


@pytest.mark.parametrize("tool", ["cvat", "labelme"])
def test_no_shapes_means_no_sky(tmp_path: Path, tool: str) -> None:
    {"cvat": lambda: cvat_file(tmp_path, ""), "labelme": lambda: labelme_file(tmp_path)}[tool]()
    assert not read(tool, tmp_path)["a.png"].any()


def centres_inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The even-odd rule, pixel by pixel: sides to the right of the centre."""
    inside = np.zeros(size, bool)
    for row, col in np.ndindex(*size):
        x, y = col + 0.5, row + 0.5
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, 0), strict=True):
            if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                inside[row, col] ^= True
    return inside


corner = st.tuples(*[st.integers(-20, 60).map(lambda n: n / 5)] * 2)


@given(st.lists(corner, min_size=3, max_size=7))
def test_a_polygon_takes_the_pixels_whose_centres_it_holds(points: list[tuple]) -> None:
    found = polygon_region(points, SIZE)
    np.testing.assert_array_equal(found, centres_inside(np.array(points), SIZE))


@given(corner)
def test_polygons_with_a_common_corner_share_no_pixel_and_leave_none(point: tuple) -> None:
    frame = [(0, 0), (10, 0), (10, 8), (0, 8)]
    point = (min(max(point[0], 0), 10), min(max(point[1], 0), 8))
    sides = zip(frame, [*frame[1:], frame[0]], strict=True)
    parts = [polygon_region([a, b, point], SIZE).astype(int) for a, b in sides]
    assert (sum(parts) == 1).all()


# ---------------------------------------------------------------- refused, with the facts

RLE = '<mask label="sky" rle="{rle}" left="{left}" top="0" width="3" height="2"/>'
PNG = b64encode(b"not a png").decode()
BAD_CVAT = {
    "run lengths do not add up to 3 x 2": RLE.format(rle="1,2", left=0),
    "run lengths do not add up": RLE.format(rle="7,-1", left=0),
    "invalid literal": RLE.format(rle="1,x", left=0),
    "not inside the image, 10 x 8": RLE.format(rle="0,6", left=8),
    "no attribute 'rle'": '<mask label="sky" left="0" top="0" width="1" height="1"/>',
    "at least three corners": '<polygon label="sky" points="1,1;2,2"/>',
    "corners must be within": '<polygon label="sky" points="1,1;2,2;nan,3"/>',
    "a turned box": '<box label="sky" xtl="0" ytl="0" xbr="3" ybr="2" rotation="10"/>',
    "'polyline' has no area": '<polyline label="sky" points="1,1;2,2"/>',
    r"labels must be 'sky' or 'not-sky', found 'Skies' \(1 shapes\), 'skye' \(2 shapes\)": (
        '<box label="Skies"/><tag label="skye"/><box label="skye"/>'
    ),
}
MASK_SHAPE = {"label": "sky", "points": [[0, 0], [2, 1]], "shape_type": "mask"}
BAD_LABELME = {
    "mask is not a PNG in base64": MASK_SHAPE | {"mask": PNG},
    "a shape without 'mask'": MASK_SHAPE,
    "at least three corners": polygon("sky", [[1, 1], [2, 2]]),
    "shape_type 'circle' cannot be read": polygon("sky", [[1, 1], [2, 2]], "circle"),
    r"labels must be .* 'Himmel' \(1 shapes\)": polygon("Himmel", SQUARE),
}
BAD_COCO = {
    "run lengths do not add up to 8 x 10": {"size": [8, 10], "counts": [3, 4]},
    "segmentation is for": {"size": [8, 9], "counts": [72]},
    "run lengths are not COCO's text": {"size": [8, 10], "counts": "~"},
    "at least three finite": [[1, 2, 3, 4]],
    "a box without segmentation": [],
}


@pytest.mark.parametrize("rule", BAD_CVAT)
def test_bad_cvat_shape_is_refused(tmp_path: Path, rule: str) -> None:
    cvat_file(tmp_path, BAD_CVAT[rule])
    with pytest.raises(DatasetError, match=rf"sky\.xml.*{rule}"):
        read("cvat", tmp_path)


@pytest.mark.parametrize("rule", BAD_LABELME)
def test_bad_labelme_shape_is_refused(tmp_path: Path, rule: str) -> None:
    labelme_file(tmp_path, BAD_LABELME[rule])
    with pytest.raises(DatasetError, match=rf"a\.json.*{rule}"):
        read("labelme", tmp_path)


@pytest.mark.parametrize("rule", BAD_COCO)
def test_bad_coco_segmentation_is_refused(tmp_path: Path, rule: str) -> None:
    coco_file(tmp_path, BAD_COCO[rule])
    with pytest.raises(DatasetError, match=rf"sky\.json.*{rule}"):
        read("coco", tmp_path)


def test_labelme_mask_of_another_size_than_its_points_is_refused(tmp_path: Path) -> None:
    write("labelme", tmp_path, SkyMask("a.png", np.ones(SIZE, bool)))
    path = tmp_path / "labelme" / "a.json"
    document = json.loads(path.read_text())
    document["shapes"][0]["points"][1][0] -= 2
    path.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match=r"10 x 8 pixels, its points say \[8, 8\]"):
        read("labelme", tmp_path)


def test_labelme_mask_that_was_dragged_keeps_its_pixels(tmp_path: Path) -> None:
    sky = np.zeros(SIZE, bool)
    sky[1:4, 2:6:3] = True
    write("labelme", tmp_path, SkyMask("a.png", sky))
    path = tmp_path / "labelme" / "a.json"
    document = json.loads(path.read_text())
    for point in document["shapes"][0]["points"]:
        point[0] += 1.5
        point[1] += 2
    path.write_text(json.dumps(document))
    np.testing.assert_array_equal(read("labelme", tmp_path)["a.png"], np.roll(sky, (2, 2), (0, 1)))


def test_labelme_mask_larger_than_the_image_is_refused(tmp_path: Path) -> None:
    write("labelme", tmp_path, SkyMask("a.png", np.ones(SIZE, bool)))
    path = tmp_path / "labelme" / "a.json"
    document = json.loads(path.read_text()) | {"imageWidth": 9}
    path.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="10 x 8 pixels, larger than its image"):
        read("labelme", tmp_path)


BREAK: dict[str, Callable[[Path], object]] = {
    "cvat": lambda root: (root / "sky.xml").write_text("<annotations><image>"),
    "labelme": lambda root: (root / "labelme" / "a.json").write_text('{"shapes": ['),
    "coco": lambda root: (root / "sky.json").write_text('{"images": []}'),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_broken_file_is_refused(tmp_path: Path, tool: str) -> None:
    draw_square(tool, tmp_path)
    BREAK[tool](tmp_path)
    with pytest.raises(DatasetError, match=r"not XML|not JSON|not a COCO document, it lacks"):
        read(tool, tmp_path)


@pytest.mark.parametrize("shapes", [[3], {"a": 1}, None])
def test_labelme_shapes_that_are_none_are_refused(tmp_path: Path, shapes: Any) -> None:
    labelme_file(tmp_path)
    path = tmp_path / "labelme" / "a.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shapes": shapes}))
    with pytest.raises(DatasetError, match=r"a\.json: shapes must be a list of records"):
        read("labelme", tmp_path)


@pytest.mark.parametrize("tool", ["cvat", "coco"])
def test_missing_file_is_refused(tmp_path: Path, tool: str) -> None:
    with pytest.raises(DatasetError, match="not a file of at most"):
        read(tool, tmp_path)


def test_folder_without_labelme_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no JSON files of labelme"):
        read_sky_labelme(tmp_path, tmp_path)


# row 48
def test_xml_with_entities_is_refused(tmp_path: Path) -> None:
    cvat_file(tmp_path, "")
    bomb = '<!DOCTYPE a [<!ENTITY b "ha">]><annotations>&b;</annotations>'
    (tmp_path / "sky.xml").write_text(bomb)
    with pytest.raises(DatasetError, match="refused, DTDForbidden"):
        read("cvat", tmp_path)


def test_video_export_of_cvat_is_refused(tmp_path: Path) -> None:
    cvat_file(tmp_path, "")
    (tmp_path / "sky.xml").write_text('<annotations><track id="0" label="sky"/></annotations>')
    with pytest.raises(DatasetError, match="CVAT for images"):
        read("cvat", tmp_path)


@pytest.mark.parametrize("tool", TOOLS)
def test_unknown_image_is_refused(tmp_path: Path, tool: str) -> None:
    draw_square(tool, tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"1 images not in .*images: a\.png"):
        read(tool, tmp_path)


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", ""])
def test_image_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    cvat_file(tmp_path, "", name=name)
    with pytest.raises(DatasetError, match="not a path inside"):
        read("cvat", tmp_path)
    labelme_file(tmp_path, imagePath="../" + name.replace("a.png", "z.png"))
    with pytest.raises(DatasetError, match=r"is not in .*images"):
        read("labelme", tmp_path)


def test_impossible_sizes_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    cvat_file(tmp_path, "", width=10**9)
    with pytest.raises(DatasetError, match="the limit is"):
        read("cvat", tmp_path)
    labelme_file(tmp_path, imageWidth=0)
    with pytest.raises(DatasetError, match="whole positive numbers"):
        read("labelme", tmp_path)
    huge = [{"id": 7, "file_name": "a.png", "width": 10**9, "height": 8}]
    coco_file(tmp_path, images=huge)
    with pytest.raises(DatasetError, match="the limit is"):
        read("coco", tmp_path)


def test_coco_with_another_category_is_refused(tmp_path: Path) -> None:
    coco_file(tmp_path, [[2, 1, 6, 1, 6, 5]], label="Target")
    with pytest.raises(DatasetError, match=r"'Target' \(1 shapes\)"):
        read("coco", tmp_path)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_file_with_corrections_is_not_overwritten(tmp_path: Path, tool: str) -> None:
    mask = SkyMask("a.png", np.eye(4, dtype=bool))
    write(tool, tmp_path, mask)
    with pytest.raises(RefusedError, match="made by hand"):
        write(tool, tmp_path, SkyMask("a.png", ~mask.sky))
    np.testing.assert_array_equal(read(tool, tmp_path)["a.png"], mask.sky)


@pytest.mark.parametrize("tool", TOOLS)
def test_two_masks_of_one_image_are_refused_and_nothing_is_left(tmp_path: Path, tool: str) -> None:
    masks = [SkyMask(name, np.eye(4, dtype=bool)) for name in ("a.png", "a.tif")]
    with pytest.raises(DatasetError, match="a mask of a is there already"):
        write(tool, tmp_path, *masks)
    assert not list(tmp_path.rglob("*.part"))


def test_an_image_listed_twice_is_refused(tmp_path: Path) -> None:
    labelme_file(tmp_path)
    path = tmp_path / "labelme" / "a.json"
    (path.parent / "copy of a.json").write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match=r"1 images come twice: a\.png"):
        read("labelme", tmp_path)


@pytest.mark.parametrize(
    "sky", [np.zeros((2, 2), np.uint8), np.zeros((0, 2), bool), np.ones(3, bool)]
)
def test_what_is_no_mask_is_refused(sky: np.ndarray) -> None:
    with pytest.raises(DatasetError, match=r"image a\.png: a sky mask is \(H, W\) bool"):
        SkyMask("a.png", sky)

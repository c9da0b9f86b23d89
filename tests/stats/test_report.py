import base64
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from report_pages import EVIL, flat_scene, full_page
from scenes import make_scene

from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.report.gallery import MAX_GROUPS, scene_view

pytest.importorskip("jinja2")

from densesirst_gen.stats.report.page import report_html

VOID = {"meta", "input", "img", "br", "link"}


class Page(HTMLParser):
    """The elements of a page, as (tag, attributes), and its text; complains of open elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found, self.text, self._open = [], "", []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.found if name == tag]


def test_structure():
    text = full_page()
    page = Page(text)
    assert text.startswith("<!doctype html>")
    ids = Counter(attrs["id"] for _, attrs in page.found if "id" in attrs)
    assert set(ids.values()) == {1}
    links = {attrs.get("href", "#").removeprefix("#") for attrs in page.all("a") + page.all("use")}
    assert links <= set(ids)
    assert [attrs["id"] for attrs in page.all("input")] == [
        f"show-{layer}" for layer in ("sky", "mask", "box", "point")
    ]
    assert len(page.all("image")) == 2
    assert all(attrs["alt"] for attrs in page.all("img"))
    for words in ("Data a/b c", "As near as can be.", "7 a/b c", "In px.", "16-bit", "nothing"):
        assert (words in page.text) == (words != "nothing")


def test_comparison_is_a_table_with_bars():
    text = full_page()
    page = Page(text)
    for words in ("1 of 2 statistics are within", "mask area", "1,234", "no rows to compare"):
        assert words in page.text
    widths = [
        attrs["width"] for attrs in page.all("rect") if "width" in attrs and "%" in attrs["width"]
    ]
    assert widths == ["10.0%", "100.0%"]
    assert text.count('class="cut"') == 1
    assert {attrs["x1"] for attrs in page.all("line")} == {"20.0%"}
    assert "Comparison" not in Page(report_html("d", [], [], [])).text


# rows 43, 54
def test_every_name_is_escaped():
    plain, hostile = Page(full_page()), Page(full_page(EVIL))
    assert Counter(tag for tag, _ in hostile.found) == Counter(tag for tag, _ in plain.found)
    for (_, attrs), (_, harmless) in zip(hostile.found, plain.found, strict=True):
        assert attrs.keys() == harmless.keys()
        assert not any(key.startswith("on") for key in attrs)
    assert hostile.text.count(EVIL) == plain.text.count("a/b c") > 8


def test_text_that_utf8_cannot_hold():
    assert "bad ?name" in report_html("bad \udcffname", [], [], []).encode("utf-8").decode("utf-8")


# row 54
def test_nothing_is_loaded_from_elsewhere():
    text = full_page("http://example.org/x.png")
    page = Page(text)
    policy = page.all("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script-src 'sha256-" in policy
    for _, attrs in page.found:
        for key in ("src", "href", "xlink:href", "data", "action", "srcset"):
            assert attrs.get(key, "#").startswith(("#", "data:"))
    assert "@import" not in text
    assert "url(" not in text
    assert not re.findall(r"https?://", full_page())


def test_empty():
    page = Page(report_html("none", [], [], []))
    assert "No images to show." in page.text
    assert page.all("input") == page.all("figure") == page.all("table") == []


def test_scenes_are_read_once():
    def scenes():
        yield make_scene(name="first")
        yield make_scene(name="second")

    assert Page(report_html("d", [], [], scenes())).text.count("second") > 0


@pytest.mark.parametrize(
    ("dtype", "kind"), [(np.uint8, "8-bit"), (np.uint16, "16-bit"), (np.float32, "float")]
)
def test_pixels_are_all_there(dtype, kind):
    view = scene_view(make_scene((96, 128), dtype=dtype))
    picture = Image.open(BytesIO(base64.b64decode(view.image.split(",")[1])))
    assert (view.kind, picture.size, picture.mode) == (kind, (128, 96), "L")
    assert np.ptp(np.asarray(picture)) == 255


def test_scene_without_targets_and_sky():
    bare = make_scene(targets=0, sky=None)
    view = scene_view(bare)
    assert (view.sky, view.masks, view.boxes, view.points, view.groups) == ("", "", "", "", [])
    page = Page(report_html("d", [], [], [bare]))
    assert "no targets" in page.text
    assert "sky not annotated" in page.text


def test_regions_are_framed():
    cluster, single = scene_view(flat_scene()).groups
    assert (cluster.n_targets, cluster.area, cluster.box) == (2, 14, (59, 19, 11, 7))
    assert cluster.window == (44, 2, 40, 40)
    assert (single.n_targets, single.box, single.window) == (1, (20, 50, 1, 1), (0, 30, 40, 40))
    assert cluster.density == pytest.approx(2 * 14 / 77)


def test_frame_is_no_larger_than_the_image():
    labels = np.zeros((20, 90), np.int32)
    labels[2:4, 1:80] = 1
    (group,) = scene_view(Scene("flat", labels.astype(np.uint8), labels)).groups
    assert group.window == (0, 0, 90, 20)


def test_of_many_regions_the_largest_are_shown():
    labels = np.zeros((200, 200), np.int32)
    labels[10::20, 10::20] = np.arange(1, 101).reshape(10, 10)
    labels[190, 193] = 101
    scene = Scene("stars", labels.astype(np.uint8), labels)
    view = scene_view(scene)
    assert (len(view.groups), view.n_groups, view.groups[0].n_targets) == (MAX_GROUPS, 100, 2)
    assert "+ 88 more" in Page(report_html("d", [], [], [scene])).text


def test_page_of_twelve_noisy_scenes_is_below_8_mb():
    noise = np.random.default_rng(0).integers(0, 65536, (512, 640), np.uint16)
    scene = Scene("noise", noise, np.zeros(noise.shape, np.int32), noise < 1000)
    assert len(report_html("d", [], [], [scene])) * 12 < 8e6


def test_missing_jinja_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"pip install 'densesirst_gen\[report\]'"):
        report_html("d", [], [], [])

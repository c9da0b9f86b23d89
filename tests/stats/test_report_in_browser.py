"""The page in headless Chromium: clicks, keys, and the colours of its pixels."""

import re

import numpy as np
import pytest

pytest.importorskip("jinja2")

from browser import find_chromium, open_browser
from report_pages import EVIL, full_page

CHIP, ZOOM, PICTURE = '.chips a[href="#zoom-0-0"]', "#zoom-0-0 .pane svg", "#scene-0 .picture"
WINDOW = 44, 2, 40
"""x, y and side of what the first zoom shows, px."""

SKY, MASK, BOX, POINT = "#show-sky", "#show-mask", "#show-box", "#show-point"
MARKS = {
    SKY: ((50.5, 10.5), (80, 85, 101)),  # 14 % of blue over the gray of the scene
    MASK: ((60, 22), (255, 176, 0)),
    BOX: ((59, 19.5), (255, 109, 182)),
    POINT: ((60.5, 20.5), (255, 255, 255)),
}
"""Of each layer a place, (x, y) in the scene, and the colour there with this layer alone."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium found")
    with open_browser(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser, tmp_path):
    """The full page, opened from a file."""
    browser.resize(1280, 900)
    browser.prefer("light")
    show(browser, tmp_path, full_page())
    return browser


def show(browser, folder, text):
    file = folder / "page.html"
    file.write_text(text, "utf-8")
    browser.open(file.as_uri())


def colour(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    """(red, green, blue) of the first zoom at a place in the scene."""
    left, top, side = WINDOW
    scale = len(picture) / side
    return picture[round((y - top) * scale), round((x - left) * scale)]


def inner(picture: np.ndarray) -> np.ndarray:
    """Without the round corners."""
    return picture[10:-10, 10:-10]


def tints(picture: np.ndarray) -> int:
    """The most that the channels of a pixel differ."""
    return np.ptp(inner(picture), axis=2).max()


def all_off(page):
    for layer in (SKY, MASK, BOX):
        page.click(layer)


def hash_of(page):
    return page.run("location.hash")


def focused(page):
    return page.run("document.activeElement.matches(':focus') && document.activeElement.outerHTML")


def test_page_is_quiet(page):
    assert page.told("Runtime.exceptionThrown") == []
    assert page.told("Log.entryAdded") == []
    requests = [event["request"]["url"] for event in page.told("Network.requestWillBeSent")]
    assert {url.split(":")[0] for url in requests} <= {"file", "data"}


def test_layers_are_switched_in_the_gallery(page):
    page.click(POINT)
    before = page.look(PICTURE)
    assert tints(before) > 50
    for layer in MARKS:
        page.click(layer)
        assert (page.look(PICTURE) != before).any()
        page.click(layer)
        assert (inner(page.look(PICTURE)) == inner(before)).all()
    all_off(page)
    page.click(POINT)
    assert tints(page.look(PICTURE)) == 0


@pytest.mark.parametrize("layer", MARKS)
def test_layers_are_switched_in_a_zoom(page, layer):
    page.click(CHIP)
    all_off(page)
    bare = page.look(ZOOM)
    assert tints(bare) == 0
    page.click(layer)
    place, mark = MARKS[layer]
    assert np.abs(colour(page.look(ZOOM), *place) - mark).max() <= 3


def test_zoom_shows_crisp_pixels(page):
    page.click(CHIP)
    all_off(page)
    shades = np.unique(inner(page.look(ZOOM)))
    assert shades.tolist() == [76, 254]


def test_zoom_by_a_click_in_the_picture(page):
    page.click('#scene-0 .picture a[href="#zoom-0-1"]')
    assert hash_of(page) == "#zoom-0-1"
    assert page.run("getComputedStyle(document.querySelector('#zoom-0-1')).display") == "grid"
    page.click("#zoom-0-1 .previous")
    assert hash_of(page) == "#zoom-0-0"
    page.click("#zoom-0-0 .close")
    assert page.run("document.querySelector('.zoom:target')") is None


def test_zoom_by_keys(page):
    page.run(f"document.querySelector('{CHIP}').focus()")
    scrolled = page.run("scrollY")
    assert scrolled > 0
    for key, now in (("Enter", "0-0"), ("ArrowRight", "0-1"), ("ArrowRight", "0-1")):
        page.press(key)
        assert hash_of(page) == f"#zoom-{now}"
    assert 'class="close"' in focused(page)
    page.press("Escape")
    assert 'href="#zoom-0-1"' in focused(page)
    assert page.run("scrollY") == scrolled


def test_keys_reach_only_what_is_seen(page):
    page.click(CHIP)
    stops = set()
    for _ in range(12):
        page.press("Tab")
        stops.add(page.run("(document.activeElement.closest('.zoom, .layers') ?? {}).className"))
    assert stops <= {"zoom", "layers", None}
    assert {"zoom", "layers"} <= stops


def test_layer_is_switched_by_keys(page):
    page.run(f"document.querySelector('{BOX}').focus()")
    before = page.look(PICTURE)
    page.press(" ")
    assert (page.look(PICTURE) != before).any()


def test_layers_and_zoom_work_without_script(page, tmp_path):
    bare, n_scripts = re.subn(r"<script>.*?</script>", "", full_page(), flags=re.DOTALL)
    assert n_scripts == 1
    show(page, tmp_path, bare)
    test_layers_are_switched_in_a_zoom(page, MASK)
    page.click("#zoom-0-0 .close")
    assert hash_of(page) == "#scene-0"


def test_hostile_names_are_harmless(page, tmp_path):
    show(page, tmp_path, full_page(EVIL))
    page.click(CHIP)
    assert page.run("typeof pwned") == "undefined"
    assert page.told("Runtime.exceptionThrown") == page.told("Log.entryAdded") == []
    assert EVIL in page.run("document.querySelector('h1').textContent")


def test_light_and_dark(page):
    shade = "getComputedStyle(document.body).backgroundColor"
    light = page.run(shade)
    page.prefer("dark")
    assert (light, page.run(shade)) == ("rgb(245, 246, 248)", "rgb(18, 21, 27)")


@pytest.mark.parametrize("width", [320, 700, 2560])
def test_page_is_never_wider_than_the_window(page, width):
    page.resize(width, 800)
    assert page.run("document.documentElement.scrollWidth") <= width
    page.click(CHIP)
    close = page.place("#zoom-0-0 .close")
    assert 0 <= close["x"] <= width - close["width"]
    assert 0 <= close["y"] <= 800 - close["height"]

import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image
from scenes import random_scenes

from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.report.drawing import squares
from densesirst_gen.stats.report.figures import Figure, draw_figures
from densesirst_gen.stats.tables import DatasetStats, dataset_stats

NAMES = [
    "size",
    "local-contrast",
    "brightness",
    "density",
    "counts",
    "gap",
    "places",
    "sky-fraction",
    "scr",
]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def stats() -> DatasetStats:
    return dataset_stats(random_scenes(0, 12))


@pytest.fixture(scope="module")
def alone(stats) -> list[Figure]:
    return draw_figures(stats)


def one_target_without_sky() -> Scene:
    scene = random_scenes(1, 1)[0]
    labels = np.where(scene.labels == 1, 1, 0).astype(np.int32)
    return replace(scene, sky=None, labels=labels)


def check(figures: list[Figure], *forms: str) -> None:
    assert [figure.name for figure in figures] == NAMES
    for figure in figures:
        assert figure.title
        assert figure.caption.endswith(".")
        for text in (getattr(figure, form) for form in forms):
            assert ElementTree.fromstring(text).tag == f"{SVG}svg"
            assert len(text) < 400_000
        with Image.open(BytesIO(figure.png)) as picture:
            picture.load()
            assert 600 < picture.width < 1600
            assert np.asarray(picture.convert("L")).std() > 5


def height(svg: str) -> float:
    return float(ElementTree.fromstring(svg).get("height", "").removesuffix("pt"))


def test_all_figures_are_drawn(alone):
    check(alone, "svg", "captioned_svg")


def test_the_caption_is_below_and_only_where_it_is_wanted(alone):
    assert all(height(f.captioned_svg) > height(f.svg) + 40 for f in alone)


def test_equal_numbers_give_equal_files(stats, alone):
    for drawn, again in zip(alone[5:7], draw_figures(stats)[5:7], strict=True):
        assert again.png == drawn.png
        assert again.captioned_svg == drawn.captioned_svg


def test_a_reference_and_names_that_are_hard_to_draw(stats, alone):
    single = dataset_stats([one_target_without_sky()])
    figures = draw_figures(stats, single, ("_$x^2$ 标注", "a/long/way/to/the/dataset/" * 3))
    check(figures, "svg")
    assert all(a.svg != b.svg for a, b in zip(figures, alone, strict=True))


def test_nothing_but_one_target_without_sky():
    before = dict(matplotlib.rcParams)
    check(draw_figures(dataset_stats([]), dataset_stats([one_target_without_sky()])), "svg")
    assert dict(matplotlib.rcParams) == before


def test_squares_count_targets(stats):
    corners = squares(stats)
    assert corners.min() >= 0
    assert corners.max() <= 1
    side = np.ptp(corners, axis=1) * (32, 24)
    assert side.max() == pytest.approx(1)
    total = np.prod(side, axis=1).sum() * largest_cell(stats)
    assert total == pytest.approx(len(stats.targets))


def largest_cell(stats: DatasetStats) -> int:
    cells = [(int((x + 0.5) / 2), int((y + 0.5) / 64 * 24)) for x, y in stats.targets[["x", "y"]]]
    return max(map(cells.count, cells))


def test_a_missing_library_is_named():
    code = (
        "import sys; sys.modules['matplotlib'] = None; import densesirst_gen.stats.report.figures"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'densesirst_gen[plot]'" in run.stderr

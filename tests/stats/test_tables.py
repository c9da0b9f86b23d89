import json
import os
import pickle
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filelock import FileLock

from densesirst_gen.files.workers import workers
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.compare.fidelity import compare, score
from densesirst_gen.stats.tables import (
    GROUP,
    SCENE,
    TARGET,
    DatasetStats,
    SceneStats,
    collect_stats,
    dataset_stats,
    scene_stats,
)

PUBLISHED_BRIGHTNESS = """
    51.0 6.2 4.6 4.0 3.5 3.2 3.0 2.3 2.1 2.1 2.5 2.7 2.8 3.2 3.0 2.0 1.1 0.5 0.1 0.0
"""
TRAINVAL_BRIGHTNESS = """
    50.5 6.2 4.8 4.2 3.5 3.3 3.0 2.5 2.0 2.3 2.7 2.7 2.7 3.1 2.7 2.0 1.2 0.4 0.1 0.0
"""


def scene_of(name: str, *boxes: tuple[int, int, int, int], sky: bool = True) -> Scene:
    image = np.random.default_rng(len(name)).integers(40, 60, (60, 80)).astype(np.uint8)
    labels = np.zeros(image.shape, np.int32)
    for k, (x0, y0, x1, y1) in enumerate(boxes, 1):
        image[y0:y1, x0:x1] = 150 + k
        labels[y0:y1, x0:x1] = k
    upper = np.zeros(image.shape, bool)
    upper[:30] = True
    return Scene(name, image, labels, upper if sky else None)


def two_and_one(name: str = "a", sky: bool = True) -> Scene:
    """A cluster of two in the sky, and a single that the horizon cuts."""
    return scene_of(name, (10, 10, 13, 13), (14, 10, 17, 14), (50, 29, 52, 33), sky=sky)


def test_rows_of_a_scene():
    stats = scene_stats(two_and_one())
    targets, groups = stats.targets, stats.groups
    assert stats.name == "a"
    assert targets["label"].tolist() == [1, 2, 3]
    assert targets["group"].tolist() == [0, 0, 1]
    assert targets["group_targets"].tolist() == [2, 2, 1]
    assert targets[["x0", "y0", "x1", "y1"]].tolist()[2] == (50, 29, 52, 33)
    assert targets[["x", "y"]].tolist() == [(11.0, 11.0), (15.0, 11.5), (50.5, 30.5)]
    assert targets[["width", "height", "area"]].tolist() == [(3, 3, 9), (3, 4, 12), (2, 4, 8)]
    assert targets["in_sky"].tolist() == [1.0, 1.0, 0.25]
    assert targets["gap"].tolist() == [1, 1, -1]
    assert targets["nearest_distance"][0] == pytest.approx(np.hypot(4, 0.5))
    assert groups[["n_targets", "side", "area"]].tolist() == [(2, 7, 21), (1, 4, 8)]
    assert groups["density"] == pytest.approx([2 * 21 / 28, 1])
    assert groups["in_sky"].tolist() == [1.0, 0.25]
    assert stats.scene[list(SCENE.names[:7])].tolist() == [(0, 60, 80, 3, 1, 1, 0.5)]
    assert stats.scene["gray_mean"] == pytest.approx(two_and_one().image.mean())
    assert stats.scene["gray_std"] == pytest.approx(two_and_one().image.std())


def test_rows_know_their_scene():
    stats = dataset_stats([two_and_one("b"), scene_of("empty"), two_and_one("c")])
    assert stats.names == ("b", "empty", "c")
    assert stats.targets["scene"].tolist() == [0, 0, 0, 2, 2, 2]
    assert stats.groups["scene"].tolist() == [0, 0, 2, 2]
    assert stats.scenes["scene"].tolist() == [0, 1, 2]


def test_summary_of_two_scenes():
    summary = dataset_stats([two_and_one("b"), scene_of("empty", sky=False)]).summary()
    expected = {
        "images": 2,
        "targets": 3,
        "clusters": 1,
        "singles": 1,
        "targets_per_image": 1.5,
        "clusters_per_image": 0.5,
        "targets_per_cluster": 2.0,
        "mean_area": 29 / 3,
        "density_clusters": 1.0,
        "density_singles": 0.0,
        "sky_fraction": 0.5,
        "images_without_target": 0.5,
        "images_without_cluster": 0.5,
        "targets_saturated": 0.0,
        "targets_brightest_of_image": 1 / 3,
        "targets_in_sky": 0.75,
        "cluster_boxes_in_sky": 1.0,
    }
    assert {key: summary[key] for key in expected} == pytest.approx(expected)


def edge_cases() -> dict[str, list[Scene]]:
    one_pixel = scene_of("dot", (5, 5, 6, 6))
    deep = Scene("deep", one_pixel.image.astype(np.uint16) * 64, one_pixel.labels)
    float_image = Scene("float", one_pixel.image.astype(np.float32) / 7, one_pixel.labels)
    return {
        "no scene": [],
        "no target": [scene_of("x"), scene_of("yy")],
        "no sky": [two_and_one(sky=False)],
        "one target": [one_pixel],
        "16 bit": [deep],
        "float": [float_image],
        "one pixel image": [Scene("p", np.zeros((1, 1), np.uint8), np.ones((1, 1), np.int32))],
        "corner": [scene_of("corner", (0, 0, 1, 1), (79, 59, 80, 60))],
    }


@pytest.mark.parametrize("case", edge_cases())
# row 15
def test_everything_is_finite_and_silent(case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stats = dataset_stats(edge_cases()[case])
        summary = stats.summary()
    json.dumps(summary, allow_nan=False)
    assert len(stats.scenes) == len(edge_cases()[case])
    for table, dtype in ((stats.targets, TARGET), (stats.groups, GROUP), (stats.scenes, SCENE)):
        assert table.dtype == dtype
        assert all(np.isfinite(table[column]).all() for column in dtype.names)


def test_missing_sky_is_minus_one():
    stats = dataset_stats([two_and_one(sky=False)])
    assert stats.scenes["sky_fraction"].tolist() == [-1.0]
    assert stats.targets["in_sky"].tolist() == [-1.0] * 3
    assert stats.summary()["sky_fraction"] == 0.0


def test_scenes_are_streamed():
    alive: list[int] = []

    class Counted(Scene):
        def __del__(self) -> None:
            alive.pop()

    def stream() -> Iterator[Scene]:
        for k in range(5):
            scene = two_and_one(f"s{k}")
            alive.append(k)
            assert len(alive) <= 2
            yield Counted(scene.name, scene.image, scene.labels, scene.sky)

    assert dataset_stats(stream()).summary()["images"] == 5


def test_scenes_may_be_measured_by_other_processes():
    part = pickle.loads(pickle.dumps(scene_stats(two_and_one())))
    assert (collect_stats([part]).targets == dataset_stats([two_and_one()]).targets).all()
    assert pickle.loads(pickle.dumps(scene_stats)) is scene_stats


def test_a_scene_is_not_modified():
    scene = two_and_one()
    before = scene.image.copy(), scene.labels.copy()
    scene_stats(scene)
    assert (scene.image == before[0]).all()
    assert (scene.labels == before[1]).all()


@pytest.fixture(scope="module")
def released_parts(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[SceneStats]:
    """The released trainval part, rebuilt and measured once for all processes of a run."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    kept = shared / "released.pickle"
    with FileLock(shared / "released.lock"):
        if not kept.is_file():
            kept.write_bytes(pickle.dumps(measured_release(real_data)))
    return pickle.loads(kept.read_bytes())


def measured_release(real_data: Path) -> list[SceneStats]:
    """Released images are those of SIRST v2 with pasted pixels changed, see its README."""
    pasted = dict(np.load(real_data / "densesirst" / "pasted_pixels.npz"))
    spans = [slice(a, b) for a, b in pairwise(pasted["offsets"].tolist())]
    pixels = ((pasted["index"][span], pasted["value"][span]) for span in spans)
    names = zip(pasted["names"].tolist(), pasted["conversion"].tolist(), strict=True)
    with workers(2) as mapped:
        parts = mapped(partial(measure_released, real_data), zip(names, pixels, strict=True))
        return sorted(parts, key=lambda part: part.name)


def measure_released(root: Path, item: Any) -> SceneStats:
    (name, conversion), (index, value) = item
    content = np.fromfile(root / "sirstv2" / "mixed" / f"{name}.png", np.uint8)
    if conversion == "gray":
        image = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
    else:
        image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
        image = image if image.ndim == 2 else image[..., int(conversion[-1])].copy()
    image.ravel()[index] = value
    folders = (root / "densesirst" / kind / "BinaryMask" for kind in ("SIRST", "SkySeg"))
    files = (np.fromfile(folder / f"{name}_pixels0.png", np.uint8) for folder in folders)
    mask, sky = (cv2.imdecode(file, cv2.IMREAD_GRAYSCALE) > 127 for file in files)
    return scene_stats(Scene(name, image, label_mask(mask), sky))


@pytest.fixture(scope="module")
def released(released_parts) -> DatasetStats:
    return collect_stats(released_parts)


def test_released_scalars(released):
    summary = released.summary()
    assert (summary["images"], summary["targets"]) == (768, 10201)
    assert summary["density_clusters"] == pytest.approx(0.4082, abs=5e-5)
    assert summary["density_singles"] == pytest.approx(0.1345, abs=5e-5)
    assert summary["mean_area"] == pytest.approx(11.58, abs=5e-3)
    assert summary["targets_saturated"] == pytest.approx(0.121, abs=5e-4)


def test_released_targets_are_mostly_3_by_3(released):
    sizes, counts = np.unique(released.targets[["width", "height"]], return_counts=True)
    assert sizes[counts.argmax()].tolist() == (3, 3)
    assert counts.max() / counts.sum() == pytest.approx(0.27, abs=5e-3)


def test_released_brightness_is_that_of_the_figure(released):
    counts = np.histogram(released.targets["brightness_rank"], np.linspace(0, 1, 21))[0]
    shares = 100 * counts / counts.sum()
    assert shares == pytest.approx(np.array(TRAINVAL_BRIGHTNESS.split(), float), abs=0.051)
    assert shares == pytest.approx(np.array(PUBLISHED_BRIGHTNESS.split(), float), abs=0.5)


def test_released_means_are_those_of_the_table(released):
    targets = released.targets
    cluster = targets["group_targets"] > 1
    clear = cluster & ~targets["saturated"]
    visible = clear & (targets["peak_increment"] >= 10)
    means = {
        "local_contrast": (slice(None), 1.537, 0.005),
        "log_scr": (slice(None), 2.06, 0.01),
        "nearest_distance": (cluster, 5.78, 0.01),
        "gap": (cluster, 1.78, 0.01),
        "peak_increment": (clear, 80.5, 0.1),
        "profile_mean_over_max": (visible, 0.441, 0.001),
        "halo_ratio": (visible, 0.026, 0.001),
        "asymmetry": (visible, 0.021, 0.004),
    }
    for name, (rows, mean, tolerance) in means.items():
        assert targets[name][rows].mean() == pytest.approx(mean, abs=tolerance), name


def test_a_third_of_the_release_is_as_near_to_the_rest_as_chance_has_it(released_parts):
    order = np.random.default_rng(0).permutation(len(released_parts))
    third, rest = (
        collect_stats(released_parts[k] for k in part) for part in np.split(order, [256])
    )
    result = score(compare(third, rest))
    assert result.n_within >= 17
    assert 0.3 < result.mean_ratio < 0.8

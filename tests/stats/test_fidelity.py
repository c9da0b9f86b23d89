import json
from dataclasses import asdict

import numpy as np
import pytest
from scenes import random_scenes

from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.compare.fidelity import Score, compare, score
from densesirst_gen.stats.compare.scorecard import STATISTICS
from densesirst_gen.stats.tables import DatasetStats, dataset_stats

BY_NAME = {statistic.name: statistic for statistic in STATISTICS}


@pytest.fixture(scope="module")
def reference() -> DatasetStats:
    return dataset_stats(random_scenes(0, 80))


def ratios(a: DatasetStats, b: DatasetStats) -> dict[str, float | None]:
    return {d.name: d.ratio for d in compare(a, b)}


def test_there_are_twenty_statistics():
    assert len(BY_NAME) == len(STATISTICS) == 20
    assert sum(not s.reads_scene for s in STATISTICS) == 13
    assert [s.name for s in STATISTICS if s.reads_profile] == [
        "local_contrast",
        "log_scr",
        "profile_mean_over_max",
        "halo_ratio",
        "asymmetry",
    ]


def test_a_dataset_does_not_differ_from_itself(reference):
    for d in compare(reference, reference):
        assert d.distance == d.ratio == 0.0
        assert d.mean == d.reference_mean
    assert score(compare(reference, reference)) == Score(20, 20, 0.0, 0.0)


def test_another_draw_is_within_the_floor(reference):
    result = score(compare(dataset_stats(random_scenes(1, 60)), reference))
    assert result.n_within >= 17
    assert 0.2 < result.mean_ratio < 0.9


def test_what_is_wrong_stands_out_and_the_rest_does_not(reference):
    bright = ratios(dataset_stats(random_scenes(2, 60, gain=90.0)), reference)
    assert bright["peak_increment"] > 3
    assert bright["box_size"] < 1.5
    large = ratios(dataset_stats(random_scenes(3, 60, size=4)), reference)
    assert min(large[name] for name in ("box_size", "mask_area", "nn_gap")) > 3
    assert large["clusters_per_image"] < 1.5


def test_distances_are_those_of_the_definitions(reference):
    from scipy.stats import wasserstein_distance

    other = dataset_stats(random_scenes(4, 30))
    found = {d.name: d for d in compare(other, reference)}
    for name in ("mask_area", "log_scr", "targets_per_image"):
        a, b = (BY_NAME[name].values(s) for s in (other, reference))
        assert found[name].distance == pytest.approx(wasserstein_distance(a, b) / b.std())
        assert found[name].mean == pytest.approx(a.mean())
    gaps = [np.bincount(s.targets["gap"], minlength=9) for s in (other, reference)]
    expected = abs(gaps[0] / gaps[0].sum() - gaps[1] / gaps[1].sum()).sum() / 2
    assert found["nn_gap"].distance == pytest.approx(expected)


def test_the_seed_decides(reference):
    other = dataset_stats(random_scenes(5, 20))
    assert compare(other, reference, seed=3) == compare(other, reference, seed=3)
    assert compare(other, reference, seed=3) != compare(other, reference, seed=4)


def test_the_order_of_scenes_and_targets_does_not_matter(reference):
    other = random_scenes(6, 20)
    turned = [
        Scene(s.name, s.image, np.where(s.labels, s.n_targets + 1 - s.labels, 0), s.sky)
        for s in reversed(other)
    ]
    one, two = (ratios(dataset_stats(scenes), reference) for scenes in (other, turned))
    assert one == pytest.approx(two)


def test_the_floor_falls_with_the_root_of_the_number_of_images(reference):
    few, many = dataset_stats(random_scenes(7, 20)), dataset_stats(random_scenes(8, 320))
    expected = np.sqrt((1 / 20 + 1 / 80) / (1 / 320 + 1 / 80))
    pairs = zip(compare(few, reference), compare(many, reference), strict=True)
    assert np.median([a.floor / b.floor for a, b in pairs]) == pytest.approx(expected, rel=0.12)


def test_what_only_one_dataset_has_is_not_compared(reference):
    bare = [Scene(s.name, s.image, np.zeros_like(s.labels)) for s in random_scenes(9, 5)]
    result = compare(dataset_stats(bare), reference)
    compared = {d.name for d in result if d.ratio is not None}
    assert compared == {"targets_per_image", "clusters_per_image", "singles_per_image"}
    assert {d.name: d for d in result}["sky_fraction"].reference_mean is not None
    assert score(result).n_compared == 3
    json.dumps([asdict(d) for d in result], allow_nan=False)


def test_a_constant_reference_has_a_finite_ratio(reference):
    same = dataset_stats(random_scenes(10, 1) * 6)
    for d in compare(reference, same):
        assert d.floor is None or d.floor > 0
        assert d.ratio is None or np.isfinite(d.ratio)


@pytest.mark.parametrize(("n_a", "n_b", "draws"), [(0, 5, 9), (5, 1, 9), (0, 0, 9), (2, 2, 0)])
def test_too_few_images_or_draws(n_a, n_b, draws):
    a, b = (dataset_stats(random_scenes(0, n)) for n in (n_a, n_b))
    with pytest.raises(ValueError, match=f"got {n_a}, {n_b} and {draws}"):
        compare(a, b, draws=draws)


def test_nothing_compared_scores_zero():
    assert score([]) == Score(0, 0, 0.0, 0.0)

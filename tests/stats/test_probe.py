"""The probe tells what can be told, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.compare.probe import N_FOLDS, probe


def dense_scenes(
    n: int, *, seed: int, prefix: str = "s", gain: float = 1.0, lean: float = 0.0
) -> Iterator[Scene]:
    """Scenes with two clusters of four round targets each."""
    rows, cols = np.mgrid[:60, :80]
    for k in range(n):
        rng = np.random.default_rng([seed, k])
        gray, mask = rng.normal(50, 2, rows.shape), np.zeros(rows.shape, bool)
        for corner in ((15, 15), (35, 50)):
            for down, right in ((0, 0), (0, 7), (7, 0), (7, 7)):
                y, x = corner[0] + down + rng.integers(2), corner[1] + right + rng.integers(2)
                light = np.exp(-((rows - y - lean) ** 2 + (cols - x - lean) ** 2) / 2)
                gray += gain * rng.uniform(40, 120) * light
                mask |= (rows - y) ** 2 + (cols - x) ** 2 <= 2
        image = np.clip(gray, 0, 255).astype(np.uint8)
        yield Scene(f"{prefix}{k}", image, label_mask(mask))


def test_draws_of_one_kind_are_not_told_apart() -> None:
    """Of 24 such pairs the mean AUC was 0.497, and 23 intervals held 0.5."""
    results = [
        probe(dense_scenes(60, seed=100 + 2 * k), dense_scenes(60, seed=101 + 2 * k))
        for k in range(5)
    ]
    assert np.mean([result.auc for result in results]) == pytest.approx(0.5, abs=0.04)
    assert sum(result.low < 0.5 < result.high for result in results) >= 4
    assert (results[0].n_a, results[0].n_b, results[0].n_images) == (120, 120, 60)


@pytest.mark.parametrize("change", [{"gain": 1.8}, {"lean": 0.7}])
def test_an_obvious_difference_is_told(change: dict[str, float]) -> None:
    result = probe(dense_scenes(50, seed=0), dense_scenes(50, seed=1, **change))
    assert result.auc > 0.85
    assert result.low > 0.7


def test_the_same_scenes_on_both_sides_are_not_told_apart() -> None:
    scenes = list(dense_scenes(40, seed=0))
    assert probe(scenes, scenes).auc == pytest.approx(0.5, abs=0.1)


def test_the_result_depends_on_the_seed_alone() -> None:
    def run(seed: int) -> object:
        return probe(dense_scenes(20, seed=0), dense_scenes(20, seed=1), seed=seed)

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_no_image_is_on_both_sides_of_a_fold() -> None:
    """Backgrounds that say which dataset they are of teach nothing about other backgrounds.

    Each image is all bright or all dark in both datasets; only which one differs by name. A model
    that had seen an image's twin would know; one that has not must guess.
    """
    rng = np.random.default_rng(0)
    bright = rng.random(60) < 0.5

    def tinted(seed: int, flip: bool) -> Iterator[Scene]:
        for k, scene in enumerate(dense_scenes(60, seed=seed)):
            level = 60 if bright[k] != flip else 0
            yield replace(scene, image=np.minimum(scene.image, 190) + np.uint8(level))

    result = probe(tinted(0, flip=False), tinted(1, flip=True))
    assert result.auc < 0.65


def test_more_clusters_are_thinned() -> None:
    scenes = dense_scenes(40, seed=0), dense_scenes(30, seed=1)
    result = probe(*scenes, max_clusters=50)
    assert (result.n_a, result.n_b) == (50, 50)


def test_depth_does_not_matter() -> None:
    """The same scenes at 14 bits look the same in gray levels."""
    shallow = list(dense_scenes(40, seed=0))
    deep = [
        replace(s, image=s.image.astype(np.uint16) * 64, span=(0.0, 255.0 * 64)) for s in shallow
    ]
    assert probe(shallow, deep).auc == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_too_little_is_an_error_with_the_counts(n: int) -> None:
    with pytest.raises(ValueError, match=rf"got 80 and {2 * n} clusters"):
        probe(dense_scenes(40, seed=0), dense_scenes(n, seed=1))


def test_few_images_are_an_error() -> None:
    few = [replace(s, name=f"s{k % 3}") for k, s in enumerate(dense_scenes(20, seed=0))]
    with pytest.raises(ValueError, match=f"{N_FOLDS} images, got 40 and 40 clusters in 3 images"):
        probe(few, few)


def test_scenes_without_clusters_are_passed_over() -> None:
    plain = Scene("plain", np.zeros((30, 30), np.uint8), np.zeros((30, 30), np.int32))
    scenes = [plain, *dense_scenes(20, seed=0)]
    assert probe(scenes, dense_scenes(20, seed=1)).n_a == 40

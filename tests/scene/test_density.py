import numpy as np
import pytest

from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.density import (
    clusters,
    group_boxes,
    group_density,
    linked_pairs,
    nearest_distance,
    nearest_gap,
    normalised_density,
)

NO_POINTS = np.zeros((0, 2))


def labels_of(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    labels = np.zeros(shape, np.int32)
    for k, (x0, y0, x1, y1) in enumerate(boxes, 1):
        labels[y0:y1, x0:x1] = k
    return labels


def test_a_chain_of_links_is_one_cluster():
    chain = np.array([[0, 0], [9.9, 0], [19.8, 0], [40, 0]])
    assert clusters(chain).tolist() == [0, 0, 0, 1]


def test_ten_pixels_apart_are_not_linked():
    assert clusters(np.array([[0, 0], [6.0, 8.0]])).tolist() == [0, 1]
    assert clusters(np.array([[0, 0], [6.0, 7.99]])).tolist() == [0, 0]
    assert clusters(np.array([[0, 0], [6.0, 8.0]]), max_distance=10.1).tolist() == [0, 0]


def test_regions_are_numbered_by_their_first_point():
    points = np.array([[50, 50], [0, 0], [52, 50], [1, 0], [90, 90]])
    assert clusters(points).tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize("points", [NO_POINTS, np.array([[3.0, 4.0]])])
def test_fewer_than_two_points(points):
    assert clusters(points).tolist() == [0] * len(points)
    assert linked_pairs(points).shape == (0, 2)
    assert nearest_distance(points).tolist() == [-1.0] * len(points)


def test_order_and_translation_of_points_do_not_matter():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 150, (200, 2))
    order = rng.permutation(200)
    same = np.equal.outer(clusters(points), clusters(points))
    moved = clusters(points[order] + [1000.0, -7.0])
    assert (np.equal.outer(moved, moved) == same[np.ix_(order, order)]).all()


def test_clusters_are_the_closure_of_all_short_distances():
    points = np.random.default_rng(1).uniform(0, 120, (150, 2))
    linked = np.linalg.norm(points[:, None] - points, axis=2) < 10
    for _ in range(8):
        linked = linked @ linked
    assert (np.equal.outer(clusters(points), clusters(points)) == linked).all()


def test_a_hundred_thousand_points():
    grid = np.stack(np.meshgrid(np.arange(400.0), np.arange(250.0)), axis=-1).reshape(-1, 2)
    assert len(set(clusters(grid * 12))) == 100_000
    assert set(clusters(grid * 7)) == {0}


def test_density_of_two_squares():
    found = annotate(labels_of((10, 10, 13, 13), (14, 10, 17, 13), (40, 40, 42, 45)))
    groups = clusters(found.points)
    assert groups.tolist() == [0, 0, 1]
    assert group_boxes(found.boxes, groups).tolist() == [[10, 10, 17, 13], [40, 40, 42, 45]]
    assert group_density(found, groups) == pytest.approx([2 * 18 / 21, 1.0])


def test_regions_whose_targets_are_not_in_order():
    found = annotate(labels_of((10, 10, 13, 13), (40, 40, 42, 45), (14, 12, 17, 15)))
    groups = clusters(found.points)
    assert groups.tolist() == [0, 1, 0]
    assert group_boxes(found.boxes, groups).tolist() == [[10, 10, 17, 15], [40, 40, 42, 45]]


def test_gap_is_the_larger_of_both_axes_and_zero_at_a_corner():
    found = annotate(labels_of((10, 10, 13, 13), (15, 14, 18, 17), (50, 50, 53, 53)))
    assert nearest_gap(found).tolist() == [2, 2, -1]
    distances = [np.hypot(5, 4), np.hypot(5, 4), np.hypot(35, 36)]
    assert nearest_distance(found.points) == pytest.approx(distances)
    touching = annotate(labels_of((10, 10, 13, 13), (13, 13, 16, 16)))
    assert nearest_gap(touching).tolist() == [0, 0]


def test_normalised_density_spans_zero_to_one():
    assert normalised_density(np.array([1.0, 3.0, 2.0])).tolist() == [0.0, 1.0, 0.5]


@pytest.mark.parametrize("density", [[], [2.0], [2.0, 2.0]])
def test_normalised_density_without_a_span(density):
    assert normalised_density(np.array(density)).tolist() == [0.0] * len(density)


def test_no_targets():
    found = annotate(np.zeros((5, 5), np.int32))
    groups = clusters(found.points)
    assert group_boxes(found.boxes, groups).shape == (0, 4)
    assert group_density(found, groups).shape == (0,)
    assert nearest_gap(found).shape == (0,)

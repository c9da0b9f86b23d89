"""Free positions are exact, draws are uniform, nothing is placed where it may not be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from densesirst_gen.paste.boards import place_on_boards
from densesirst_gen.paste.placement import choose_windows, free_positions, place, placement_tables

masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.booleans())


@given(masks, st.integers(1, 14), st.integers(1, 14))
def test_free_positions_are_those_that_hold_no_blocked_pixel(
    blocked: np.ndarray, height: int, width: int
) -> None:
    free = free_positions(blocked, height, width)
    rows, cols = (max(n - s + 1, 0) for n, s in zip(blocked.shape, (height, width), strict=True))
    assert free.shape == (rows, cols)
    for r in range(rows):
        for c in range(cols):
            assert free[r, c] == (not blocked[r : r + height, c : c + width].any())


@given(masks, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_windows_are_free_and_disjoint(blocked: np.ndarray, side: int, seed: int) -> None:
    free = free_positions(blocked, side, side)
    uniforms = np.random.default_rng(seed).random((4, 1))
    windows = choose_windows(free, uniforms, side, blocked)
    taken = blocked.astype(int)
    for row, col in windows:
        taken[row : row + side, col : col + side] += 1
    assert taken.max(initial=0) <= 1
    if len(windows) < 4:
        assert not free_positions(taken > 0, side, side).any()


def test_windows_are_uniform_on_a_free_sky() -> None:
    free = np.ones((9, 11), bool)
    free[2:5, 3:6] = False
    draws = np.random.default_rng(1).random((20_000, 1, 1))
    hits = np.zeros(free.shape)
    for draw in draws:
        hits[tuple(choose_windows(free, draw, 1, free)[0])] += 1
    assert not hits[~free].any()
    expected = len(draws) / free.sum()
    chi2 = ((hits[free] - expected) ** 2 / expected).sum()
    assert chi2 < free.sum() + 5 * np.sqrt(2 * free.sum())


def test_the_smoothest_of_several_windows_is_taken() -> None:
    image = np.random.default_rng(0).normal(0, 10, (40, 40))
    image[:, 20:] = 5
    free = free_positions(np.zeros(image.shape, bool), 8, 8)
    windows = choose_windows(free, np.random.default_rng(2).random((2, 64)), 8, image)
    assert (windows[:, 1] >= 20).all()


def placed(
    n_clusters: int, n: int, *, region: int = 20, patch: int = 5, gap: int = 1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    patches = (rng.random((n_clusters, n, patch, patch)) < 0.7).astype(np.float32)
    sizes = rng.integers(1, patch + 1, (n_clusters, n, 2))
    grid = np.arange(patch)
    patches *= (grid[:, None] < sizes[..., :1, None]) & (grid < sizes[..., 1:, None])
    gaps = rng.integers(1, gap + 1, (n_clusters, n))
    tables = placement_tables(region, patch, gap, 1)
    rows, cols = place(patches, sizes, gaps, rng.random((n_clusters, n, 2)), tables, 1000)
    return rows, cols, patches, np.concatenate([sizes, gaps[..., None]], axis=2)


@pytest.mark.parametrize(("n", "gap"), [(12, 1), (12, 2), (30, 3)])
# row 37
def test_patches_keep_the_margin_and_the_gap(n: int, gap: int) -> None:
    rows, cols, patches, sizes = placed(40, n, gap=gap)
    for k in range(len(rows)):
        taken = np.zeros((20, 20), bool)
        for i in np.flatnonzero(rows[k] >= 0):
            (height, width, free), row, col = sizes[k, i], rows[k, i], cols[k, i]
            assert row >= 1
            assert col >= 1
            assert max(row + height, col + width) <= 19
            around = np.s_[
                max(row - free, 0) : row + height + free, max(col - free, 0) : col + width + free
            ]
            assert not taken[around].any()
            taken[row : row + 5, col : col + 5] |= patches[k, i, : 20 - row, : 20 - col] > 0


def test_nothing_is_refused_while_there_is_room() -> None:
    rows, cols, patches, sizes = placed(60, 40, seed=3)
    for k in range(len(rows)):
        taken = np.zeros((20, 20), bool)
        for i in range(rows.shape[1]):
            height, width, gap = sizes[k, i]
            grown = np.pad(taken, gap)
            free = free_positions(grown, height + 2 * gap, width + 2 * gap)[1 : 20 - height][
                :, 1 : 20 - width
            ]
            fits = bool(free.any())
            if rows[k, i] >= 0:
                row, col = rows[k, i], cols[k, i]
                assert fits
                taken[row : row + 5, col : col + 5] |= patches[k, i, : 20 - row, : 20 - col] > 0
            elif fits:  # 1000 tries miss m of M free corners with (1 - m / M) ** 1000
                assert free.sum() / free.size < 0.01


def test_a_position_is_found_with_the_chance_of_random_tries() -> None:
    n = 40_000
    tables = placement_tables(20, 5, 1, 1)
    first = np.zeros((n, 2, 5, 5), np.float32)
    first[:, 0] = 1
    uniforms = np.random.default_rng(0).random((n, 2, 2))
    sizes = np.full((n, 2, 2), 5)
    one_try = place(first, sizes, np.ones((n, 2), int), uniforms, tables, 1)[0]
    corner = np.arange(14)
    near = (np.abs(corner[:, None] - corner) <= 5).mean(axis=1)
    expected = 1 - np.mean(near) ** 2
    assert abs((one_try[:, 1] >= 0).mean() - expected) < 0.01
    many = place(first, sizes, np.ones((n, 2), int), uniforms, tables, 100)[0]
    assert (many >= 0).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 26), st.integers(1, 7), st.integers(0, 3), st.integers(0, 2), st.integers(0, 999)
)
def test_the_same_on_boards(region: int, side: int, gap: int, margin: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    patches = rng.random((3, 8, side, side)) < 0.6
    sizes, gaps = rng.integers(0, side + 1, (3, 8, 2)), rng.integers(0, gap + 1, (3, 8))
    sizes[(sizes == 0).any(axis=-1)] = 0  # not to be placed
    tall, wide = (np.arange(side) < sizes[..., k, None] for k in (0, 1))
    patches &= tall[..., :, None] & wide[..., None, :]
    uniforms, attempts = rng.random((3, 8, 2)), int(rng.integers(1, 100))
    if side > region:
        sizes = np.minimum(sizes, region)
        patches[..., region:, :] = patches[..., :, region:] = False
    tables = placement_tables(region, side, gap, margin)
    expected = place(patches.astype(np.float32), sizes, gaps, uniforms, tables, attempts)
    found = place_on_boards(patches, sizes, gaps, uniforms, region, margin, attempts)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_in_torch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    patches = (rng.random((30, 9, 5, 5)) < 0.7).astype(np.float32)
    sizes, gaps = rng.integers(1, 6, (30, 9, 2)), rng.integers(1, 3, (30, 9))
    uniforms, tables = rng.random((30, 9, 2)), placement_tables(20, 5, 2, 1)
    expected = place(patches, sizes, gaps, uniforms, tables, 100)
    arguments = [torch.from_numpy(a) for a in (patches, sizes, gaps, uniforms)]
    found = place(*arguments, tuple(torch.from_numpy(t) for t in tables), 100, xp=torch)
    for a, b in zip(found, expected, strict=True):
        assert (a.numpy() == b).all()

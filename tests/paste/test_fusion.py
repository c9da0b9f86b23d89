"""The arithmetic of a stamp: equations, edges, and numpy against torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from densesirst_gen.paste.config import PROFILES, PasteConfig
from densesirst_gen.paste.fusion import stamps
from densesirst_gen.paste.plan import COLUMNS, PASTE

GRID = np.arange(7, dtype=np.float64)


def rows(n: int, seed: int = 0, side: int = 7, **values: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pastes = np.zeros(n, PASTE)
    pastes["height"], pastes["width"] = rng.integers(1, side + 1, (2, n))
    pastes["donor"] = rng.integers(0, 4, n)
    for name, (low, high) in {
        "level": (0, 255),
        "gain": (0.5, 1),
        "sigma_x": (0.3, 0.6),
        "sigma_y": (0.3, 0.6),
        "offset_x": (-0.2, 0.2),
        "offset_y": (-0.2, 0.2),
        "angle": (-np.pi / 2, np.pi / 2),
    }.items():
        pastes[name] = rng.uniform(low, high, n)
    for name, value in values.items():
        pastes[name] = value
    return pastes


def table(pastes: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    shapes = np.random.default_rng(seed).random((4, 7, 7))
    return shapes, (shapes > 0.4).astype(np.float64)


def test_one_stamp_by_hand() -> None:
    """Eq. 1 and 2 spelled out for a 5 x 5 patch, unturned and not normalised."""
    config = replace(PasteConfig(), level="library", rotate="none", normalise=False)
    paste = rows(1, height=5, width=5, donor=0, level=200, gain=0.8, offset_x=0.1, offset_y=-0.1)
    shapes, masks = table(paste)
    rise, mask = stamps(shapes, masks, paste, GRID, config)
    for i in range(5):
        for j in range(5):
            x, y = (j - 2) / 2, (i - 2) / 2
            u, v = (x - 0.1) / paste["sigma_x"][0], (y + 0.1) / paste["sigma_y"][0]
            weight = 0.8 * np.exp(-(u * u + v * v) / 2)
            assert rise[0, i, j] == pytest.approx(200 * shapes[0, i, j] * weight, abs=0.01)
            assert mask[0, i, j] == (weight > 25 / 255)
    assert not rise[0, 5:].any()
    assert not rise[0, :, 5:].any()


@pytest.mark.parametrize("profile", list(PROFILES))
def test_stamps_stay_inside_their_patch_and_their_range(profile: str) -> None:
    pastes = rows(500)
    rise, mask = stamps(*table(pastes), pastes, GRID, PROFILES[profile])
    outside = (GRID[:, None] >= pastes["height"][:, None, None]) | (
        pastes["width"][:, None, None] <= GRID
    )
    assert np.isfinite(rise).all()
    assert (rise >= 0).all()
    assert (rise <= 255).all()
    assert not rise[outside].any()
    assert not mask[outside].any()


def test_a_released_level_is_that_of_the_softened_peak() -> None:
    """However the target's own peak meets the Gaussian's, the stamp's peak is level x gain."""
    pastes = rows(500, height=7, width=7)
    pastes["level"] /= 9  # so that no part of a target reaches white
    rise, _ = stamps(*table(pastes), pastes, GRID, PROFILES["bag-cp"])
    assert rise.max(axis=(1, 2)) == pytest.approx(pastes["level"] * pastes["gain"], abs=0.05)


def test_turning_by_a_quarter_turns_the_patch() -> None:
    config = replace(PasteConfig(), rotate="target", fusion="copy")
    pastes = rows(2, height=5, width=5, donor=1, level=100, gain=1, angle=0)
    pastes["angle"][1] = np.pi / 2
    shapes, _ = table(pastes)
    rise, _ = stamps(shapes, np.ones_like(shapes), pastes, GRID, config)
    upright, turned = rise[0, :5, :5], rise[1, :5, :5]
    matches = [np.allclose(np.rot90(upright, k), turned, atol=0.01) for k in (1, 3)]
    assert any(matches)


def test_turning_repeats_the_edge() -> None:
    """A flat target stays flat at every angle (Eq. 3 with the edge repeated)."""
    config = replace(PasteConfig(), rotate="target", fusion="copy")
    pastes = rows(50, height=5, width=5, level=100, gain=1)
    ones = np.ones((4, 7, 7))
    rise, mask = stamps(ones, ones, pastes, GRID, config)
    assert np.allclose(rise[:, :5, :5], 100)
    assert mask[:, :5, :5].all()


def test_peak_offsets_have_the_mean_of_the_formula() -> None:
    """Law 7: the Gaussian's centre is where the offset says, in half patches."""
    for low, high in [(-0.2, 0.0), (0.0, 0.2), (-0.2, 0.2)]:
        config = replace(PasteConfig(), normalise=False, rotate="none")
        pastes = rows(20_000, height=7, width=7, level=255, gain=1, sigma_x=0.3, sigma_y=0.3)
        pastes["offset_x"] = np.random.default_rng(0).uniform(low, high, len(pastes))
        pastes["offset_y"] = 0
        ones = np.ones((4, 7, 7))
        rise, _ = stamps(ones, ones, pastes, GRID, config)
        centre = (rise * (GRID - 3)).sum(axis=(1, 2)) / rise.sum(axis=(1, 2)) / 3
        assert centre.mean() == pytest.approx((low + high) / 2, abs=0.005)


@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("fusion", ["gaussian", "copy"])
def test_numpy_and_torch_agree_to_the_bit(profile: str, fusion: str) -> None:
    torch = pytest.importorskip("torch")
    config = replace(PROFILES[profile], fusion=fusion)
    pastes = rows(20_000)
    shapes, masks = table(pastes)
    expected = stamps(shapes, masks, pastes, GRID, config)
    columns = {name: torch.from_numpy(pastes[name].copy()) for name in COLUMNS}
    tensors = [torch.from_numpy(a) for a in (shapes, masks)]
    found = stamps(*tensors, columns, torch.from_numpy(GRID), config, xp=torch)
    assert found[0].dtype == torch.float64
    assert (found[0].numpy() == expected[0]).all()
    assert (found[1].numpy() == expected[1]).all()

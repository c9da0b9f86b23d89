"""What the tests share: scenes made on the spot, and the real data where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from densesirst_gen.paste.extract import build_library, extract_regions, stack_entries
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.scene import Scene

settings.register_profile("project", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("project")


def make_scene(
    shape: tuple[int, int] = (96, 128),
    *,
    name: str = "scene",
    dtype: type = np.uint8,
    sky: np.ndarray | str | None = "all",
    targets: int = 2,
    base: float = 40.0,
    seed: int = 0,
) -> Scene:
    """A noisy scene with a few round targets, its levels stated in 8-bit gray levels."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    gray = base + 10 * rows / shape[0] + rng.normal(0, 1.5, shape)
    mask = np.zeros(shape, bool)
    for k in range(targets):
        spot = (rows - 12 - 20 * k) ** 2 + (cols - 15 - 25 * k) ** 2
        gray += 90 * np.exp(-spot / 4)
        mask |= spot <= 5
    unit, span = {np.uint8: (1, None), np.uint16: (16383 / 255, (0.0, 16383.0))}.get(
        dtype, (0.1, (0.0, 25.5))
    )
    image = np.clip(gray, 0, 255) * unit
    image = image.astype(dtype) if dtype is np.float32 else np.floor(image).astype(dtype)
    covered = np.ones(shape, bool) if isinstance(sky, str) else sky
    return Scene(name, image, label_mask(mask), covered, span)


@pytest.fixture(scope="session")
def targets() -> TargetLibrary:
    """A small library of targets of several sizes."""
    library = build_library([make_scene(name="donor", targets=3), round_targets()])
    assert len(library) > 5
    return library


@pytest.fixture(scope="session")
def regions() -> TargetLibrary:
    """A small library of scene regions."""
    scene = make_scene((300, 320), name="regions")
    entries = extract_regions(scene, np.random.default_rng(0))
    return stack_entries(entries, "regions", {})


def round_targets() -> Scene:
    """A scene with targets of 1x1, 1x2, 2x2, ... pixels, and one too large."""
    image = np.full((120, 160), 30, np.uint8)
    mask = np.zeros(image.shape, bool)
    for k, (height, width) in enumerate([(1, 1), (1, 3), (3, 1), (2, 2), (4, 6), (9, 7), (30, 20)]):
        box = np.s_[20 : 20 + height, 5 + 20 * k : 5 + 20 * k + width]
        image[box], mask[box] = 120 + 10 * k, True
    return Scene("round", image, label_mask(mask), None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real SIRST v2 and DenseSIRST; the test is skipped without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DENSESIRST_DATA", default))
    if not (folder / "sirstv2" / "mixed").is_dir():
        pytest.skip(f"no real data in {folder} (set DENSESIRST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from or written to the user's cache."""
    monkeypatch.setenv("DENSESIRST_GEN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))

"""Fixtures of all tests: small libraries, the real data where they are at hand, a cache aside."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and numpy: the cores are for the workers
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # some hundred programs would compile all anew

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from scenes import make_scene, round_targets

from densesirst_gen.paste.extract import build_library, extract_regions, stack_entries
from densesirst_gen.paste.library import TargetLibrary

settings.register_profile("project", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("project")


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

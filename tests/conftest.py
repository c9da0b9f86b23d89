"""Fixtures of all tests: small libraries, the real data where they are at hand, a cache aside."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and numpy: the cores are for the workers
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # some hundred programs would compile all anew

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from scenes import make_scene, round_targets

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.detection.evaluation.evaluate import evaluate
from densesirst_gen.files.workers import workers
from densesirst_gen.paste.extract import build_library, extract_frame, stack_entries
from densesirst_gen.paste.library import TargetLibrary

IN_MEMORY, ENOUGH = Path("/dev/shm"), 4 << 30
"""Where a run's files, some 500 MB, cost no disk; bytes that must be free there."""
if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

settings.register_profile("project", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits longest comes first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: "released_parts" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> None:
    """One that has what most processes of the tests need, so that not each imports it anew."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        with workers(2, [build_dataset.__module__, evaluate.__module__, "pytest"]) as mapped:
            assert list(mapped(abs, [-1])) == [1]


@pytest.fixture(scope="session")
def targets() -> TargetLibrary:
    """A small library of targets of several sizes."""
    library = build_library([make_scene(name="donor", targets=3), round_targets()])
    assert len(library) > 5
    return library


@pytest.fixture(scope="session")
def frames() -> TargetLibrary:
    """A small library of whole scenes at 5 x 5 px."""
    scenes = [make_scene((60, 40 + k), name=f"frame{k}", seed=k, base=20 * k) for k in range(8)]
    return stack_entries([e for s in scenes for e in extract_frame(s, 5)], "frames", {})


@pytest.fixture(scope="session")
def regions() -> TargetLibrary:
    """A small library of scene regions, as versions before made them."""
    boxes, masks = np.random.default_rng(0).integers(0, 60, (128, 2)), np.ones((128, 5, 5), bool)
    patches = np.random.default_rng(1).normal(90, 20, masks.shape).astype(np.float32)
    names = np.array([f"regions@{x},{y},{x + 60},{y + 90}" for x, y in boxes.tolist()])
    return TargetLibrary(patches, masks, np.full((128, 2), 5, np.int32), names, "regions")


@pytest.fixture(scope="session")
def libraries(
    targets: TargetLibrary, frames: TargetLibrary, regions: TargetLibrary
) -> dict[str, TargetLibrary]:
    """One library of each kind."""
    return {library.kind: library for library in (targets, frames, regions)}


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

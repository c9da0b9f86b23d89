"""Nothing is pasted where nobody knows what is there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scenes import make_scene

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.kept_free import positions_outside
from densesirst_gen.build.plan_lines import form_fault, read_plans
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.build.verify import verify
from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.extract import build_library

RECIPE = Recipe(PasteConfig(region="anywhere"), seed=1)


def backgrounds(root: Path, crowd: list[float]) -> Path:
    scene = make_scene(name="a")
    height, width = scene.shape
    (root / "images").mkdir(parents=True)
    (root / "images/a.png").write_bytes(encode_png(scene.image))
    known = np.flatnonzero((scene.labels == 1).ravel(order="F"))
    mask = np.zeros(height * width, bool)
    mask[known] = True
    edges = np.flatnonzero(np.diff(mask, prepend=False))
    counts = np.diff(edges, prepend=0, append=mask.size).tolist()
    target = {"iscrowd": 0, "segmentation": {"size": [height, width], "counts": counts}}
    rows = [target, {"iscrowd": 1, "bbox": crowd, "segmentation": []}]
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": width, "height": height}],
        "categories": [{"id": 1, "name": "target"}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": 1, **row} for k, row in enumerate(rows)
        ],
    }
    (root / "annotations.json").write_text(json.dumps(document))
    return root


def test_windows_are_clear_of_regions_that_are_not_judged(tmp_path: Path) -> None:
    height, width = make_scene(name="a").shape
    crowd = [0.0, 0.0, width / 2, float(height)]
    dataset = read_dataset(backgrounds(tmp_path / "d", crowd))
    library = build_library([make_scene(name="b", seed=2)])
    for seed in range(3):
        out = tmp_path / f"out{seed}"
        build_dataset(dataset, out, Recipe(RECIPE.config, seed), library=library)
        (line,) = read_plans(out)
        assert line["kept_free"] == [[0, 0, width / 2, height]]
        assert min(col for _, col in line["windows"]) >= width / 2
        assert [p for p in verify(out) if p.rule != "left"] == []


def test_without_regions_the_planner_finds_out_by_itself() -> None:
    scene = make_scene(name="a")
    assert positions_outside(scene, RECIPE.config, ()) is None
    free = positions_outside(scene, RECIPE.config, [(-9.0, -9.0, 1e9, 1e9)])
    assert free is not None
    assert not free.any()


def test_damaged_regions_are_a_fault_of_the_line(tmp_path: Path) -> None:
    dataset = read_dataset(backgrounds(tmp_path / "d", [0.0, 0.0, 9.0, 9.0]))
    library = build_library([make_scene(name="b", seed=2)])
    build_dataset(dataset, tmp_path / "out", RECIPE, library=library)
    (line,) = read_plans(tmp_path / "out")
    for wrong in (3, [3], [[1, 2, 3]], [[1, 2, 3, "4"]]):
        assert "kept_free must be" in form_fault({**line, "kept_free": wrong})
